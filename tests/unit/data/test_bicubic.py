from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qsr_edge.data.bicubic import resize_bicubic
from qsr_edge.data.dataset import load_dataset
from qsr_edge.errors import DatasetError, ImageError
from qsr_edge.metrics import psnr_y

# The field's figures for plain bicubic upscaling, in dB.
BICUBIC_PSNR_DB = {("Set5", 2): 33.67, ("Set5", 4): 28.43, ("Set14", 2): 30.32, ("Set14", 4): 26.09}


@pytest.mark.parametrize(("name", "scale"), BICUBIC_PSNR_DB)
def test_standard_inputs_and_figures_are_reproduced(standard_images: Path, name: str, scale: int) -> None:
    figures = []
    for sample in load_dataset(
        standard_images / "test" / name, scale, standard_images / "test_lr" / name / f"X{scale}"
    ):
        assert np.array_equal(resize_bicubic(sample.hr, 1 / scale), sample.lr), sample.name
        figures.append(psnr_y(resize_bicubic(sample.lr, scale), sample.hr, border_px=scale))
    assert np.mean(figures) == pytest.approx(BICUBIC_PSNR_DB[name, scale], abs=0.005)


@given(st.integers(1, 20), st.integers(1, 20), st.sampled_from([0.25, 1 / 3, 0.5, 2, 3, 4]), st.integers(0, 255))
def test_flat_images_stay_flat(height: int, width: int, scale: float, level: int) -> None:
    resized = resize_bicubic(np.full((height, width, 3), level, np.uint8), scale)
    assert (resized == level).all()
    assert resized.shape == (int(np.ceil(height * scale)), int(np.ceil(width * scale)), 3)


def test_keys_kernel_by_hand() -> None:
    # Doubling [0, 0, 255, 255]: between samples the weights are -9, 111, 29, -3 over 128 (a = -0.5 at 1/4 and 3/4).
    row = np.array([[0, 0, 255, 255]], np.uint8)
    expected = [0, 0, 0, round(255 * (29 - 3) / 128), round(255 * (111 - 9) / 128), 255, 255, 255]
    got = resize_bicubic(row, 2)[0].tolist()
    assert got[3:5] == expected[3:5]
    assert got[0] == 0
    assert got[7] == 255


def test_bad_arguments_are_named() -> None:
    with pytest.raises(ImageError, match="uint8"):
        resize_bicubic(np.zeros((2, 2), np.float32), 2)  # type: ignore[arg-type]
    with pytest.raises(ImageError, match="positive"):
        resize_bicubic(np.zeros((2, 2), np.uint8), 0)


def test_data_sets_name_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="not a folder"):
        list(load_dataset(tmp_path / "none", 2))
    with pytest.raises(DatasetError, match="holds no image"):
        list(load_dataset(tmp_path, 2))
    (tmp_path / "a.png").write_bytes(b"cut")
    with pytest.raises(DatasetError, match=r"a\.png"):
        list(load_dataset(tmp_path, 2))
