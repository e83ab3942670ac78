import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qsr_edge.bundle.manifest import MANIFEST_NAME
from qsr_edge.extras import how_to_install
from qsr_edge.graph import integer_graph
from qsr_edge.nn.checkpoint import Checkpoint, expected_shapes, read_checkpoint, write_checkpoint
from qsr_edge.nn.config import EdgeConfig
from qsr_edge.zoo import find_checkpoint
from tests.support.paths import IMAGES
from tests.support.tiny_model import random_tensor

RunCli = Callable[..., Any]


@pytest.mark.parametrize("scale", [2, pytest.param(4, marks=pytest.mark.slow)])
def test_the_bundled_checkpoint_becomes_a_verified_bundle(run_cli: RunCli, tmp_path: Path, scale: int) -> None:
    output = tmp_path / "bundle"
    result = run_cli("convert", "--target", "tflite", "--bits", "4", "--scale", str(scale), "-o", str(output), "--json")
    assert result.exit_code == 0, result.stderr
    report = json.loads(result.stdout)
    assert {(row["depth"], row["kernels"]) for row in report["parity"]} == {
        (depth, kernels) for depth in (2, 4, 8) for kernels in ("xnnpack", "builtin", "reference")
    }
    assert all(row["mismatching_bytes"] == 0 and row["bytes_compared"] > 100_000 for row in report["parity"])
    again = run_cli("convert", "--target", "tflite", "--bits", "4", "--scale", str(scale), "-o", str(output))
    assert again.exit_code == 1
    assert "--force" in again.stderr
    inspected = run_cli("inspect", str(output), "--json")
    assert inspected.exit_code == 0, inspected.stderr
    upscaled = tmp_path / "up.png"
    photo = IMAGES / "rgba_soft_alpha.png"
    result = run_cli("upscale", "--bundle", str(output), str(photo), "-o", str(upscaled))
    assert result.exit_code == 0, result.stderr
    assert upscaled.stat().st_size > 0


def test_compact_files_are_at_most_60_percent_of_fast_ones(run_cli: RunCli, tmp_path: Path) -> None:
    sizes = {}
    for storage in ("fast", "compact"):
        output = tmp_path / storage
        options = ("--storage", storage, "--input-size", "48x32")
        result = run_cli("convert", "--target", "tflite", *options, "-o", output, "--json")
        assert result.exit_code == 0, result.stderr
        report = json.loads(result.stdout)
        assert report["parity"]
        assert all(row["mismatching_bytes"] == 0 for row in report["parity"])
        sizes[storage] = {Path(f["path"]).stem: f["bytes"] for f in report["files"] if f["path"].endswith(".tflite")}
    deepest = max(sizes["fast"], key=lambda name: sizes["fast"][name])
    assert sizes["compact"][deepest] <= 0.6 * sizes["fast"][deepest]


def test_two_conversions_give_equal_bytes(run_cli: RunCli, tiny_checkpoint: Path, tmp_path: Path) -> None:
    own = ("--checkpoint", tiny_checkpoint, "--author", "me", "--licence", "MIT")
    for name in ("a", "b"):
        assert run_cli("convert", "--target", "tflite", *own, "-o", tmp_path / name).exit_code == 0
    contents = [{path.name: path.read_bytes() for path in sorted((tmp_path / name).iterdir())} for name in ("a", "b")]
    assert "manifest.json" in contents[0]
    assert contents[0] == contents[1]


@pytest.mark.parametrize(
    ("arguments", "exit_code", "message"),
    [
        (["--target", "tflite", "--bits", "5"], 1, "no bundled checkpoint is called x2_w5a5; bundled are x2_w8a8"),
        (["--target", "tflite", "--scale", "7"], 1, "no bundled checkpoint is called x7_w4a4"),
        (["--target", "tflite", "--scale", "0"], 1, "no bundled checkpoint is called x0_w4a4"),
        (["--target", "tflite", "--bits", "0"], 1, "called x2_w0a0"),
        (["--target", "tflite", "--activation-bits", "3"], 1, "called x2_w4a3"),
        (["--target", "tflite", "--size", "plus", "--bits", "2"], 1, "called plus_x2_w2a2"),
        (["--target", "tflite", "--size", "huge"], 2, "'nano', 'edge', 'plus'"),
        (
            ["--target", "tflite", "--checkpoint", str(find_checkpoint(scale=2, bits=4))],
            1,
            "needs --author and --licence",
        ),
        (["--target", "nothing"], 1, "no back end is called 'nothing'"),
        (["--target", "tflite", "--input-size", "640"], 2, "not a size like 640x360"),
        (["--target", "tflite", "--input-size", "8192x8192"], 1, "more than 1,048,576 pixels"),
        (["--target", "tflite", "--checkpoint", "none.safetensors"], 1, "none.safetensors"),
        ([], 2, "--target"),
    ],
)
def test_mistakes_are_one_line_and_write_nothing(
    run_cli: RunCli, tmp_path: Path, arguments: list[str], exit_code: int, message: str
) -> None:
    result = run_cli("convert", *arguments, "-o", str(tmp_path / "out"))
    assert result.exit_code == exit_code
    assert message in result.stderr
    assert not list(tmp_path.iterdir())


