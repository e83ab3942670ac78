"""Training images in an LMDB as BasicSR writes it: a folder ``NAME.lmdb`` with ``data.mdb`` and ``meta_info.txt``.

A line of ``meta_info.txt`` names one image, its shape and how its PNG was compressed: ``0001_s001.png (480,480,3) 1``.
The image's key is the name without its suffix, folders included; the value the bytes of an image file.
"""

import io
import os
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from qsr_edge.data.decoding import decode
from qsr_edge.errors import DatasetError, ImageError
from qsr_edge.extras import how_to_install

DATA_NAME = "data.mdb"
META_NAME = "meta_info.txt"
_LINE = re.compile(r"(?P<name>\S.*?)\s+\((?P<height>\d+),\s*(?P<width>\d+),\s*(?P<channels>\d+)\)(?:\s+\d+)?")
_REMEDY = "write it with BasicSR's create_lmdb.py, or give the folder of images"


def is_lmdb(folder: Path) -> bool:
    """Whether a folder is an LMDB."""
    return (folder / DATA_NAME).is_file()


@dataclass(frozen=True, slots=True, kw_only=True)
class LmdbImage:
    """One image of an LMDB.

    Attributes:
        folder: of the database.
        key: of the image.
        size_px: (height, width) as ``meta_info.txt`` has it.
    """

    folder: Path
    key: str
    size_px: tuple[int, int]

    def __str__(self) -> str:
        return f"{self.folder}: {self.key}"

    def stat(self) -> os.stat_result:
        """Size and time of the database: what a cache of decoded images depends on."""
        return (self.folder / DATA_NAME).stat()


def lmdb_images(folder: Path) -> tuple[LmdbImage, ...]:
    """The images that ``meta_info.txt`` lists, in its order.

    Raises:
        DatasetError: if it cannot be read, or a line is not of its form.
    """
    path = folder / META_NAME
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"{path}: cannot be read ({error}); {_REMEDY}") from error
    images = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        found = _LINE.fullmatch(line.strip())
        if not found:
            raise DatasetError(
                f"{path}: line {number} is {line[:80]!r}, expected a name, a shape and a compression level such as "
                f"'0001.png (480,480,3) 1'; {_REMEDY}"
            )
        size_px = (int(found["height"]), int(found["width"]))
        images.append(LmdbImage(folder=folder, key=str(PurePosixPath(found["name"]).with_suffix("")), size_px=size_px))
    if not images:
        raise DatasetError(f"{path}: lists no image; {_REMEDY}")
    if len({image.key for image in images}) != len(images):
        raise DatasetError(f"{path}: lists a name twice; {_REMEDY}")
    return tuple(images)


class LmdbReader:
    """Reads the images of one database."""

    def __init__(self, folder: Path):
        """Open the database, read-only.

        Raises:
            DatasetError: if the package is missing, or the database is damaged.
        """
        try:
            import lmdb
        except ImportError as error:
            raise DatasetError(f"{folder}: an LMDB needs the package lmdb; {how_to_install('train')}") from error
        try:
            self._environment = lmdb.open(str(folder), readonly=True, lock=False, readahead=False, create=False)
            self._transaction = self._environment.begin(buffers=False)
        except lmdb.Error as error:
            raise DatasetError(f"{folder}: is no LMDB that can be read ({error}); {_REMEDY}") from error
        self._errors = lmdb.Error

    def read(self, image: LmdbImage) -> NDArray[np.uint8]:
        """Decode one image: (H, W, 3) uint8 RGB.

        Raises:
            DatasetError: if it is not there, damaged, or of another size than ``meta_info.txt`` says.
        """
        try:
            content = self._transaction.get(image.key.encode())
        except self._errors as error:
            raise DatasetError(f"{image}: cannot be read ({error}); {_REMEDY}") from error
        if content is None:
            raise DatasetError(f"{image}: is listed in {META_NAME} and not in the database; {_REMEDY}")
        try:
            rgb = decode(io.BytesIO(content)).rgb
        except ImageError as error:
            raise DatasetError(f"{image}: {error}") from error
        except Exception as error:  # decoders raise many kinds for damaged bytes; all mean the same to the user
            raise DatasetError(f"{image}: is no image that can be read ({type(error).__name__}); {_REMEDY}") from error
        if rgb.shape[:2] != image.size_px:
            raise DatasetError(f"{image}: has {rgb.shape[:2]} pixels, {META_NAME} says {image.size_px}; {_REMEDY}")
        return rgb

    def close(self) -> None:
        """Close the database."""
        self._environment.close()
