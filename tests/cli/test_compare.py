"""``qsr-edge compare`` as a user runs it, with a network of a few channels."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

torch = pytest.importorskip("torch")
pytest.importorskip("matplotlib")

from qsr_edge.nn.checkpoint import write_checkpoint
from qsr_edge.nn.config import EdgeConfig
from qsr_edge.nn.quantsr_c_edge import QuantsrCEdge
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


def test_a_comparison_is_run_reported_and_resumed(run_cli: RunCli, tmp_path: Path, arguments: list[str | Path]) -> None:
    arguments += ["--start", tmp_path / "start.safetensors", "-o", tmp_path / "out", "--jobs", "2"]
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
