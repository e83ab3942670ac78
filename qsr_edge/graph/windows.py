"""The geometry of attention windows: which pixels they hold, and which of these are neighbours in the image."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray


@lru_cache(maxsize=8)
def relative_position_index(window_px: int) -> NDArray[np.int64]:
    """Row of the bias table for each pair of a window's pixels: (W^2, W^2), as SwinIR's buffer of that name."""
    y, x = np.divmod(np.arange(window_px**2), window_px)
    rows = y[:, None] - y[None, :] + window_px - 1
    columns = x[:, None] - x[None, :] + window_px - 1
    return np.asarray(rows * (2 * window_px - 1) + columns)


@lru_cache(maxsize=8)
def halves_apart(window_px: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Pairs of a window's pixels of which one lies in the upper and one in the lower half, and left and right.

    Returns:
        Two arrays (W^2, W^2), True for such pairs.
    """
    halves = np.divmod(np.arange(window_px**2), window_px)
    upper, left = (half < window_px // 2 for half in halves)
    return upper[:, None] != upper[None, :], left[:, None] != left[None, :]


@lru_cache(maxsize=32)
def wrapped_windows(height: int, width: int, window_px: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Shifted windows that hold pixels of opposite borders of the image: of its upper and lower, and left and right.

    In these pixels of different halves are no neighbours in the image, see :func:`halves_apart`.

    Args:
        height: of the image, a multiple of the window.
        width: likewise.
        window_px: side of a window.

    Returns:
        Two arrays (windows,), row by row, True for such windows.
    """
    rows, columns = np.indices((height // window_px, width // window_px)).reshape(2, -1)
    return rows == rows.max(), columns == columns.max()


@lru_cache(maxsize=32)
def foreign_pairs(height: int, width: int, window_px: int) -> NDArray[np.bool_]:
    """Pairs within shifted windows that are no neighbours in the image: (windows, W^2, W^2), True where masked.

    Arguments as for :func:`wrapped_windows`.
    """
    wrapped = wrapped_windows(height, width, window_px)
    vertical, horizontal = (
        windows[:, None, None] & apart for windows, apart in zip(wrapped, halves_apart(window_px), strict=True)
    )
    return vertical | horizontal


def reflected_indices(size: int, padded: int) -> NDArray[np.int64]:
    """Where each of ``padded`` rows comes from when ``size`` rows are continued by reflection at the last one."""
    period = max(1, 2 * (size - 1))
    position = np.arange(padded) % period
    return np.minimum(position, period - position) if size > 1 else np.zeros(padded, np.int64)


def padded_size(size: int, window_px: int) -> int:
    """The next multiple of the window's side."""
    return -(-size // window_px) * window_px
