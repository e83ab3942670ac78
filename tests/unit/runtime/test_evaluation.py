"""Several pictures at once: figures in the order of the pictures, whatever is done first."""

from pathlib import Path
from threading import Barrier

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from qsr_edge.errors import DatasetError
from qsr_edge.runtime.evaluation import evaluate_models
from tests.support.waiting import PATIENCE_S


class Nearest:
    """Upscales by repeating pixels, once as many others do so at the same time as it was told."""

    depth = 1
    scale = 2

    def __init__(self, together: int):
        self._all = Barrier(together)

    def upscale(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        self._all.wait(PATIENCE_S)
        return image.repeat(2, axis=0).repeat(2, axis=1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for name in "dbca":
        Image.fromarray(rng.integers(0, 256, (32, 40, 3), np.uint8)).save(tmp_path / f"{name}.png")
    return tmp_path


def test_two_pictures_at_once_have_the_figures_of_one_at_a_time(folder: Path) -> None:
    told: list[tuple[int, int]] = []
    at_once = evaluate_models((Nearest(2),), folder, None, lambda done, total: told.append((done, total)), jobs=2)
    assert at_once == evaluate_models((Nearest(1),), folder, None)
    assert at_once.pictures == ("a", "b", "c", "d")
    assert told == [(done, 4) for done in range(5)]


def test_a_picture_that_cannot_be_compared_ends_it(folder: Path) -> None:
    Image.new("RGB", (8, 8)).save(folder / "bb.png")
    with pytest.raises(DatasetError, match=r"bb\.png: is too small"):
        evaluate_models((Nearest(1),), folder, None, jobs=3)
