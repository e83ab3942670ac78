"""Core ML bundles through the commands: converted, inspected, upscaled, and refused where the option is not theirs."""

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pytest

if importlib.util.find_spec("coremltools") is None:
    pytest.skip("the extra [coreml] is not installed", allow_module_level=True)

from qsr_edge.conversion import convert as conversion
from qsr_edge.data.images import read_picture

OWN = ("--author", "tests", "--licence", "CC0-1.0")


@pytest.fixture
def converted(run_cli, tiny_checkpoint: Path, tmp_path: Path):
    def convert(*options: str, output: str = "bundle") -> Path:
        target = () if "--target" in options else ("--target", "coreml")
        result = run_cli(
            "convert", *target, "--checkpoint", tiny_checkpoint, *OWN, "-o", tmp_path / output, "--json", *options
        )
        assert (result.exit_code, result.stderr) == (0, ""), result.stderr
        return tmp_path / output

    return convert


@pytest.mark.filterwarnings("default::qsr_edge.errors.QsrWarning")
def test_an_exact_bundle_equals_tflite_byte_for_byte(run_cli, converted, images: Path, tmp_path: Path) -> None:
    picture = images / "rgb_96x64.png"
    outputs = []
    for target in ("coreml", "tflite"):
        bundle = converted("--target", target, output=target)
        result = run_cli("upscale", "--bundle", bundle, picture, "-o", tmp_path / f"{target}.png", "--tile", "8")
        assert result.exit_code == 0, result.stderr
        assert ("own executor" in result.stderr) == (target == "coreml" and sys.platform != "darwin")
        outputs.append(read_picture(tmp_path / f"{target}.png").rgb)
    np.testing.assert_array_equal(*outputs)


@pytest.mark.parametrize("pack", ["per-depth", "shared"])
def test_inspect_looks_into_the_package(run_cli, converted, pack: str) -> None:
    bundle = converted("--pack", pack, output="bundle.zip")
    report = json.loads(run_cli("inspect", bundle, "--json").stdout)
    assert report["facts"]["flavour"] == "exact"
    assert report["facts"]["oldest systems"] == "iOS 18, macOS 15"
    assert "0 of" in report["facts"]["verified"]
    assert report["integer_only"] is False
    function, count = {"per-depth": ("main", 1), "shared": ("d1", 2)}[pack]
    assert f"{function}: codes (sub, fp32), the first of {count} sub, " in report["integer_only_note"]
    for operator in (" conv", " clip", " depth_to_space"):
        assert operator in report["integer_only_note"]
    assert all(depth["file_bytes"] > 1000 for depth in report["depths"])


def test_a_bare_package_is_inspected(run_cli, converted) -> None:
    package = next(converted().glob("*.mlpackage"))
    result = run_cli("inspect", package)
    assert result.exit_code == 0
    assert "Core ML package" in result.stdout
    assert "constexpr_blockwise_shift_scale" in result.stdout
    assert "main, on floats" in result.stdout


def test_the_manifest_says_that_packages_are_not_integer_only_and_tflite_files_are(converted) -> None:
    for options, integer_only in (
        (("--target", "coreml"), False),
        (("--target", "coreml", "--coreml-flavor", "ane"), False),
        (("--target", "tflite"), True),
    ):
        bundle = converted(*options, "--no-verify", output="-".join(options).strip("-"))
        assert json.loads((bundle / "manifest.json").read_text())["integer_only"] is integer_only, options


def test_the_neural_engines_flavour_says_what_it_costs(run_cli, converted) -> None:
    bundle = converted("--coreml-flavor", "ane")
    manifest = json.loads((bundle / "manifest.json").read_text())
    assert manifest["deployment"]["byte_exact"] is False
    assert all(entry["psnr_cost_db"] < 0.1 and entry["max_difference"] > 0 for entry in manifest["parity"])
    assert all(depth["quality"] == [] for depth in manifest["depths"])
    assert "PSNR lost on a photo" in (bundle / "MODEL_CARD.md").read_text()


def test_several_sizes(run_cli, converted, tmp_path: Path) -> None:
    bundle = converted("--input-size", "40x24", "--input-size", "16x48")
    manifest = json.loads((bundle / "manifest.json").read_text())
    assert (manifest["input_size_px"], manifest["more_sizes_px"]) == ([24, 40], [[48, 16]])
    result = run_cli("inspect", bundle)
    assert "40x24, 16x48" in result.stdout


def test_a_flavour_that_costs_too_much_is_not_written(
    run_cli, tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversion, "INEXACT_PSNR_COST_LIMIT_DB", -50.0)
    output = tmp_path / "bundle"
    options = ("--target", "coreml", "--coreml-flavor", "ane", "--checkpoint", tiny_checkpoint, *OWN, "-o", output)
    result = run_cli("convert", *options)
    assert result.exit_code == 1
    assert "dB against the golden interpreter, expected -50.0 at most; nothing was written" in result.stderr
    assert not output.exists()


def test_a_single_pixel_has_no_psnr(run_cli, converted) -> None:
    bundle = converted("--coreml-flavor", "ane", "--input-size", "1x1")
    manifest = json.loads((bundle / "manifest.json").read_text())
    assert all("max_difference" in entry and "psnr_cost_db" not in entry for entry in manifest["parity"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--input-size", "40x24", "--input-size", "16x48"), "one input size or any"),
        (("--coreml-flavor", "ane"), "tflite has one flavour only; --flavor is for coreml"),
    ],
)
def test_other_targets_refuse_core_mls_options(
    run_cli, tiny_checkpoint: Path, tmp_path: Path, options: tuple[str, ...], message: str
) -> None:
    output = tmp_path / "bundle"
    result = run_cli("convert", "--target", "tflite", "--checkpoint", tiny_checkpoint, *OWN, "-o", output, *options)
    assert result.exit_code == 1
    assert message in result.stderr
    assert not output.exists()
