from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from qsr_edge.data.bicubic import resize_bicubic
from qsr_edge.data.dataset import find_images, load_dataset
from qsr_edge.errors import DatasetError

Save = Callable[..., NDArray[np.uint8]]


@pytest.fixture
def save(tmp_path: Path) -> Save:
    """Write noise as a picture below the test's folder, and return it."""

    def write(name: str, height: int = 32, width: int = 40, channels: int = 3) -> NDArray[np.uint8]:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        seed = sum(name.encode())
        pixels = np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)
        Image.fromarray(pixels[:, :, 0] if channels == 1 else pixels).save(path)
        return pixels

    return write


class TestFindImages:
    def test_sorted_and_by_suffix(self, tmp_path: Path, save: Save) -> None:
        for name in ("b.png", "a.JPG", "c.tif", ".hidden.png", "deep/d.png"):
            save(name)
        (tmp_path / "notes.txt").write_text("no picture")
        (tmp_path / "folder.png").mkdir()
        assert [file.name for file in find_images(tmp_path)] == ["a.JPG", "b.png", "c.tif"]

    def test_recursive(self, tmp_path: Path, save: Save) -> None:
        for name in ("b.png", "deep/er/a.png", ".thumbnails/c.png"):
            save(name)
        found = [file.relative_to(tmp_path).as_posix() for file in find_images(tmp_path, recursive=True)]
        assert found == ["b.png", "deep/er/a.png"]

    def test_hidden_parent_of_the_folder_does_not_matter(self, tmp_path: Path, save: Save) -> None:
        save(".cache/set/a.png")
        assert len(find_images(tmp_path / ".cache" / "set")) == 1

    def test_nothing_there(self, tmp_path: Path) -> None:
        (tmp_path / "notes.txt").write_text("no picture")
        with pytest.raises(DatasetError, match=r"holds no picture \(folders in it are not searched\); put files"):
            find_images(tmp_path)
        with pytest.raises(DatasetError, match="holds no picture; put files"):
            find_images(tmp_path, recursive=True)

    @pytest.mark.parametrize("recursive", [False, True])
    def test_missing_folder(self, tmp_path: Path, recursive: bool) -> None:
        with pytest.raises(DatasetError, match="missing: no such folder"):
            find_images(tmp_path / "missing", recursive=recursive)

    @pytest.mark.parametrize("recursive", [False, True])
    def test_file(self, tmp_path: Path, save: Save, recursive: bool) -> None:
        save("a.png")
        with pytest.raises(DatasetError, match=r"a\.png: is a file; name the folder"):
            find_images(tmp_path / "a.png", recursive=recursive)


