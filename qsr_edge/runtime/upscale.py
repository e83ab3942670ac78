"""Upscaling a picture: colours by the network, alpha by bicubic interpolation, greyscale stays greyscale."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qsr_edge.bundle.backend import Runner, find_backend
from qsr_edge.bundle.reader import Bundle
from qsr_edge.data.bicubic import resize_bicubic
from qsr_edge.data.images import Picture
from qsr_edge.runtime.tiler import DEFAULT_TILE_PX, upscale_tiled

# Keys' kernel reaches two input pixels to either side when it enlarges; one more costs nothing and covers half-pixel
# positions.
_BICUBIC_HALO_PX = 3
_ROWS_AT_ONCE = 256

# BT.601 luma of full-range RGB, 0.299 R + 0.587 G + 0.114 B, times 2^16; the weights sum to 2^16, so grey stays as it
# is.
_LUMA_WEIGHTS = (19595, 38470, 7471)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedDepth:
    """One depth of a bundle, ready to run.

    Attributes:
        depth: number of residual blocks.
        runner: the model.
        scale: upscaling factor r.
        halo_px: receptive-field radius in input pixels.
        window_px: (height, width) that the model takes, if it takes no other.
        grid_px: tiles begin at multiples of it.
    """

    depth: int
    runner: Runner
    scale: int
    halo_px: int
    window_px: tuple[int, int] | None
    grid_px: int = 1

    def upscale(self, image: NDArray[np.uint8], *, tile_px: int = DEFAULT_TILE_PX) -> NDArray[np.uint8]:
        """(H, W, 3) uint8 RGB -> (rH, rW, 3), tiled; errors as :func:`qsr_edge.runtime.tiler.upscale_tiled`."""
        return upscale_tiled(
            self.runner.run,
            image,
            scale=self.scale,
            halo_px=self.halo_px,
            grid_px=self.grid_px,
            tile_px=tile_px,
            window_px=self.window_px,
        )


def load_depth(
    bundle: Bundle, *, depth: int | None = None, threads: int = 1, kernels: str | None = None
) -> LoadedDepth:
    """Load one depth of an open bundle with the back end that it was made for.

    Args:
        bundle: an open bundle; it must stay open as long as the model is used.
        depth: number of residual blocks; None for the deepest.
        threads: CPU threads.
        kernels: one of the back end's families of kernels; None for its default.

    Raises:
        BundleError: if the bundle does not offer the depth.
        BackendError: if the back end is missing, has no such kernels or cannot load the model.
    """
    manifest = bundle.manifest
    entry = manifest.depths[-1] if depth is None else manifest.depth_entry(depth)
    backend = find_backend(manifest.target)
    return LoadedDepth(
        depth=entry.depth,
        runner=backend.open_model(bundle.root / entry.file, depth=entry.depth, threads=threads, kernels=kernels),
        scale=manifest.scale,
        halo_px=entry.grid.halo_px if entry.grid else entry.halo_px,
        window_px=manifest.input_size_px,
        grid_px=entry.grid.step_px if entry.grid else 1,
    )


def upscale_picture(
    runner: Runner,
    picture: Picture,
    *,
    scale: int,
    halo_px: int,
    grid_px: int = 1,
    tile_px: int = DEFAULT_TILE_PX,
    window_px: tuple[int, int] | None = None,
    on_tile: Callable[[int, int], None] | None = None,
) -> Picture:
    """Upscale a picture with a loaded model.

    The network sees RGB, grey pictures as three equal channels. What comes out may then differ between channels by a
    level or two; a grey picture's output is its BT.601 full-range luma, rounded to the nearest level. Alpha is no
    colour that the network was trained on, so it is enlarged with the bicubic kernel.

    Args:
        runner: the model.
        picture: the picture, (H, W).
        scale: the model's upscaling factor r.
        halo_px: receptive-field radius of the model, in input pixels.
        grid_px: tiles begin at multiples of it.
        tile_px: side of the region that is upscaled at once, in input pixels, without its halo.
        window_px: (height, width) that the model takes, if it takes no other.
        on_tile: called after each tile with the number of tiles done and of all tiles.

    Returns:
        The picture, (rH, rW), with alpha or grey as it was.

    Raises:
        ImageError: if ``tile_px`` is less than 1, or the picture cannot be covered by windows of ``window_px``.
        BackendError: if the model fails.
    """
    rgb = upscale_tiled(
        runner.run,
        picture.rgb,
        scale=scale,
        halo_px=halo_px,
        grid_px=grid_px,
        tile_px=tile_px,
        window_px=window_px,
        on_tile=on_tile,
    )
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
