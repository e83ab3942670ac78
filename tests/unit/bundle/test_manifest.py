import contextlib
import hashlib
import json
import types
from collections.abc import Callable
from dataclasses import MISSING, fields, replace
from enum import StrEnum
from typing import Any, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from qsr_edge.bundle.layout import Deployment, Pack, Storage
from qsr_edge.bundle.manifest import (
    MANIFEST_LIMIT_BYTES,
    DepthEntry,
    FileEntry,
    GoldenInput,
    Manifest,
    ParityEntry,
    QualityEntry,
    dump_manifest,
    file_entries,
    parse_manifest,
    schema,
)
from qsr_edge.errors import BundleError
from qsr_edge.graph.cost import TileGrid
from qsr_edge.quant.arithmetic import Profile
from qsr_edge.selector import LatencyEntry, LatencyTable, Policy, Rule

RECORDS = (
    Deployment,
    Policy,
    Rule,
    LatencyTable,
    LatencyEntry,
    Manifest,
    DepthEntry,
    QualityEntry,
    GoldenInput,
    ParityEntry,
    FileEntry,
    TileGrid,
)


@pytest.fixture
def complete(manifest: Manifest, files: dict[str, bytes]) -> Manifest:
    return replace(manifest, files=file_entries(files))


def sealed(table: object) -> bytes:
    """A manifest file as anyone could make it who wants to get past the hash."""
    body = json.dumps(table, indent=2).encode() + b"\n"
    line = f'{{\n  "manifest_sha256": "{hashlib.sha256(body).hexdigest()}",\n'.encode()
    return line + body.removeprefix(b"{\n")


def unsealed(manifest: Manifest) -> dict[str, Any]:
    table: dict[str, Any] = json.loads(dump_manifest(manifest))
    del table["manifest_sha256"]
    return table


def refused(content: bytes) -> str:
    with pytest.raises(BundleError) as caught:
        parse_manifest(content, "m.json")
    message = str(caught.value)
    assert message.startswith("m.json: ")
    assert message.isprintable(), "one line, and nothing that a terminal would obey"
    assert "qsr-edge" in message
    return message


def test_round_trip(complete: Manifest) -> None:
    content = dump_manifest(complete)
    assert parse_manifest(content, "m.json") == complete
    assert dump_manifest(parse_manifest(content, "m.json")) == content


def test_round_trip_with_all_that_is_optional(complete: Manifest) -> None:
    grid = TileGrid(step_px=8, halo_px=12)
    depth = replace(complete.depths[0], signature="depth_2", grid=grid, quality=())
    full = replace(complete, input_size_px=(24, 40), depths=(depth,), parity=(), provenance={"text": "é 漢字"})
    assert parse_manifest(dump_manifest(full), "m.json") == full


def test_digest_is_of_the_file_without_its_second_line(complete: Manifest) -> None:
    first, second, *others = dump_manifest(complete).splitlines(keepends=True)
    assert json.loads("{" + second.decode().rstrip(",\n") + "}") == {
        "manifest_sha256": hashlib.sha256(first + b"".join(others)).hexdigest()
    }


@pytest.mark.parametrize("mask", [0x01, 0x20, 0xFF])
def test_every_flipped_byte_is_noticed(complete: Manifest, mask: int) -> None:
    # 0x20 changes the case of a letter, as in 1e5 and 1E5, which JSON reads alike.
    content = dump_manifest(complete)
    for i in range(len(content)):
        damaged = bytearray(content)
        damaged[i] ^= mask
        with pytest.raises(BundleError):
            parse_manifest(bytes(damaged), "m.json")


def test_every_cut_is_noticed(complete: Manifest) -> None:
    content = dump_manifest(complete)
    for length in range(len(content)):
        with pytest.raises(BundleError):
            parse_manifest(content[:length], "m.json")


@given(st.binary(max_size=200))
def test_garbage_is_refused(content: bytes) -> None:
    with pytest.raises(BundleError):
        parse_manifest(content, "m.json")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=10),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=10), children, max_size=3),
    max_leaves=5,
)


