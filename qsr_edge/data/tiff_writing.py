"""TIFF of 8 or 16 bits and of one or several pages, with metadata as tags.

Pillow writes neither 16-bit colour nor, in a compressed TIFF, the directories of EXIF and GPS. So tifffile writes the
file, with an entry of another name for each of these directories, and they are put behind the pages.
"""

import struct
from collections.abc import Mapping
from types import TracebackType
from typing import IO, TYPE_CHECKING, Self

import numpy as np
from PIL import ExifTags, Image, TiffImagePlugin

from qsr_edge.data.file_facts import TIFF_IPTC, TIFF_XMP, TOLD_BY_TIFF
from qsr_edge.data.picture import Picture

if TYPE_CHECKING:
    import tifffile

_EXIF_PREFIX = b"Exif\0\0"
_DIRECTORIES = (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo)

# TIFF 6.0, section 2: types of a tag's value.
_BYTE = 1
_ASCII = 2
_SHORT = 3
_LONG = 4
_UNDEFINED = 7

# tifffile writes no entry for these directories. The number before each is nobody's, and sorts to the same place.
_PLACE_BEFORE = 1

_Tag = tuple[int, int, int, bytes | str | int, bool]


class TiffPages:
    """Writes a TIFF page by page; a context manager."""

    def __init__(self, file: IO[bytes]) -> None:
        """Begin a file; ``file`` is readable and seekable."""
        import tifffile

        self._file = file
        self._writer = tifffile.TiffWriter(self._named(0), byteorder="<")
        self._directories: list[dict[ExifTags.IFD, TiffImagePlugin.ImageFileDirectory_v2]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.close()
        if error is None:
            self._append_directories()

    def write(self, picture: Picture) -> None:
        """Write a page of 8 or 16 bits."""
        colour = picture.rgb_16() if picture.bits > 8 else picture.rgb
        alpha = picture.alpha_16() if picture.bits > 8 else picture.alpha
        # Pillow, and so many programs, cannot read 16-bit grey with alpha.
        grey = picture.grey and (alpha is None or picture.bits == 8)
        if grey:
            colour = colour[:, :, 0]
        told = picture.metadata
        tags: list[_Tag] = []
        directories = {}
        if told.exif:
            exif = Image.Exif()
            exif.load(_EXIF_PREFIX + told.exif)
            tags += [_tag(tag, exif[tag]) for tag in TOLD_BY_TIFF if isinstance(exif.get(tag), str | bytes | int)]
            directories = {each: _directory(entries, each) for each in _DIRECTORIES if (entries := exif.get_ifd(each))}
            tags += [(each - _PLACE_BEFORE, _LONG, 1, 0, True) for each in directories]
        for tag, data in ((TIFF_XMP, told.xmp), (TIFF_IPTC, told.iptc)):
            if data:
                tags.append((tag, _BYTE if tag == TIFF_XMP else _UNDEFINED, len(data), data, True))
        self._directories.append(directories)
        self._writer.write(
            colour if alpha is None else np.dstack([colour, alpha]),
            photometric="minisblack" if grey else "rgb",
            planarconfig=None if grey and alpha is None else "contig",
            extrasamples=None if alpha is None else ["unassalpha"],
            compression="zlib",
            predictor=True,
            iccprofile=picture.space.profile,
            resolution=told.resolution_ppi,
            resolutionunit="INCH" if told.resolution_ppi else None,
            extratags=tags,
            software=False,
            metadata=None,
        )

    def _named(self, size: int | None) -> "tifffile.FileHandle":
        """The file for tifffile, which asks for a name; ``size``: in bytes, if it is known."""
        import tifffile

        return tifffile.FileHandle(self._file, name="picture.tif", size=size)

    def _append_directories(self) -> None:
        import tifffile

        if not any(self._directories):
            return
        self._file.seek(0)
        with tifffile.TiffFile(self._named(None)) as written:
            places = [
                (page.aspage().tags[each - _PLACE_BEFORE].offset, each, directory)
                for page, directories in zip(written.pages, self._directories, strict=True)
                for each, directory in directories.items()
            ]
        for place, each, directory in places:
            end = self._file.seek(0, 2)
            end += self._file.write(b"\0" * (end % 2))
            self._file.write(directory.tobytes(end))
            self._file.seek(place)
            self._file.write(struct.pack("<HHII", each, _LONG, 1, end))
        self._file.seek(0, 2)


def _tag(tag: int, value: str | bytes | int) -> _Tag:
    match value:
        case str():
            return tag, _ASCII, 0, value, True
        case bytes():
            return tag, _BYTE, len(value), value, True
        case _:
            return tag, _SHORT if value <= 0xFFFF else _LONG, 1, value, True


def _directory(entries: Mapping[int, object], kind: ExifTags.IFD) -> TiffImagePlugin.ImageFileDirectory_v2:
    directory = TiffImagePlugin.ImageFileDirectory_v2()
    for tag, value in entries.items():
        # A maker's note that Pillow understood is a dictionary, and cannot be written again.
        if not isinstance(value, dict):
            directory[tag] = value
            if isinstance(value, bytes) and kind == ExifTags.IFD.Exif:
                directory.tagtype[tag] = _UNDEFINED
    return directory
