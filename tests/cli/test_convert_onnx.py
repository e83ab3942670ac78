import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnxruntime", reason="the extra [onnx] is not installed")
pytest.importorskip("onnx", reason="the extra [onnx] is not installed")

from qsr_edge.bench.protocol.job import Effort
from qsr_edge.cli import bench
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
        ("onnx", "npu", "onnx: no optional family of kernels is called 'npu'; use --verify or --verify htp or htp-v73"),
        ("tflite", "htp", "tflite: no optional family of kernels is called 'htp'; use --verify alone"),
    ]:
        result = run_cli(*arguments, "--target", target, "--verify", kernels)
        assert result.exit_code == 1
        assert message in result.stderr
    result = run_cli(*arguments, "--target", "onnx", "--verify", "htp", "--no-verify")
    assert result.exit_code == 2
    assert not (tmp_path / "bundle").exists()


def test_the_bench_measures_a_bundle_and_the_report_says_where_it_ran(
    run_cli: RunCli, tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench, "QUICK", Effort(queries=3, steady_ms=1, round_ms=1, warm_up_ms=1))
    bundle, run, page = tmp_path / "bundle", tmp_path / "run", tmp_path / "page.html"
    weights = ["--checkpoint", tiny_checkpoint, "--author", "tests", "--licence", "CC0-1.0", "--no-verify"]
    result = run_cli("convert", "--target", "onnx", *weights, "--pack", "shared", "-o", bundle)
    assert result.exit_code == 0, result.stderr
    options = ["bench", "--bundle", bundle, "--depth", "2", "--quick", "--no-images", "--size", "40x24"]
    measured = run_cli(*options, "--kernels", "cpu", "--kernels", "cpu-basic", "-o", run, "--json")
    assert measured.exit_code == 0, measured.stderr
    report = json.loads(measured.stdout)
    assert report["complete"]
    fused, plain = report["variants"]
    assert [fused["label"], plain["label"]] == ["bundle d2 cpu", "bundle d2 cpu-basic"]
    models = [path.stat().st_size for path in bundle.iterdir() if path.name.endswith(("d2.onnx", ".weights"))]
    assert len(models) == 2
    for variant in (fused, plain):
        assert variant["golden_equal"]
        assert variant["latency"]["count"] >= 3
    # Five convolutions of two blocks, a requantization before each block, head, tail and anchor.
    assert fused["placement"]["fallback"]["QLinearConv"] == 9
    assert plain["placement"]["fallback"]["Conv"] == 9
    made = run_cli("report", run, "-o", page, "--json")
    assert made.exit_code == 0, made.stderr
    [shown] = json.loads(made.stdout)["runs"]
    assert [variant["model_bytes"] for variant in shown["variants"]] == [sum(models)] * 2
    assert "QLinearConv ×9" in page.read_text(encoding="utf-8")
    refused = run_cli(*options, "--kernels", "htp", "-o", tmp_path / "other")
    assert refused.exit_code == 1
    assert "the kernels htp check bytes (qsr-edge convert --verify htp), their time tells nothing" in refused.stderr


def test_newer_npus_need_the_flavour_for_them(run_cli: RunCli, tiny_checkpoint: Path, tmp_path: Path) -> None:
    weights = ["--checkpoint", tiny_checkpoint, "--author", "tests", "--licence", "CC0-1.0"]
    arguments = ["convert", "--target", "onnx", *weights, "-o", tmp_path / "bundle"]
    result = run_cli(*arguments, "--verify", "htp-v73")
    assert result.exit_code == 1
    assert "need two guard bits, flavour qdq has one; add --flavor npu" in result.stderr
    assert run_cli(*arguments, "--flavor", "npu", "--no-verify").exit_code == 0
    model, *_ = (tmp_path / "bundle").glob("*.onnx")
    inspected = run_cli("inspect", model, "--json")
    assert json.loads(inspected.stdout)["facts"]["flavor"] == "npu"


def test_the_emulated_npu_refuses_the_scaled_profile_by_name(run_cli: RunCli, tmp_path: Path) -> None:
    result = run_cli("convert", "--target", "onnx", "--bits", "8", "--verify", "htp", "-o", tmp_path / "bundle")
    assert result.exit_code == 1
    assert "htp: a fifth or more of the bytes of the profile 'scaled' (W8A8) differ there" in result.stderr
    assert "--bits 4 --activation-bits 8" in result.stderr
    assert not (tmp_path / "bundle").exists()
