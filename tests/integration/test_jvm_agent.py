"""The benchmark app's agent on the JVM, with the real LiteRT behind it: protocol, bytes, and what goes wrong."""

import hashlib
import json
import os
import resource
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qsr_edge.bundle.reader import read_bundle
from qsr_edge.conversion.backend import ConvertOptions, ModelMetadata
from qsr_edge.conversion.convert import convert_checkpoint
from qsr_edge.conversion.registry import find_backend
from qsr_edge.nn.checkpoint import read_checkpoint
from qsr_edge.runtime.tiler import upscale_tiled
from qsr_edge.runtime.upscale import load_depth
from tests.support.android_build import AGENT, NEEDS_ANDROID_BUILD
from tests.support.paths import REPOSITORY
from tests.support.waiting import PATIENCE_S

CHECKPOINT = REPOSITORY / "qsr_edge" / "zoo" / "x2_w2a2.safetensors"
METADATA = ModelMetadata(name="x2", version="1", author="tests", licence="CC0-1.0", description="bundled")
HEIGHT_PX, WIDTH_PX = 40, 56

pytestmark = NEEDS_ANDROID_BUILD


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("bundle") / "x2"
    options = ConvertOptions(metadata=METADATA, input_size_px=None)
    convert_checkpoint(read_checkpoint(CHECKPOINT), find_backend("tflite"), options, output, natural=None)
    return output


