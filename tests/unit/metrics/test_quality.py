import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from qsr_edge.errors import ImageError
from qsr_edge.metrics import luma, psnr_y, quality, ssim_y

SEEDS = st.integers(0, 2**32 - 1)
SSIM_C1 = 6.5025  # (0.01 * 255)^2
SSIM_C2 = 58.5225  # (0.03 * 255)^2
# Sums of the same float64 products in another order differ by a few ulp of 255^2; SSIM divides them by as much.
ULPS = 1e-9


def noise(seed: int, *shape: int) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def flat(level: int, height: int = 16, width: int = 16) -> NDArray[np.uint8]:
    return np.full((height, width, 3), level, np.uint8)


class TestLuma:
    @pytest.mark.parametrize(
        ("colour", "expected"),
        [
            ((0, 0, 0), 16),
            ((255, 255, 255), 235),
            ((255, 0, 0), 81.481),
            ((0, 255, 0), 144.553),
            ((0, 0, 255), 40.966),
            ((51, 102, 204), 16 + 0.2 * 65.481 + 0.4 * 128.553 + 0.8 * 24.966),
        ],
    )
    def test_by_hand(self, colour: tuple[int, int, int], expected: float) -> None:
        y = luma(np.array([[colour]], np.uint8))
        assert y.shape == (1, 1)
        assert y.dtype == np.float64
        assert y[0, 0] == pytest.approx(expected, abs=ULPS)


class TestPsnr:
    def test_equal_images(self) -> None:
        assert psnr_y(noise(1, 9, 9, 3), noise(1, 9, 9, 3), border_px=2) == math.inf

    def test_one_level_everywhere(self) -> None:
        # A grey level is 219/255 of a luma level: 20 log10(255 / (219/255)) = 20 log10(65025 / 219).
        assert psnr_y(flat(100), flat(101), border_px=2) == pytest.approx(49.4527, abs=5e-5)

    def test_black_against_white(self) -> None:
        # 20 log10(255 / 219)
        assert psnr_y(flat(0), flat(255), border_px=0) == pytest.approx(1.3219, abs=5e-5)

    def test_one_pixel_of_four(self) -> None:
        # One green pixel of 255 among 2x2: MSE is 128.553^2 / 4.
        image = flat(0, 2, 2)
        image[0, 1, 1] = 255
        assert psnr_y(image, flat(0, 2, 2), border_px=0) == pytest.approx(20 * math.log10(255 / (128.553 / 2)))

    def test_border_does_not_count(self) -> None:
        image = flat(7, 10, 12)
        image[:3] = image[-3:] = 200
        image[:, :3] = image[:, -3:] = 200
        assert psnr_y(image, flat(7, 10, 12), border_px=3) == math.inf
        assert psnr_y(image, flat(7, 10, 12), border_px=2) < math.inf

    @given(seed=SEEDS, height=st.integers(5, 20), width=st.integers(5, 20))
    def test_symmetric(self, seed: int, height: int, width: int) -> None:
        a, b = noise(seed, 2, height, width, 3)
        assert psnr_y(a, b, border_px=2) == psnr_y(b, a, border_px=2)

    @given(seed=SEEDS, near=st.integers(1, 50), farther=st.integers(1, 50))
    def test_falls_with_the_error(self, seed: int, near: int, farther: int) -> None:
        image = noise(seed, 8, 8, 3) // 2
        assert psnr_y(image + np.uint8(near), image, border_px=0) > psnr_y(
            image + np.uint8(near + farther), image, border_px=0
        )


