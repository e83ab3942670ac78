"""What happens to a picture before people upscale it: a little blur, a little noise, one or two JPEG compressions.

Milder than the first-order degradation of Real-ESRGAN (Wang et al., 2021, section 3.1): nothing is resized between the
steps, blur is at most :data:`BLUR_SIGMA_PX`, noise at most :data:`NOISE_SIGMA_LEVELS`, and JPEG's quality at least
:data:`JPEG_QUALITY`'s lower end. Networks that are to serve photographs are trained on such inputs.
"""

import io
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from PIL import Image

BLUR_SIGMA_PX = (0.2, 0.8)
"""Standard deviations of the Gaussian blur, in pixels of the low-resolution image."""
NOISE_SIGMA_LEVELS = (0.5, 3.0)
"""Standard deviations of the Gaussian noise, in levels of 255."""
JPEG_QUALITY = (30, 95)
"""Qualities of the compression, in the Independent JPEG Group's scale, both ends included."""
BLOCK_PX = 16
"""Side of a coding unit of JPEG with halved chroma: a patch's place relative to it is drawn too."""
BLURRED, NOISY, COMPRESSED, TWICE, SUBSAMPLED = 0.2, 0.2, 0.75, 0.25, 0.6
"""Shares of the inputs: blurred; noisy; compressed; of those, compressed twice; each time with 4:2:0 chroma.

One input in six passes unchanged. With one in sixteen (0.35, 0.35 and 0.85) a first network came out 1.3 dB below the
one for clean pictures on clean inputs (Set14, x2)."""
_KERNEL_RADIUS_PX = 2


class Degradation(StrEnum):
    """What low-resolution training inputs have been through besides reduction."""

    NONE = "none"
    PHOTO = "photo"


def degraded(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """A picture as a phone has it: blurred, noisy and compressed, each by chance; some pass unchanged.

    Args:
        image: (H, W, 3) uint8 RGB.
        rng: decides everything; the same generator state gives the same bytes.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    if rng.random() < BLURRED:
        image = blurred(image, float(rng.uniform(*BLUR_SIGMA_PX)))
    if rng.random() < NOISY:
        image = noisy(image, float(rng.uniform(*NOISE_SIGMA_LEVELS)), rng)
    if rng.random() < COMPRESSED:
        for _ in range(2 if rng.random() < TWICE else 1):
            quality = int(rng.integers(JPEG_QUALITY[0], JPEG_QUALITY[1] + 1))
            image = compressed(image, quality, subsampled=bool(rng.random() < SUBSAMPLED))
    return image


def blurred(image: NDArray[np.uint8], sigma_px: float) -> NDArray[np.uint8]:
    """Gaussian blur by five taps a direction, edges repeated: (H, W, 3) uint8 -> (H, W, 3) uint8."""
    taps = np.exp(-0.5 * (np.arange(-_KERNEL_RADIUS_PX, _KERNEL_RADIUS_PX + 1) / sigma_px) ** 2).astype(np.float32)
    taps /= taps.sum()
    radius, (height, width) = _KERNEL_RADIUS_PX, image.shape[:2]
    padded = np.pad(image.astype(np.float32), ((radius, radius), (radius, radius), (0, 0)), mode="edge")
    rows = np.zeros((height, *padded.shape[1:]), np.float32)
    for i, tap in enumerate(taps):
        rows += tap * padded[i : i + height]
    both = np.zeros(image.shape, np.float32)
    for i, tap in enumerate(taps):
        both += tap * rows[:, i : i + width]
    return _levels(both)


def noisy(image: NDArray[np.uint8], sigma_levels: float, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Gaussian noise, each channel its own: (H, W, 3) uint8 -> (H, W, 3) uint8."""
    noise = rng.standard_normal(image.shape, np.float32) * np.float32(sigma_levels)
    return _levels(np.add(image, noise, dtype=np.float32))


def compressed(image: NDArray[np.uint8], quality: int, *, subsampled: bool) -> NDArray[np.uint8]:
    """Through JPEG and back: (H, W, 3) uint8 -> (H, W, 3) uint8; ``subsampled``: with 4:2:0 chroma, 4:4:4 otherwise."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=quality, subsampling="4:2:0" if subsampled else "4:4:4")
    with Image.open(buffer) as picture:
        return np.array(picture, np.uint8)


def _levels(values: NDArray[np.float32]) -> NDArray[np.uint8]:
    levels: NDArray[np.uint8] = np.clip(np.floor(values + np.float32(0.5)), 0, 255).astype(np.uint8)
    return levels