class TestMadeInputs:
    @pytest.mark.parametrize("scale", [2, 3, 4])
    def test_cropped_and_reduced(self, tmp_path: Path, save: Save, scale: int) -> None:
        pixels = save("a.png", 31, 45)
        (sample,) = load_dataset(tmp_path, scale)
        hr = pixels[: 31 // scale * scale, : 45 // scale * scale]
        assert sample.name == "a"
        assert np.array_equal(sample.hr, hr)
        assert np.array_equal(sample.lr, resize_bicubic(hr, 1 / scale))

    def test_order_length_and_iterating_twice(self, tmp_path: Path, save: Save) -> None:
        for name in ("woman.png", "baby.png", "head.bmp"):
            save(name)
        dataset = load_dataset(tmp_path, 2)
        assert len(dataset) == 3
        assert [sample.name for sample in dataset] == [sample.name for sample in dataset] == ["baby", "head", "woman"]

    def test_greyscale_becomes_rgb(self, tmp_path: Path, save: Save) -> None:
        pixels = save("a.png", channels=1)
        (sample,) = load_dataset(tmp_path, 2)
        assert np.array_equal(sample.hr, pixels.repeat(3, axis=2))

    def test_decodes_only_when_asked(self, tmp_path: Path, save: Save) -> None:
        save("a.png")
        (tmp_path / "b.png").write_bytes(b"no picture")
        samples = iter(load_dataset(tmp_path, 2))
        assert next(samples).name == "a"
        with pytest.raises(DatasetError, match=r"b\.png: is not a picture"):
            next(samples)


class TestReadyInputs:
    @pytest.mark.parametrize("name", ["ax2.png", "a.png", "ax2.bmp", "a.tif"])
    def test_names(self, tmp_path: Path, save: Save, name: str) -> None:
        hr = save("hr/a.png", 33, 40)
        lr = save(f"lr/{name}", 16, 20)
        (sample,) = load_dataset(tmp_path / "hr", 2, lr_folder=tmp_path / "lr")
        assert np.array_equal(sample.hr, hr[:32])
        assert np.array_equal(sample.lr, lr)

    def test_nested_folder_with_inputs_of_several_scales(self, tmp_path: Path, save: Save) -> None:
        save("a.png")
        save("lr/ax4.png", 8, 10)
        lr = save("lr/ax2.png", 16, 20)
        (sample,) = load_dataset(tmp_path, 2, lr_folder=tmp_path / "lr")
        assert np.array_equal(sample.lr, lr)

    def test_missing_input(self, tmp_path: Path, save: Save) -> None:
        save("hr/a.png")
        save("hr/b.png")
        save("lr/ax2.png", 16, 20)
        with pytest.raises(DatasetError, match=r"lr: holds no input for b\.png; add bx2\.png"):
            load_dataset(tmp_path / "hr", 2, lr_folder=tmp_path / "lr")

    def test_wrong_size(self, tmp_path: Path, save: Save) -> None:
        save("hr/a.png")
        save("lr/a.png", 16, 19)
        with pytest.raises(DatasetError, match=r"lr/a\.png: has 19x16 pixels, but .*a\.png at x2 has 20x16"):
            list(load_dataset(tmp_path / "hr", 2, lr_folder=tmp_path / "lr"))

    def test_two_inputs(self, tmp_path: Path, save: Save) -> None:
        save("hr/a.png")
        save("lr/ax2.png", 16, 20)
        save("lr/ax2.bmp", 16, 20)
        with pytest.raises(DatasetError, match="has the same name as"):
            load_dataset(tmp_path / "hr", 2, lr_folder=tmp_path / "lr")

    def test_empty_folder(self, tmp_path: Path, save: Save) -> None:
        save("hr/a.png")
        (tmp_path / "lr").mkdir()
        with pytest.raises(DatasetError, match="lr: holds no picture"):
            load_dataset(tmp_path / "hr", 2, lr_folder=tmp_path / "lr")


class TestRefusal:
    @pytest.mark.parametrize(("height", "width"), [(14, 40), (40, 15), (1, 1)])
    def test_too_small(self, tmp_path: Path, save: Save, height: int, width: int) -> None:
        save("tiny.png", height, width)
        with pytest.raises(DatasetError, match=r"tiny\.png: is too small .* at least 15 pixels a side"):
            list(load_dataset(tmp_path, 2))

    def test_just_large_enough(self, tmp_path: Path, save: Save) -> None:
        save("a.png", 16, 16)
        assert len(list(load_dataset(tmp_path, 2))) == 1

    def test_transparent(self, tmp_path: Path, save: Save) -> None:
        save("a.png", channels=4)
        with pytest.raises(DatasetError, match=r"a\.png: has transparent pixels"):
            list(load_dataset(tmp_path, 2))

    def test_same_name_twice(self, tmp_path: Path, save: Save) -> None:
        save("a.png")
        save("a.bmp")
        with pytest.raises(DatasetError, match=r"a\.png: has the same name as a\.bmp"):
            load_dataset(tmp_path, 2)

    def test_empty_folder(self, tmp_path: Path) -> None:
        with pytest.raises(DatasetError, match="holds no picture"):
            load_dataset(tmp_path, 2)

    @pytest.mark.parametrize("scale", [0, -2])
    def test_scale(self, tmp_path: Path, save: Save, scale: int) -> None:
        save("a.png")
        with pytest.raises(DatasetError, match=f"at least 1, got {scale}"):
            load_dataset(tmp_path, scale)


@pytest.mark.parametrize("scale", [2, 4])
def test_standard_inputs_are_the_made_inputs(standard_images: Path, scale: int) -> None:
    folder = standard_images / "test" / "Set5"
    ready = load_dataset(folder, scale, lr_folder=standard_images / "test_lr" / "Set5" / f"X{scale}")
    for made, read in zip(load_dataset(folder, scale), ready, strict=True):
        assert made.name == read.name
        assert np.array_equal(made.lr, read.lr)