def test_a_checkpoint_of_another_width_is_refused(run_cli: RunCli, tmp_path: Path) -> None:
    bundled = str(find_checkpoint(scale=2, bits=4))
    result = run_cli("convert", "--target", "tflite", "--checkpoint", bundled, "--bits", "2", "-o", str(tmp_path / "o"))
    assert result.exit_code == 1
    assert "--bits 2 was asked for, but the checkpoint has 4" in result.stderr


@pytest.mark.parametrize(("option", "has"), [("--activation-bits", "4"), ("--size", "edge")])
def test_a_checkpoint_of_other_activations_or_size_is_refused(
    run_cli: RunCli, tmp_path: Path, option: str, has: str
) -> None:
    bundled, asked = str(find_checkpoint(scale=2, bits=4)), {"--activation-bits": "8", "--size": "nano"}[option]
    output = str(tmp_path / "o")
    result = run_cli("convert", "--target", "tflite", "--checkpoint", bundled, option, asked, "-o", output)
    assert result.exit_code == 1
    assert f"{option} {asked} was asked for, but the checkpoint has {has}" in result.stderr


def test_eight_bit_activations_are_told_everywhere(run_cli: RunCli, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    config = EdgeConfig(scale=2, channels=16, blocks=4, depths=(1, 4), order=(0, 1, 2, 3), bits=4, activation_bits=8)
    rng = np.random.default_rng(3)
    tensors = {name: random_tensor(name, shape, rng) for name, shape in expected_shapes(config).items()}
    write_checkpoint(tmp_path / "nano.safetensors", Checkpoint(config=config, tensors=tensors))
    asked = ["--activation-bits", "8", "--size", "nano", "--author", "tests", "--licence", "CC0-1.0"]
    result = run_cli("convert", "--target", "tflite", "--checkpoint", "nano.safetensors", *asked)
    assert result.exit_code == 0, result.stderr
    bundle = tmp_path / "qsr-edge-nano-x2-w4a8-tflite"
    manifest = json.loads((bundle / "manifest.json").read_text())
    assert (manifest["bits"], manifest["activation_bits"]) == (4, 8)
    assert "4 bits, weights; 8 bits, activations" in (bundle / "MODEL_CARD.md").read_text()
    facts = json.loads(run_cli("inspect", bundle, "--json").stdout)["facts"]
    assert (facts["bits"], facts["activation bits"]) == (4, 8)


def test_damaged_and_float_checkpoints_are_refused(run_cli: RunCli, tmp_path: Path) -> None:
    content = find_checkpoint(scale=2, bits=4).read_bytes()
    damaged = tmp_path / "cut.safetensors"
    damaged.write_bytes(content[: len(content) // 2])
    config = EdgeConfig(scale=2)
    plain = tmp_path / "float.safetensors"
    tensors = {name: np.zeros(shape, np.float32) for name, shape in expected_shapes(config).items()}
    write_checkpoint(plain, Checkpoint(config=config, tensors=tensors))
    for path, message in ((damaged, "cannot be read as safetensors"), (plain, "float checkpoint")):
        result = run_cli("convert", "--target", "tflite", "--checkpoint", str(path), "-o", str(tmp_path / "out"))
        assert result.exit_code == 1
        assert message in result.stderr
        assert str(path) in result.stderr
        assert result.stderr.count("\n") == 1
        assert not (tmp_path / "out").exists()


def test_a_parity_failure_writes_nothing(run_cli: RunCli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    golden = integer_graph.run_graph
    # The golden interpreter off by one level: what a runtime with another rounding would look like.
    monkeypatch.setattr(integer_graph, "run_graph", lambda *arguments: golden(*arguments) ^ 1)
    result = run_cli("convert", "--target", "tflite", "-o", str(tmp_path / "out"))
    assert result.exit_code == 1
    assert "bytes differ from the golden interpreter" in result.stderr
    assert not list(tmp_path.iterdir())


def test_large_fixed_inputs_are_verified_on_one_photo(run_cli: RunCli, tmp_path: Path) -> None:
    result = run_cli("convert", "--target", "tflite", "--input-size", "160x120", "-o", tmp_path / "b", "--json")
    assert result.exit_code == 0, result.stderr
    rows = json.loads(result.stdout)["parity"]
    assert [(row["kernels"], row["depth"], row["images"]) for row in rows] == [("xnnpack", d, 1) for d in (2, 4, 8)]
    assert all(row["mismatching_bytes"] == 0 and row["bytes_compared"] == 320 * 240 * 3 for row in rows)


@pytest.mark.parametrize("name", ["a [red]b", "c [/d]"])
def test_names_are_printed_as_they_are(run_cli: RunCli, tmp_path: Path, name: str) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    result = run_cli("convert", "--target", "tflite", "--no-verify", "-o", tmp_path / name)
    assert result.exit_code == 0, result.stderr
    assert f"wrote {tmp_path / name}\n" in result.stdout


def test_manifest_carries_the_measured_quality(run_cli: RunCli, tmp_path: Path) -> None:
    assert run_cli("convert", "--target", "tflite", "--no-verify", "-o", str(tmp_path / "o")).exit_code == 0
    manifest = json.loads((tmp_path / "o" / MANIFEST_NAME).read_text())
    recorded = read_checkpoint(find_checkpoint(scale=2, bits=4)).provenance["quality"]
    assert isinstance(recorded, list)
    for entry in manifest["depths"]:
        figures = [(row["dataset"], row["psnr_db"]) for row in recorded if row["depth"] == entry["depth"]]
        assert [(row["dataset"], row["psnr_db"]) for row in entry["quality"]] == figures
        assert len(figures) == 2


def test_demo_is_better_than_bicubic(run_cli: RunCli, tmp_path: Path) -> None:
    result = run_cli("demo", "-o", str(tmp_path / "demo"))
    assert result.exit_code == 0, result.stderr
    assert "dB better than bicubic" in result.stdout
    assert {"compare.png", "upscaled.png", "bicubic.png"} <= {path.name for path in (tmp_path / "demo").iterdir()}
    assert run_cli("demo", "-o", str(tmp_path / "demo")).exit_code == 0


def test_help_lists_the_targets(run_cli: RunCli) -> None:
    words = " ".join(run_cli("convert", "--help").stdout.split())
    assert "coreml, executorch, onnx, tflite, tosa" in words


def test_a_missing_folder_is_named_before_any_work(run_cli: RunCli, tmp_path: Path) -> None:
    result = run_cli("convert", "--target", "tflite", "-o", str(tmp_path / "none" / "b"))
    assert result.exit_code == 1
    assert f"there is no folder {tmp_path / 'none'}; make it first" in result.stderr


def test_a_fixed_input_too_small_to_tile_is_pointed_out(run_cli: RunCli, tmp_path: Path) -> None:
    result = run_cli("convert", "--target", "tflite", "--input-size", "24x24", "-o", str(tmp_path / "b"))
    assert result.exit_code == 0, result.stderr
    assert "only images of exactly 24x24" in result.stdout


def test_a_demo_that_cannot_begin_leaves_nothing(
    run_cli: RunCli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ai_edge_litert", None)
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)  # others may have imported it
    result = run_cli("demo", "-o", str(tmp_path / "demo"))
    assert result.exit_code == 1
    assert how_to_install("tflite") in result.stderr
    assert not (tmp_path / "demo").exists()


def test_the_demo_leaves_other_peoples_files_alone(run_cli: RunCli, tmp_path: Path) -> None:
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "input.png").write_bytes(b"mine")
    result = run_cli("demo", "-o", str(tmp_path / "demo"))
    assert result.exit_code == 1
    assert "no earlier demo" in result.stderr
    assert (tmp_path / "demo" / "input.png").read_bytes() == b"mine"


@pytest.mark.slow
def test_executorch_bundles_work_as_tflites_do(
    run_cli: RunCli, tiny_checkpoint: Path, images: Path, tmp_path: Path
) -> None:
    pytest.importorskip("executorch")
    bundle, pack = tmp_path / "bundle", "external"
    own = ["--checkpoint", tiny_checkpoint, "--author", "me", "--licence", "MIT"]
    result = run_cli("convert", "--target", "executorch", "--pack", pack, *own, "-o", bundle, "--json")
    assert result.exit_code == 0, result.stderr
    report = json.loads(result.stdout)
    assert report["runtime"].startswith("executorch 1.5")
    assert {entry["mismatching_bytes"] for entry in report["parity"]} == {0}
    assert {path.suffix for path in bundle.iterdir()} == {".pte", ".ptd", ".json", ".md"}
    assert json.loads((bundle / "manifest.json").read_text())["integer_only"] is True
    result = run_cli("upscale", "--bundle", bundle, images / "rgb_96x64.png", "-o", tmp_path / "o.png", "--depth", "1")
    assert (result.exit_code, result.stderr) == (0, "")
    result = run_cli("inspect", bundle, "--json")
    assert json.loads(result.stdout)["integer_only"] is True
    model = next(bundle.glob("*.pte"))
    facts = json.loads(run_cli("inspect", model, "--json").stdout)
    assert facts["kind"] == "ExecuTorch program"
    assert facts["facts"]["methods"] == "d1, d2"
    assert "XNNConvTranspose2d" in facts["facts"]["d2, delegate 0"]
