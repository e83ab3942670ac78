"""What the network adds to interpolation, for samples finer than its own 8 bits and for alpha.

The network's output is rounded to 8 bits, and in smooth regions it wavers by a level or two, which nobody sees in an
8-bit picture. Interpolation has neither fault, but blurs edges. So a sample is the interpolated one plus what the
network says it is off by, and where that is no more than the network's own noise, the interpolated one alone.
"""

import numpy as np
from numpy.typing import NDArray

from qsr_edge.data.picture import Samples

# In levels of 8 bits: differences up to the first are noise, from the second on they count in full.
# ``benchmarks/picture_quality.py`` measures both ends.
_NOISE_LEVELS = 1.5
_SIGNAL_LEVELS = 3.0

# Keys' kernel reaches two pixels to either side: what is flat so far around stays flat.
_KERNEL_RADIUS_PX = 2


def corrected(
    interpolated: Samples,
    coarse: Samples,
    network: NDArray[np.uint8],
    *,
    level: int,
) -> NDArray[np.float32]:
    """Interpolated samples, set right where the network is surer.

    Args:
        interpolated: the enlarged samples, of any shape, in steps of 1 / ``level``.
        coarse: the same of the 8-bit samples that the network was given, times ``level``.
        network: what the network made of these.
        level: 257 for 16-bit samples, 1 for 8-bit samples.

    Returns:
        Samples on the scale of ``interpolated``, not yet rounded.
    """
    corrected = np.empty(interpolated.shape, np.float32)
    np.subtract(network.astype(np.float32), coarse.astype(np.float32) / np.float32(level), out=corrected)
    share = np.clip((np.abs(corrected) - _NOISE_LEVELS) / (_SIGNAL_LEVELS - _NOISE_LEVELS), 0, 1)
    np.multiply(corrected, share, out=corrected)
    np.multiply(corrected, level, out=corrected)
    np.add(corrected, interpolated, out=corrected)
    return corrected


def flat_pixels(samples: Samples) -> NDArray[np.bool_]:
    """Which pixels of (H, W) have no other level within the reach of the interpolation kernel."""
    lowest, highest = samples, samples
    for axis in (0, 1):
        lowest = _extreme(lowest, axis, np.minimum)
        highest = _extreme(highest, axis, np.maximum)
    return np.equal(lowest, highest)


def _extreme(samples: Samples, axis: int, choose: np.ufunc) -> Samples:
    size = samples.shape[axis]
    pad = [(0, 0), (0, 0)]
    pad[axis] = (_KERNEL_RADIUS_PX, _KERNEL_RADIUS_PX)
    around = np.pad(samples, pad, mode="edge")
    found = samples
    for shift in range(2 * _KERNEL_RADIUS_PX + 1):
        found = choose(found, around.take(np.arange(shift, shift + size), axis=axis))
    return found