def ssim_by_definition(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Wang et al. 2004, section III.B: weighted moments of each 11x11 window, one window at a time."""
    y, x = np.mgrid[-5:6, -5:6]
    window = np.exp(-(x**2 + y**2) / (2 * 1.5**2))
    window /= window.sum()
    values = []
    for top in range(a.shape[0] - 10):
        for left in range(a.shape[1] - 10):
            p, q = (plane[top : top + 11, left : left + 11] for plane in (a, b))
            mean_p, mean_q = (window * p).sum(), (window * q).sum()
            var_p, var_q = (window * (p - mean_p) ** 2).sum(), (window * (q - mean_q) ** 2).sum()
            covariance = (window * (p - mean_p) * (q - mean_q)).sum()
            values.append(
                (2 * mean_p * mean_q + SSIM_C1)
                * (2 * covariance + SSIM_C2)
                / ((mean_p**2 + mean_q**2 + SSIM_C1) * (var_p + var_q + SSIM_C2))
            )
    return float(np.mean(values))


class TestSsim:
    @given(seed=SEEDS)
    def test_equal_images(self, seed: int) -> None:
        assert ssim_y(noise(seed, 15, 18, 3), noise(seed, 15, 18, 3), border_px=2) == pytest.approx(1, abs=ULPS)

    def test_black_against_white(self) -> None:
        # Without variance only the term of the means is left, of luma 16 and 235:
        # (2 * 16 * 235 + 6.5025) / (16^2 + 235^2 + 6.5025) = 7526.5025 / 55487.5025.
        assert ssim_y(flat(0), flat(255), border_px=2) == pytest.approx(0.135643, abs=5e-7)

    def test_negative_picture(self) -> None:
        # Opposite deviations around the same mean: every covariance is minus the variance.
        image = noise(5, 24, 24, 1).repeat(3, axis=2)
        assert ssim_y(image, 255 - image, border_px=2) < -0.8

    @given(seed=SEEDS, height=st.integers(13, 16), width=st.integers(13, 16), spread=st.integers(1, 128))
    def test_equals_the_definition(self, seed: int, height: int, width: int, spread: int) -> None:
        a = noise(seed, height, width, 3)
        b = (a // 2 + noise(seed + 1, height, width, 3) % spread).astype(np.uint8)
        expected = ssim_by_definition(luma(a)[1:-1, 1:-1], luma(b)[1:-1, 1:-1])
        assert ssim_y(a, b, border_px=1) == pytest.approx(expected, abs=ULPS)

    @given(seed=SEEDS)
    def test_symmetric_and_bounded(self, seed: int) -> None:
        a, b = noise(seed, 2, 14, 13, 3)
        assert ssim_y(a, b, border_px=1) == pytest.approx(ssim_y(b, a, border_px=1), abs=ULPS)
        assert -1 <= ssim_y(a, b, border_px=1) <= 1

    def test_too_small_for_the_window(self) -> None:
        with pytest.raises(ImageError, match="SSIM needs at least 11 pixels a side after cropping"):
            ssim_y(flat(0, 14, 30), flat(0, 14, 30), border_px=2)
        assert ssim_y(flat(0, 15, 15), flat(0, 15, 15), border_px=2) == pytest.approx(1)


@pytest.mark.parametrize("metric", [psnr_y, ssim_y])
class TestRefusal:
    @pytest.mark.parametrize(
        ("a", "b"),
        [
            (flat(0, 16, 16), flat(0, 16, 17)),
            (flat(0)[:, :, 0], flat(0)[:, :, 0]),
            (flat(0)[:, :, :1], flat(0)[:, :, :1]),
            (flat(0), flat(0)[:, :, :1]),
        ],
    )
    def test_shapes(self, metric: type, a: NDArray[np.uint8], b: NDArray[np.uint8]) -> None:
        with pytest.raises(ImageError, match="compare two RGB images of one size, got shapes"):
            metric(a, b, border_px=2)

    @pytest.mark.parametrize("shape", [(4, 20), (20, 4), (3, 3)])
    def test_nothing_left(self, metric: type, shape: tuple[int, int]) -> None:
        with pytest.raises(ImageError, match="nothing is left"):
            metric(flat(0, *shape), flat(0, *shape), border_px=2)


@pytest.mark.parametrize("strip_px", [1, 300, 1100, 2999])
def test_large_pictures_are_compared_in_strips(strip_px: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    a, b = (rng.integers(0, 256, (97, 30, 3), np.uint8) for _ in range(2))
    whole = [psnr_y(a, b, border_px=2), ssim_y(a, b, border_px=2)]
    heights: list[int] = []

    def counted(image: NDArray[np.uint8]) -> NDArray[np.float64]:
        heights.append(image.shape[0])
        return luma(image)

    monkeypatch.setattr(quality, "_STRIP_PX", strip_px)
    monkeypatch.setattr(quality, "luma", counted)
    assert [psnr_y(a, b, border_px=2), ssim_y(a, b, border_px=2)] == pytest.approx(whole, rel=1e-12)
    # Twice the rows that overlap are the least that SSIM's window allows.
    assert max(heights) <= max(strip_px // 26, 21)
