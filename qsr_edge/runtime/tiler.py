"""Upscaling in tiles whose seams do not exist: every byte equals that of the whole image run at once.

A pixel of the output depends on input pixels no farther away than the network's receptive field, the halo. So a tile
reads a *window*, its own *core* plus a halo on every side, and keeps only the core of what comes out. One thing more
is needed: the network pads with zeros at the border in *every* layer, and no pixels beyond the image could stand in
for that. Therefore no window reaches beyond the image; a window that has the image's border for its own border gets
the very same padding there, and any other window edge lies a full halo of real pixels away from the core.

All windows of an image have the same size, as changing the input size of an interpreter means planning its memory
again. The last window of a row or column is moved inwards until it fits, and windows are as small as the number of
tiles allows.

A network with windows of attention sees where an image begins. Its tiles' windows begin at multiples of the grid, so
that attention's windows, and the shifted ones, are those of the whole image. What it computes of an image that the grid
does not divide is defined as the image continued by reflection to the next multiple, and cut again; so is it here.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qsr_edge.data.bicubic import Levels
from qsr_edge.errors import BackendError, ImageError
from qsr_edge.graph.cost import NOT_TILED, is_tiled
from qsr_edge.graph.windows import padded_size, reflected_indices

DEFAULT_TILE_PX = 320
"""Side of a tile's core, in input pixels.

A matter of memory: the runtime takes about 1.3 KB per pixel of a window. CPU time of 1920x1080 with LiteRT and XNNPACK,
x2, depth 8 with a halo of 18 pixels, median of 3 in turns: 3.77 s at 192, 3.71 s at 320, 3.40 s at 384, 3.26 s at 512
pixels. At 384 the whole command took 356 MB. The image at once takes more than twice the time, as its activations leave
the caches.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """One tile along one axis, in input pixels; half-open intervals.

    Attributes:
        window: what the network reads, (start, stop); beyond the image it is continued by reflection.
        core: what is kept of its output, (start, stop), within the window.
    """

    window: tuple[int, int]
    core: tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """One tile: its span along rows and along columns."""

    rows: Span
    columns: Span


