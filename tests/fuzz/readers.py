"""Every reader of files and answers from outside, and what it may do with any bytes: read them, or refuse in one line.

A reader's function returns when it read the bytes or refused them as it promises. Whatever else it raises is a defect:
a crash, or :class:`SilentAcceptanceError` where damage went unnoticed that the format can tell.
"""

import io
import os
import tempfile
import warnings
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from qsr_edge.errors import QsrError
from tests.support.paths import IMAGES, REPOSITORY

SEEDS = Path(__file__).parent / "seeds"
CORPUS = Path(__file__).parent / "corpus"
"""What once made a reader fail, by the reader's name. It grows, and is read by the tests."""


class SilentAcceptanceError(AssertionError):
    """A reader took bytes whose damage it could tell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """One reader.

    Attributes:
        read: reads; see the module.
        seeds: whole inputs to begin with.
    """

    read: Callable[[bytes], None]
    seeds: Callable[[], list[bytes]]


@contextmanager
def refusing() -> Iterator[None]:
    """A refusal is one line that people can read, of bounded length; it is as good as reading."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        except QsrError as error:
            text = str(error)
            assert text, "an error without words"
            assert text.isprintable(), f"not one line: {text!r}"
            assert len(text) < 2000, f"{len(text)} characters"


_file: list[Path] = []