@given(data=st.data())
def test_any_value_anywhere_is_read_or_refused(data: st.DataObject) -> None:
    table = unsealed(BASE)
    places: list[tuple[Any, Any]] = []

    def walk(node: Any) -> None:
        for key in list(node) if isinstance(node, dict) else range(len(node)):
            places.append((node, key))
            if isinstance(node[key], dict | list):
                walk(node[key])

    walk(table)
    node, key = data.draw(st.sampled_from(places))
    node[key] = data.draw(json_values)
    # Anything but these two outcomes is a defect.
    with contextlib.suppress(BundleError):
        assert isinstance(parse_manifest(sealed(table), "m.json"), Manifest)


BASE = Manifest(
    name="n",
    target="tflite",
    storage=Storage.FAST,
    pack=Pack.PER_DEPTH,
    profile=Profile.PORTABLE,
    bits=4,
    scale=2,
    runtime="r",
    licence="l",
    depths=(
        DepthEntry(
            depth=2,
            file="a.tflite",
            macs_per_pixel=1,
            bops_per_pixel=1,
            peak_activation_bytes_per_pixel=1,
            halo_px=1,
            golden_sha256="0" * 64,
            quality=(QualityEntry(dataset="Set5", psnr_db=36.5, ssim=0.9, images=5),),
        ),
    ),
    golden=GoldenInput(seed=1, height_px=8, width_px=8),
    parity=(ParityEntry(kernels="k", depth=2, images=1, bytes_compared=1, mismatching_bytes=0),),
    provenance={"recipe": {"seed": 1}},
    files=(FileEntry(path="a.tflite", sha256="0" * 64, bytes=1),),
)


@pytest.mark.parametrize(
    "path",
    [
        "../a",
        "/a",
        "a/../b",
        "a//b",
        "./a",
        "a\\b",
        "c:a",
        ".hidden",
        "a/",
        "",
        "a\n",
        "a\0",
        "é",
        "manifest.json",
        "MANIFEST.JSON",
    ],
)
def test_paths_that_leave_the_bundle_are_refused(complete: Manifest, path: str) -> None:
    table = unsealed(complete)
    table["files"].append({"path": path, "sha256": "0" * 64, "bytes": 0})
    refused(sealed(table))


def on_another_grid(table: dict[str, Any]) -> None:
    table.update(input_size_px=[table["golden"]["height_px"], table["golden"]["width_px"]])
    table["golden"]["width_px"] = table["input_size_px"][1] = 41
    table["depths"][0].update(grid={"step_px": 8, "halo_px": 12})


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda t: t.update(schema_version="2.0"), "update qsr-edge"),
        (lambda t: t.update(schema_version=1.0), "schema_version"),
        (lambda t: t.pop("schema_version"), "schema_version"),
        (lambda t: t.update(bits=5), "$.bits"),
        (lambda t: t.update(name="a\nb"), "$.name"),
        (lambda t: t.update(storage="slow"), "$.storage"),
        (lambda t: t.pop("golden"), "'golden'"),
        (lambda t: t.update(depths=[]), "$.depths"),
        (lambda t: t["depths"].reverse(), "ascending"),
        (lambda t: t["depths"][1].update(file=t["depths"][0]["file"]), "same file"),
        (lambda t: t["depths"][1].update(file="models/other"), "models/other"),
        (lambda t: t["depths"][0].update(golden_sha256="A" * 64), "golden_sha256"),
        (lambda t: t["depths"][0]["quality"][0].update(psnr_db="37"), "psnr_db"),
        (lambda t: t["golden"].update(seed=2**53), "$.golden.seed"),
        (lambda t: t["golden"].update(seed=True), "$.golden.seed"),
        (lambda t: t["parity"][0].update(depth=8), "depth 8"),
        (lambda t: t.update(input_size_px=[25, 40]), "golden input"),
        (lambda t: t["depths"][0].update(grid={"step_px": 8, "halo_px": 6}), "half the grid"),
        (lambda t: t["depths"][0].update(grid={"step_px": 0, "halo_px": 8}), "step_px"),
        (lambda t: t["depths"][0].update(grid={"step_px": 8}), "halo_px"),
        (on_another_grid, "expected multiples"),
        (lambda t: t["files"].append({**t["files"][0], "path": "MODELS/depth-2.TFLITE"}), "twice"),
        (lambda t: t["files"].append({**t["files"][0], "path": "models/depth-2.tflite/x"}), "lies in another file"),
        (lambda t: t["files"][0].update(bytes=-1), "bytes"),
    ],
)
def test_what_is_wrong_is_named(complete: Manifest, change: Callable[[dict[str, Any]], object], named: str) -> None:
    table = unsealed(complete)
    change(table)
    assert named in refused(sealed(table))


