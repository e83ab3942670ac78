"""Upscaling a picture: colours by the network, alpha by bicubic interpolation, greyscale stays greyscale."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from qsr_edge.bundle.backend import Runner
from qsr_edge.data.bicubic import resize_bicubic
from qsr_edge.data.images import Picture
from qsr_edge.runtime.tiler import DEFAULT_TILE_PX, upscale_tiled

# Keys' kernel reaches two input pixels to either side when it enlarges; one more costs nothing and covers half-pixel positions.
_BICUBIC_HALO_PX = 3
_ROWS_AT_ONCE = 256

# BT.601 luma of full-range RGB, 0.299 R + 0.587 G + 0.114 B, times 2^16; the weights sum to 2^16, so grey stays as it is.
_LUMA_WEIGHTS = (19595, 38470, 7471)


def upscale_picture(
    runner: Runner,
    picture: Picture,
    *,
    scale: int,
    halo_px: int,
    tile_px: int = DEFAULT_TILE_PX,
    on_tile: Callable[[int, int], None] | None = None,
) -> Picture:
    """Upscale a picture with a loaded model.

    The network sees RGB, grey pictures as three equal channels. What comes out may then differ between channels by a level or two;
    a grey picture's output is its BT.601 full-range luma, rounded to the nearest level. Alpha is no colour that the network was
    trained on, so it is enlarged with the bicubic kernel.

    Args:
        runner: the model.
        picture: the picture, (H, W).
        scale: the model's upscaling factor r.
        halo_px: receptive-field radius of the model, in input pixels.
        tile_px: side of the region that is upscaled at once, in input pixels, without its halo.
        on_tile: called after each tile with the number of tiles done and of all tiles.

    Returns:
        The picture, (rH, rW), with alpha or grey as it was.

    Raises:
        ImageError: if ``tile_px`` is less than 1.
        BackendError: if the model fails.
    """
    rgb = upscale_tiled(runner.run, picture.rgb, scale=scale, halo_px=halo_px, tile_px=tile_px, on_tile=on_tile)
    if picture.grey:
        _make_grey(rgb)
    alpha = None if picture.alpha is None else _upscale_alpha(picture.alpha, scale)
    return Picture(rgb=rgb, alpha=alpha, grey=picture.grey)


def _upscale_alpha(alpha: NDArray[np.uint8], scale: int) -> NDArray[np.uint8]:
    """(H, W) -> (rH, rW); in tiles, as the resize works in float64."""
    plane = upscale_tiled(
        lambda tile: resize_bicubic(tile, scale), alpha[:, :, np.newaxis], scale=scale, halo_px=_BICUBIC_HALO_PX
    )
    return plane[:, :, 0]


def _make_grey(rgb: NDArray[np.uint8]) -> None:
    """Set all three channels of (H, W, 3) to the luma, in place and by strips: the image may be large."""
    weights = np.array(_LUMA_WEIGHTS, np.uint32)
    for top in range(0, rgb.shape[0], _ROWS_AT_ONCE):
        strip = rgb[top : top + _ROWS_AT_ONCE]
        luma = (strip.astype(np.uint32) @ weights + (1 << 15)) >> 16
        strip[:] = luma[:, :, np.newaxis].astype(np.uint8)
