"""QuantSR-T through the normal training: every preset for two steps, warm starts, and comparisons."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from qsr_edge.data.bicubic import resize_bicubic
from qsr_edge.errors import RecipeError, TrainingError
from qsr_edge.lowering.checkpoint import lower_checkpoint
from qsr_edge.nn.checkpoint import Checkpoint, read_checkpoint
from qsr_edge.nn.config import ArchitectureName
from qsr_edge.nn.quantsr_t import QuantsrT
from qsr_edge.recipe.compare import CompareRecipe, Method
from qsr_edge.recipe.reader import preset_names, read_recipe
from qsr_edge.recipe.train import TrainRecipe
from qsr_edge.training.compare import comparison_network
from qsr_edge.training.loop import fit, train
from qsr_edge.training.patches import ImagePair, TrainingImages

PRESETS = tuple(name for name in preset_names(TrainRecipe) if name.startswith("quantsr_t_"))
SMALL: dict[str, Any] = {"batch": 1, "patch_px": 16, "iterations": 2, "validation_images": 1}
TINY: dict[str, Any] = {**SMALL, "channels": 12, "blocks": 2, "groups": 1, "heads": 2, "depths": (1, 2)}


def images(scale: int) -> TrainingImages:
    rng = np.random.default_rng(0)
    originals = [resize_bicubic(rng.integers(0, 256, (16, 16, 3), np.uint8), 2 * scale) for _ in range(3)]
    return TrainingImages([ImagePair(hr, resize_bicubic(hr, 1 / scale)) for hr in originals])


def recipe(name: str, **changes: Any) -> TrainRecipe:
    found = read_recipe(name, TrainRecipe)
    return dataclasses.replace(found, order_iteration=min(1, found.order_iteration), **changes)


def trained(preset: str, folder: Path, start: Checkpoint | None, **changes: Any) -> Checkpoint:
    settings = recipe(preset, **changes)
    train(settings, images(settings.scale), folder / f"{settings.name}.safetensors", start=start)
    return read_checkpoint(folder / f"{settings.name}.safetensors")


def test_presets_cover_paper_and_tiny_networks() -> None:
    paper = {f"quantsr_t_x{scale}_{bits}" for scale in (2, 4) for bits in ("fp32", "w8a8", "w4a4", "w3a3", "w2a2")}
    assert paper < set(PRESETS)
    for name in PRESETS:
        found = read_recipe(name, TrainRecipe)
        assert found.architecture is ArchitectureName.QUANTSR_T
        assert not found.start or found.start in PRESETS


def test_training_and_quantizing_a_tiny_network(tmp_path: Path) -> None:
    floats = trained("quantsr_t_tiny_x2_fp32", tmp_path, None, **TINY)
    start, order = floats, floats.config.order
    for bits in ("w8a8", "w4a4", "w2a2"):
        start = trained(f"quantsr_t_tiny_x2_{bits}", tmp_path, start, **TINY)
        assert start.config.order == order
        network = lower_checkpoint(start)
        assert network[1].run(np.zeros((8, 8, 3), np.uint8)).shape == (16, 16, 3)
    with pytest.raises(TrainingError, match="same size"):
        trained("quantsr_t_tiny_x2_w3a3", tmp_path, start, **{**TINY, "heads": 4})


@pytest.mark.slow
@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_trains_for_two_steps(name: str, tmp_path: Path) -> None:
    settings = recipe(name, **SMALL)
    checkpoint = train(settings, images(settings.scale), tmp_path / "out.safetensors")
    assert read_checkpoint(tmp_path / "out.safetensors").config == checkpoint.config
    assert checkpoint.config.depths == settings.depths


def test_comparisons_put_every_quantizer_into_one_network(tmp_path: Path) -> None:
    start = trained("quantsr_t_tiny_x2_fp32", tmp_path, None, **TINY)
    preset = read_recipe("quantizers_t_x2", CompareRecipe)
    assert preset.architecture is ArchitectureName.QUANTSR_T
    sizes = {key: TINY[key] for key in ("batch", "patch_px", "iterations", "channels", "blocks", "groups", "heads")}
    comparison = dataclasses.replace(preset, bits=(2,), seeds=(0,), depths=(2,), **sizes)
    codes = torch.randint(-128, 128, (1, 3, 16, 16)).float()
    outputs = {}
    for run in comparison.runs():
        run = dataclasses.replace(run, recipe=dataclasses.replace(run.recipe, validation_images=1))
        network = comparison_network(run, start, images(2))
        assert isinstance(network, QuantsrT)
        assert (network.stream is not None) == run.method.is_integer
        with torch.no_grad():
            outputs[run.method] = network(codes, 2)
        average = fit(network, run.recipe, images(2))
        assert all(torch.isfinite(tensor).all() for tensor in average.values())
    assert set(outputs) == set(preset.methods)
    assert not torch.equal(outputs[Method.MIN_MAX], outputs[Method.LSQ])
    # Before training a shift is 0, and phi stands in the backward pass alone.
    assert torch.equal(outputs[Method.RLQ], outputs[Method.LSQ])
    with pytest.raises(RecipeError, match="profile"):
        dataclasses.replace(comparison, methods=(Method.INTEGER_PORTABLE,), reference=Method.INTEGER_PORTABLE)
