"""What the commands do with a transformer: tiles that stand on its grid, and targets that do not take it."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("torch")
pytest.importorskip("tosa_reference_model")

import torch

from qsr_edge.bundle.reader import open_bundle, read_bundle
from qsr_edge.bundle.writer import write_bundle
from qsr_edge.data.images import read_picture
from qsr_edge.lowering.checkpoint import lower_checkpoint
from qsr_edge.nn.checkpoint import read_checkpoint, write_checkpoint
from qsr_edge.training.state import checkpoint_from_network
from tests.support.official_quantsr_c import official_state
from tests.support.swin_networks import random_network

RunCli = Callable[..., Any]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    network = random_network(4, blocks=2, groups=1, depths=(2,))
    path = tmp_path_factory.mktemp("checkpoint") / "t.safetensors"
    write_checkpoint(path, checkpoint_from_network(network, network.state_dict(), {}))
    return path


def converting(checkpoint: Path, target: str, output: Path, size: str = "16x16") -> list[str]:
    names = ["--author", "A", "--licence", "MIT", "--input-size", size, "--output", str(output)]
    return ["convert", "--target", target, "--checkpoint", str(checkpoint), *names]


def noise(path: Path, width: int, height: int) -> Path:
    Image.fromarray(np.random.default_rng(width).integers(0, 256, (height, width, 3), np.uint8)).save(path)
    return path


@pytest.mark.slow
@pytest.mark.parametrize("target", ["tosa", "executorch"])
def test_pictures_of_other_sizes_are_upscaled_in_tiles(
    run_cli: RunCli, tmp_path: Path, checkpoint: Path, target: str
) -> None:
    pytest.importorskip({"tosa": "tosa_reference_model", "executorch": "executorch"}[target])
    bundle = tmp_path / "t"
    done = run_cli(*converting(checkpoint, target, bundle, "48x40"))
    assert done.exit_code == 0, done.stderr
    assert "0 of" in done.stdout
    assert "fits only" not in done.stdout
    shown = run_cli("inspect", str(bundle))
    assert re.search(r"tiles begin at multiples of, px\W+8\W", shown.stdout)
    assert re.search(r"halo px\W+16\W", shown.stdout)
    report = json.loads(run_cli("inspect", str(bundle), "--json").stdout)
    assert report["depths"][0]["grid"] == {"step_px": 8, "halo_px": 16}
    kernels = {"tosa": "reference model", "executorch": "portable"}[target]
    assert [entry.kernels for entry in read_bundle(bundle).manifest.parity] == [kernels]
    other = run_cli("bench", "--bundle", str(bundle), "--kernels", "xnnpack")
    assert f"'xnnpack' at depth 2; on this device it has {kernels}\n" in other.stderr
    assert "16 px, tiles at multiples of 8 px" in (bundle / "MODEL_CARD.md").read_text()
    network = lower_checkpoint(read_checkpoint(checkpoint))
    # Tiled both ways, one way, not at all; completed by reflection, or not.
    for width, height in ((61, 45), (72, 37), (48, 40), (43, 40)):
        source = noise(tmp_path / "in.png", width, height)
        result = run_cli("upscale", "--bundle", str(bundle), str(source), "-o", str(tmp_path / "out.png"), "--force")
        assert (result.exit_code, result.stderr) == (0, ""), (width, height)
        expected = network[2].run(read_picture(source).rgb)
        np.testing.assert_array_equal(read_picture(tmp_path / "out.png").rgb, expected)
    for (width, height), fitting in (((40, 64), "40x40"), ((100, 30), "48x32")):
        source = noise(tmp_path / "small.png", width, height)
        refused = run_cli("upscale", "--bundle", str(bundle), str(source), "-o", str(tmp_path / "none.png"))
        assert refused.exit_code == 1
        assert f"small.png: {width}x{height} is smaller than" in refused.stderr
        assert f"convert again with --input-size {fitting}\n" in refused.stderr
        assert not (tmp_path / "none.png").exists()


def test_an_input_too_small_for_tiles_says_so(run_cli: RunCli, tmp_path: Path, checkpoint: Path) -> None:
    bundle = tmp_path / "t"
    done = run_cli(*converting(checkpoint, "tosa", bundle))
    assert done.exit_code == 0, done.stderr
    assert (
        "fits only images of exactly 16x16 (or up to 7 pixels less a side): tiling larger ones needs 40 pixels"
        in done.stdout
    )
    report = json.loads(run_cli("inspect", str(bundle), "--json").stdout)
    assert report["integer_only"] is True
    assert report["integer_only_note"].startswith("as the manifest says")
    fits = noise(tmp_path / "fits.png", 9, 16)
    done = run_cli("upscale", "--bundle", str(bundle), str(fits), "-o", str(tmp_path / "big.png"))
    assert done.exit_code == 0, done.stderr
    source = noise(tmp_path / "large.png", 72, 21)
    refused = run_cli("upscale", "--bundle", str(bundle), str(source), "-o", str(tmp_path / "none.png"))
    assert refused.exit_code == 1
    assert "large.png: 72x21 is larger than the model's fixed input of 16x16" in refused.stderr
    assert "convert again with --input-size 40x24 or more" in refused.stderr
    assert not (tmp_path / "none.png").exists()


def test_a_bundle_that_tells_of_no_tiles_is_not_tiled(run_cli: RunCli, tmp_path: Path, checkpoint: Path) -> None:
    run_cli(*converting(checkpoint, "tosa", tmp_path / "t", "40x40"))
    with open_bundle(tmp_path / "t") as bundle:
        manifest = bundle.manifest
        files = {entry.path: (bundle.root / entry.path).read_bytes() for entry in manifest.files}
    files.pop("MODEL_CARD.md")
    depths = tuple(replace(entry, grid=None) for entry in manifest.depths)
    write_bundle(tmp_path / "former", replace(manifest, depths=depths, files=()), files)
    shown = run_cli("inspect", str(tmp_path / "former"))
    assert "sees the whole picture" in shown.stdout
    source = noise(tmp_path / "large.png", 72, 40)
    refused = run_cli("upscale", "--bundle", str(tmp_path / "former"), str(source), "-o", str(tmp_path / "none.png"))
    assert refused.exit_code == 1
    assert "large.png: cannot upscale 72x40 by a model for 40x40" in refused.stderr
    assert "convert again with this release" in refused.stderr
    for text in (shown.stdout, refused.stderr):
        assert "32,768" not in text
        assert "32768" not in text


def test_torch_files_are_led_to_their_import(run_cli: RunCli, tmp_path: Path) -> None:
    swinir, official = tmp_path / "swinir_4bit.pth", tmp_path / "c_4bit.pth"
    torch.save({"params": {"layers.0.residual_group.blocks.0.norm1.weight": torch.ones(60)}}, swinir)
    torch.save({"params": official_state(scale=2, bits=4)}, official)
    unnamed = official.with_suffix(".bin")
    unnamed.write_bytes(official.read_bytes())
    by_import = (
        f"qsr-edge convert --checkpoint {official} --calibration DIR --save",
        f"qsr-edge train --start {official}",
    )
    for arguments, expected in (
        (("inspect", str(official)), by_import),
        (("inspect", str(unnamed)), (f"convert --checkpoint {unnamed}", f"train --start {unnamed}")),
        (("evaluate", "--checkpoint", str(official), "--dataset", str(tmp_path)), by_import),
        (tuple(converting(swinir, "tflite", tmp_path / "t")), ("state dict of SwinIR", f"--start {swinir}")),
        (
            ("train", "--recipe", "quantsr_t_x2_w8a8", "--start", str(official), "--data", str(tmp_path), "-o", "x"),
            ("state dict of QuantSR-C", f"qsr-edge convert --checkpoint {official} --calibration DIR"),
        ),
    ):
        result = run_cli(*arguments)
        assert result.exit_code == 1, result.stderr
        for text in expected:
            assert text in result.stderr
