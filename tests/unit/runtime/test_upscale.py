"""Pictures with alpha and grey pictures; the network is a stand-in that the test can compute by hand."""

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from qsr_edge.data.bicubic import resize_bicubic
from qsr_edge.data.images import Metadata, Picture
from qsr_edge.data.picture import LEVEL_16
from qsr_edge.runtime.upscale import LoadedDepth, upscale_picture


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
def test_alpha_goes_through_the_network_at_edges_and_is_interpolated_elsewhere(scale: int) -> None:
    ramp = np.arange(60, dtype=np.uint8)[np.newaxis].repeat(40, axis=0) * 2
    alpha = np.where(np.arange(40)[:, np.newaxis] < 20, ramp, 255).astype(np.uint8)
    picture = Picture(rgb=noise(40, 60, 3), alpha=alpha, grey=False)
    runner = StandInRunner(scale=scale)
    result = upscale_picture(runner, picture, scale=scale, halo_px=1)
    assert result.alpha is not None
    interpolated = resize_bicubic(alpha, scale)
    nearest = alpha.repeat(scale, axis=0).repeat(scale, axis=1)
    # A ramp: the stand-in and interpolation differ by less than noise. Below the edge: all is opaque.
    np.testing.assert_array_equal(result.alpha[: 17 * scale], interpolated[: 17 * scale])
    assert (result.alpha[23 * scale :] == 255).all()
    edge = np.s_[18 * scale : 22 * scale, : 20 * scale]
    clear = np.abs(nearest[edge].astype(int) - interpolated[edge]) > 3
    assert clear.any()
    np.testing.assert_array_equal(result.alpha[edge][clear], nearest[edge][clear])


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("grey", [False, True])
def test_tiles_change_nothing(bits: int, grey: bool) -> None:
    rng = np.random.default_rng(4)
    rgb = rng.integers(0, 1 << bits, (23, 31, 1 if grey else 3)).repeat(3 if grey else 1, axis=2)
    alpha = rng.integers(0, 1 << bits, (23, 31)) * rng.integers(0, 2, (23, 31))
    if bits == 16:
        picture = Picture.from_16_bits(rgb.astype(np.uint16), alpha=alpha.astype(np.uint16), grey=grey)
    else:
        picture = Picture(rgb=rgb.astype(np.uint8), alpha=alpha.astype(np.uint8), grey=grey)
    whole, tiled = (
        upscale_picture(StandInRunner(scale=2), picture, scale=2, halo_px=1, tile_px=tile_px) for tile_px in (99, 7)
    )
    assert whole.alpha is not None
    assert tiled.alpha is not None
    assert tiled.bits == bits
    np.testing.assert_array_equal(tiled.rgb_16(), whole.rgb_16())
    np.testing.assert_array_equal(tiled.alpha_16(), whole.alpha_16())


def test_a_16_bit_ramp_has_no_steps_of_8_bits() -> None:
    levels = (20_000 + 40 * np.arange(64, dtype=np.uint16))[np.newaxis].repeat(16, axis=0)
    picture = Picture.from_16_bits(levels[:, :, np.newaxis].repeat(3, axis=2))
    result = upscale_picture(StandInRunner(scale=2), picture, scale=2, halo_px=1)
    assert result.bits == 16
    np.testing.assert_array_equal(result.rgb_16()[:, :, 0], resize_bicubic(levels, 2))


def test_a_16_bit_edge_is_the_networks() -> None:
    levels = np.full((16, 16, 3), 5_000, np.uint16)
    levels[:, 8:] = 60_000
    result = upscale_picture(StandInRunner(scale=2), Picture.from_16_bits(levels), scale=2, halo_px=1)
    row = result.rgb_16()[16, :, 0].astype(int)
    # The stand-in repeats pixels, and so keeps the edge; interpolation would overshoot by thousands.
    assert np.abs(row[:16] - 5_000).max() <= LEVEL_16 * 3
    assert np.abs(row[16:] - 60_000).max() <= LEVEL_16 * 3


def test_rows_come_as_they_are_done() -> None:
    picture = Picture(rgb=noise(20, 9, 3), alpha=noise(20, 9), grey=False)
    model = LoadedDepth(depth=1, runner=StandInRunner(scale=2), scale=2, halo_px=3, window_px=None)
    result = model.upscale_picture(picture, tile_px=4)
    tiles: list[int] = []
    rows = []
    for colour, alpha in model.upscaled_rows(picture, tile_px=4, on_tile=lambda done, of: tiles.append(done)):
        assert alpha is not None
        rows.append((colour, alpha))
        if len(rows) == 1:
            assert 0 < len(tiles) < 10  # nothing is done before it is asked for
    assert len(rows) > 2
    np.testing.assert_array_equal(np.concatenate([colour for colour, _ in rows]), result.rgb)
    np.testing.assert_array_equal(np.concatenate([alpha for _, alpha in rows]), result.alpha)


def test_dimensions_in_the_metadata_are_those_of_the_output() -> None:
    xmp = b'<rdf:Description tiff:Orientation="1" exif:PixelXDimension="5"/>'
    picture = Picture(rgb=noise(7, 5, 3), alpha=None, grey=False, metadata=Metadata(xmp=xmp))
    result = upscale_picture(StandInRunner(scale=3), picture, scale=3, halo_px=1)
    assert result.metadata.xmp == b'<rdf:Description tiff:Orientation="1" exif:PixelXDimension="15"/>'


def test_equal_channels_stay_equal_whatever_the_file_said() -> None:
    level = noise(9, 9, 1).repeat(3, axis=2)
    runner = StandInRunner(scale=2, offset=(5, 0, -5))
    result = upscale_picture(runner, Picture(rgb=level, alpha=None, grey=False), scale=2, halo_px=1)
    assert not result.grey
    assert (result.rgb == result.rgb[:, :, :1]).all()


def test_a_grey_drawing_on_hidden_magenta_is_grey() -> None:
    rgb = np.full((12, 12, 3), (255, 0, 255), np.uint8)
    rgb[3:9, 3:9] = noise(6, 6, 1)
    alpha = np.zeros((12, 12), np.uint8)
    alpha[3:9, 3:9] = 255
    runner = StandInRunner(scale=2, offset=(5, 0, -5))
    result = upscale_picture(runner, Picture(rgb=rgb, alpha=alpha, grey=False), scale=2, halo_px=1)
    assert (result.rgb == result.rgb[:, :, :1]).all()


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
