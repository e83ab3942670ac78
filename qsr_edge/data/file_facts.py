"""What an image file of any format tells beside its pixels; what cannot be read is left out and noted."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from struct import unpack_from

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
_TOLD_BY_TIFF = (
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


def checked(facts: FileFacts, *, upright: bool = False) -> FileFacts:
    """Leave out EXIF that cannot be read, and find the orientation.

    Args:
        facts: as a file has them.
        upright: whether the decoder turns the pixels itself.
    """
    metadata, notes = facts.metadata, facts.notes
    orientation = UPRIGHT if metadata.xmp is None else xmp_orientation(metadata.xmp)
    if metadata.exif is not None:
        exif = without_prefix(metadata.exif)
        try:
            adapted_exif(exif, (1, 1))
            told = read_orientation(exif)
        except ValueError as exc:
            metadata = replace(metadata, exif=None)
            notes = (*notes, f"the EXIF is damaged ({exc}) and left out")
        else:
            orientation = told if told != UPRIGHT else orientation
            metadata = replace(metadata, exif=exif)
    return replace(facts, metadata=metadata, orientation=UPRIGHT if upright else orientation, notes=notes)


def facts_of(image: ImageFile.ImageFile) -> FileFacts:
    """What Pillow read of any format but PNG, whose chunks :mod:`qsr_edge.data.png_reading` reads."""
    info = image.info
    notes: list[str] = []
    profile = info.get("icc_profile")
    unread_profile = "icc_profile" in info and not isinstance(profile, bytes)
    if unread_profile:
        notes.append("the colour profile is damaged and left out")
        profile = None
    is_tiff = isinstance(image, TiffImagePlugin.TiffImageFile)
    exif = _exif_of_tiff(image) if isinstance(image, TiffImagePlugin.TiffImageFile) else info.get("exif")
    xmp = info.get("xmp")
    comment = info.get("comment")
    metadata = Metadata(
        exif=exif if isinstance(exif, bytes) and exif else None,
        xmp=xmp if isinstance(xmp, bytes) and xmp else None,
        iptc=_iptc_of(image),
        text=((COMMENT, _decoded(comment)),) if isinstance(comment, bytes | str) and comment else (),
        resolution_ppi=_resolution(info.get("dpi")),
    )
    facts = FileFacts(
        space=ColourSpace(profile=profile or None), metadata=metadata, notes=tuple(notes), unread_profile=unread_profile
    )
    return checked(facts, upright=is_tiff)


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
    for tag in _TOLD_BY_TIFF:
        if tag in told:
            kept[tag] = told[tag]
    for directory in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo):
        entries = told.get_ifd(directory)
        if entries:
            kept.get_ifd(directory).update(entries)
            kept[directory] = kept.get_ifd(directory)
    return without_prefix(kept.tobytes()) if len(kept) else None


def _iptc_of(image: ImageFile.ImageFile) -> bytes | None:
    """IPTC-IIM data sets as they stand in the file."""
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        stored = image.tag_v2.get(TIFF_IPTC)
        if isinstance(stored, tuple):  # many programs call the bytes 32-bit numbers
            stored = b"".join(
                int(word).to_bytes(4, "little" if image.tag_v2.prefix == b"II" else "big") for word in stored
            )
        return iptc_data_sets(stored) if isinstance(stored, bytes) else None
    photoshop = image.info.get("photoshop")
    stored = photoshop.get(_PHOTOSHOP_IPTC) if isinstance(photoshop, dict) else None
    return iptc_data_sets(stored) if isinstance(stored, bytes) else None


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
