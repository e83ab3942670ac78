"""Batches for a run: the same patches wherever they are cut, each process its own rows."""

import dataclasses

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from qsr_edge.data.degradation import Degradation
from qsr_edge.recipe.train import TrainRecipe
from qsr_edge.training.distributed import ALONE, World
from qsr_edge.training.feed import ResidentImages, feed
from qsr_edge.training.patches import ImagePair, draw_patches, sample_batch

SCALE, PATCH_PX, BATCH = 3, 7, 16
RECIPE = TrainRecipe(
    name="feed", scale=SCALE, bits=0, iterations=4, batch=BATCH, patch_px=PATCH_PX, permute_colours=True, seed=5
)


@pytest.fixture
def images() -> list[ImagePair]:
    """Noise of three sizes, so that every pixel is at one place only."""
    rng = np.random.default_rng(0)
    sizes = ((9, 14), (7, 7), (20, 8))
    return [
        ImagePair(rng.integers(0, 256, (h * SCALE, w * SCALE, 3), np.uint8), rng.integers(0, 256, (h, w, 3), np.uint8))
        for h, w in sizes
    ]


@pytest.mark.parametrize("permute_colours", [False, True])
def test_patches_gathered_from_resident_images_are_those_cut_on_the_cpu(
    images: list[ImagePair], permute_colours: bool
) -> None:
    resident = ResidentImages(images, patch_px=PATCH_PX, scale=SCALE, device=torch.device("cpu"))
    for seed in range(8):
        settings = {"batch": BATCH, "patch_px": PATCH_PX, "permute_colours": permute_colours}
        expected = sample_batch(images, np.random.default_rng(seed), scale=SCALE, **settings)
        cut = resident.cut(draw_patches(images, np.random.default_rng(seed), **settings))
        for ours, theirs in zip(cut, expected, strict=True):
            assert ours.dtype == torch.float32
            assert np.array_equal(ours.numpy(), theirs)


def test_processes_share_a_batch_by_rows(images: list[ImagePair]) -> None:
    with feed(RECIPE, images, ALONE, first=2) as batches:
        low, high, _ = batches.take()
    assert low.is_contiguous(memory_format=torch.channels_last)
    parts = []
    for rank in range(2):
        with feed(RECIPE, images, World(rank=rank, size=2), first=2) as batches:
            parts.append(batches.take())
    assert torch.equal(torch.cat([part[0] for part in parts]), low)
    assert torch.equal(torch.cat([part[1] for part in parts]), high)


def test_plain_colours_are_drawn_beside_the_images(images: list[ImagePair]) -> None:
    recipe = dataclasses.replace(RECIPE, plain_colours=True)
    plain = 0
    with feed(recipe, images, ALONE, first=0) as batches:
        for _ in range(4):
            low, high, _ = batches.take()
            for small, large in zip(low, high, strict=True):
                if torch.equal(small, small[:, :1, :1].expand_as(small)):
                    assert torch.equal(large, small[:, :1, :1].expand_as(large))
                    plain += 1
    # 64 plain pictures stand beside three images of noise.
    assert 3 * BATCH < plain <= 4 * BATCH


def test_degraded_inputs_have_the_same_originals(images: list[ImagePair]) -> None:
    recipe = dataclasses.replace(RECIPE, degradation=Degradation.PHOTO)
    with feed(RECIPE, images, ALONE, first=0) as clean, feed(recipe, images, ALONE, first=0) as degraded:
        clean_low, clean_high, _ = clean.take()
        low, high, _ = degraded.take()
    assert torch.equal(high, clean_high)
    assert not torch.equal(low, clean_low)
