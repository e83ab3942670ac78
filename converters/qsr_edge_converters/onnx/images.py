"""Images as models take and give them."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from qsr_edge.errors import BackendError

CHANNELS = 3
Image = NDArray[np.uint8]


def as_input(image: Image, path: Path) -> Image:
    """(H, W, 3) uint8 -> (1, 3, H, W) uint8, contiguous.

    Raises:
        BackendError: if the image is of another shape or type.
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != CHANNELS or image.size == 0:
        raise BackendError(f"{path}: got {image.dtype} {image.shape}, expected uint8 (H, W, {CHANNELS})")
    return np.ascontiguousarray(image.transpose(2, 0, 1)[np.newaxis])


def from_output(upscaled: Image) -> Image:
    """(1, 3, rH, rW) uint8 -> (rH, rW, 3) uint8, contiguous."""
    return np.ascontiguousarray(upscaled[0].transpose(1, 2, 0))
