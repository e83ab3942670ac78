"""``qsr-edge inspect``: kinds are told by content, figures are those of the graph."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from qsr_edge.graph.cost import GraphCost
from qsr_edge.inspection.kind import Kind, model_backend, recognise
from qsr_edge.lowering.edge import lower_checkpoint
from qsr_edge.nn.checkpoint import Checkpoint, expected_shapes, read_checkpoint, write_checkpoint
from qsr_edge.nn.config import EdgeConfig


@pytest.fixture
def model_file(tiny_bundle: Path) -> Path:
    return next(tiny_bundle.glob("*d2.tflite"))


def costs(checkpoint: Path) -> dict[int, GraphCost]:
    network = lower_checkpoint(read_checkpoint(checkpoint))
    return {depth: graph.cost() for depth, graph in network.items()}


def inspected(run_cli, path: Path) -> dict:
    result = run_cli("inspect", path, "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    return json.loads(result.stdout)


def test_kinds_are_told_by_content(
    tiny_bundle: Path,
    tiny_fixed_bundle: Path,
    tiny_checkpoint: Path,
    model_file: Path,
    tmp_path: Path,
) -> None:
    assert recognise(tiny_bundle) is Kind.BUNDLE
    for source, kind in (
        (tiny_fixed_bundle, Kind.BUNDLE),
        (tiny_checkpoint, Kind.CHECKPOINT),
    ):
        shutil.copy(source, tmp_path / "renamed.bin")
        assert model_backend(tmp_path / "renamed.bin") is None
        assert recognise(tmp_path / "renamed.bin") is kind
    shutil.copy(model_file, tmp_path / "renamed.bin")
    found = model_backend(tmp_path / "renamed.bin")
    assert found is not None
    assert found[0].name == "tflite"


@pytest.mark.parametrize("name", ["tiny_bundle", "tiny_fixed_bundle"])
def test_bundle(run_cli, request: pytest.FixtureRequest, tiny_checkpoint: Path, name: str) -> None:
    report = inspected(run_cli, request.getfixturevalue(name))
    assert report["kind"] == "bundle"
    assert report["integer_only"] is True
    facts = report["facts"]
    assert (facts["target"], facts["scale"], facts["bits"], facts["profile"]) == ("tflite", 2, 4, "portable")
    assert facts["input size"] == {"tiny_bundle": "any", "tiny_fixed_bundle": "40x24"}[name]
    for depth, cost in costs(tiny_checkpoint).items():
        entry = next(entry for entry in report["depths"] if entry["depth"] == depth)
        assert entry["halo_px"] == cost.halo_px == 2 + 2 * depth
        assert entry["macs_per_pixel"] == cost.macs_per_pixel
        assert entry["bops_per_pixel"] == cost.bops_per_pixel
        assert entry["peak_activation_bytes_per_pixel"] == cost.peak_activation_bytes_per_pixel
        assert entry["file_bytes"] > 0
    assert report["training"] == [
        "tiny: iterations 7, batch 2, seed 3; 5 images; noise",
        "tiny_float: iterations 9",
    ]


def test_model(run_cli, model_file: Path, tiny_checkpoint: Path) -> None:
    report = inspected(run_cli, model_file)
    assert report["kind"] == "TFLite model"
    assert report["integer_only"] is True
    assert report["bytes"] == model_file.stat().st_size
    assert (report["facts"]["licence"], report["facts"]["bits"]) == ("CC0-1.0", 4)
    assert "CONV_2D" in report["facts"]["subgraph d2"]
    (entry,) = report["depths"]
    cost = costs(tiny_checkpoint)[2]
    assert (entry["depth"], entry["halo_px"], entry["macs_per_pixel"]) == (2, cost.halo_px, cost.macs_per_pixel)
    assert entry["peak_activation_bytes_per_pixel"] == cost.peak_activation_bytes_per_pixel


def test_checkpoint(run_cli, tiny_checkpoint: Path) -> None:
    report = inspected(run_cli, tiny_checkpoint)
    assert report["kind"] == "checkpoint"
    assert report["integer_only"] is True
    assert report["facts"]["blocks by importance"] == "1, 0"
    expected = {depth: cost.macs_per_pixel for depth, cost in costs(tiny_checkpoint).items()}
    assert {entry["depth"]: entry["macs_per_pixel"] for entry in report["depths"]} == expected
    assert len(report["training"]) == 2


def test_float_checkpoint(run_cli, tmp_path: Path) -> None:
    config = EdgeConfig(scale=2, channels=4, blocks=2, depths=(1, 2), order=(1, 0), bits=None)
    tensors = {name: np.ones(shape, np.float32) for name, shape in expected_shapes(config).items()}
    write_checkpoint(tmp_path / "f.safetensors", Checkpoint(config=config, tensors=tensors))
    report = inspected(run_cli, tmp_path / "f.safetensors")
    assert report["integer_only"] is False
    assert report["integer_only_note"].startswith("a float network")
    assert "NO: a float network" in run_cli("inspect", tmp_path / "f.safetensors").stdout


def test_the_graph_of_a_checkpoint_is_text(run_cli, tiny_checkpoint: Path) -> None:
    result = run_cli("inspect", tiny_checkpoint, "--graph", "2")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.startswith("graph ")
    assert ", depth 2, 4 bits, portable, output " in result.stdout.splitlines()[0]
    assert "  tail: conv2d " in result.stdout
    other = run_cli("inspect", tiny_checkpoint, "--graph", "9")
    assert other.exit_code == 1
    assert "depth 9 is not offered; choose one of 1, 2" in other.stderr


def test_a_float_tensor_is_named(run_cli, tmp_path: Path) -> None:
    from qsr_edge_converters.tflite.flatbuffer import FileBuilder
    from qsr_edge_converters.tflite.format import TensorType

    file = FileBuilder(description="foreign")
    subgraph = file.subgraph("main")
    subgraph.inputs = [subgraph.tensor("pixels", (1, 4, 4, 3), TensorType.UINT8)]
    subgraph.outputs = [subgraph.tensor("scores", (1, 4), TensorType.FLOAT32)]
    (tmp_path / "foreign.tflite").write_bytes(file.to_bytes())
    report = inspected(run_cli, tmp_path / "foreign.tflite")
    assert (report["integer_only"], report["integer_only_note"]) == (False, "main/scores (float32)")
    assert report["depths"] == []
    assert "NO: main/scores (float32)" in run_cli("inspect", tmp_path / "foreign.tflite").stdout


def test_output_for_people(run_cli, tiny_bundle: Path) -> None:
    result = run_cli("inspect", tiny_bundle)
    assert (result.exit_code, result.stderr) == (0, "")
    for text in (
        "BOPs per input pixel",
        "giga-MACs, 640x360",
        "peak activation MB, 640x360",
        "halo px",
        "integer-only",
    ):
        assert text in result.stdout


@pytest.mark.parametrize("content", [b"", b"hello", b"\x89PNG\r\n\x1a\n....", bytes(64)])
def test_unknown_files(run_cli, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file").write_bytes(content)
    result = run_cli("inspect", tmp_path / "file")
    assert result.exit_code == 1
    assert result.stderr.startswith(f"error: {tmp_path / 'file'}: neither a bundle, a model nor a checkpoint")
    assert result.stderr.count("\n") == 1


def test_foreign_safetensors(run_cli, tmp_path: Path) -> None:
    save_file({"w": np.zeros(3, np.float32)}, tmp_path / "w.safetensors")
    result = run_cli("inspect", tmp_path / "w.safetensors")
    assert result.exit_code == 1
    assert "w.safetensors: not a qsr-edge checkpoint" in result.stderr


def test_a_folder_that_is_no_bundle_and_a_missing_file(run_cli, tmp_path: Path) -> None:
    result = run_cli("inspect", tmp_path)
    assert result.exit_code == 1
    assert "a folder without manifest.json" in result.stderr
    result = run_cli("inspect", tmp_path / "gone")
    assert result.exit_code == 1
    assert f"{tmp_path / 'gone'}: No such file" in result.stderr


@pytest.mark.parametrize("kind", ["tiny_fixed_bundle", "tiny_checkpoint", "model_file"])
def test_cut_files(run_cli, request: pytest.FixtureRequest, tmp_path: Path, kind: str) -> None:
    content = request.getfixturevalue(kind).read_bytes()
    for size in (9, len(content) // 2, len(content) - 1):
        (tmp_path / "cut").write_bytes(content[:size])
        result = run_cli("inspect", tmp_path / "cut")
        assert result.exit_code == 1, size
        assert result.stderr.startswith(f"error: {tmp_path / 'cut'}: ")