def window_size_px(size_px: int, *, tile_px: int, halo_px: int, grid_px: int = 1) -> int:
    """The smallest window for as many tiles as cores of ``tile_px`` take: at most ``tile_px + 2 * halo_px``.

    On a grid windows are multiples of it, and so may be larger by less than one.

    Args:
        size_px: length of the axis, at least 1.
        tile_px: the longest distance from one core's start to the next one's, at least 1. (The first and the last core
            may be longer, by the halo that they need not read.)
        halo_px: receptive-field radius, at least 0.
        grid_px: windows begin and end at multiples of it.

    Raises:
        ImageError: if an argument is out of its range.
    """
    if size_px < 1 or tile_px < 1 or halo_px < 0:
        raise ImageError(f"cannot tile {size_px} px into tiles of {tile_px} px with a halo of {halo_px} px")
    # The outermost windows touch the border and need no halo there: with a step of c pixels, k windows
    # cover k * c + 2 * halo.
    size_px = padded_size(size_px, grid_px)
    stepped_px = size_px - 2 * halo_px
    if stepped_px <= tile_px:
        return size_px
    count = -(-stepped_px // tile_px)
    return padded_size(-(-stepped_px // count) + 2 * halo_px, grid_px)


def plan_spans(size_px: int, *, window_px: int, halo_px: int, grid_px: int = 1) -> tuple[Span, ...]:
    """Cover an axis by spans whose cores partition it and whose windows are all of one size.

    Args:
        size_px: length of the axis, at least 1.
        window_px: length of every window, at least 1; a multiple of ``grid_px``.
        halo_px: receptive-field radius, at least 0; twice of it is a multiple of ``grid_px``.
        grid_px: windows begin and end at multiples of it, the last one up to a grid's step beyond the axis.

    Raises:
        ImageError: if the axis, completed to the grid, is shorter than a window, or longer and a window has no room for
            a core between two halos; or if window and halo do not fit the grid.
    """
    completed_px = padded_size(size_px, grid_px)
    if completed_px == window_px:
        return (Span(window=(0, window_px), core=(0, size_px)),)
    step_px = window_px - 2 * halo_px
    if completed_px < window_px or step_px < 1 or halo_px < 0 or window_px % grid_px or step_px % grid_px:
        on_grid = f" on a grid of {grid_px} px" if grid_px > 1 else ""
        raise ImageError(f"cannot cover {size_px} px by windows of {window_px} px and a halo of {halo_px} px{on_grid}")
    count = -(-(completed_px - 2 * halo_px) // step_px)
    spans = []
    done = 0
    for index in range(count):
        start = min(index * step_px, completed_px - window_px)
        stop = start + window_px
        core = (done, size_px if index == count - 1 else stop - halo_px)
        spans.append(Span(window=(start, stop), core=core))
        done = core[1]
    return tuple(spans)


def plan_tiles(
    size_px: tuple[int, int], *, window_px: tuple[int, int], halo_px: int, grid_px: int = 1
) -> tuple[Tile, ...]:
    """All tiles of an image of (height, width), row by row; arguments and errors as :func:`plan_spans`."""
    rows, columns = (
        plan_spans(size, window_px=window, halo_px=halo_px, grid_px=grid_px)
        for size, window in zip(size_px, window_px, strict=True)
    )
    return tuple(Tile(rows=row, columns=column) for row in rows for column in columns)


def upscale_tiled(
    run: Callable[[NDArray[Levels]], NDArray[Levels]],
    image: NDArray[Levels],
    *,
    scale: int,
    halo_px: int,
    grid_px: int = 1,
    tile_px: int = DEFAULT_TILE_PX,
    window_px: tuple[int, int] | None = None,
    on_tile: Callable[[int, int], None] | None = None,
) -> NDArray[Levels]:
    """Upscale an image of any size in memory that grows with the output image alone.

    Args:
        run: upscales one window.
        image: (H, W, C) uint8 or uint16.
        scale: upscaling factor r of ``run``.
        halo_px: receptive-field radius of ``run``, in input pixels; larger is slower and equally right, smaller leaves
            seams. At ``UNTILED_HALO_PX`` the image is run at once, whatever ``tile_px`` says.
        grid_px: windows of attention stand at multiples of it, see :class:`qsr_edge.graph.cost.TileGrid`; 1 for none.
        tile_px: as for :func:`window_size_px`.
        window_px: (height, width) of every window, for a model of fixed input size; ``tile_px`` is not used then.
        on_tile: called after each tile with the number of tiles done and of all tiles.

    Returns:
        (rH, rW, C) of the same type, equal to ``run(image)`` byte for byte.

    Raises:
        ImageError: if the image is empty, not (H, W, C) or of another type, ``tile_px`` is less than 1, or the image
            cannot be covered by windows of ``window_px``.
        BackendError: if ``run`` returns an image of the wrong size or type.
    """
    _check_image(image)
    height, width, channels = image.shape
    output = np.empty((height * scale, width * scale, channels), image.dtype)
    bands = _bands(run, image, scale, halo_px, grid_px, tile_px, window_px, on_tile, output)
    for _ in bands:
        pass
    return output


def upscaled_bands(
    run: Callable[[NDArray[Levels]], NDArray[Levels]],
    image: NDArray[Levels],
    *,
    scale: int,
    halo_px: int,
    grid_px: int = 1,
    tile_px: int = DEFAULT_TILE_PX,
    window_px: tuple[int, int] | None = None,
    on_tile: Callable[[int, int], None] | None = None,
) -> Iterator[NDArray[Levels]]:
    """Upscale an image in memory that grows with its width alone, beside the image itself.

    Yields:
        The rows of what :func:`upscale_tiled` returns, from top to bottom, a row of tiles at a time: (h, rW, C). Each
        is an array of its own.

    Args and errors as :func:`upscale_tiled`; errors come while iterating.
    """
    _check_image(image)
    yield from _bands(run, image, scale, halo_px, grid_px, tile_px, window_px, on_tile, None)


def _check_image(image: NDArray[Levels]) -> None:
    if image.dtype not in (np.uint8, np.uint16) or image.ndim != 3 or image.size == 0:
        raise ImageError(f"upscaling takes a non-empty uint8 image (H, W, C), got {image.dtype} of shape {image.shape}")


def _bands(
    run: Callable[[NDArray[Levels]], NDArray[Levels]],
    image: NDArray[Levels],
    scale: int,
    halo_px: int,
    grid_px: int,
    tile_px: int,
    window_px: tuple[int, int] | None,
    on_tile: Callable[[int, int], None] | None,
    output: NDArray[Levels] | None,
) -> Iterator[NDArray[Levels]]:
    """The rows of each row of tiles, (h, rW, C): parts of ``output``, or arrays of their own if that is None."""
    height, width, channels = image.shape
    if window_px is None:
        window_px = (
            window_size_px(height, tile_px=tile_px, halo_px=halo_px, grid_px=grid_px),
            window_size_px(width, tile_px=tile_px, halo_px=halo_px, grid_px=grid_px),
        )
    else:
        _check_fixed_window((height, width), window_px, halo_px, grid_px)
    tiles = plan_tiles((height, width), window_px=window_px, halo_px=halo_px, grid_px=grid_px)
    if height % grid_px or width % grid_px:
        continued = [reflected_indices(size, padded_size(size, grid_px)) for size in (height, width)]
        image = image[continued[0]][:, continued[1]]
    band = np.empty((0, width * scale, channels), image.dtype)
    for done, tile in enumerate(tiles, start=1):
        if tile.columns.core[0] == 0:
            rows = _core(tile.rows, scale)
            if output is None:
                band = np.empty((rows.stop - rows.start, width * scale, channels), image.dtype)
            else:
                band = output[rows]
        window = np.ascontiguousarray(image[slice(*tile.rows.window), slice(*tile.columns.window)])
        upscaled = run(window)
        expected = (window.shape[0] * scale, window.shape[1] * scale, channels)
        if upscaled.shape != expected or upscaled.dtype != image.dtype:
            raise BackendError(
                f"the model made {upscaled.dtype} {upscaled.shape} of an image {window.shape}, "
                f"expected {image.dtype} {expected}; convert the bundle again"
            )
        band[:, _core(tile.columns, scale)] = upscaled[
            _core(tile.rows, scale, tile.rows.window[0]), _core(tile.columns, scale, tile.columns.window[0])
        ]
        if on_tile:
            on_tile(done, len(tiles))
        if tile.columns.core[1] == width:
            yield band


def _check_fixed_window(size_px: tuple[int, int], window_px: tuple[int, int], halo_px: int, grid_px: int) -> None:
    """Refuse what a model of fixed input size cannot do, and say which could.

    Raises:
        ImageError: if an image of ``size_px`` is smaller than the window, or larger and the window too small for tiles.
    """
    (height, width), (window_height, window_width) = size_px, window_px
    completed = (padded_size(height, grid_px), padded_size(width, grid_px))
    if completed == window_px:
        return
    if not is_tiled(halo_px):
        raise ImageError(f"cannot upscale {width}x{height} by a model for {window_width}x{window_height}: {NOT_TILED}")
    least_px = 2 * halo_px + grid_px
    fitting = tuple(
        size if size < window else max(window, min(size, least_px))
        for size, window in zip(completed, window_px, strict=True)
    )
    if fitting == window_px:
        return
    remedy = f"convert again with --input-size {fitting[1]}x{fitting[0]}"
    if completed[0] < window_height or completed[1] < window_width:
        # Padding would be seen by the network, which pads with something else: the result would not be the network's.
        raise ImageError(
            f"{width}x{height} is smaller than the model's fixed input of {window_width}x{window_height}; "
            f"{'use a bundle converted without --input-size' if grid_px == 1 else remedy}"
        )
    raise ImageError(
        f"{width}x{height} is larger than the model's fixed input of {window_width}x{window_height}, which leaves no "
        f"pixels between overlaps of {halo_px} at this depth; {remedy} or more, or use a shallower depth"
    )


def _core(span: Span, scale: int, origin: int = 0) -> slice:
    """The span's core in output pixels, counted from the input pixel ``origin``."""
    return slice((span.core[0] - origin) * scale, (span.core[1] - origin) * scale)
