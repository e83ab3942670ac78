"""The Android library on stand-ins of Android, with the real runtimes behind its back ends, gives Python's bytes."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from qsr_edge.bundle.layout import Pack
from qsr_edge.bundle.reader import read_bundle
from qsr_edge.conversion.backend import ConvertOptions, ModelMetadata
from qsr_edge.conversion.convert import convert_checkpoint
from qsr_edge.conversion.registry import find_backend
from qsr_edge.nn.checkpoint import read_checkpoint
from qsr_edge.runtime.tiler import upscale_tiled
from qsr_edge.runtime.upscale import load_depth
from tests.support.android_build import ANDROID_BUILD, NEEDS_ANDROID_BUILD
from tests.support.paths import ANDROID_HARNESS, REPOSITORY
from tests.support.waiting import PATIENCE_S

pytestmark = NEEDS_ANDROID_BUILD

METADATA = ModelMetadata(name="tiny", version="1", author="tests", licence="CC0-1.0", description="random")
HEIGHT_PX, WIDTH_PX = 20, 28
JUNIT = [Path("/usr/share/java/junit4.jar"), Path("/usr/share/java/hamcrest-core.jar")]


def write_case(folder: Path, checkpoint: Path, target: str, pack: Pack) -> None:
    options = ConvertOptions(metadata=METADATA, pack=pack)
    convert_checkpoint(read_checkpoint(checkpoint), find_backend(target), options, folder / "qsr", natural=None)
    pixels = np.random.default_rng(3).integers(0, 256, (HEIGHT_PX, WIDTH_PX, 3), np.uint8)
    (folder / f"{HEIGHT_PX}x{WIDTH_PX}.rgb").write_bytes(pixels.tobytes())
    bundle = read_bundle(folder / "qsr")
    for entry in bundle.manifest.depths:
        loaded = load_depth(bundle, depth=entry.depth)
        made = upscale_tiled(loaded.runner.run, pixels, scale=2, halo_px=loaded.halo_px)
        (folder / f"d{entry.depth}.rgb").write_bytes(made.tobytes())


@pytest.mark.parametrize(
    ("target", "pack"),
    [
        ("tflite", Pack.PER_DEPTH),
        ("tflite", Pack.SHARED),
        ("executorch", Pack.PER_DEPTH),
        ("onnx", Pack.PER_DEPTH),
    ],
)
def test_the_back_ends_give_pythons_bytes(tmp_path: Path, tiny_checkpoint: Path, target: str, pack: Pack) -> None:
    case = tmp_path / "cases" / f"{target}-{pack}"
    case.mkdir(parents=True)
    write_case(case, tiny_checkpoint, target, pack)
    classes = [ANDROID_BUILD / part for part in ("test", "standins", "core", "bench", "apps", "android")]
    path = os.pathsep.join(map(str, [*classes, ANDROID_BUILD / "kotlin-stdlib.jar", *JUNIT]))
    properties = {
        "qsr.harness": ANDROID_HARNESS,
        "qsr.cases": case.parent,
        "qsr.python": sys.executable,
        "qsr.worker": ANDROID_HARNESS / "bench-jvm" / "runtime_worker.py",
    }
    settings = [f"-D{name}={value}" for name, value in properties.items()]
    done = subprocess.run(
        ["java", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", *settings, "-cp", path, "org.junit.runner.JUnitCore",
         "io.qsredge.standin.RealRuntimesTest"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(REPOSITORY), str(REPOSITORY / "converters")])},
        capture_output=True, text=True, timeout=PATIENCE_S, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 depths, 0 bytes differ" in done.stdout
