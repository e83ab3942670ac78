import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from qsr_edge.data.bicubic import resize_bicubic
from qsr_edge.data.images import read_picture
from qsr_edge.errors import ImageError
from qsr_edge.metrics import psnr_y

SIZES = st.integers(1, 24)
SCALES = st.sampled_from([Fraction(1, 4), Fraction(1, 3), Fraction(1, 2), Fraction(1), Fraction(2), Fraction(3)])
SEEDS = st.integers(0, 2**32 - 1)

# Mean PSNR on luma of plain bicubic in dB, as every paper of the field reports it.
SET5_BICUBIC_DB = {2: 33.67, 4: 28.43}
SET14_SIZE, SET5_SIZE = 14, 5


def noise(seed: int, *shape: int) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def exact(column: list[int], scale: Fraction) -> list[int]:
    """One column resized in rational arithmetic, rounded half up."""

    def kernel(x: Fraction) -> Fraction:
        x = abs(x)
        if x <= 1:
            return Fraction(3, 2) * x**3 - Fraction(5, 2) * x**2 + 1
        return -Fraction(1, 2) * x**3 + Fraction(5, 2) * x**2 - 4 * x + 2 if x <= 2 else Fraction(0)

    stretch = max(Fraction(1), 1 / scale)
    size = len(column)
    result = []
    for position in range(math.ceil(size * scale)):
        centre = (position + Fraction(1, 2)) / scale - Fraction(1, 2)
        near = range(math.floor(centre - 2 * stretch), math.ceil(centre + 2 * stretch) + 1)
        weights = {index: kernel((centre - index) / stretch) for index in near}
        mirrored = [min(index % (2 * size), 2 * size - 1 - index % (2 * size)) for index in near]
        total = sum(weight * column[index] for weight, index in zip(weights.values(), mirrored, strict=True)) / sum(
            weights.values()
        )
        result.append(min(255, max(0, math.floor(total + Fraction(1, 2)))))
    return result


class TestByHand:
    def test_enlarging_an_impulse(self) -> None:
        # Keys' kernel at 1.75, 1.25, 0.75 and 0.25: -0.0234375, -0.0703125, 0.2265625, 0.8671875.
        row = np.full((1, 9), 100, np.uint8)
        row[0, 4] = 200
        expected = [98, 93, 123, 187, 187, 123, 93, 98]
        assert resize_bicubic(row, 2)[0, 5:13].tolist() == expected

    def test_reducing_an_impulse(self) -> None:
        # The kernel is stretched to twice its width and half its height: 0.433594, 0.113281, -0.035156, -0.011719.
        column = np.full((16, 1), 100, np.uint8)
        column[8] = 200
        assert resize_bicubic(column, 0.5)[:, 0].tolist() == [100, 100, 99, 111, 143, 96, 100, 100]

    def test_edges_are_mirrored(self) -> None:
        row = noise(1, 1, 12)
        mirrored = np.hstack([row[:, ::-1], row, row[:, ::-1]])
        assert np.array_equal(resize_bicubic(row, 2), resize_bicubic(mirrored, 2)[:, 24:48])

    def test_overshoot_is_clipped(self) -> None:
        step = np.array([[0, 0, 0, 255, 255, 255]], np.uint8)
        enlarged = resize_bicubic(step, 2)[0].tolist()
        assert enlarged[3:5] == [0, 0]
        assert enlarged[7:9] == [255, 255]


