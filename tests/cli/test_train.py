"""``qsr-edge train`` as a user runs it: a recipe file, a folder of photos, an interruption."""

import dataclasses
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from qsr_edge.cli import train
from qsr_edge.errors import RecipeError, TrainingError
from qsr_edge.nn.checkpoint import read_checkpoint
from qsr_edge.nn.config import NetworkSize
from qsr_edge.recipe.reader import read_recipe
from qsr_edge.recipe.train import TrainRecipe
from tests.support.pictures import unprivileged, unprivileged_folder
from tests.support.waiting import wait_until

pytest.importorskip("torch")

from qsr_edge.training.loop import check_folder

pytestmark = pytest.mark.usefixtures("usual_signals")

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


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QSR_EDGE_CACHE", str(tmp_path / "cache"))


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


@pytest.mark.parametrize(("recipe", "size", "name"), [
    ("x2_w4a8", "nano", "nano_x2_w4a8"), ("nano_x2_w4a8", "nano", "nano_x2_w4a8"), ("x2_w4a8", "edge", "x2_w4a8"),
    ("photo_x4_w4a8", "edge", "photo_x4_w4a8"), ("x2_fp32", "plus", "plus_x2_fp32"),
])  # fmt: skip
def test_a_size_names_the_preset_for_it(recipe: str, size: str, name: str) -> None:
    assert train._recipe(recipe, NetworkSize(size)).name == name


@pytest.mark.parametrize(("recipe", "size"), [("x4_w4a8", "nano"), ("nano_x2_w4a8", "plus"), ("paper_x2_fp32", "edge")])
def test_a_recipe_of_another_size_is_refused(recipe: str, size: str) -> None:
    with pytest.raises(RecipeError, match=f"{recipe}: trains a network of the size .*, not {size}; "):
        train._recipe(recipe, NetworkSize(size))


def test_an_output_that_cannot_be_written_is_refused_before_training() -> None:
    with unprivileged_folder() as folder:
        folder.chmod(0o555)
        with unprivileged(), pytest.raises(TrainingError, match=r"a\.safetensors: no permission to write in "):
            check_folder(folder / "a.safetensors")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGKILL, -signal.SIGKILL), (signal.SIGTERM, 143), (signal.SIGINT, 130)]
)
def test_a_killed_run_goes_on_where_it_was_saved(
    tmp_path: Path, photos: Path, number: signal.Signals, status: int
) -> None:
    recipe = _recipe(tmp_path, bits=4, iterations=700)
    output = tmp_path / "killed.safetensors"
    state = tmp_path / "killed.safetensors.state"
    arguments = ["train", "--recipe", str(recipe), "--data", str(photos), "--threads", "1", "-o", str(output)]
    arguments += ["--save-every", "250"]
    command = [sys.executable, "-m", "qsr_edge", *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, env=environment)
    wait_until(state.exists, process.poll)
    if number == signal.SIGKILL:
        process.send_signal(signal.SIGSTOP)  # else it might have ended by the time that the second one has started
        second = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
        assert second.returncode == 1
        assert f"error: {output}: another qsr-edge train writes there now" in second.stderr
    process.send_signal(number)
    told = process.communicate()[1].decode()
    assert process.returncode == status
    assert ("stopping: " in told and "stopped at iteration" in told) == (number != signal.SIGKILL)
    assert state.exists()
    assert not output.exists()
    resumed = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert resumed.returncode == 0, resumed.stderr
    assert "iteration 250:" not in resumed.stderr
    assert "iteration 500:" in resumed.stderr
    assert np.isfinite(read_checkpoint(output).tensors["tail.weight"]).all()
    assert {path.name for path in tmp_path.iterdir()} == {"cache", "killed.safetensors", "photos", recipe.name}


