"""PNG's chunks: those that make the pixels are checked, the others are read here and never spoil the picture.

Pillow refuses a whole file for a long text, a large profile or a wrong checksum in a chunk that has nothing to do with
its pixels. So the chunks are taken apart first (PNG, third edition, section 5), and Pillow gets those of the pixels.
"""

import binascii
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from qsr_edge.data.file_facts import FileFacts, checked, iptc_data_sets, iptc_of_photoshop
from qsr_edge.data.picture import ColourSpace, Metadata

SIGNATURE = b"\x89PNG\r\n\x1a\n"
XMP_KEYWORD = "XML:com.adobe.xmp"
IPTC_KEYWORD = "Raw profile type iptc"
METRE_PER_INCH = 0.0254

# Chunks that the pixels are made of, transparency and frames of an animation among them.
_PIXEL_CHUNKS = (b"IHDR", b"PLTE", b"IDAT", b"tRNS", b"acTL", b"fcTL", b"fdAT", b"IEND")
_COLOUR_CHUNKS = (b"cICP", b"cHRM", b"gAMA", b"sRGB")
_TEXT_CHUNKS = (b"tEXt", b"zTXt", b"iTXt")

# ImageMagick repeats EXIF as texts; these would be wrong of the upscaled picture.
_STALE_PREFIX = "exif:thumbnail:"
_STALE_KEYWORDS = ("exif:Orientation", "exif:PixelXDimension", "exif:PixelYDimension", "xmp:PixelXDimension")

# What a chunk may grow to, and all of a file's chunks together: a few kilobytes could ask for gigabytes of memory.
_MAX_EXPANDED_BYTES = 64 << 20


@dataclass(slots=True, kw_only=True)
class _Found:
    """What was gathered while going through the chunks."""

    profile: bytes | None = None
    colour: list[tuple[bytes, bytes]] = field(default_factory=list)
    exif: bytes | None = None
    xmp: bytes | None = None
    iptc: bytes | None = None
    text: list[tuple[str, str]] = field(default_factory=list)
    resolution_ppi: tuple[float, float] | None = None
    notes: list[str] = field(default_factory=list)
    unread_profile: bool = False
    room: int = _MAX_EXPANDED_BYTES


def read_png(content: bytes) -> tuple[bytes, FileFacts]:
    """A PNG of the chunks alone that its pixels are made of, and what the other chunks tell.

    Raises:
        ValueError: if a chunk of the pixels is damaged or cut off.
    """
    pixels = [SIGNATURE]
    found = _Found()
    ended = False
    for name, data, whole, intact in _chunks(content, found):
        if name in _PIXEL_CHUNKS or not name[0] & 0x20:
            if not intact:
                raise ValueError(f"the checksum of its chunk {name.decode('latin-1')} is wrong")
            pixels.append(whole)
            ended = name == b"IEND"
        elif not intact:
            found.unread_profile |= name == b"iCCP"
            found.notes.append(f"the chunk {name.decode('latin-1')} has a wrong checksum and is left out")
        else:
            _take(name, data, found)
    if not ended:
        found.notes.append("the end of the file is missing")
        pixels.append(chunk(b"IEND", b""))
    metadata = Metadata(
        exif=found.exif,
        xmp=found.xmp,
        iptc=found.iptc,
        text=tuple(found.text),
        resolution_ppi=found.resolution_ppi,
    )
    space = ColourSpace(profile=found.profile, png_chunks=tuple(found.colour))
    facts = FileFacts(space=space, metadata=metadata, notes=tuple(found.notes), unread_profile=found.unread_profile)
    return b"".join(pixels), checked(facts)


def chunk(name: bytes, data: bytes) -> bytes:
    """A chunk with its length and checksum."""
    checksum = zlib.crc32(data, zlib.crc32(name))
    return b"".join((struct.pack(">I", len(data)), name, data, struct.pack(">I", checksum)))


