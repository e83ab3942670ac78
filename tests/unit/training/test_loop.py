import dataclasses
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from qsr_edge.data.bicubic import resize_bicubic
from qsr_edge.errors import OutputExistsError, TrainingError
from qsr_edge.nn.checkpoint import Checkpoint, read_checkpoint
from qsr_edge.recipe.train import TrainRecipe
from qsr_edge.training.loop import Progress, train
from qsr_edge.training.patches import ImagePair, sample_batch

RECIPE = TrainRecipe(
    name="tiny", scale=2, bits=4, iterations=6, channels=8, blocks=2, depths=(1, 2), batch=2, patch_px=12,
    validation_images=1,
)  # fmt: skip


@pytest.fixture
def pairs() -> list[ImagePair]:
    rng = np.random.default_rng(0)
    result = []
    for _ in range(4):
        coarse = rng.integers(0, 256, (8, 8, 3), np.uint8)
        hr = resize_bicubic(coarse, 6)
        result.append(ImagePair(hr, resize_bicubic(hr, 0.5)))
    return result


def _same(a: Checkpoint, b: Checkpoint) -> bool:
    return all(np.array_equal(a.tensors[name], b.tensors[name]) for name in a.tensors)


@pytest.mark.parametrize("bits", [0, 4])
def test_resumed_run_equals_an_uninterrupted_one_bit_for_bit(tmp_path: Path, pairs: list[ImagePair], bits: int) -> None:
    recipe = dataclasses.replace(RECIPE, bits=bits, blocks=3, depths=(1, 3), order_iteration=0 if bits else 2)
    whole = train(recipe, pairs, tmp_path / "whole.safetensors", save_every=2)

    class InterruptedRunError(Exception):
        pass

    def stop(progress: Progress) -> None:
        if progress.iteration == 5:
            raise InterruptedRunError

    with pytest.raises(InterruptedRunError):
        train(recipe, pairs, tmp_path / "part.safetensors", save_every=2, on_progress=stop)
    assert not (tmp_path / "part.safetensors").exists()
    resumed = train(recipe, pairs, tmp_path / "part.safetensors", save_every=2)
    assert _same(whole, resumed)
    assert _same(resumed, read_checkpoint(tmp_path / "part.safetensors"))
    assert resumed.config == whole.config
    assert bits or whole.config.order != (0, 1, 2)


def test_training_lowers_the_loss(tmp_path: Path, pairs: list[ImagePair]) -> None:
    losses: list[float] = []
    recipe = dataclasses.replace(RECIPE, bits=0, iterations=60, learning_rate=2e-3)
    train(recipe, pairs, tmp_path / "c.safetensors", on_progress=lambda p: losses.append(p.loss))
    assert np.mean(losses[-10:]) < 0.9 * np.mean(losses[:10])


def test_quantized_run_starts_from_a_float_one(tmp_path: Path, pairs: list[ImagePair]) -> None:
    start = train(dataclasses.replace(RECIPE, bits=0, iterations=2), pairs, tmp_path / "f.safetensors")
    trained = train(RECIPE, pairs, tmp_path / "q.safetensors", start=start)
    assert trained.provenance["start"] == start.provenance
    assert trained.config.bits == 4
    with pytest.raises(TrainingError, match="use a start of the same size"):
        train(dataclasses.replace(RECIPE, channels=4), pairs, tmp_path / "r.safetensors", start=start)


def test_damaged_state_is_named(tmp_path: Path, pairs: list[ImagePair]) -> None:
    (tmp_path / "c.safetensors.state").write_bytes(b"not a state")
    with pytest.raises(TrainingError, match=r"c\.safetensors\.state.*delete it"):
        train(RECIPE, pairs, tmp_path / "c.safetensors")


def test_a_state_of_another_run_is_not_resumed(tmp_path: Path, pairs: list[ImagePair]) -> None:
    output = tmp_path / "c.safetensors"
    train(RECIPE, pairs, output)
    assert _same(train(RECIPE, pairs, output), read_checkpoint(output))
    for recipe, images in ((dataclasses.replace(RECIPE, seed=1), pairs), (RECIPE, pairs[::-1])):
        with pytest.raises(TrainingError, match="another recipe, start or set of images"):
            train(recipe, images, output)
    (tmp_path / "c.safetensors.state").unlink()
    with pytest.raises(OutputExistsError, match="exists already"):
        train(RECIPE, pairs, output)


def test_divergence_stops_the_run(tmp_path: Path, pairs: list[ImagePair]) -> None:
    recipe = dataclasses.replace(RECIPE, bits=0, learning_rate=1e30)
    with pytest.raises(TrainingError, match="not finite"):
        train(recipe, pairs, tmp_path / "c.safetensors")
    assert not (tmp_path / "c.safetensors").exists()


def test_patches_are_aligned_and_reproducible(pairs: list[ImagePair]) -> None:
    low, high = sample_batch(pairs, np.random.default_rng([1, 2]), batch=8, patch_px=10, scale=2)
    again, _ = sample_batch(pairs, np.random.default_rng([1, 2]), batch=8, patch_px=10, scale=2)
    assert np.array_equal(low, again)
    reduced = high.reshape(8, 3, 10, 2, 10, 2).mean(axis=(3, 5))
    assert np.abs(reduced - low).mean() < 6
    assert low.shape == (8, 3, 10, 10)
    assert high.shape == (8, 3, 20, 20)
