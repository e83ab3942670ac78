"""BT.601 luma as MATLAB's ``rgb2ycbcr`` computes it."""

import numpy as np
from numpy.typing import NDArray

# Rec. ITU-R BT.601 with studio swing: Y = 16 + (65.481 R + 128.553 G + 24.966 B) / 255 for R, G, B in [0, 255].
_WEIGHTS = np.array([65.481, 128.553, 24.966]) / 255.0
_OFFSET = 16.0


def luma(image: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Luma Y of an RGB image: (H, W, 3) uint8 -> (H, W) float64 in [16, 235], not rounded."""
    return image.astype(np.float64) @ _WEIGHTS + _OFFSET