def _chunks(content: bytes, found: _Found) -> Iterator[tuple[bytes, bytes, bytes, bool]]:
    """Name, data, the whole chunk, and whether its checksum is right; up to the end or to where the file is cut off.

    Raises:
        ValueError: if the file is cut off within the pixels, or what should be a chunk's name is none.
    """
    at = len(SIGNATURE)
    while at < len(content):
        if at + 12 > len(content):
            if content[at + 4 : at + 8] != b"IEND"[: max(0, len(content) - at - 4)]:
                raise ValueError("it is cut off")
            return
        length, name = struct.unpack_from(">I4s", content, at)
        if not name.isalpha():
            raise ValueError("what follows a chunk is none")
        end = at + 12 + length
        if end > len(content):
            if name in _PIXEL_CHUNKS or not name[0] & 0x20:
                raise ValueError(f"it is cut off in its chunk {name.decode('latin-1')}")
            found.notes.append(f"the chunk {name.decode('latin-1')} is cut off and left out")
            return
        data = content[at + 8 : end - 4]
        intact = zlib.crc32(data, zlib.crc32(name)) == struct.unpack_from(">I", content, end - 4)[0]
        yield name, data, content[at:end], intact
        if name == b"IEND":
            return
        at = end


def _take(name: bytes, data: bytes, found: _Found) -> None:
    try:
        if name == b"iCCP":
            found.profile = _expanded(data.split(b"\0", 1)[1][1:], found)
        elif name in _COLOUR_CHUNKS:
            found.colour.append((name, data))
        elif name == b"eXIf":
            found.exif = data
        elif name == b"pHYs":
            x, y, unit = struct.unpack(">IIB", data)
            if unit == 1 and x and y:
                found.resolution_ppi = (x * METRE_PER_INCH, y * METRE_PER_INCH)
        elif name in _TEXT_CHUNKS:
            _take_text(*_text(name, data, found), found)
    except (ValueError, IndexError, struct.error, zlib.error) as exc:
        found.unread_profile |= name == b"iCCP"
        why = " ".join(str(exc).split())
        found.notes.append(f"the chunk {name.decode('latin-1')} cannot be read ({why}) and is left out")


def _text(name: bytes, data: bytes, found: _Found) -> tuple[str, bytes, str]:
    """Keyword, text and its encoding (PNG, 11.3.3)."""
    keyword, rest = data.split(b"\0", 1)
    if name == b"tEXt":
        return keyword.decode("latin-1"), rest, "latin-1"
    if name == b"zTXt":
        return keyword.decode("latin-1"), _expanded(rest[1:], found), "latin-1"
    compressed, rest = rest[0], rest[2:]
    _, _, text = rest.split(b"\0", 2)
    return keyword.decode("latin-1"), _expanded(text, found) if compressed else text, "utf-8"


def _take_text(keyword: str, text: bytes, encoding: str, found: _Found) -> None:
    # ImageMagick's way to keep what PNG had no chunk for: kind, length, and the bytes as hexadecimal digits.
    raw = keyword.removeprefix("Raw profile type ").lower()
    if keyword == XMP_KEYWORD:
        found.xmp = text
    elif keyword.startswith(_STALE_PREFIX) or keyword in _STALE_KEYWORDS:
        return
    elif raw == keyword.lower():
        found.text.append((keyword, text.decode(encoding)))
    else:
        profile = binascii.unhexlify(b"".join(text.split()[2:]))
        if raw in ("exif", "app1") and profile.startswith(b"Exif"):
            found.exif = found.exif or profile
        elif raw in ("xmp", "app1"):
            found.xmp = found.xmp or profile.removeprefix(b"http://ns.adobe.com/xap/1.0/\0")
        elif raw in ("icc", "icm"):
            found.profile = found.profile or profile
        elif raw in ("iptc", "8bim"):
            found.iptc = iptc_of_photoshop(profile) or iptc_data_sets(profile)


def _expanded(data: bytes, found: _Found) -> bytes:
    """Decompress, within bounds.

    Raises:
        ValueError: if it grows beyond them, or is cut off.
        zlib.error: if it is damaged.
    """
    inflater = zlib.decompressobj()
    expanded = inflater.decompress(data, found.room)
    if not inflater.eof:
        over = inflater.unconsumed_tail
        raise ValueError(f"expands to more than {_MAX_EXPANDED_BYTES >> 20} MiB" if over else "is cut off")
    found.room -= len(expanded)
    return expanded
