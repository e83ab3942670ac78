"""What the network is shown under transparent pixels.

A file keeps some colour under fully transparent pixels, mostly black, which nobody sees. The network does see it, and
would draw it into soft edges as a fringe. So before the network the visible colours are spread outwards.
"""

import numpy as np
from numpy.typing import NDArray

from qsr_edge.data.picture import Samples

# Rounds of averaging with the four neighbours, after the holes were filled from coarser levels: what is within the
# network's sight has no blocks then.
_SMOOTHING_ROUNDS = 2


def bled_colours(colour: Samples, alpha: Samples) -> Samples:
    """Replace the colours of fully transparent pixels by those of visible pixels nearby.

    Holes are filled from a pyramid of averages: of the coarser levels, the finest that has a visible pixel there. The
    average counts colours by their opacity.

    Args:
        colour: (H, W, C) uint8 or uint16.
        alpha: (H, W) uint8 or uint16; 0 is fully transparent.

    Returns:
        Colours of the same shape and type, equal where ``alpha`` is not 0. A picture without a visible pixel comes back
        as it is.
    """
    hidden = alpha == 0
    if not hidden.any() or hidden.all():
        return colour
    filled = _filled(colour.astype(np.float32), alpha.astype(np.float32), hidden)
    return np.where(hidden[:, :, np.newaxis], np.rint(filled).astype(colour.dtype), colour)


def _filled(colour: NDArray[np.float32], weight: NDArray[np.float32], hidden: NDArray[np.bool_]) -> NDArray[np.float32]:
    """(H, W, C) with the hidden pixels filled; ``weight`` is 0 exactly there."""
    if not hidden.any():
        return colour
    height, width = hidden.shape
    if hidden.all() or max(height, width) == 1:
        return colour
    coarse_weight = _sums(weight)
    empty = coarse_weight == 0
    coarse = _sums(colour * weight[:, :, np.newaxis])
    coarse /= np.where(empty, 1, coarse_weight)[:, :, np.newaxis]
    # Below this level all pixels count alike: a hole of one faint pixel is no worse than one of an opaque pixel.
    coarse = _filled(coarse, np.where(empty, 0, 1).astype(np.float32), empty)
    filled = np.where(hidden[:, :, np.newaxis], _doubled(coarse)[:height, :width], colour)
    for _ in range(_SMOOTHING_ROUNDS):
        around = np.pad(filled, ((1, 1), (1, 1), (0, 0)), mode="edge")
        mean = (around[:-2, 1:-1] + around[2:, 1:-1] + around[1:-1, :-2] + around[1:-1, 2:]) / np.float32(4)
        filled = np.where(hidden[:, :, np.newaxis], mean, filled)
    return filled


def _sums(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Sums of 2x2; odd sides are completed by zeros."""
    height, width = values.shape[:2]
    even = np.pad(values, ((0, height % 2), (0, width % 2), *[(0, 0)] * (values.ndim - 2)))
    rows = np.add(even[0::2], even[1::2], dtype=np.float32)
    return np.add(rows[:, 0::2], rows[:, 1::2], dtype=np.float32)


def _doubled(values: NDArray[np.float32]) -> NDArray[np.float32]:
    return values.repeat(2, axis=0).repeat(2, axis=1)
