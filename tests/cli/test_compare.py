"""``qsr-edge compare`` as a user runs it, with a network of a few channels."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

torch = pytest.importorskip("torch")
pytest.importorskip("matplotlib")

from qsr_edge.errors import TrainingError
from qsr_edge.nn.checkpoint import write_checkpoint
from qsr_edge.nn.config import EdgeConfig
from qsr_edge.nn.quantsr_c_edge import QuantsrCEdge
from qsr_edge.training import compare
from qsr_edge.training.state import checkpoint_from_network

RunCli = Callable[..., Any]

RECIPE = """
name = "tiny"
start = "none"
methods = ["lsq", "rlq"]
reference = "lsq"
bits = [2]
seeds = [0, 1]
scale = 2
iterations = 2
batch = 2
patch_px = 12
learning_rate = 0.001
channels = 4
blocks = 1
depths = [1]
"""


@pytest.fixture
def arguments(tmp_path: Path, photo: Path, monkeypatch: pytest.MonkeyPatch) -> list[str | Path]:
    monkeypatch.setenv("QSR_EDGE_CACHE", str(tmp_path / "cache"))
    (tmp_path / "tiny.toml").write_text(RECIPE)
    network = QuantsrCEdge(EdgeConfig(scale=2, channels=4, blocks=1, depths=(1,), order=(0,)))
    write_checkpoint(tmp_path / "start.safetensors", checkpoint_from_network(network, network.state_dict(), {}))
    (tmp_path / "images").mkdir()
    with Image.open(photo) as image:
        for i in range(9):
            image.crop((i * 40, 0, i * 40 + 40, 40)).save(tmp_path / "images" / f"{i}.png")
    images = tmp_path / "images"
    return ["compare", "--recipe", tmp_path / "tiny.toml", "--data", images, "--dataset", images]


@pytest.mark.parametrize("jobs", ["1", pytest.param("2", marks=pytest.mark.slow)])
def test_a_comparison_is_run_reported_and_resumed(
    run_cli: RunCli, tmp_path: Path, arguments: list[str | Path], jobs: str
) -> None:
    arguments += ["--start", tmp_path / "start.safetensors", "-o", tmp_path / "out", "--jobs", jobs]
    result = run_cli(*arguments)
    assert result.exit_code == 0, result.stderr
    assert "| iterations | 2 |" in result.stdout
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "compare.json", "compare.md", "compare.svg", "runs.jsonl",
    ]  # fmt: skip
    assert result.stderr.count("s CPU") == 4
    again = run_cli(*arguments, "--json")
    assert "s CPU" not in again.stderr
    assert len(json.loads(again.stdout)["runs"]) == 4


def test_mistakes_are_one_line(run_cli: RunCli, tmp_path: Path, arguments: list[str | Path]) -> None:
    result = run_cli(*arguments, "-o", tmp_path / "out")
    assert result.exit_code == 1
    assert "no bundled checkpoint is called 'none'; give --start FILE" in result.stderr
    assert not (tmp_path / "out").exists()
    assert run_cli(*arguments, "--lr", "a", "--lr", "b").exit_code == 2
    result = run_cli("compare", "--recipe", "nothing", "--data", "a", "--dataset", "b")
    assert "choose from depths_x2, quantizers_t_x2, quantizers_x2" in result.stderr


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (("--data", "none"), "none: no such folder"),
        (("--dataset", "none"), "none: no such folder"),
        (("--dataset", "images", "--dataset", "images"), "two test sets are called images"),
    ],
)
def test_folders_that_cannot_be_used_leave_no_output(
    run_cli: RunCli,
    tmp_path: Path,
    arguments: list[str | Path],
    monkeypatch: pytest.MonkeyPatch,
    changed: tuple[str, ...],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    at = arguments.index(changed[0])
    arguments[at : at + 2] = changed
    result = run_cli(*arguments, "--start", "start.safetensors", "-o", "out")
    assert result.exit_code == 1
    assert message in result.stderr.splitlines()[-1]
    assert not Path("out").exists()


def test_what_a_worker_finds_is_one_line(run_cli: RunCli, tmp_path: Path, arguments: list[str | Path]) -> None:
    at = arguments.index("--dataset")
    tests = tmp_path / "tests"
    tests.mkdir()
    (tests / "cut.png").write_bytes((tmp_path / "images" / "0.png").read_bytes()[:100])
    arguments[at + 1] = tests
    result = run_cli(*arguments, "--start", tmp_path / "start.safetensors", "-o", tmp_path / "out")
    assert result.exit_code == 1
    assert "cut.png: is damaged or cut off" in result.stderr.splitlines()[-1]


def test_a_process_ended_from_outside_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compare, "_run", os._exit)  # what stands for the run is its exit code
    nothing: Any = None
    runs: list[Any] = [9]
    with pytest.raises(TrainingError, match="was ended from outside, as by a lack of memory"):
        list(compare._in_processes(nothing, nothing, runs, jobs=1))
