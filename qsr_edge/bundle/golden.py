"""The golden input: an image that every device can make for itself, to prove that it computes the same bytes.

The image is noise from SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", OOPSLA
2014), the generator behind Java's ``SplittableRandom``: a few lines in any language with 64-bit integers, and without
state, so that here it is one numpy expression. All arithmetic is modulo 2^64:

    z = seed + (n + 1) * 0x9E3779B97F4A7C15                       n = 0, 1, 2, ...
    z = (z XOR (z >> 30)) * 0xBF58476D1CE4E5B9
    z = (z XOR (z >> 27)) * 0x94D049BB133111EB
    z =  z XOR (z >> 31)

Byte n of the image, rows first, then columns, then R, G, B, is z >> 56.
"""

import hashlib

import numpy as np
from numpy.typing import NDArray

_INCREMENT = np.uint64(0x9E3779B97F4A7C15)
_FIRST_FACTOR = np.uint64(0xBF58476D1CE4E5B9)
_SECOND_FACTOR = np.uint64(0x94D049BB133111EB)


def splitmix64(seed: int, count: int) -> NDArray[np.uint64]:
    """The first ``count`` numbers of SplitMix64: (count,) uint64.

    Args:
        seed: 0 <= seed < 2^64.
        count: how many.
    """
    # numpy's integer arrays wrap modulo 2^64 without a warning.
    z = np.arange(1, count + 1, dtype=np.uint64) * _INCREMENT + np.uint64(seed)
    z = (z ^ (z >> np.uint64(30))) * _FIRST_FACTOR
    z = (z ^ (z >> np.uint64(27))) * _SECOND_FACTOR
    return z ^ (z >> np.uint64(31))


def golden_image(seed: int, height_px: int, width_px: int) -> NDArray[np.uint8]:
    """The golden input of a seed: (height_px, width_px, 3) uint8 RGB, every level equally likely.

    Args:
        seed: 0 <= seed < 2^64; manifests keep below 2^53, which every JSON reader holds exactly.
        height_px: rows.
        width_px: columns.
    """
    levels = splitmix64(seed, height_px * width_px * 3) >> np.uint64(56)
    return levels.astype(np.uint8).reshape(height_px, width_px, 3)


def image_sha256(image: NDArray[np.uint8]) -> str:
    """Lower-case hexadecimal sha256 of an image's bytes: (H, W, 3) uint8, rows first, then columns, then R, G, B."""
    return hashlib.sha256(image.tobytes(order="C")).hexdigest()
