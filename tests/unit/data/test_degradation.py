"""Blur, noise and JPEG as training inputs go through them."""

import numpy as np
import pytest
from numpy.typing import NDArray

from qsr_edge.data.degradation import JPEG_QUALITY, blurred, compressed, degraded, noisy


@pytest.fixture
def picture() -> NDArray[np.uint8]:
    """Ramps of three colours with a bright square in them."""
    y, x = np.mgrid[:48, :56]
    image = np.stack([4 * x, 5 * y, 2 * (x + y)], axis=-1).astype(np.uint8)
    image[10:20, 20:34] = (240, 30, 90)
    return image


def _mse(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    return float(np.square(a.astype(float) - b).mean())


def test_blur_keeps_flat_pictures_and_softens_edges(picture: NDArray[np.uint8]) -> None:
    flat = np.full((7, 9, 3), (3, 128, 255), np.uint8)
    assert np.array_equal(blurred(flat, 0.8), flat)
    soft = blurred(picture, 0.8)
    assert soft.shape == picture.shape
    assert np.abs(np.diff(soft.astype(int), axis=1)).max() < np.abs(np.diff(picture.astype(int), axis=1)).max()
    mirrored = blurred(picture[::-1, ::-1], 0.8)[::-1, ::-1]
    assert np.abs(soft.astype(int) - mirrored).max() <= 1


def test_noise_has_the_deviation_asked_for() -> None:
    grey = np.full((64, 64, 3), 128, np.uint8)
    difference = noisy(grey, 3.0, np.random.default_rng(0)).astype(float) - grey
    assert abs(difference.mean()) < 0.1
    assert difference.std() == pytest.approx(3.0, rel=0.05)


def test_worse_qualities_and_less_chroma_lose_more(picture: NDArray[np.uint8]) -> None:
    losses = [_mse(compressed(picture, quality, subsampled=False), picture) for quality in (95, 60, JPEG_QUALITY[0])]
    assert losses == sorted(losses)
    assert losses[0] < losses[-1]
    assert _mse(compressed(picture, 95, subsampled=True), picture) > losses[0]


def test_a_generator_state_gives_the_same_bytes_and_some_inputs_pass_unchanged(picture: NDArray[np.uint8]) -> None:
    results = [degraded(picture, np.random.default_rng(seed)) for seed in range(60)]
    assert all(
        np.array_equal(result, degraded(picture, np.random.default_rng(seed))) for seed, result in enumerate(results)
    )
    unchanged = sum(np.array_equal(result, picture) for result in results)
    assert 0 < unchanged < 20
    assert all(_mse(result, picture) < 400 for result in results)
