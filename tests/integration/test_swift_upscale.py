"""The Swift upscaler gives the pixels of ``qsr-edge upscale``: from a zip, installed, and in tiles."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.conftest import CliResult
from tests.support.paths import REPOSITORY
from tests.support.swift_build import FIXTURES, HOST, NEEDS_SWIFT_BUILD, SWIFT
from tests.support.waiting import PATIENCE_S

pytestmark = [*NEEDS_SWIFT_BUILD, pytest.mark.filterwarnings("ignore:Core ML runs on Apple:qsr_edge.errors.QsrWarning")]


def test_the_pixels_are_the_commands(run_cli: Callable[..., CliResult], images: Path, tmp_path: Path) -> None:
    photo = images / "rgb_96x64.png"
    pixels = np.asarray(Image.open(photo))
    source, target = tmp_path / "in.rgb", tmp_path / "out.rgb"
    source.write_bytes(pixels.tobytes())
    height, width, _ = pixels.shape
    words = [FIXTURES / "exact.zip", tmp_path / "storage", 4, 24, source, height, width, target]
    folders = [str(REPOSITORY), str(REPOSITORY / "converters"), os.environ.get("PYTHONPATH", "")]
    environment = {
        "QSR_EDGE_PYTHON": sys.executable,
        "PYTHONPATH": os.pathsep.join(folders),
        # Compiled models lie where Python reaches them, too.
        "XDG_CACHE_HOME": str(tmp_path / "caches"),
    }
    swift = subprocess.run(
        ["bash", SWIFT, HOST, "upscale", *map(str, words)],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
        env={**os.environ, **environment},
    )
    assert swift.returncode == 0, swift.stderr
    # The self-test of every depth, too.
    assert swift.stdout.startswith("tested [2, 4, 8] equal true"), swift.stdout
    done = run_cli("upscale", "--bundle", FIXTURES / "exact", "--depth", "4", photo, "-o", tmp_path / "out.png")
    assert done.exit_code == 0, done.stderr
    expected = np.asarray(Image.open(tmp_path / "out.png"))
    found = np.frombuffer(target.read_bytes(), np.uint8).reshape(expected.shape)
    assert int((found != expected).sum()) == 0
