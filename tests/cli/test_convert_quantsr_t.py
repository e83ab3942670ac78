"""What the commands say of a transformer: it is not tiled, and not every target takes it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("torch")
pytest.importorskip("tosa_reference_model")

import torch

from qsr_edge.nn.checkpoint import write_checkpoint
from qsr_edge.training.state import checkpoint_from_network
from tests.official_quantsr_c import official_state
from tests.swin_networks import random_network

RunCli = Callable[..., Any]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    network = random_network(4, blocks=2, groups=1, depths=(2,))
    path = tmp_path_factory.mktemp("checkpoint") / "t.safetensors"
    write_checkpoint(path, checkpoint_from_network(network, network.state_dict(), {}))
    return path


def converting(checkpoint: Path, target: str, output: Path) -> list[str]:
    names = ["--author", "A", "--licence", "MIT", "--input-size", "16x16", "--output", str(output)]
    return ["convert", "--target", target, "--checkpoint", str(checkpoint), *names]


def test_a_bundle_that_is_not_tiled_says_so(run_cli: RunCli, tmp_path: Path, checkpoint: Path) -> None:
    bundle = tmp_path / "t"
    done = run_cli(*converting(checkpoint, "tosa", bundle))
    assert done.exit_code == 0, done.stderr
    assert "only images of exactly 16x16: this network sees the whole picture" in done.stdout
    assert "0 of" in done.stdout
    shown = run_cli("inspect", str(bundle))
    assert "sees the whole picture" in shown.stdout
    report = json.loads(run_cli("inspect", str(bundle), "--json").stdout)
    assert report["integer_only"] is True
    assert report["integer_only_note"].startswith("as the manifest says")
    assert "the whole picture" in (bundle / "MODEL_CARD.md").read_text()
    Image.fromarray(np.zeros((16, 16, 3), np.uint8)).save(tmp_path / "fits.png")
    fits = run_cli("upscale", "--bundle", str(bundle), str(tmp_path / "fits.png"), "-o", str(tmp_path / "big.png"))
    assert fits.exit_code == 0, fits.stderr
    for size in ((40, 16), (8, 8)):
        Image.fromarray(np.zeros((*size[::-1], 3), np.uint8)).save(tmp_path / "other.png")
        refused = run_cli(
            "upscale", "--bundle", str(bundle), str(tmp_path / "other.png"), "-o", str(tmp_path / "none.png")
        )
        assert refused.exit_code != 0
        assert "convert again with --input-size of that picture" in refused.stderr
        assert not (tmp_path / "none.png").exists()
        assert "Traceback" not in refused.stderr
    for text in (done.stdout, shown.stdout, refused.stderr):
        assert "32,768" not in text
        assert "32768" not in text
        assert "65536" not in text


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
