"""Several pictures at once: figures in the order of the pictures, whatever is done first; and going on after a stop."""

from pathlib import Path
from threading import Barrier

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from qsr_edge.errors import DatasetError
from qsr_edge.runtime.evaluation import evaluate_models
from qsr_edge.runtime.kept_figures import KeptFigures
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


class Counting(Nearest):
    """Remembers the mean level of what it was given."""

    def __init__(self) -> None:
        super().__init__(1)
        self.seen: list[float] = []

    def upscale(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        self.seen.append(float(image.mean()))
        return super().upscale(image)


def test_what_was_stopped_goes_on_where_it_was(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("kept") / "figures.jsonl"

    def stop(done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    first = Counting()
    with pytest.raises(KeyboardInterrupt):
        evaluate_models((first,), folder, None, stop, kept=KeptFigures(path))
    lines = len(path.read_text().splitlines())
    assert 2 <= lines < 4
    assert lines == len(first.seen)

    # One that was measured changes, and one is new.
    Image.new("RGB", (32, 40), (7, 7, 7)).save(folder / "a.png")
    Image.new("RGB", (32, 40), (9, 9, 9)).save(folder / "aa.png")
    second = Counting()
    told: list[int] = []
    found = evaluate_models(
        (second,), folder, None, lambda done, total: told.append(done), jobs=2, kept=KeptFigures(path)
    )
    assert found == evaluate_models((Counting(),), folder, None)
    assert found.pictures == ("a", "aa", "b", "c", "d")
    assert {7.0, 9.0} <= set(second.seen)
    assert len(second.seen) == 2 + (4 - lines)
    assert told == [0, 1, 2, 3, 4, 5]


def test_an_input_that_changed_is_measured_again(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    lr, path = tmp_path_factory.mktemp("lr"), tmp_path_factory.mktemp("kept") / "figures.jsonl"
    for name in "abcd":
        Image.new("RGB", (20, 16), (50, 50, 50)).save(lr / f"{name}.png")
    evaluate_models((Counting(),), folder, lr, kept=KeptFigures(path))
    Image.new("RGB", (20, 16), (60, 60, 60)).save(lr / "c.png")
    again = Counting()
    evaluate_models((again,), folder, lr, kept=KeptFigures(path))
    assert again.seen == [60.0]
