"""From an official QuantSR-C file, and from a quantsr_c network trained here, to a verified bundle."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

torch = pytest.importorskip("torch")
pytest.importorskip("ai_edge_litert", reason="the extra [tflite] is not installed")

from qsr_edge.bundle.manifest import MANIFEST_NAME
from tests.support.official_quantsr_c import official_state

RunCli = Callable[..., Any]
ABOUT = ("--author", "tests", "--licence", "CC0-1.0")
RECIPE = """
name = "tiny_c"
architecture = "quantsr_c"
profile = "scaled"
scale = 2
bits = {bits}
iterations = {iterations}
channels = 6
blocks = 4
depths = [2, 3, 4]
batch = 2
patch_px = 12
validation_images = 1
order_iteration = {order}
"""


@pytest.fixture
def photos(tmp_path: Path, photo: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    with Image.open(photo) as image:
        for i in range(5):
            image.crop((i * 80, 40, i * 80 + 96, 136)).save(folder / f"{i}.png")
    return folder


@pytest.fixture
def official(tmp_path: Path) -> Path:
    path = tmp_path / "QuantSR_C_x4_4bit.pth"
    torch.save({"params": official_state(scale=4, bits=4)}, path)
    return path


def test_an_official_file_becomes_a_verified_bundle(
    run_cli: RunCli, tmp_path: Path, official: Path, photos: Path
) -> None:
    output, kept = tmp_path / "bundle", tmp_path / "calibrated.safetensors"
    arguments = ["--checkpoint", str(official), "--calibration", str(photos), *ABOUT]
    result = run_cli(
        "convert", "--target", "tflite", *arguments, "-o", str(output), "--save-checkpoint", str(kept), "--json"
    )
    assert result.exit_code == 0, result.stderr
    assert "which blocks depths 2, 3 keep is a guess" in result.stderr
    report = json.loads(result.stdout)
    assert (report["calibration"]["images"], report["calibration"]["measured_images"]) == (3, 2)
    for entry, depth in zip(report["calibration"]["depths"], (2, 3, 4), strict=True):
        assert entry["depth"] == depth
        assert list(entry["psnr_db"]) == ["as_trained", "body", "residual_stream", "whole"]
        assert list(entry["cost_db"]) == ["body", "residual_stream", "whole"]
        total = entry["psnr_db"]["as_trained"] - entry["psnr_db"]["whole"]
        assert sum(entry["cost_db"].values()) == pytest.approx(total, abs=2e-3)
    exact = [row for row in report["parity"] if row["kernels"] == "xnnpack"]
    assert len(exact) == 3
    assert all(row["mismatching_bytes"] == 0 and row["bytes_compared"] > 100_000 for row in exact)
    manifest = json.loads((output / MANIFEST_NAME).read_text())
    assert (manifest["name"], manifest["profile"]) == ("quantsr-c-x4-w4a4", "scaled")
    assert manifest["provenance"]["imported_from"] == official.name
    assert manifest["provenance"]["block_order_from"] == "magnitude of shortcuts"  # 4 blocks are not the released 32
    assert manifest["provenance"]["calibration"] == report["calibration"]
    card = (output / "MODEL_CARD.md").read_text()
    assert "From the trained network to integers" in card
    assert f"{report['calibration']['depths'][0]['psnr_db']['whole']:.3f}" in card

    for path in (output, kept):
        inspected = run_cli("inspect", str(path), "--json")
        assert inspected.exit_code == 0, inspected.stderr
        found = json.loads(inspected.stdout)
        assert found["integer_only"] is True
        if path == output:
            total = sum(row["bytes_compared"] for row in exact)
            assert f"interpreter: 0 of {total:,} bytes differ" in found["facts"]["verified"]
        assert [entry["depth"] for entry in found["depths"]] == [2, 3, 4]
        [line] = found["training"]
        assert line.startswith(f"imported from {official.name}, block order: magnitude of shortcuts; integers cost at")
        lost_db = report["calibration"]["depths"][2]["psnr_db"]
        assert f"4: {lost_db['as_trained'] - lost_db['whole']:.3f} dB" in line
    upscaled = run_cli("upscale", "--bundle", str(output), str(photos / "0.png"), "-o", str(tmp_path / "up.png"))
    assert upscaled.exit_code == 0, upscaled.stderr
    with Image.open(tmp_path / "up.png") as image:
        assert image.size == (384, 384)
    evaluated = run_cli("evaluate", "--checkpoint", str(kept), "--dataset", str(photos), "--json")
    assert evaluated.exit_code == 0, evaluated.stderr


def test_the_table_of_costs_is_printed(run_cli: RunCli, tmp_path: Path, official: Path, photos: Path) -> None:
    result = run_cli(
        "convert", "--target", "tflite", "--checkpoint", str(official), "--calibration", str(photos), *ABOUT,
        "--no-verify", "-o", str(tmp_path / "bundle"), "--block-order", "3,0,1,2",
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    assert "guess" not in result.stderr
    for text in ("depth 2", "depth 4", "body in integers", "residual stream", "PSNR on 2 images"):
        assert text in result.stdout
    manifest = json.loads((tmp_path / "bundle" / MANIFEST_NAME).read_text())
    assert manifest["provenance"]["block_order"] == "3, 0, 1, 2"
    assert manifest["provenance"]["block_order_from"] == "given"


def test_what_is_missing_is_asked_for(run_cli: RunCli, tmp_path: Path, official: Path, photos: Path) -> None:
    def converted(*arguments: str) -> Any:
        return run_cli("convert", "--target", "tflite", *arguments, *ABOUT, "-o", str(tmp_path / "bundle"))

    def fails(message: str, *arguments: str) -> None:
        result = converted(*arguments)
        assert result.exit_code == 1, result.stdout
        assert message in result.stderr
        assert not (tmp_path / "bundle").exists()

    own = ("--checkpoint", str(official))
    fails("--calibration DIR", *own)
    fails("--scale 2 was asked for, but the checkpoint has 4", *own, "--scale", "2")
    fails("expected each of 0 to 3 once", *own, "--block-order", "0,1", "--calibration", str(photos))
    (photos / "0.png").unlink()
    (photos / "1.png").unlink()
    fails("3 images of at least 64 pixels a side, expected 4 or more", *own, "--calibration", str(photos))
    fails("only a quantsr_c network is calibrated", "--calibration", str(photos), "--bits", "4")
    assert converted(*own, "--save-checkpoint", "x").exit_code == 2
    assert converted(*own, "--block-order", "a,b").exit_code == 2


def test_what_could_not_be_written_is_told_before_calibration(
    run_cli: RunCli, tmp_path: Path, official: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def calibrated(*_: object) -> None:
        raise AssertionError("calibrated in vain")

    monkeypatch.setattr("qsr_edge.cli.convert._calibrated", calibrated)
    kept = tmp_path / "kept.safetensors"
    kept.write_bytes(b"mine")
    bundle = tmp_path / "bundle"
    for output, saved, message in (
        (bundle, kept, "exists already"),
        (bundle, tmp_path / "kept.pth", "a name that ends in .safetensors"),
        (bundle, tmp_path / "none" / "kept.safetensors", "there is no folder"),
        (tmp_path / "none" / "bundle", tmp_path / "new.safetensors", "there is no folder"),
    ):
        result = run_cli(
            "convert", "--target", "tflite", "--checkpoint", str(official), "--calibration", str(photos), *ABOUT,
            "-o", str(output), "--save-checkpoint", str(saved),
        )  # fmt: skip
        assert result.exit_code == 1, result.stderr
        assert message in result.stderr
    assert kept.read_bytes() == b"mine"


def test_a_network_trained_here_becomes_a_bundle(run_cli: RunCli, tmp_path: Path, photos: Path) -> None:
    start = None
    for bits, iterations in ((0, 4), (3, 2)):
        recipe = tmp_path / f"c_{bits}.toml"
        recipe.write_text(RECIPE.format(bits=bits, iterations=iterations, order=0 if bits else 3))
        output = tmp_path / f"c_{bits}.safetensors"
        more = () if start is None else ("--start", str(start))
        result = run_cli(
            "train", "--recipe", str(recipe), "--data", str(photos), "-o", str(output), "--no-cache", *more
        )
        assert result.exit_code == 0, result.stderr
        start = output
    inspected = run_cli("inspect", str(tmp_path / "c_0.safetensors"), "--json")
    assert json.loads(inspected.stdout)["facts"]["architecture"] == "quantsr_c"
    uncalibrated = run_cli("inspect", str(start), "--json")
    assert uncalibrated.exit_code == 0, uncalibrated.stderr
    assert json.loads(uncalibrated.stdout)["integer_only"] is False
    result = run_cli(
        "convert", "--target", "tflite", "--checkpoint", str(start), "--calibration", str(photos), *ABOUT,
        "-o", str(tmp_path / "bundle"), "--json",
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    manifest = json.loads((tmp_path / "bundle" / MANIFEST_NAME).read_text())
    assert manifest["name"] == "quantsr-c-x2-w3a3"
    assert manifest["provenance"]["recipe"]["architecture"] == "quantsr_c"
    exact = [row["mismatching_bytes"] for row in json.loads(result.stdout)["parity"] if row["kernels"] == "xnnpack"]
    assert exact == [0, 0, 0]
