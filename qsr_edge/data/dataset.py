"""Folders of pictures as data sets: what to train on, and pairs to measure quality on."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from qsr_edge.data.bicubic import resize_bicubic
from qsr_edge.data.images import READ_SUFFIXES, read_picture
from qsr_edge.errors import DatasetError, ImageError

# The window of SSIM, which must fit after the border of ``scale`` pixels is cropped from each side.
_LEAST_COMPARED_PX = 11


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sample:
    """A high-resolution picture and the input that a network of factor r is to restore it from.

    Attributes:
        name: the file's name without its suffix.
        hr: (rH, rW, 3) uint8 RGB.
        lr: (H, W, 3) uint8 RGB.
    """

    name: str
    hr: NDArray[np.uint8]
    lr: NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """Samples in the order of their names, decoded one by one while iterating; may be iterated more than once.

    Attributes:
        hr_files: the high-resolution pictures.
        lr_files: the input of each; None to reduce the picture itself.
        scale: the factor r.
    """

    hr_files: tuple[Path, ...]
    lr_files: tuple[Path, ...] | None
    scale: int

    def __len__(self) -> int:
        return len(self.hr_files)

    def __iter__(self) -> Iterator[Sample]:
        return map(self.sample, range(len(self)))

    def name(self, position: int) -> str:
        """The name of the picture at a position."""
        return self.hr_files[position].stem

    def files(self, position: int) -> tuple[Path, ...]:
        """The files that the sample at a position is made of: the picture, and its input if that is not made of it."""
        picture = self.hr_files[position]
        return (picture,) if self.lr_files is None else (picture, self.lr_files[position])

    def sample(self, position: int) -> Sample:
        """Decode the picture at a position; several threads may do so at once.

        Raises:
            DatasetError: if it is too small to be compared, or its input has another size.
            ImageError: if it cannot be read.
        """
        file = self.hr_files[position]
        hr = _cropped(_read_rgb(file), self.scale)
        least_px = _LEAST_COMPARED_PX + 2 * self.scale
        if min(hr.shape[:2]) < least_px:
            raise DatasetError(
                f"{file}: is too small ({hr.shape[1]}x{hr.shape[0]} pixels after cropping to a multiple of "
                f"{self.scale}); use pictures of at least {least_px} pixels a side"
            )
        if self.lr_files is None:
            lr = resize_bicubic(hr, 1 / self.scale)
        else:
            lr = _read_rgb(self.lr_files[position])
            height, width = (side // self.scale for side in hr.shape[:2])
            if lr.shape[:2] != (height, width):
                raise DatasetError(
                    f"{self.lr_files[position]}: has {lr.shape[1]}x{lr.shape[0]} pixels, but the input of {file} "
                    f"at x{self.scale} has {width}x{height}; use inputs of the same pictures and scale"
                )
        return Sample(name=self.name(position), hr=hr, lr=lr)


def find_images(folder: Path, *, recursive: bool = False) -> tuple[Path, ...]:
    """The picture files of a folder, by suffix, sorted by name; hidden files and folders are passed over.

    Args:
        folder: the folder.
        recursive: whether the folders in it are searched as well.

    Raises:
        DatasetError: if there is no such folder, it cannot be read, or it holds no picture.
    """
    folder = Path(folder)
    images: list[Path] = []
    try:
        for parent, folders, files in os.walk(folder, onerror=_raise):
            folders[:] = [name for name in folders if recursive and not name.startswith(".")]
            visible = [Path(parent, name) for name in files if not name.startswith(".")]
            images += [file for file in visible if file.suffix.lower() in READ_SUFFIXES]
    except FileNotFoundError:
        raise DatasetError(f"{folder}: no such folder; check the name") from None
    except NotADirectoryError:
        raise DatasetError(f"{folder}: is a file; name the folder that holds the pictures") from None
    except OSError as exc:
        raise DatasetError(f"{exc.filename or folder}: cannot be read ({exc.strerror}); check its permissions") from exc
    if not images:
        hint = "" if recursive else " (folders in it are not searched)"
        raise DatasetError(f"{folder}: holds no picture{hint}; put files there that end in {' '.join(READ_SUFFIXES)}")
    return tuple(sorted(images))


def _raise(error: OSError) -> None:
    raise error


def load_dataset(folder: Path, scale: int, *, lr_folder: Path | None = None) -> Dataset:
    """Open a folder of high-resolution pictures as pairs to measure quality on.

    Pictures are cropped at the right and bottom to a multiple of ``scale``. Their inputs are made by
    :func:`resize_bicubic`, or read from ``lr_folder``, where the input of ``baby.png`` at factor 2 is called ``babyx2``
    or ``baby``, with any suffix. Files are looked up at once, and decoded while iterating.

    Args:
        folder: the pictures; folders in it are not searched.
        scale: the factor r.
        lr_folder: ready low-resolution inputs, one for each picture.

    Returns:
        The samples. Iterating raises DatasetError, naming the file, for a picture that cannot be read, has transparent
        pixels, is too small for SSIM, or whose input is of another size.

    Raises:
        DatasetError: if ``scale`` is less than 1, a folder is missing or holds no picture, two pictures have the same
            name, or a picture has no input or several.
    """
    if scale < 1:
        raise DatasetError(f"the scale of a data set is at least 1, got {scale}; use the factor of the network")
    hr_files = find_images(folder)
    by_name: dict[str, Path] = {}
    for file in hr_files:
        if file.stem in by_name:
            raise DatasetError(f"{file}: has the same name as {by_name[file.stem].name}; remove or rename one of them")
        by_name[file.stem] = file
    if lr_folder is None:
        return Dataset(hr_files=hr_files, lr_files=None, scale=scale)
    candidates: dict[str, list[Path]] = {}
    for file in find_images(lr_folder):
        candidates.setdefault(file.stem, []).append(file)
    return Dataset(
        hr_files=hr_files,
        lr_files=tuple(_lr_file(candidates, file, scale, lr_folder) for file in hr_files),
        scale=scale,
    )


def _lr_file(candidates: dict[str, list[Path]], hr_file: Path, scale: int, lr_folder: Path) -> Path:
    for name in (f"{hr_file.stem}x{scale}", hr_file.stem):
        found = candidates.get(name, [])
        if len(found) > 1:
            raise DatasetError(f"{found[1]}: has the same name as {found[0].name}; remove or rename one of them")
        if found:
            return found[0]
    raise DatasetError(
        f"{lr_folder}: holds no input for {hr_file.name}; add {hr_file.stem}x{scale}.png, "
        "or leave out the folder of inputs"
    )


def _read_rgb(file: Path) -> NDArray[np.uint8]:
    try:
        picture = read_picture(file)
    except ImageError as exc:
        raise DatasetError(str(exc)) from exc
    if picture.translucent:
        raise DatasetError(f"{file}: has transparent pixels, which cannot be measured; flatten or remove the picture")
    return picture.rgb


def _cropped(image: NDArray[np.uint8], scale: int) -> NDArray[np.uint8]:
    height, width = (side // scale * scale for side in image.shape[:2])
    return np.ascontiguousarray(image[:height, :width])
