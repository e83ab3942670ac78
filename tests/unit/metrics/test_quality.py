import math

import numpy as np
import pytest

from qsr_edge.errors import ImageError
from qsr_edge.metrics import luma, psnr_y, ssim_y


def test_luma_of_the_corners_of_the_cube() -> None:
    corners = np.array([[[0, 0, 0], [255, 255, 255], [255, 0, 0], [0, 255, 0], [0, 0, 255]]], np.uint8)
    assert luma(corners)[0].tolist() == pytest.approx([16, 235, 81.481, 144.553, 40.966])


def test_psnr_by_hand() -> None:
    a = np.zeros((10, 10, 3), np.uint8)
    b = np.full((10, 10, 3), 10, np.uint8)
    difference = 10 * 219 / 255
    assert psnr_y(a, b, border_px=2) == pytest.approx(20 * math.log10(255 / difference))
    assert psnr_y(a, a, border_px=2) == math.inf


def test_the_border_does_not_count() -> None:
    a = np.zeros((12, 12, 3), np.uint8)
    b = a.copy()
    b[:2] = b[-2:] = b[:, :2] = b[:, -2:] = 255
    assert psnr_y(a, b, border_px=2) == math.inf
    assert psnr_y(a, b, border_px=1) < 20


def test_ssim_of_flat_images_by_hand() -> None:
    a = np.full((16, 16, 3), 100, np.uint8)
    b = np.full((16, 16, 3), 120, np.uint8)
    ya, yb = 16 + 100 * 219 / 255, 16 + 120 * 219 / 255
    c1 = (0.01 * 255) ** 2
    assert ssim_y(a, b, border_px=2) == pytest.approx((2 * ya * yb + c1) / (ya**2 + yb**2 + c1))
    assert ssim_y(a, a, border_px=2) == pytest.approx(1)


def test_ssim_falls_with_noise() -> None:
    rng = np.random.default_rng(0)
    a = rng.integers(0, 256, (32, 32, 3), np.uint8)
    values = [ssim_y(np.clip(a + rng.normal(0, s, a.shape), 0, 255).astype(np.uint8), a, border_px=2) for s in (5, 40)]
    assert 1 > values[0] > values[1] > 0


def test_shapes_must_fit() -> None:
    a = np.zeros((12, 12, 3), np.uint8)
    with pytest.raises(ImageError, match="one size"):
        psnr_y(a, a[:-1], border_px=2)
    with pytest.raises(ImageError, match="after cropping"):
        psnr_y(a, a, border_px=6)
    with pytest.raises(ImageError, match="at least 11"):
        ssim_y(a, a, border_px=2)
