"""Random training patches, a pure function of (seed, iteration): resuming needs no loader state."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from qsr_edge.data.bicubic import resize_bicubic
from qsr_edge.data.dataset import find_images
from qsr_edge.data.images import read_picture
from qsr_edge.errors import DatasetError
from qsr_edge.nn.config import IMAGE_ZERO


@dataclass(frozen=True, slots=True, eq=False)
class ImagePair:
    """A high-resolution image and its bicubic reduction: (rH, rW, 3) and (H, W, 3) uint8."""

    hr: NDArray[np.uint8]
    lr: NDArray[np.uint8]


def load_pairs(
    folders: tuple[Path, ...], scale: int, *, min_px: int, progress: Callable[[int, int], None]
) -> list[ImagePair]:
    """Decode every image under the folders and reduce it.

    Args:
        folders: searched recursively.
        scale: reduction factor; images are cropped to a multiple of it.
        min_px: least side of the reduced image; smaller ones are skipped.
        progress: called with (images done, images in all).

    Raises:
        DatasetError: if no image is large enough.
    """
    # A folder given twice, or within another, must not let a held-out image be trained on.
    files = list(dict.fromkeys(file.resolve() for folder in folders for file in find_images(folder, recursive=True)))
    pairs = []
    for done, file in enumerate(files, start=1):
        hr = read_picture(file).rgb
        hr = hr[: hr.shape[0] // scale * scale, : hr.shape[1] // scale * scale]
        if min(hr.shape[:2]) >= min_px * scale:
            pairs.append(ImagePair(np.ascontiguousarray(hr), resize_bicubic(hr, 1 / scale)))
        progress(done, len(files))
    if not pairs:
        raise DatasetError(
            f"no image of at least {min_px * scale} pixels a side in {', '.join(map(str, folders))}; "
            "give a folder with larger images"
        )
    return pairs


def sample_batch(
    pairs: list[ImagePair], rng: np.random.Generator, *, batch: int, patch_px: int, scale: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Random crops with random flips and quarter turns.

    Returns:
        Low- and high-resolution codes (levels minus 128): (N, 3, P, P) and (N, 3, rP, rP) float32.
    """
    low = np.empty((batch, 3, patch_px, patch_px), np.float32)
    high = np.empty((batch, 3, patch_px * scale, patch_px * scale), np.float32)
    for i in range(batch):
        pair = pairs[rng.integers(len(pairs))]
        y, x = (int(rng.integers(size - patch_px + 1)) for size in pair.lr.shape[:2])
        turns, flip = int(rng.integers(4)), bool(rng.integers(2))
        for target, image, factor in ((low, pair.lr, 1), (high, pair.hr, scale)):
            side = patch_px * factor
            patch = np.rot90(image[y * factor :, x * factor :][:side, :side], turns)
            target[i] = (patch[:, ::-1] if flip else patch).transpose(2, 0, 1)
    return low - IMAGE_ZERO, high - IMAGE_ZERO
