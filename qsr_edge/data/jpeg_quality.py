"""The quality that a JPEG was saved with, told by its quantization tables."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

# ITU-T T.81, table K.1: what the Independent JPEG Group's encoder scales for luma.
_LUMA = np.array(
    [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99],
    ]
).reshape(-1)
JPEG_TABLE_LENGTH = 64
"""Step sizes in a table."""


def _scaled_tables() -> NDArray[np.integer[Any]]:
    """The encoder's table for each quality, 1 to 100: jpeg_quality_scaling of its jcparam.c."""
    quality = np.arange(1, 101)[:, np.newaxis]
    percent = np.where(quality < 50, 5000 // quality, 200 - 2 * quality)
    tables: NDArray[np.integer[Any]] = np.clip((_LUMA * percent + 50) // 100, 1, 255)
    return tables


def estimated_quality(luma_table: Sequence[int]) -> int:
    """The quality, 1 to 100, whose table of the Independent JPEG Group's encoder is the nearest one.

    Exact for files of that encoder and of libjpeg-turbo; cameras and Photoshop have tables of their own, for which it
    is the quality that loses about as much.

    Args:
        luma_table: 64 step sizes, row by row.
    """
    # Of tables with step sizes of 16 bits, too.
    distance = np.abs(_scaled_tables() - np.asarray(luma_table, np.int64)).sum(axis=1)
    return int(distance.argmin()) + 1
