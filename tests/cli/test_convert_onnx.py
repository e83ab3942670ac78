import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnxruntime", reason="the extra [onnx] is not installed")
pytest.importorskip("onnx", reason="the extra [onnx] is not installed")

from qsr_edge.data.images import read_picture
from qsr_edge.lowering.checkpoint import lower_checkpoint
from qsr_edge.nn.checkpoint import read_checkpoint

RunCli = Callable[..., Any]


def test_a_checkpoint_becomes_a_verified_bundle_that_upscales(
    run_cli: RunCli, tiny_checkpoint: Path, images: Path, tmp_path: Path
) -> None:
    bundle = tmp_path / "bundle"
    weights = ["--checkpoint", tiny_checkpoint, "--author", "tests", "--licence", "CC0-1.0"]
    result = run_cli("convert", "--target", "onnx", *weights, "--pack", "shared", "-o", bundle, "--json")
    assert result.exit_code == 0, result.stderr
    report = json.loads(result.stdout)
    families = ("cpu", "cpu-extended", "cpu-basic", "cpu-unoptimized", "reference")
    assert {(row["depth"], row["kernels"]) for row in report["parity"]} == {(d, k) for d in (1, 2) for k in families}
    assert all(row["mismatching_bytes"] == 0 and row["bytes_compared"] > 100 for row in report["parity"])
    # The evaluator in Python is shown small images only.
    assert {row["images"] for row in report["parity"] if row["kernels"] == "reference"} == {2}
    output = tmp_path / "upscaled.png"
    photo = images / "rgb_96x64.png"
    result = run_cli("upscale", "--bundle", bundle, photo, "-o", output)
    assert result.exit_code == 0, result.stderr
    network = lower_checkpoint(read_checkpoint(tiny_checkpoint))
    np.testing.assert_array_equal(read_picture(output).rgb, network[2].run(read_picture(photo).rgb))
    inspected = run_cli("inspect", bundle, "--json")
    assert inspected.exit_code == 0, inspected.stderr
    found = json.loads(inspected.stdout)
    assert found["integer_only"] is False
    assert "QDQ form" in found["integer_only_note"]


def test_kernels_to_verify_besides_are_known_ones(run_cli: RunCli, tiny_checkpoint: Path, tmp_path: Path) -> None:
    weights = ["--checkpoint", tiny_checkpoint, "--author", "tests", "--licence", "CC0-1.0"]
    arguments = ["convert", *weights, "-o", tmp_path / "bundle"]
    for target, kernels, message in [
        ("onnx", "npu", "onnx: no optional family of kernels is called 'npu'; use --verify or --verify htp"),
        ("tflite", "htp", "tflite: no optional family of kernels is called 'htp'; use --verify alone"),
    ]:
        result = run_cli(*arguments, "--target", target, "--verify", kernels)
        assert result.exit_code == 1
        assert message in result.stderr
    result = run_cli(*arguments, "--target", "onnx", "--verify", "htp", "--no-verify")
    assert result.exit_code == 2
    assert not (tmp_path / "bundle").exists()
