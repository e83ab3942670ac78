"""EXIF and XMP of a picture that was turned upright and enlarged: what they say of the pixels is set right, in place.

EXIF (CIPA DC-008, 2.32) is a TIFF structure. Entries are changed where they lie and nothing is moved, as makers' notes
hold offsets that only their makers understand.
"""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from PIL import ExifTags

UPRIGHT = 1
"""EXIF's orientation of stored rows and columns that are upright."""

_PREFIX = b"Exif\0\0"
_ORIENTATION = ExifTags.Base.Orientation
_EXIF_IFD = ExifTags.Base.ExifOffset
_WIDTH_TAGS = (ExifTags.Base.ImageWidth, ExifTags.Base.ExifImageWidth)
_HEIGHT_TAGS = (ExifTags.Base.ImageLength, ExifTags.Base.ExifImageHeight)
_THUMBNAIL_START = ExifTags.Base.JpegIFOffset
_THUMBNAIL_BYTES = ExifTags.Base.JpegIFByteCount

# TIFF 6.0, section 2: a directory entry is tag, type, count and value, and these are the types of whole numbers.
_ENTRY = "HHI4s"
_ENTRY_BYTES = 12
_SHORT = 3
_LONG = 4

# XMP, part 2 (ISO 16684-1): the properties of tiff: and exif: that say how the pixels lie, as attribute or element.
_XMP_VALUE = rb"(\b%s\s*=\s*[\"']\s*|<%s>\s*)\d+"
_XMP_WIDTHS = (b"tiff:ImageWidth", b"exif:PixelXDimension")
_XMP_HEIGHTS = (b"tiff:ImageLength", b"exif:PixelYDimension")
_XMP_THUMBNAILS = re.compile(rb"<(xap|xmp):Thumbnails\b.*?</\1:Thumbnails>", re.DOTALL)
_XMP_ORIENTATION = re.compile(rb"tiff:Orientation\s*(?:=\s*[\"']|>)\s*([1-8])")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    position: int
    tag: int
    kind: int
    value: int


def without_prefix(exif: bytes) -> bytes:
    """The TIFF structure, whatever the file put before it."""
    while exif.startswith(_PREFIX):
        exif = exif[len(_PREFIX) :]
    return exif


def read_orientation(exif: bytes) -> int | None:
    """The orientation, 1 to 8; None if the structure does not tell, or tells another number.

    Raises:
        ValueError: if it is no EXIF, or a directory lies outside it.
    """
    order = _byte_order(exif)
    for entry in _entries(exif, order, _first_directory(exif, order))[0]:
        if entry.tag == _ORIENTATION and 1 <= entry.value <= 8:
            return entry.value
    return None


def adapted_exif(exif: bytes, size_px: tuple[int, int]) -> bytes:
    """Set orientation to upright and the pixel dimensions to a picture's, and take out the thumbnail.

    Args:
        exif: a TIFF structure.
        size_px: (width, height) of the picture.

    Returns:
        The structure, with everything else where it lay.

    Raises:
        ValueError: if it is no EXIF, or a directory lies outside it.
    """
    changed = bytearray(exif)
    order = _byte_order(exif)
    entries, next_at = _entries(exif, order, _first_directory(exif, order))
    for entry in list(entries):
        if entry.tag == _EXIF_IFD:
            entries += _entries(exif, order, entry.value)[0]
    values: dict[int, int] = {_ORIENTATION: UPRIGHT}
    values.update(dict.fromkeys(_WIDTH_TAGS, size_px[0]))
    values.update(dict.fromkeys(_HEIGHT_TAGS, size_px[1]))
    for entry in entries:
        if entry.tag in values and entry.kind in (_SHORT, _LONG):
            value = values[entry.tag]
            kind = _SHORT if value <= 0xFFFF and entry.kind == _SHORT else _LONG
            packed = struct.pack(
                f"{order}{'HH' if kind == _SHORT else 'I'}", *([value, 0] if kind == _SHORT else [value])
            )
            struct.pack_into(f"{order}{_ENTRY}", changed, entry.position, entry.tag, kind, 1, packed)
    (thumbnail_at,) = struct.unpack_from(f"{order}I", exif, next_at)
    struct.pack_into(f"{order}I", changed, next_at, 0)
    return bytes(_without_thumbnail(changed, order, thumbnail_at)) if thumbnail_at else bytes(changed)


def _without_thumbnail(exif: bytearray, order: str, directory: int) -> bytearray:
    """Blot out the picture that the second directory tells of; it may show what was cropped away since."""
    try:
        entries = {entry.tag: entry.value for entry in _entries(exif, order, directory)[0]}
    except ValueError:
        return exif  # a directory that cannot be read, and that nothing points to any more
    start = entries.get(_THUMBNAIL_START, 0)
    stop = min(start + entries.get(_THUMBNAIL_BYTES, 0), len(exif))
    if not 8 <= start < stop:
        return exif
    if stop == len(exif):
        return exif[:start]
    exif[start:stop] = bytes(stop - start)
    return exif


def _byte_order(exif: bytes) -> str:
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(exif[:4])
    if order is None:
        raise ValueError(f"begins with {exif[:4]!r}, not as a TIFF structure")
    return order


def _first_directory(exif: bytes, order: str) -> int:
    if len(exif) < 8:
        raise ValueError(f"has {len(exif)} bytes only")
    (position,) = struct.unpack_from(f"{order}I", exif, 4)
    return int(position)


def _entries(exif: bytes | bytearray, order: str, directory: int) -> tuple[list[_Entry], int]:
    """The entries of a directory, and where the position of the next directory stands."""
    if directory + 2 > len(exif):
        raise ValueError(f"a directory at byte {directory} of {len(exif)}")
    (count,) = struct.unpack_from(f"{order}H", exif, directory)
    end = directory + 2 + count * _ENTRY_BYTES
    if end + 4 > len(exif):
        raise ValueError(f"a directory of {count} entries at byte {directory} of {len(exif)}")
    return list(_parsed(exif, order, range(directory + 2, end, _ENTRY_BYTES))), end


def _parsed(exif: bytes | bytearray, order: str, positions: range) -> Iterator[_Entry]:
    for position in positions:
        tag, kind, _, value = struct.unpack_from(f"{order}{_ENTRY}", exif, position)
        (number,) = struct.unpack(f"{order}H", value[:2]) if kind == _SHORT else struct.unpack(f"{order}I", value)
        yield _Entry(position=position, tag=tag, kind=kind, value=number)


def xmp_orientation(xmp: bytes) -> int:
    """The orientation that XMP tells, for files whose EXIF tells none; 1 if it tells none."""
    found = _XMP_ORIENTATION.search(xmp)
    return int(found[1]) if found else UPRIGHT


def adapted_xmp(xmp: bytes, size_px: tuple[int, int]) -> bytes:
    """Set orientation and pixel dimensions, and take out thumbnails, as :func:`adapted_exif`."""
    values = {b"tiff:Orientation": UPRIGHT}
    values.update(dict.fromkeys(_XMP_WIDTHS, size_px[0]))
    values.update(dict.fromkeys(_XMP_HEIGHTS, size_px[1]))
    for name, value in values.items():
        xmp = re.sub(_XMP_VALUE % (name, name), rb"\g<1>%d" % value, xmp)
    return _XMP_THUMBNAILS.sub(b"", xmp)