def test_newer_minor_versions_are_read(complete: Manifest) -> None:
    table = unsealed(complete)
    table["schema_version"] = "1.7"
    table["something_new"] = {"of": "a later release"}
    table["depths"][0]["something_new"] = 1
    assert parse_manifest(sealed(table), "m.json") == replace(complete, schema_version="1.7")


def test_whole_numbers_written_as_fractions_become_integers(complete: Manifest) -> None:
    table = unsealed(complete)
    table["golden"]["seed"] = 7.0
    assert type(parse_manifest(sealed(table), "m.json").golden.seed) is int


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (b"[" * 100_000, "JSON"),
        (b" " * (MANIFEST_LIMIT_BYTES + 1), "at most"),
        (b'{"a": 1, "a": 2}', "twice"),
        (b'{"a": NaN}', "finite"),
        (b'{"a": 1e999}', "finite"),
        (b'{"a": "\\ud800"}', "JSON"),
        (b'{"a": "\xff"}', "UTF-8"),
        (b"\xef\xbb\xbf{}", "byte-order mark"),
        (b'{"a": ' + b"9" * 5000 + b"}", "JSON"),
        (b"[]", "object"),
        (b'{"schema_version": "1.0"}', "second line"),
    ],
)
def test_bad_json(content: bytes, named: str) -> None:
    assert named in refused(content)


def test_messages_stay_short_and_on_one_line(complete: Manifest) -> None:
    table = unsealed(complete)
    table["bits"] = "\x1b[31m\n" * 10_000
    assert len(refused(sealed(table))) < 500


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {1, 2}, object(), "\ud800"])
def test_provenance_that_is_no_json_is_not_written(complete: Manifest, value: object) -> None:
    with pytest.raises(BundleError):
        dump_manifest(replace(complete, provenance={"value": value}))


def test_depths_are_found_by_number(complete: Manifest) -> None:
    assert complete.depth_entry(4) is complete.depths[1]
    with pytest.raises(BundleError, match="depth 3 is not in this bundle; choose one of 2, 4"):
        complete.depth_entry(3)


def test_schema_is_valid() -> None:
    Draft202012Validator.check_schema(schema())


@pytest.mark.parametrize("record", RECORDS)
def test_schema_and_records_are_in_step(record: type) -> None:
    published = schema() if record is Manifest else schema()["$defs"][record.__name__]
    properties = dict(published["properties"])
    required = set(published["required"])
    if record is Manifest:
        assert next(iter(properties)) == "manifest_sha256"
        del properties["manifest_sha256"]
        required.remove("manifest_sha256")
    hints = get_type_hints(record)
    assert properties.keys() == hints.keys()
    # None is written as absence, everything else is always written.
    assert required == {name for name, hint in hints.items() if get_origin(hint) is not types.UnionType}
    for field in fields(record):
        assert (field.default is None) == (field.name not in required)
        assert (
            field.default is MISSING
            or field.name in ("schema_version", "files", "parity", "quality")
            or field.default is None
        )
    for name, hint in hints.items():
        check_type(properties[name], hint)


def check_type(published: dict[str, Any], hint: Any) -> None:
    if get_origin(hint) is types.UnionType:
        hint = get_args(hint)[0]
    arguments = get_args(hint)
    if get_origin(hint) is tuple:
        assert published["type"] == "array"
        if arguments[1] is not Ellipsis:
            assert (published["minItems"], published["maxItems"]) == (len(arguments), len(arguments))
        check_type(published["items"], arguments[0])
    elif hint in RECORDS:
        assert published == {"$ref": f"#/$defs/{hint.__name__}"}
    elif isinstance(hint, type) and issubclass(hint, StrEnum):
        assert published["enum"] == [entry.value for entry in hint]
    elif "enum" in published:
        assert all(type(value) is hint for value in published["enum"])
    else:
        expected = {bool: "boolean", int: "integer", float: "number", str: "string"}
        assert published["type"] == ("object" if get_origin(hint) is dict else expected[hint])