@contextmanager
def _as_file(content: bytes, suffix: str) -> Iterator[Path]:
    if not _file:
        _file.append(Path(tempfile.mkdtemp(prefix="fuzz-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None)))
    path = _file[0] / f"input{suffix}"
    path.write_bytes(content)
    yield path


def _files(*patterns: str) -> Callable[[], list[bytes]]:
    def found() -> list[bytes]:
        paths = [path for pattern in patterns for path in sorted(REPOSITORY.glob(pattern)) if path.is_file()]
        assert paths, f"no file is called {patterns}"
        return [path.read_bytes() for path in paths]

    return found


def _manifest_seeds() -> list[bytes]:
    import json

    with (REPOSITORY / "tests" / "vectors" / "manifests.jsonl").open(encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    return [row["text"].encode() for row in rows if row["accept"]][:20]


def _manifest(content: bytes) -> None:
    import hashlib

    from qsr_edge.bundle.manifest import dump_manifest, parse_manifest

    # Once as it is, which its own digest protects, and once signed anew by somebody who may do that.
    _, _, body = content.partition(b",\n")
    signed = b'{\n  "manifest_sha256": "' + hashlib.sha256(b"{\n" + body).hexdigest().encode() + b'",\n' + body
    for candidate in (content, signed):
        with refusing():
            manifest = parse_manifest(candidate, "manifest.json")
            if parse_manifest(dump_manifest(manifest), "again") != manifest:
                raise SilentAcceptanceError("a manifest that does not come back as it was")


def _zip_seeds() -> list[bytes]:
    stored, packed = io.BytesIO(), io.BytesIO()
    for buffer, compression in ((stored, zipfile.ZIP_STORED), (packed, zipfile.ZIP_DEFLATED)):
        with zipfile.ZipFile(SEEDS / "bundle.zip") as whole, zipfile.ZipFile(buffer, "w", compression) as archive:
            for name in whole.namelist():
                archive.writestr(name, whole.read(name))
    return [(SEEDS / "bundle.zip").read_bytes(), stored.getvalue(), packed.getvalue()]


def _zip(content: bytes) -> None:
    import hashlib

    from qsr_edge.bundle.reader import open_bundle

    with refusing(), _as_file(content, ".zip") as path, open_bundle(path) as bundle:
        for entry in bundle.manifest.files:
            if hashlib.sha256((bundle.root / entry.path).read_bytes()).hexdigest() != entry.sha256:
                raise SilentAcceptanceError(f"{entry.path} is not what the manifest says")


def _checkpoint(content: bytes) -> None:
    from qsr_edge.nn.checkpoint import expected_shapes, read_checkpoint

    with refusing(), _as_file(content, ".safetensors") as path:
        found = read_checkpoint(path)
        if {name: array.shape for name, array in found.tensors.items()} != expected_shapes(found.config):
            raise SilentAcceptanceError("tensors that do not fit the configuration")
        if not all(np.isfinite(array).all() for array in found.tensors.values()):
            raise SilentAcceptanceError("weights that are not finite")


def _pth(content: bytes) -> None:
    from qsr_edge.lowering.official_quantsr_c import import_official

    with refusing(), _as_file(content, "_4bit.pth") as path:
        import_official(path)


def _recipe(kind: str) -> Callable[[bytes], None]:
    def read(content: bytes) -> None:
        from qsr_edge.recipe.compare import CompareRecipe
        from qsr_edge.recipe.reader import read_recipe
        from qsr_edge.recipe.train import TrainRecipe

        with refusing(), _as_file(content, ".toml") as path:
            if kind == "train":
                read_recipe(str(path), TrainRecipe).config()
            else:
                list(read_recipe(str(path), CompareRecipe).runs())

    return read


def _policy_seeds() -> list[bytes]:
    import json

    from qsr_edge.codec import encode
    from qsr_edge.selector.policy import default_policy

    return [json.dumps(encode(default_policy(depths))).encode() for depths in ((2, 4, 8), (1,))]


def _policy(content: bytes) -> None:
    from qsr_edge.selector.policy import findings
    from qsr_edge.selector.reading import read_policy

    with refusing(), _as_file(content, ".json") as path:
        policy = read_policy(path)
        policy.check_depths((2, 4, 8))
        findings(policy, (2, 4, 8))


def _scenario(content: bytes) -> None:
    from qsr_edge.simulation.scenario import read_scenario

    with refusing(), _as_file(content, ".toml") as path:
        read_scenario(str(path))


def _job(content: bytes) -> None:
    from qsr_edge.bench.protocol.job import dump_job, parse_job

    with refusing():
        job = parse_job(content, "job.json")
        if parse_job(dump_job(job), "again") != job:
            raise SilentAcceptanceError("a job that does not come back as it was")


def _records(content: bytes) -> None:
    from qsr_edge.bench.protocol.decoding import decode_agent_record, decode_record, encode_line

    for line in content.splitlines():
        for decode in (decode_record, decode_agent_record):
            with refusing():
                record = decode(line, "results.jsonl: line 1")
                if decode_record(encode_line(record), "again") != record:
                    raise SilentAcceptanceError("a record that does not come back as it was")


def _kept_seeds() -> list[bytes]:
    scores = '{"bicubic": {"psnr_db": null, "ssim": 1.0}, "depth 2": {"psnr_db": 36.95, "ssim": 0.9562}}'
    lines = [f'{{"picture": "{name * 64}", "scores": {scores}}}\n'.encode() for name in "ab"]
    return [b"".join(lines), lines[0] + lines[1][:70]]


def _kept(content: bytes) -> None:
    from qsr_edge.runtime.kept_figures import KeptFigures

    with refusing(), _as_file(content, ".jsonl") as path:
        kept = KeptFigures(path)
        before = len(kept)
        kept.add("new", {})
        if len(KeptFigures(path)) != len(kept) or len(kept) not in (before, before + 1):
            raise SilentAcceptanceError("figures that do not come back as they were")


def _told(content: bytes) -> None:
    from qsr_edge.bench.browser.told import other_browser, parse_told

    with refusing():
        device = parse_told(content).device()
        if not device.name.isprintable() or other_browser(device, device) is not None:
            raise SilentAcceptanceError(f"a browser called {device.name!r}")


def _told_seeds() -> list[bytes]:
    import json

    from tests.support.scripted_page import TOLD

    names = {"brand": "Chromium 156", "system": "Android 16", "model": "Pixel 9", "architecture": "arm, 64 bits"}
    return [json.dumps(TOLD).encode(), json.dumps(TOLD | names | {"memory_gb": 8}).encode()]


def _dumpsys(content: bytes) -> None:
    from qsr_edge.bench.android.dumpsys import parse_condition

    text = content.decode(errors="replace")
    state = parse_condition(text, text)
    percent, voltage_mv = state.battery_percent, state.voltage_mv
    if percent is not None and not 0 <= percent <= 100:
        raise SilentAcceptanceError(f"a battery of {percent} %")
    if voltage_mv is not None and not 2_000 <= voltage_mv <= 30_000:
        raise SilentAcceptanceError(f"a battery of {voltage_mv} mV")
    for temperature_mc in (state.temperature_mc, state.battery_temperature_mc):
        if temperature_mc is not None and not -40_000 <= temperature_mc <= 150_000:
            raise SilentAcceptanceError(f"a temperature of {temperature_mc} m°C")


def _adb_seeds() -> list[bytes]:
    return [
        b"List of devices attached\nemulator-5554 device product:sdk model:Pixel_7 device:p transport_id:1\n"
        b"R5CT\tunauthorized usb:1-1 transport_id:2\nabc offline\n????\tno permissions (user in plugdev); see x\n",
        b"error: device 'R5CT' not found\nadb: error: failed to copy 'a' to 'b': No space left on device\n",
        *_files("tests/unit/bench/stock/*.txt", "tests/unit/bench/ios/iphone/*.json")(),
    ]


def _adb(content: bytes) -> None:
    import json

    from qsr_edge.bench.android.adb import failure, parse_devices
    from qsr_edge.bench.android.stock_output import parse_benchmark_model, parse_executor_runner
    from qsr_edge.bench.ios.tools import parse_devicectl, parse_pymobiledevice3
    from qsr_edge.bench.tool import is_full

    text = content.decode(errors="replace")
    for device in parse_devices(text):
        with refusing():
            device.check_ready()
    is_full(text)
    with refusing():
        raise failure(text, "shell")
    with refusing():
        parse_benchmark_model(text)
    with refusing():
        parse_executor_runner(text, method=None, shape=None)
    with refusing():
        parse_pymobiledevice3(text)
    with suppress(ValueError, RecursionError):
        table = json.loads(text)
        if isinstance(table, dict):
            with refusing():
                parse_devicectl(table)


def _tflite(content: bytes) -> None:
    from qsr_edge_converters.tflite.inspection import inspect_model
    from qsr_edge_converters.tflite.runner import open_runner

    with refusing(), _as_file(content, ".tflite") as path:
        inspect_model(path)
    with refusing(), _as_file(content, ".tflite") as path:
        # What passes the check of its structure, native code runs: a crash there is a crash here.
        open_runner(path, depth=1, threads=1, kernels="reference").run(np.zeros((12, 12, 3), np.uint8))


def _pte(content: bytes) -> None:
    from qsr_edge_converters.executorch.inspection import inspect_pte_content
    from qsr_edge_converters.executorch.kernels import program_kernels

    # Native code sees a program in a child process only: see qsr_edge_converters.executorch.trial.
    with refusing():
        program_kernels(content, 1, "input.pte")
    with refusing():
        inspect_pte_content(content, "input.pte")


def _mlpackage(content: bytes) -> None:
    import shutil

    from qsr_edge_converters.coreml.inspection import inspect_package

    with refusing(), _as_file(b"", ".none") as beside:
        package = beside.with_name("input.mlpackage")
        if not package.exists():
            shutil.copytree(SEEDS / "tiny.mlpackage", package)
        # One file of the package at a time: the first byte tells which.
        names = [path.relative_to(SEEDS / "tiny.mlpackage") for path in _package_files()]
        name = names[content[0] % len(names)] if content else names[0]
        (package / name).write_bytes(content[1:])
        try:
            inspect_package(package)
        finally:
            shutil.copy(SEEDS / "tiny.mlpackage" / name, package / name)


def _package_files() -> list[Path]:
    return sorted(path for path in (SEEDS / "tiny.mlpackage").rglob("*") if path.is_file())


def _onnx(content: bytes) -> None:
    from qsr_edge_converters.onnx.inspection import inspect_onnx, is_onnx

    with refusing(), _as_file(content, ".onnx") as path:
        is_onnx(path)
        inspect_onnx(path)


def _images(content: bytes) -> None:
    from qsr_edge.data.images import read_picture

    with refusing(), _as_file(content, ".png") as path:
        picture = read_picture(path)
        if picture.rgb.ndim != 3 or picture.rgb.shape[2] != 3 or picture.rgb.size == 0:
            raise SilentAcceptanceError(f"a picture of the shape {picture.rgb.shape}")


READERS: dict[str, Reader] = {
    "manifest": Reader(read=_manifest, seeds=_manifest_seeds),
    "zip": Reader(read=_zip, seeds=_zip_seeds),
    "checkpoint": Reader(read=_checkpoint, seeds=_files("tests/fuzz/seeds/tiny.safetensors")),
    "pth": Reader(read=_pth, seeds=_files("tests/fuzz/seeds/tiny.pth")),
    "recipe": Reader(read=_recipe("train"), seeds=_files("qsr_edge/recipe/presets/*.toml")),
    "comparison": Reader(read=_recipe("compare"), seeds=_files("qsr_edge/recipe/comparisons/*.toml")),
    "policy": Reader(read=_policy, seeds=_policy_seeds),
    "scenario": Reader(read=_scenario, seeds=_files("qsr_edge/simulation/scenarios/*.toml")),
    "job": Reader(read=_job, seeds=_files("tests/fuzz/seeds/job.json")),
    "records": Reader(read=_records, seeds=_files("tests/fuzz/seeds/results.jsonl")),
    "kept": Reader(read=_kept, seeds=_kept_seeds),
    "told": Reader(read=_told, seeds=_told_seeds),
    "dumpsys": Reader(read=_dumpsys, seeds=_files("tests/unit/bench/**/dumpsys/*.txt")),
    "adb": Reader(read=_adb, seeds=_adb_seeds),
    "tflite": Reader(read=_tflite, seeds=_files("tests/fuzz/seeds/tiny.tflite")),
    "pte": Reader(read=_pte, seeds=_files("tests/fuzz/seeds/tiny.pte")),
    "mlpackage": Reader(
        read=_mlpackage, seeds=lambda: [bytes([i]) + path.read_bytes() for i, path in enumerate(_package_files())]
    ),
    "onnx": Reader(read=_onnx, seeds=_files("tests/fuzz/seeds/tiny.onnx")),
    "images": Reader(
        read=_images, seeds=lambda: [path.read_bytes() for path in sorted(IMAGES.rglob("*")) if _is_small(path)]
    ),
}


def _is_small(path: Path) -> bool:
    return path.is_file() and path.suffix not in (".md", ".sh", ".py") and path.stat().st_size < 20_000
