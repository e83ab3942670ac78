"""The quality of a JPEG by its quantization tables, against the encoder that wrote them."""

import io

import numpy as np
import pytest
from PIL import Image

from qsr_edge.data.decoding import PictureFile
from qsr_edge.data.jpeg_quality import estimated_quality


def saved(quality: int, **options: object) -> io.BytesIO:
    file = io.BytesIO()
    Image.new("RGB", (8, 8), (200, 90, 40)).save(file, "JPEG", quality=quality, **options)
    file.seek(0)
    return file


@pytest.mark.parametrize("quality", [1, 10, 30, 49, 50, 51, 75, 89, 90, 95, 99, 100])
@pytest.mark.parametrize("options", [{}, {"progressive": True, "subsampling": 0}])
def test_the_encoders_own_quality_comes_back(quality: int, options: dict[str, object]) -> None:
    opened = PictureFile(saved(quality, **options), native=True)
    assert opened.jpeg_quality == quality


def test_tables_of_other_encoders_have_a_quality_near_by() -> None:
    with Image.open(saved(70)) as image:
        table = np.array(image.quantization[0])
    coarser = np.clip(table + table // 5, 1, 255)
    assert 60 < estimated_quality(coarser.tolist()) < 70


def test_other_files_have_none() -> None:
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, "PNG")
    file.seek(0)
    assert PictureFile(file, native=True).jpeg_quality is None