def test_a_chain_trains_what_is_missing(
    run_cli: RunCli, tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def tiny(name: str, kind: type[TrainRecipe]) -> TrainRecipe:
        small = {"iterations": 2, "channels": 4, "batch": 2, "patch_px": 12, "order_iteration": 0}
        return dataclasses.replace(read_recipe(name, kind), **small, validation_images=1)

    monkeypatch.setattr("qsr_edge.cli.train.read_recipe", tiny)
    output = tmp_path / "x2_w4a4.safetensors"
    arguments = ["train", "--recipe", "x2_w4a4", "--chain", "--data", photos, "-o", output]
    result = run_cli(*arguments)
    assert result.exit_code == 0, result.stderr
    provenance = read_checkpoint(output).provenance
    names = []
    while provenance:
        recipe, provenance = provenance["recipe"], provenance["start"]
        names.append(recipe["name"])
    assert names == ["x2_w4a4", "x2_w4a8", "x2_fp32"]
    assert "exists already" in run_cli(*arguments).stderr
    output.unlink()
    first = (tmp_path / "x2_w4a8.safetensors").read_bytes()
    result = run_cli(*arguments)
    assert result.stdout == f"wrote {output}\n"
    assert (tmp_path / "x2_w4a8.safetensors").read_bytes() == first
    assert run_cli(*arguments, "--start", output).exit_code == 2

    # What a trial, or a run with another start, left in the chain's place is refused before anything is trained.
    output.unlink()
    result = run_cli(*arguments, "--iterations", "1")
    assert result.exit_code == 1
    assert "x2_w4a8.safetensors: is not of this chain: in its stage x2_w4a8, iterations was 2, not 1" in result.stderr
    (tmp_path / "x2_fp32.safetensors").unlink()
    result = run_cli(*arguments)
    assert result.exit_code == 1
    assert "x2_w4a8.safetensors: exists already, but" in result.stderr
    assert not (tmp_path / "x2_fp32.safetensors").exists()
    result = run_cli(*arguments[:-1], tmp_path / "x2_fp32.safetensors")
    assert result.exit_code == 1
    assert "a stage of the chain is written there" in result.stderr
    assert not (tmp_path / "x2_fp32.safetensors").exists()


def test_a_start_that_is_nowhere_is_named(run_cli: RunCli, tmp_path: Path, photos: Path) -> None:
    recipe = tmp_path / "tiny.toml"
    recipe.write_text(RECIPE.format(bits=4, iterations=1) + 'start = "elsewhere"\n')
    result = run_cli("train", "--recipe", recipe, "--chain", "--data", photos, "-o", tmp_path / "a.safetensors")
    assert result.exit_code == 1
    assert "'elsewhere' is no preset" in result.stderr
    result = run_cli("train", "--recipe", recipe, "--data", photos, "-o", tmp_path / "a.safetensors")
    assert result.exit_code == 1
    assert "--start FILE, or --chain" in result.stderr


LOSS_TOLERANCE = 1e-5
"""Mean absolute error as a share of 255 levels: averaging gradients in another order costs the last bits of float32."""


def _losses(folder: Path) -> list[float]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder))
    events.Reload()
    return [event.value for event in events.Scalars("loss")]


@pytest.mark.slow
def test_two_processes_follow_the_curve_of_one(tmp_path: Path, photos: Path) -> None:
    pytest.importorskip("tensorboard")
    recipe = _recipe(tmp_path, bits=0, iterations=12)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    curves = []
    for processes in (1, 2):
        launcher = ["torch.distributed.run", "--nproc-per-node", "2", "-m"] if processes == 2 else []
        output, log = tmp_path / f"{processes}.safetensors", tmp_path / f"log{processes}"
        arguments = ["--recipe", recipe, "--data", photos, "-o", output, "--journal", log, "--save-every", "6"]
        command = [sys.executable, "-m", *launcher, "qsr_edge", "train", *map(str, arguments), "--threads", "1"]
        result = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
        assert result.returncode == 0, result.stderr
        curves.append(_losses(log))
    assert len(curves[0]) == 12
    assert np.abs(np.subtract(*curves)).max() < LOSS_TOLERANCE
    one, two = (read_checkpoint(tmp_path / f"{n}.safetensors") for n in (1, 2))
    assert two.provenance["processes"] == 2
    # Adam turns the sign of a vanishing gradient into a whole step, so single weights may differ by more than the mean.
    differences = np.concatenate([np.abs(a - two.tensors[name]).ravel() for name, a in one.tensors.items()])
    assert differences.mean() < 1e-5
    assert not (tmp_path / "2.safetensors.state").exists()


def test_a_batch_that_cannot_be_shared_is_refused(tmp_path: Path) -> None:
    from qsr_edge.errors import TrainingError
    from qsr_edge.training.distributed import World

    with pytest.raises(TrainingError, match=r"a batch of 8 cannot be shared by 3 processes; .* one of 1, 2, 4, 8, or"):
        World(size=3).check_batch(8)


def test_a_preset_is_tried_out_in_a_few_steps(run_cli: RunCli, tmp_path: Path, photos: Path) -> None:
    recipe = _recipe(tmp_path, bits=0, iterations=5000)
    recipe.write_text(recipe.read_text() + "order_iteration = 900\n")
    output = tmp_path / "tiny.safetensors"
    result = run_cli("train", "--recipe", str(recipe), "--data", str(photos), "-o", str(output), "--iterations", "2")
    assert result.exit_code == 0, result.stderr
    trained = read_checkpoint(output).provenance["recipe"]
    assert isinstance(trained, dict)
    assert (trained["iterations"], trained["order_iteration"]) == (2, 2)
