"""JPEG files that lack their end."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from qsr_edge.data.images import read_picture
from qsr_edge.data.jpeg_reading import MISSING_END
from qsr_edge.errors import ImageError, QsrWarning
from tests.support.pictures import encoded, in_file, noise, smooth


@pytest.mark.parametrize("lost", [1, 2])
@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("progressive", [False, True])
def test_is_read_if_its_pixels_are_there(tmp_path: Path, lost: int, mode: str, progressive: bool) -> None:
    content = encoded(Image.fromarray(smooth(40, 56)).convert(mode), "JPEG", progressive=progressive)
    whole = read_picture(in_file(tmp_path, "whole.jpg", content))
    with pytest.warns(QsrWarning, match=MISSING_END):
        cut = read_picture(in_file(tmp_path, "cut.jpg", content[:-lost]))
    np.testing.assert_array_equal(cut.rgb, whole.rgb)


@pytest.mark.parametrize("lost", [3, 4, 10, 200, 900])
@pytest.mark.parametrize("progressive", [False, True])
def test_is_refused_if_pixels_are_missing(tmp_path: Path, lost: int, progressive: bool) -> None:
    content = encoded(Image.fromarray(noise(40, 56, 3)), "JPEG", progressive=progressive)
    with pytest.raises(ImageError, match="damaged or cut off"):
        read_picture(in_file(tmp_path, "cut.jpg", content[:-lost]))


def test_is_refused_if_whole_scans_are_missing(tmp_path: Path) -> None:
    content = encoded(Image.fromarray(smooth(40, 56)), "JPEG", progressive=True)
    scans = [at for at in range(len(content)) if content.startswith(b"\xff\xda", at)]
    assert len(scans) > 3
    for start in scans[1:]:
        # The tables before a scan are cut away as well: the pixels' data ends where that of a scan does.
        tables = content.rfind(b"\xff\xc4", 0, start)
        end = tables if tables > content.rfind(b"\xff\xda", 0, start) else start
        with pytest.raises(ImageError, match="damaged or cut off"):
            read_picture(in_file(tmp_path, "cut.jpg", content[:end]))
