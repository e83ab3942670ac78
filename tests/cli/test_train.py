"""``qsr-edge train`` as a user runs it: a recipe file, a folder of photos, an interruption."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from qsr_edge.nn.checkpoint import read_checkpoint

pytest.importorskip("torch")

RunCli = Callable[..., Any]

RECIPE = """
name = "tiny"
scale = 2
bits = {bits}
iterations = {iterations}
channels = 8
blocks = 2
depths = [1, 2]
batch = 2
patch_px = 16
validation_images = 1
"""


@pytest.fixture
def photos(tmp_path: Path, photo: Path) -> Path:
    folder = tmp_path / "photos" / "nested"
    folder.mkdir(parents=True)
    with Image.open(photo) as image:
        for i in range(4):
            image.crop((i * 80, 40, i * 80 + 120, 160)).save(folder / f"{i}.png")
    return folder.parent


def _recipe(tmp_path: Path, *, bits: int, iterations: int) -> Path:
    path = tmp_path / f"tiny_{bits}.toml"
    path.write_text(RECIPE.format(bits=bits, iterations=iterations))
    return path


def test_float_then_four_bits_then_tflite(run_cli: RunCli, tmp_path: Path, photos: Path) -> None:
    start = tmp_path / "float.safetensors"
    recipe = _recipe(tmp_path, bits=0, iterations=4)
    result = run_cli("train", "--recipe", recipe, "--data", photos, "-o", start)
    assert result.exit_code == 0, result.stderr
    trained = tmp_path / "w4a4.safetensors"
    recipe = _recipe(tmp_path, bits=4, iterations=4)
    result = run_cli(
        "train", "--recipe", recipe, "--data", photos, "--start", start, "-o", trained, "--data-note", "a cup"
    )
    assert result.exit_code == 0, result.stderr
    provenance = read_checkpoint(trained).provenance
    assert provenance["data"] == "a cup"
    assert provenance["training_images"] == 3
    assert provenance["epochs"] == pytest.approx(4 * 2 / 3, abs=0.05)
    result = run_cli(
        "convert",
        "--target",
        "tflite",
        "--checkpoint",
        trained,
        "--author",
        "me",
        "--licence",
        "MIT",
        "-o",
        tmp_path / "bundle",
    )
    assert result.exit_code == 0, result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--recipe", "x9", "--data", "."], "no recipe is called 'x9'"),
        (["--recipe", "x2_fp32", "--data", "EMPTY"], "EMPTY"),
        (["--recipe", "x2_w4a4", "--data", ".", "--start", "none.safetensors"], "none.safetensors"),
        (["--recipe", "x2_w4a4", "--data", ".", "-o", "none/a.safetensors"], "no folder none"),
    ],
)
def test_mistakes_are_one_line(
    run_cli: RunCli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "EMPTY").mkdir()
    result = run_cli("train", *arguments)
    assert result.exit_code == 1
    assert message in result.stderr.splitlines()[-1]


def test_a_killed_run_goes_on_where_it_was_saved(tmp_path: Path, photos: Path) -> None:
    recipe = _recipe(tmp_path, bits=4, iterations=1200)
    output = tmp_path / "killed.safetensors"
    state = tmp_path / "killed.safetensors.state"
    arguments = ["train", "--recipe", str(recipe), "--data", str(photos), "--threads", "1", "-o", str(output)]
    command = [sys.executable, "-c", "import sys; from qsr_edge.cli.main import main; sys.exit(main())", *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env=environment)
    deadline = time.monotonic() + 120
    while not state.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert state.exists()
    assert not output.exists()
    resumed = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert resumed.returncode == 0, resumed.stderr
    assert "iteration 500:" not in resumed.stderr
    assert "iteration 1000:" in resumed.stderr
    assert np.isfinite(read_checkpoint(output).tensors["tail.weight"]).all()
