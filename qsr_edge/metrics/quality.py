"""PSNR and SSIM between two RGB images, on luma with the border cropped."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qsr_edge.errors import ImageError
from qsr_edge.metrics.luma import luma

# Wang et al., "Image quality assessment: from error visibility to structural similarity", 2004.
_SSIM_WINDOW = 11
_SSIM_SIGMA = 1.5
_SSIM_C1 = (0.01 * 255) ** 2
_SSIM_C2 = (0.03 * 255) ** 2
_STRIP_PX = 1 << 19
"""Pixels that are compared at once: about 45 MB of work, where a whole photo of 12 megapixels took 900."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """Quality of a picture, or the mean of several: PSNR in dB (infinite for equal pictures) and SSIM, both on luma."""

    psnr_db: float
    ssim: float

    def table(self) -> dict[str, object]:
        """For a program; JSON has no infinity, so equal pictures have a null PSNR."""
        return {"psnr_db": self.psnr_db if math.isfinite(self.psnr_db) else None, "ssim": self.ssim}


def _cropped(
    image: NDArray[np.uint8], other: NDArray[np.uint8], border_px: int
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    if image.dtype != np.uint8 or other.dtype != np.uint8:
        raise ImageError(f"PSNR and SSIM compare uint8 images, got {image.dtype} and {other.dtype}")
    if border_px < 0:
        raise ImageError(f"cannot crop {border_px} border pixels; give 0 or more")
    if image.shape != other.shape or image.ndim != 3 or image.shape[2] != 3:
        raise ImageError(
            f"PSNR and SSIM compare two RGB images of one size, got shapes {image.shape} and {other.shape}"
        )
    if min(image.shape[:2]) <= 2 * border_px:
        raise ImageError(f"nothing is left of an image of shape {image.shape} after cropping {border_px} border pixels")
    inner = np.s_[border_px : image.shape[0] - border_px, border_px : image.shape[1] - border_px]
    return image[inner], other[inner]


def _strips(size_px: tuple[int, int], overlap_px: int = 0) -> Iterator[slice]:
    """Rows to compare at once, so that memory does not grow with the picture.

    Args:
        size_px: (height, width).
        overlap_px: rows that each has in common with the next one.
    """
    height, width = size_px
    step = max(_STRIP_PX // width - overlap_px, 1 + overlap_px)
    for top in range(0, height - overlap_px, step):
        yield slice(top, min(top + step + overlap_px, height))


def psnr_y(image: NDArray[np.uint8], reference: NDArray[np.uint8], *, border_px: int) -> float:
    """Peak signal-to-noise ratio on luma, in dB; infinity for equal images.

    Args:
        image: (H, W, 3) uint8 RGB.
        reference: (H, W, 3) uint8 RGB.
        border_px: pixels cropped from each side; the field uses the scale factor.

    Raises:
        ImageError: if the shapes differ or nothing is left after cropping.
    """
    a, b = _cropped(image, reference, border_px)
    height, width = a.shape[:2]
    squares = [float(np.sum((luma(a[rows]) - luma(b[rows])) ** 2)) for rows in _strips((height, width))]
    mse = math.fsum(squares) / int(height * width)
    return math.inf if mse == 0 else 10 * math.log10(255**2 / mse)


def _gaussian_filter(plane: NDArray[np.float64]) -> NDArray[np.float64]:
    """Separable Gaussian window, valid part only: (H, W) -> (H - 10, W - 10)."""
    offset = np.arange(_SSIM_WINDOW) - _SSIM_WINDOW // 2
    kernel = np.exp(-(offset**2) / (2 * _SSIM_SIGMA**2))
    kernel /= kernel.sum()
    rows = np.lib.stride_tricks.sliding_window_view(plane, _SSIM_WINDOW, axis=0) @ kernel
    return np.asarray(np.lib.stride_tricks.sliding_window_view(rows, _SSIM_WINDOW, axis=1) @ kernel)


def ssim_y(image: NDArray[np.uint8], reference: NDArray[np.uint8], *, border_px: int) -> float:
    """Structural similarity on luma (Gaussian window 11, sigma 1.5), in [-1, 1].

    Args and errors as :func:`psnr_y`; what is left after cropping must be at least 11 pixels on each side.
    """
    a, b = _cropped(image, reference, border_px)
    height, width = a.shape[:2]
    if min(height, width) < _SSIM_WINDOW:
        raise ImageError(f"SSIM needs at least {_SSIM_WINDOW} pixels a side after cropping, got {(height, width)}")
    overlap = _SSIM_WINDOW - 1
    sums = [float(np.sum(_ssim(luma(a[rows]), luma(b[rows])))) for rows in _strips((height, width), overlap)]
    return math.fsum(sums) / int((height - overlap) * (width - overlap))


def _ssim(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """At every position of the window: (H, W) twice -> (H - 10, W - 10)."""
    mean_a, mean_b = _gaussian_filter(a), _gaussian_filter(b)
    var_a = _gaussian_filter(a * a) - mean_a**2
    var_b = _gaussian_filter(b * b) - mean_b**2
    covariance = _gaussian_filter(a * b) - mean_a * mean_b
    ssim = ((2 * mean_a * mean_b + _SSIM_C1) * (2 * covariance + _SSIM_C2)) / (
        (mean_a**2 + mean_b**2 + _SSIM_C1) * (var_a + var_b + _SSIM_C2)
    )
    return np.asarray(ssim)
