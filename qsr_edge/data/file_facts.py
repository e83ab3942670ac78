"""What an image file of any format tells beside its pixels; what cannot be read is left out and noted."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from enum import StrEnum
from struct import unpack_from
from typing import IO

from PIL import ExifTags, Image, ImageFile, TiffImagePlugin

from qsr_edge.data.exif import UPRIGHT, adapted_exif, read_orientation, without_prefix, xmp_orientation
from qsr_edge.data.picture import NO_METADATA, SRGB, ColourSpace, Metadata

COMMENT = "Comment"
"""The keyword of a JPEG's or GIF's comment among text chunks (PNG, 11.3.3.1)."""

# Adobe TIFF Technical Notes and TIFF/EP: where a TIFF keeps what other formats have segments for.
TIFF_XMP = 700
TIFF_IPTC = 33723
_PHOTOSHOP_IPTC = 0x0404

# Tags of a TIFF's own directory that tell of the picture and not of how the file is laid out.
TOLD_BY_TIFF = (
    ExifTags.Base.ImageDescription,
    ExifTags.Base.Make,
    ExifTags.Base.Model,
    ExifTags.Base.Software,
    ExifTags.Base.DateTime,
    ExifTags.Base.Artist,
    ExifTags.Base.HostComputer,
    ExifTags.Base.Rating,
    ExifTags.Base.Copyright,
    ExifTags.Base.XPTitle,
    ExifTags.Base.XPComment,
    ExifTags.Base.XPAuthor,
    ExifTags.Base.XPKeywords,
    ExifTags.Base.XPSubject,
)

_IPTC_MARKER = 0x1C


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFacts:
    """What a file tells beside its pixels.

    Attributes:
        space: profile and chunks as the file has them, not yet checked against the pixels.
        metadata: as the file has it; orientation and dimensions are those of the stored pixels.
        orientation: EXIF's, 1 to 8; 1 for upright.
        notes: what was left out, one line each, without the file's name.
        unread_profile: whether there is a profile that cannot be read.
    """

    space: ColourSpace = SRGB
    metadata: Metadata = NO_METADATA
    orientation: int = UPRIGHT
    notes: tuple[str, ...] = field(default=())
    unread_profile: bool = False


class Turned(StrEnum):
    """Who says how stored rows and columns lie."""

    BY_METADATA = "EXIF, or XMP where EXIF tells nothing"
    BY_EXIF = "EXIF as Pillow made it of the container's own word"
    BY_DECODER = "nobody: the decoder turns the pixels"


def checked(facts: FileFacts, turned: Turned = Turned.BY_METADATA) -> FileFacts:
    """Leave out EXIF that cannot be read, and find the orientation.

    Args:
        facts: as a file has them.
        turned: who says how the pixels lie.
    """
    metadata, notes = facts.metadata, facts.notes
    orientation = UPRIGHT
    if metadata.xmp is not None and turned == Turned.BY_METADATA:
        orientation = xmp_orientation(metadata.xmp)
    if metadata.exif is not None:
        exif = without_prefix(metadata.exif)
        try:
            adapted_exif(exif, (1, 1))
            orientation = read_orientation(exif) or orientation
        except ValueError as exc:
            metadata = replace(metadata, exif=None)
            notes = (*notes, f"the EXIF is damaged ({exc}) and left out")
        else:
            metadata = replace(metadata, exif=exif)
    orientation = UPRIGHT if turned == Turned.BY_DECODER else orientation
    return replace(facts, metadata=metadata, orientation=orientation, notes=notes)


def facts_of(image: ImageFile.ImageFile, file: IO[bytes]) -> FileFacts:
    """What an open image tells, of any format but PNG, whose chunks :mod:`qsr_edge.data.png_reading` reads.

    Args:
        image: the image, at one of its pages.
        file: what it is read from.
    """
    info = image.info
    notes: list[str] = []
    profile = info.get("icc_profile")
    unread_profile = "icc_profile" in info and not isinstance(profile, bytes)
    if unread_profile:
        notes.append("the colour profile is damaged and left out")
        profile = None
    exif = _exif_of_tiff(image) if isinstance(image, TiffImagePlugin.TiffImageFile) else info.get("exif")
    xmp = info.get("xmp")
    comment = info.get("comment")
    metadata = Metadata(
        exif=exif if isinstance(exif, bytes) and exif else None,
        xmp=xmp if isinstance(xmp, bytes) and xmp else None,
        iptc=_iptc_of(image, file),
        text=((COMMENT, _decoded(comment)),) if isinstance(comment, bytes | str) and comment else (),
        resolution_ppi=_resolution(info.get("dpi")),
    )
    facts = FileFacts(
        space=ColourSpace(profile=profile or None), metadata=metadata, notes=tuple(notes), unread_profile=unread_profile
    )
    # ISO 23008-12 and AVIF: only the container's own properties turn a picture. pillow-heif follows them itself.
    container = {"AVIF": Turned.BY_EXIF, "HEIF": Turned.BY_DECODER, "TIFF": Turned.BY_DECODER}
    return checked(facts, container.get(image.format or "", Turned.BY_METADATA))


def _decoded(comment: bytes | str) -> str:
    if isinstance(comment, str):
        return comment
    comment = comment.rstrip(b"\0")
    try:
        return comment.decode()
    except UnicodeDecodeError:
        return comment.decode("latin-1")


def _resolution(told: object) -> tuple[float, float] | None:
    if not isinstance(told, tuple) or len(told) != 2:
        return None
    try:
        x, y = (float(each) for each in told)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    # 1 is what programs write that mean "unknown".
    return (x, y) if 1 < x < 1e6 and 1 < y < 1e6 else None


def _exif_of_tiff(image: TiffImagePlugin.TiffImageFile) -> bytes | None:
    """A TIFF is its own EXIF: what of it tells of the picture, as a structure of its own."""
    told = image.getexif()
    kept = Image.Exif()
    for tag in TOLD_BY_TIFF:
        if tag in told:
            kept[tag] = told[tag]
    for directory in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo):
        entries = told.get_ifd(directory)
        if entries:
            kept.get_ifd(directory).update(entries)
            kept[directory] = kept.get_ifd(directory)
    return without_prefix(kept.tobytes()) if len(kept) else None


def _iptc_of(image: ImageFile.ImageFile, file: IO[bytes]) -> bytes | None:
    """IPTC-IIM data sets as they stand in the file."""
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        return _iptc_of_tiff(file, image.tell()) if TIFF_IPTC in image.tag_v2 else None
    photoshop = image.info.get("photoshop")
    stored = photoshop.get(_PHOTOSHOP_IPTC) if isinstance(photoshop, dict) else None
    return iptc_data_sets(stored) if isinstance(stored, bytes) else None


def _iptc_of_tiff(file: IO[bytes], page: int) -> bytes | None:
    """Many programs call the bytes 32-bit numbers, of which Pillow gives the first alone."""
    import tifffile

    position = file.tell()
    try:
        file.seek(0)
        with tifffile.TiffFile(file) as opened:
            tag = opened.pages[page].aspage().tags[TIFF_IPTC]
            file.seek(tag.valueoffset)
            return iptc_data_sets(file.read(tag.valuebytecount))
    finally:
        file.seek(position)


def iptc_data_sets(stored: bytes) -> bytes | None:
    """The data sets at the beginning of some bytes, without padding; None if there is none (IIM 4.1, chapter 1.6)."""
    at = 0
    while at + 5 <= len(stored) and stored[at] == _IPTC_MARKER:
        (length,) = unpack_from(">H", stored, at + 3)
        if length > 0x7FFF or at + 5 + length > len(stored):
            break
        at += 5 + length
    return stored[:at] or None


def iptc_of_photoshop(resources: bytes) -> bytes | None:
    """IPTC of Photoshop's image resource blocks (8BIM, Adobe Photoshop File Formats)."""
    for kind, content in photoshop_resources(resources):
        if kind == _PHOTOSHOP_IPTC:
            return iptc_data_sets(content)
    return None


def photoshop_resources(resources: bytes) -> Iterator[tuple[int, bytes]]:
    """Number and content of each resource."""
    at = 0
    while resources[at : at + 4] == b"8BIM" and at + 12 <= len(resources):
        (kind,) = unpack_from(">H", resources, at + 4)
        name = resources[at + 6] + 1
        at += 6 + name + name % 2
        if at + 4 > len(resources):
            return
        (length,) = unpack_from(">I", resources, at)
        yield kind, resources[at + 4 : at + 4 + length]
        at += 4 + length + length % 2


def photoshop_with_iptc(iptc: bytes) -> bytes:
    """One resource block that holds IPTC, as JPEG's APP13 segment has it."""
    header = b"8BIM" + _PHOTOSHOP_IPTC.to_bytes(2, "big") + b"\0\0" + len(iptc).to_bytes(4, "big")
    return header + iptc + b"\0" * (len(iptc) % 2)
