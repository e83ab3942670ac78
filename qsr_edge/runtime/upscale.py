"""Upscaling a picture: transparent edges without fringes, grey that stays grey, and all 16 bits of what has them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qsr_edge.bundle.reader import Bundle
from qsr_edge.conversion.backend import Runner
from qsr_edge.conversion.registry import find_backend
from qsr_edge.data.picture import LEVEL_16, Picture, Samples, equal_channels
from qsr_edge.runtime.tiler import DEFAULT_TILE_PX, upscale_tiled, upscaled_bands
from qsr_edge.runtime.transparency import bled_colours
from qsr_edge.runtime.windows import BICUBIC_HALO_PX, Windows

Rows = tuple[Samples, Samples | None]
"""Rows of an upscaled picture: colours (h, W, C), where C is 1 if R = G = B, else 3, and alpha (h, W)."""


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

    def upscale_picture(
        self,
        picture: Picture,
        *,
        tile_px: int = DEFAULT_TILE_PX,
        on_tile: Callable[[int, int], None] | None = None,
    ) -> Picture:
        """Upscale a picture with alpha, colour space, 16 bits and metadata; as :func:`upscale_picture`."""
        return upscale_picture(
            self.runner,
            picture,
            scale=self.scale,
            halo_px=self.halo_px,
            grid_px=self.grid_px,
            tile_px=tile_px,
            window_px=self.window_px,
            on_tile=on_tile,
        )

    def upscaled_rows(
        self,
        picture: Picture,
        *,
        tile_px: int = DEFAULT_TILE_PX,
        on_tile: Callable[[int, int], None] | None = None,
    ) -> Iterator[Rows]:
        """What :meth:`upscale_picture` makes, from top to bottom, without the whole in memory.

        Yields:
            The next rows, in arrays of their own.

        Args and errors as :func:`upscale_picture`; errors come while iterating.
        """
        prepared = _prepared(self.runner, picture, self.scale)
        for rows in upscaled_bands(
            prepared.run,
            prepared.samples,
            scale=self.scale,
            halo_px=max(self.halo_px, prepared.least_halo_px),
            grid_px=self.grid_px,
            tile_px=tile_px,
            window_px=self.window_px,
            on_tile=on_tile,
        ):
            yield prepared.windows.split(rows)

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

    The network sees the numbers of the picture as they are, whatever their colour space. Beyond that:

    - Colours under fully transparent pixels are replaced by visible ones nearby (:func:`bled_colours`), before and for
      good: nobody sees them, and the network must not.
    - Alpha goes through the network as a grey picture. Where that agrees with bicubic interpolation within the
      network's noise, and where alpha is flat, it is interpolated: opaque stays opaque.
    - If R = G = B in every pixel, so it is in the output: the BT.601 full-range luma of the network's, rounded to the
      nearest level. The network itself may differ between channels by a few levels.
    - Of 16 bits the network sees the nearest 8. The output is the bicubic interpolation of all 16, plus what the
      network says that the interpolation of the 8 is off by (:func:`corrected`).

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
        The picture, (rH, rW), with bits, alpha, grey, colour space and metadata as it was. It has no JPEG's quality.

    Raises:
        ImageError: if ``tile_px`` is less than 1, or the picture cannot be covered by windows of ``window_px``.
        BackendError: if the model fails.
    """
    prepared = _prepared(runner, picture, scale)
    upscaled: Samples = upscale_tiled(
        prepared.run,
        prepared.samples,
        scale=scale,
        halo_px=max(halo_px, prepared.least_halo_px),
        grid_px=grid_px,
        tile_px=tile_px,
        window_px=window_px,
        on_tile=on_tile,
    )
    rgb, opacity = prepared.windows.split(upscaled)
    if prepared.windows.colours == 1:
        rgb = np.repeat(rgb, 3, axis=2)
    size_px = (upscaled.shape[1], upscaled.shape[0])
    told = replace(picture, metadata=picture.metadata.adapted(size_px))
    if picture.bits > 8:
        opacity_16 = None if opacity is None else opacity.astype(np.uint16, copy=False)
        rgb_16 = rgb.astype(np.uint16, copy=False)
        return Picture.from_16_bits(rgb_16, alpha=opacity_16, grey=told.grey, space=told.space, metadata=told.metadata)
    opacity_8 = None if opacity is None else opacity.astype(np.uint8, copy=False)
    return replace(told, rgb=rgb.astype(np.uint8, copy=False), alpha=opacity_8, jpeg_quality=None)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Prepared:
    """A picture as it is put through tiles.

    Attributes:
        windows: what upscales a window, and knows which channels are what.
        samples: (H, W, C), colours and, behind them, alpha.
        run: upscales a window; the network itself where that is all.
        least_halo_px: that ``run`` needs, whatever the network's receptive field is.
    """

    windows: Windows
    samples: Samples
    run: Callable[[NDArray[Any]], Samples]
    least_halo_px: int


def _prepared(runner: Runner, picture: Picture, scale: int) -> _Prepared:
    deep = picture.bits > 8
    colour: Samples = picture.rgb_16() if deep else picture.rgb
    alpha: Samples | None = picture.alpha_16() if deep else picture.alpha
    if alpha is not None:
        colour = bled_colours(colour, alpha)
    # After the hidden colours are gone: a grey drawing on hidden magenta is grey.
    grey = equal_channels(colour)
    if grey:
        colour = colour[:, :, :1]
    windows = Windows(run=runner.run, scale=scale, colours=1 if grey else 3, level=LEVEL_16 if deep else 1)
    plain = windows.plain and alpha is None
    return _Prepared(
        windows=windows,
        samples=colour if alpha is None else np.dstack([colour, alpha]),
        run=runner.run if plain else windows,
        least_halo_px=0 if plain else BICUBIC_HALO_PX,
    )
