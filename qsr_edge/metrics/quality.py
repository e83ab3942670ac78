"""PSNR and SSIM between two RGB images, on luma with the border cropped."""

import math
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """Quality of a picture, or the mean of several: PSNR in dB (infinite for equal pictures) and SSIM, both on luma."""

    psnr_db: float
    ssim: float

    def table(self) -> dict[str, object]:
        """For a program; JSON has no infinity, so equal pictures have a null PSNR."""
        return {"psnr_db": self.psnr_db if math.isfinite(self.psnr_db) else None, "ssim": self.ssim}


def _cropped_luma(
    image: NDArray[np.uint8], other: NDArray[np.uint8], border_px: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
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
    return luma(image)[inner], luma(other)[inner]


def psnr_y(image: NDArray[np.uint8], reference: NDArray[np.uint8], *, border_px: int) -> float:
    """Peak signal-to-noise ratio on luma, in dB; infinity for equal images.

    Args:
        image: (H, W, 3) uint8 RGB.
        reference: (H, W, 3) uint8 RGB.
        border_px: pixels cropped from each side; the field uses the scale factor.

    Raises:
        ImageError: if the shapes differ or nothing is left after cropping.
    """
    a, b = _cropped_luma(image, reference, border_px)
    mse = float(np.mean((a - b) ** 2))
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
    a, b = _cropped_luma(image, reference, border_px)
    if min(a.shape) < _SSIM_WINDOW:
        raise ImageError(f"SSIM needs at least {_SSIM_WINDOW} pixels a side after cropping, got {a.shape}")
    mean_a, mean_b = _gaussian_filter(a), _gaussian_filter(b)
    var_a = _gaussian_filter(a * a) - mean_a**2
    var_b = _gaussian_filter(b * b) - mean_b**2
    covariance = _gaussian_filter(a * b) - mean_a * mean_b
    ssim = ((2 * mean_a * mean_b + _SSIM_C1) * (2 * covariance + _SSIM_C2)) / (
        (mean_a**2 + mean_b**2 + _SSIM_C1) * (var_a + var_b + _SSIM_C2)
    )
    return float(ssim.mean())
