"""QuantSR-C at the paper's size through the normal training: every preset for two steps, from the one before it."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from qsr_edge.data.bicubic import resize_bicubic
from qsr_edge.nn.checkpoint import Checkpoint, read_checkpoint
from qsr_edge.nn.quantsr_c_config import QuantsrCConfig
from qsr_edge.recipe.reader import read_recipe
from qsr_edge.recipe.train import TrainRecipe
from qsr_edge.training.loop import train
from qsr_edge.training.patches import ImagePair, TrainingImages


def images(scale: int) -> TrainingImages:
    rng = np.random.default_rng(0)
    originals = [resize_bicubic(rng.integers(0, 256, (16, 16, 3), np.uint8), 2 * scale) for _ in range(3)]
    return TrainingImages([ImagePair(hr, resize_bicubic(hr, 1 / scale)) for hr in originals])


@pytest.mark.slow
@pytest.mark.parametrize(
    "chain",
    [
        ("quantsr_c_x2_fp32", "quantsr_c_x2_w4a4", "quantsr_c_x2_w3a3", "quantsr_c_x2_w2a2"),
        ("quantsr_c_x2_fp32", "quantsr_c_x4_fp32", "quantsr_c_x4_w4a4", "quantsr_c_x4_w3a3", "quantsr_c_x4_w2a2"),
    ],
    ids=["x2", "x4"],
)
def test_every_preset_trains_for_two_steps(chain: tuple[str, ...], tmp_path: Path) -> None:
    start: Checkpoint | None = None
    before = ""
    for name in chain:
        preset = read_recipe(name, TrainRecipe)
        assert preset.start == before
        settings = dataclasses.replace(
            preset,
            batch=1,
            patch_px=16,
            iterations=2,
            validation_images=1,
            order_iteration=min(1, preset.order_iteration),
        )
        path = tmp_path / f"{name}.safetensors"
        train(settings, images(settings.scale), path, start=start)
        start, before = read_checkpoint(path), name
        config = start.config
        assert isinstance(config, QuantsrCConfig)
        assert (config.scale, config.bits or 0) == (settings.scale, settings.bits)
        assert (config.channels, config.blocks, config.depths) == (64, 32, (9, 17, 32))