class TestProperties:
    @given(seed=SEEDS, height=SIZES, scale=SCALES)
    def test_equals_exact_arithmetic(self, seed: int, height: int, scale: Fraction) -> None:
        column = noise(seed, height, 1)
        assert resize_bicubic(column, float(scale))[:, 0].tolist() == exact(column[:, 0].tolist(), scale)

    @given(seed=SEEDS, scale=SCALES, height=SIZES)
    def test_halves_round_up(self, seed: int, scale: Fraction, height: int) -> None:
        # Two levels apart by one give many sums that lie midway.
        column = noise(seed, height, 1) % 2 + 100
        assert resize_bicubic(column, float(scale))[:, 0].tolist() == exact(column[:, 0].tolist(), scale)

    @given(level=st.integers(0, 255), height=SIZES, width=SIZES, scale=SCALES)
    def test_flat_stays_flat(self, level: int, height: int, width: int, scale: Fraction) -> None:
        flat = np.full((height, width, 3), level, np.uint8)
        resized = resize_bicubic(flat, float(scale))
        assert resized.shape == (math.ceil(height * scale), math.ceil(width * scale), 3)
        assert resized.dtype == np.uint8
        assert (resized == level).all()

    @given(seed=SEEDS, height=SIZES, width=SIZES)
    def test_scale_one_is_identity(self, seed: int, height: int, width: int) -> None:
        image = noise(seed, height, width)
        assert np.array_equal(resize_bicubic(image, 1), image)

    @given(seed=SEEDS, height=SIZES, width=SIZES, scale=SCALES)
    def test_channels_do_not_mix(self, seed: int, height: int, width: int, scale: Fraction) -> None:
        image = noise(seed, height, width, 3)
        resized = resize_bicubic(image, float(scale))
        for channel in range(3):
            assert np.array_equal(resized[:, :, channel], resize_bicubic(image[:, :, channel], float(scale)))

    @given(seed=SEEDS, height=SIZES, width=SIZES, scale=st.sampled_from([2, 3, 4]))
    def test_mirror_images(self, seed: int, height: int, width: int, scale: int) -> None:
        image = noise(seed, height, width)
        assert np.array_equal(resize_bicubic(image[::-1, ::-1], scale), resize_bicubic(image, scale)[::-1, ::-1])
        larger = resize_bicubic(image, scale)
        assert np.array_equal(
            resize_bicubic(larger[::-1, ::-1], 1 / scale), resize_bicubic(larger, 1 / scale)[::-1, ::-1]
        )

    @pytest.mark.parametrize("scale", [2, 3, 4, 8])
    def test_multiples_of_the_scale_divide_evenly(self, scale: int) -> None:
        for size in (1, 3, 7, 49, 683):
            assert resize_bicubic(np.zeros((size * scale, 1), np.uint8), 1 / scale).shape == (size, 1)

    def test_input_is_left_alone_and_output_contiguous(self) -> None:
        image = noise(3, 8, 9, 3)
        before = image.copy()
        resized = resize_bicubic(image, 2)
        assert np.array_equal(image, before)
        assert resized.flags.c_contiguous


class TestRefusal:
    @pytest.mark.parametrize("image", [np.zeros((0, 4), np.uint8), np.zeros((4, 4), np.float32), np.zeros(4, np.uint8)])
    def test_image(self, image: NDArray[np.uint8]) -> None:
        with pytest.raises(ImageError, match="takes a non-empty uint8 image, got"):
            resize_bicubic(image, 2)

    @pytest.mark.parametrize("scale", [0, -1, math.nan])
    def test_scale(self, scale: float) -> None:
        with pytest.raises(ImageError, match="positive scale factor, got"):
            resize_bicubic(np.zeros((4, 4), np.uint8), scale)


class TestStandardImages:
    @pytest.mark.parametrize("scale", [2, 4])
    @pytest.mark.parametrize(("name", "size"), [("Set5", SET5_SIZE), ("Set14", SET14_SIZE)])
    def test_inputs_bit_for_bit(self, standard_images: Path, name: str, size: int, scale: int) -> None:
        files = sorted((standard_images / "test" / name).glob("*.png"))
        assert len(files) == size
        for file in files:
            hr = read_picture(file).rgb
            hr = hr[: hr.shape[0] // scale * scale, : hr.shape[1] // scale * scale]
            ready = standard_images / "test_lr" / name / f"X{scale}" / f"{file.stem}x{scale}.png"
            assert np.array_equal(resize_bicubic(hr, 1 / scale), read_picture(ready).rgb), file.name

    @pytest.mark.parametrize("scale", [2, 4])
    def test_published_quality(self, standard_images: Path, scale: int) -> None:
        quality_db = []
        for file in sorted((standard_images / "test" / "Set5").glob("*.png")):
            hr = read_picture(file).rgb
            hr = hr[: hr.shape[0] // scale * scale, : hr.shape[1] // scale * scale]
            quality_db.append(psnr_y(resize_bicubic(resize_bicubic(hr, 1 / scale), scale), hr, border_px=scale))
        assert round(float(np.mean(quality_db)), 2) == SET5_BICUBIC_DB[scale]