def run(arguments: list[str], **options: Any) -> "subprocess.CompletedProcess[str]":
    path = os.pathsep.join([str(REPOSITORY), str(REPOSITORY / "converters"), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "QSR_EDGE_PYTHON": sys.executable, "PYTHONPATH": path, **options.pop("more", {})}
    return subprocess.run(
        [AGENT, *arguments], env=environment, capture_output=True, text=True, timeout=PATIENCE_S, check=False, **options
    )


def variant(bundle: Path, depth: int, **changes: object) -> dict[str, object]:
    return {
        "label": f"depth {depth}",
        "bundle": str(bundle),
        "depth": depth,
        "kernels": "xnnpack",
        "threads": 1,
        "height_px": 24,
        "width_px": 32,
        "check_golden": True,
        "done": {"queries": 0, "steady_us": 0, "sustained_ms": 0, "images": []},
        **changes,
    }


@pytest.fixture
def measure(tmp_path: Path) -> Callable[..., tuple[int, str, list[dict[str, Any]]]]:
    """Run a part: exit code, standard error, records."""

    def run_part(variants: list[Mapping[str, object]], **changes: Any) -> tuple[int, str, list[dict[str, Any]]]:
        options = changes.pop("options", {})
        job = {
            "protocol": 1,
            "run": "test",
            "part": 1,
            "results": str(tmp_path / "results-1.jsonl"),
            "outputs": str(tmp_path / "outputs"),
            "queries": 20,
            "steady_ms": 40,
            "round_ms": 10,
            "warm_up_ms": 5,
            "sustained_ms": 0,
            "images": [],
            "variants": variants,
            **changes,
        }
        path = tmp_path / f"job-{job['part']}.json"
        path.write_text(json.dumps(job))
        done = run([str(path)], **options)
        results = Path(job["results"])
        lines = results.read_bytes().splitlines(keepends=True) if results.exists() else []
        assert all(line.endswith(b"\n") for line in lines)
        return done.returncode, done.stderr, [json.loads(line) for line in lines]

    return run_part


def of_kind(records: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [record for record in records if record["kind"] == kind]


def picture(folder: Path) -> tuple[np.ndarray[Any, Any], dict[str, object]]:
    pixels = np.random.default_rng(0).integers(0, 256, (HEIGHT_PX, WIDTH_PX, 3), np.uint8)
    path = folder / "noise.rgb"
    path.write_bytes(pixels.tobytes())
    return pixels, {"name": "noise", "path": str(path), "height_px": HEIGHT_PX, "width_px": WIDTH_PX}


def test_a_run_in_two_parts(bundle: Path, measure: Callable[..., Any], tmp_path: Path) -> None:
    pixels, image = picture(tmp_path)
    manifest = read_bundle(bundle).manifest
    variants = [variant(bundle, 2), variant(bundle, 8)]
    code, errors, records = measure(variants, images=[image], sustained_ms=60)
    assert (code, errors) == (0, "")
    agent, end = records[0], records[-1]
    assert (agent["kind"], agent["protocol"], agent["run"], agent["part"]) == ("agent", 1, "test", 1)
    assert "litert" in agent["runtime"]
    assert (end["kind"], end["complete"]) == ("end", True)
    for record in of_kind(records, "start"):
        depth = int(record["variant"].split()[1])
        assert record["golden_equal"] is True
        assert record["golden_sha256"] == manifest.depth_entry(depth).golden_sha256
        assert record["load_us"] > 0
    for index, record in enumerate(of_kind(records, "image")):
        output = (tmp_path / "outputs" / record["output"]).read_bytes()
        assert record["sha256"] == hashlib.sha256(output).hexdigest()
        loaded = load_depth(read_bundle(bundle), depth=(2, 8)[index])
        expected = upscale_tiled(loaded.runner.run, pixels, scale=2, halo_px=loaded.halo_px)
        assert output == expected.tobytes()
    steady = of_kind(records, "steady")
    for label in ("depth 2", "depth 8"):
        latencies = [us for record in steady if record["variant"] == label for us in record["latencies_us"]]
        assert len(latencies) >= 20
        assert sum(latencies) >= 40_000
        assert of_kind(records, "sustained")[-1]["since_ms"] >= 60
    assert all(record["peak_bytes"] > 10_000_000 for record in steady)
    assert [record["elapsed_ms"] for record in records] == sorted(record["elapsed_ms"] for record in records)

    # What is done is not done again; the rest goes on.
    half = {"queries": 15, "steady_us": 30_000, "sustained_ms": 30, "images": ["noise"]}
    whole = {"queries": 20, "steady_us": 40_000, "sustained_ms": 60, "images": ["noise"]}
    code, _, records = measure(
        [variant(bundle, 2, done=half), variant(bundle, 8, done=whole)],
        images=[image],
        sustained_ms=60,
        part=2,
        results=str(tmp_path / "results-2.jsonl"),
    )
    assert code == 0
    assert [record["variant"] for record in of_kind(records, "start")] == ["depth 2"]
    assert not of_kind(records, "image")
    assert 5 <= sum(len(record["latencies_us"]) for record in of_kind(records, "steady"))


def test_damage_and_strangers_are_refused(bundle: Path, measure: Callable[..., Any], tmp_path: Path) -> None:
    damaged = tmp_path / "damaged"
    shutil.copytree(bundle, damaged)
    model = damaged / read_bundle(bundle).manifest.depth_entry(8).file
    content = bytearray(model.read_bytes())
    content[len(content) // 2] ^= 1
    model.write_bytes(content)
    code, errors, records = measure([variant(bundle, 2), variant(damaged, 8)])
    assert code == 1
    assert "sha256" in errors
    [error] = of_kind(records, "error")
    assert error["variant"] == "depth 8"
    assert model.name in error["message"]
    assert of_kind(records, "start")[0]["variant"] == "depth 2"
    assert records[-1]["complete"] is False

    second = str(tmp_path / "results-2.jsonl")
    code, _, records = measure([variant(bundle, 2, kernels="gpu")], part=2, results=second)
    assert code == 1
    assert "no kernels 'gpu', only xnnpack, builtin, reference" in of_kind(records, "error")[0]["message"]

    third = str(tmp_path / "results-3.jsonl")
    code, _, records = measure([variant(bundle, 2)], protocol=2, part=3, results=third)
    assert code == 1
    assert [record["kind"] for record in records] == ["agent", "error", "end"]
    assert "protocol 2, expected 1" in records[1]["message"]


def test_a_file_that_cannot_grow(bundle: Path, measure: Callable[..., Any], tmp_path: Path) -> None:
    _, image = picture(tmp_path)

    def limited(size: int) -> dict[str, Callable[[], None]]:
        return {"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))}

    # The picture is larger than the limit, the records before it are not.
    code, errors, records = measure([variant(bundle, 2)], images=[image], options=limited(8192))
    assert code == 1
    [error] = of_kind(records, "error")
    assert "free some space" in error["message"]
    assert of_kind(records, "start")
    assert not of_kind(records, "image")
    assert not list((tmp_path / "outputs").iterdir())
    # Records that no longer fit: those before are whole. After short ones the last, which tells the error, may not fit
    # either.
    second = str(tmp_path / "results-2.jsonl")
    code, errors, records = measure(
        [variant(bundle, 2)], queries=100_000, part=2, results=second, options=limited(8192)
    )
    assert code == 1
    assert f"{second}: cannot be written" in errors
    assert "free some space" in errors
    assert of_kind(records, "steady")
    # One that alone is too long: the error is recorded. Beside the records before the round there is room for the error
    # and the end, each with the message, but not for so many latencies. The round has time for four times as many, at
    # the pace that they just had: a busy machine's are long.
    third = str(tmp_path / "results-3.jsonl")
    before = sum(len(json.dumps(of_kind(records, kind)[0])) for kind in ("agent", "start", "condition"))
    room = before + 2 * (len(third) + 200)
    pace_us = np.mean([us for record in of_kind(records, "steady") for us in record["latencies_us"]])
    round_ms = int(min(60_000, max(4000, 4 * room * pace_us / 1000 / len("100,"))))
    code, errors, records = measure(
        [variant(bundle, 2)], warm_up_ms=0, round_ms=round_ms, part=3, results=third, options=limited(room)
    )
    assert code == 1
    [error] = of_kind(records, "error")
    assert (error["variant"], error["message"]) == ("depth 2", errors.removeprefix("error: ").rstrip())
    assert "free some space" in error["message"]
    assert not of_kind(records, "steady")
    assert records[-1]["complete"] is False


def test_the_library_upscales_as_python_does(bundle: Path, tmp_path: Path) -> None:
    pixels, image = picture(tmp_path)
    archive = tmp_path / "bundle.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        for path in bundle.iterdir():
            file.write(path, path.name)
    loaded = load_depth(read_bundle(bundle), depth=4)
    expected = upscale_tiled(loaded.runner.run, pixels, scale=2, halo_px=loaded.halo_px).tobytes()
    output = tmp_path / "out.rgb"
    for source in (bundle, archive):
        arguments = [source, tmp_path / "storage", 4, 16, image["path"], HEIGHT_PX, WIDTH_PX, output]
        done = run([str(argument) for argument in arguments], more={"QSR_EDGE_JVM_MAIN": "io.qsredge.jvm.JvmUpscaleKt"})
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout == "tested [2, 4, 8] equal true tiles 6\n"
        assert output.read_bytes() == expected
    assert len(list((tmp_path / "storage").iterdir())) == 1
