"""Antialiased bicubic resampling, equal to the field's standard low-resolution inputs bit for bit.

The kernel is Keys' cubic convolution with a = -0.5 (R. Keys, "Cubic convolution interpolation for digital image
processing", 1981), widened by the scale factor when shrinking, with half-sample symmetric edges: MATLAB's ``imresize``.
The vertical pass comes first and each pass rounds half up to uint8, as MATLAB does for uint8 images, or to uint16.
"""

from functools import lru_cache
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from qsr_edge.errors import ImageError

Levels = TypeVar("Levels", bound=np.unsignedinteger[Any])

_BAND_SAMPLES = 1 << 20
"""Output samples that are computed at once in float64: 8 MB, whatever the image's size."""


def _keys_cubic(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Keys' cubic kernel with a = -0.5; ``x``: any shape, in samples."""
    x = np.abs(x)
    near = 1.5 * x**3 - 2.5 * x**2 + 1
    far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return np.where(x <= 1, near, np.where(x <= 2, far, 0.0))


@lru_cache(maxsize=64)
def _taps(size_in: int, size_out: int, scale: float) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Source indices and weights of each output sample, both (size_out, taps)."""
    stretch = max(1.0, 1 / scale)
    support = 4 * stretch
    centre = (np.arange(size_out, dtype=np.float64) + 0.5) / scale - 0.5
    first = np.floor(centre - support / 2).astype(np.intp)
    index = first[:, None] + np.arange(int(np.ceil(support)) + 2)
    weight = _keys_cubic((centre[:, None] - index) / stretch)
    weight /= weight.sum(axis=1, keepdims=True)
    mirrored = index % (2 * size_in)
    mirrored = np.where(mirrored >= size_in, 2 * size_in - 1 - mirrored, mirrored)
    used = np.any(weight != 0, axis=0)
    return mirrored[:, used], weight[:, used]


def _resize_rows(image: NDArray[Levels], size_out: int, scale: float) -> NDArray[Levels]:
    index, weight = _taps(image.shape[0], size_out, scale)
    result = np.empty((size_out, *image.shape[1:]), image.dtype)
    highest = np.iinfo(image.dtype).max
    band = max(1, _BAND_SAMPLES * size_out // max(1, result.size))
    for top in range(0, size_out, band):
        rows = np.s_[top : top + band]
        total = np.zeros(result[rows].shape, np.float64)
        for tap in range(index.shape[1]):
            total += weight[rows, tap].reshape(-1, *[1] * (image.ndim - 1)) * image[index[rows, tap]]
        # The sum of products may land a few ulp below a half that is exact in real arithmetic.
        result[rows] = np.clip(np.floor(total + 0.5 + 1e-9), 0, highest)
    return result


def resize_bicubic(image: NDArray[Levels], scale: float) -> NDArray[Levels]:
    """Resize by ``scale`` (2 enlarges twofold, 0.5 halves); output sizes are rounded up.

    Args:
        image: (H, W) or (H, W, C) uint8 or uint16.
        scale: positive factor for both sides.

    Returns:
        (ceil(H * scale), ceil(W * scale)[, C]) of the same type.

    Raises:
        ImageError: if the image is empty or of another type, or the factor is not positive.
    """
    if image.dtype not in (np.uint8, np.uint16) or image.ndim not in (2, 3) or image.size == 0:
        raise ImageError(f"bicubic resize takes a non-empty uint8 image, got {image.dtype} of shape {image.shape}")
    if not 0 < scale < np.inf:
        raise ImageError(f"bicubic resize takes a finite, positive scale factor, got {scale}")
    height, width = (int(np.ceil(size * scale)) for size in image.shape[:2])
    rows = _resize_rows(image, height, scale)
    return np.ascontiguousarray(_resize_rows(rows.swapaxes(0, 1), width, scale).swapaxes(0, 1))
