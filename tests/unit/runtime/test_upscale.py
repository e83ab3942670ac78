"""Pictures with alpha and grey pictures; the network is a stand-in that the test can compute by hand."""

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from qsr_edge.data.bicubic import resize_bicubic
from qsr_edge.data.images import Picture
from qsr_edge.runtime.upscale import upscale_picture


@dataclass(frozen=True, slots=True, kw_only=True)
class StandInRunner:
    """Nearest-neighbour enlargement plus an offset per channel."""

    scale: int
    offset: tuple[int, int, int] = (0, 0, 0)

    def run(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        enlarged = image.repeat(self.scale, axis=0).repeat(self.scale, axis=1).astype(np.int64)
        return np.clip(enlarged + self.offset, 0, 255).astype(np.uint8)


def noise(*shape: int) -> NDArray[np.uint8]:
    return np.random.default_rng(3).integers(0, 256, shape, np.uint8)


def test_rgb() -> None:
    picture = Picture(rgb=noise(7, 5, 3), alpha=None, grey=False)
    result = upscale_picture(StandInRunner(scale=2), picture, scale=2, halo_px=1, tile_px=3)
    assert result.alpha is None
    assert not result.grey
    np.testing.assert_array_equal(result.rgb, StandInRunner(scale=2).run(picture.rgb))


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("shape", [(1, 1), (9, 14), (3, 1100)])
def test_alpha_is_enlarged_by_bicubic(scale: int, shape: tuple[int, int]) -> None:
    alpha = noise(*shape)
    picture = Picture(rgb=noise(*shape, 3), alpha=alpha, grey=False)
    result = upscale_picture(StandInRunner(scale=scale), picture, scale=scale, halo_px=1)
    assert result.alpha is not None
    np.testing.assert_array_equal(result.alpha, resize_bicubic(alpha, scale))


def test_opaque_stays_opaque() -> None:
    picture = Picture(rgb=noise(6, 6, 3), alpha=np.full((6, 6), 255, np.uint8), grey=False)
    result = upscale_picture(StandInRunner(scale=3), picture, scale=3, halo_px=1)
    assert result.alpha is not None
    assert (result.alpha == 255).all()


def test_grey_is_luma_rounded() -> None:
    level = np.arange(2, 252, dtype=np.uint8)[np.newaxis, :, np.newaxis].repeat(3, axis=2)
    runner = StandInRunner(scale=2, offset=(2, 1, -2))
    result = upscale_picture(runner, Picture(rgb=level, alpha=None, grey=True), scale=2, halo_px=0)
    assert result.grey
    # 0.299 * 2 + 0.587 * 1 - 0.114 * 2 = 0.957
    np.testing.assert_array_equal(result.rgb, StandInRunner(scale=2).run(level) + 1)


def test_equal_channels_are_their_own_luma() -> None:
    level = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, axis=2)
    result = upscale_picture(
        StandInRunner(scale=2), Picture(rgb=level, alpha=None, grey=True), scale=2, halo_px=0, tile_px=5
    )
    np.testing.assert_array_equal(result.rgb, StandInRunner(scale=2).run(level))
