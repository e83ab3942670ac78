"""JPEG files that lack their end: read if every pixel is there, and not otherwise."""

import hashlib
from collections.abc import Iterator
from io import BytesIO
from typing import IO

from PIL import Image

_END = b"\xff\xd9"

# What could follow where the file stops. A decoder that still needs data makes other pixels of each.
_CONTINUATIONS = (b"", b"\x55" * 64, b"\xaa" * 64)

# How far from the file's end its end marker may stand: some cameras write padding or a trailer.
_TRAILER_BYTES = 1 << 16

# ITU-T T.81, table B.1: start of frame (Huffman: sequential, extended, progressive), start of scan; those without data.
_SEQUENTIAL_FRAMES = (0xC0, 0xC1)
_PROGRESSIVE_FRAME = 0xC2
_SCAN = 0xDA
_RESTARTS = range(0xD0, 0xD8)
_COEFFICIENTS = 64
_UNSENT = 16
"""More bits to come than any scan leaves."""

MISSING_END = "the end of the file is missing; all its pixels are there"


def with_its_end(file: IO[bytes]) -> tuple[IO[bytes], tuple[str, ...]]:
    """A JPEG with its end marker, and a note if that was missing.

    The pixels of a file without the marker are complete if they do not depend on what is appended, and all scans that
    they are made of have begun. Other files are left as they are, for the decoder to refuse.
    """
    length = file.seek(0, 2)
    file.seek(max(0, length - _TRAILER_BYTES))
    marked = _END in file.read()
    file.seek(0)
    if marked:
        return file, ()
    content = file.read()
    file.seek(0)
    # Half of the marker. Within the pixels' data no 0xFF stands alone.
    content = content.removesuffix(_END[:1])
    if not _has_all_scans(content):
        return file, ()
    if len({_pixels(content + continuation + _END) for continuation in _CONTINUATIONS}) != 1:
        return file, ()
    return BytesIO(content + _END), (MISSING_END,)


def _has_all_scans(content: bytes) -> bool:
    """Whether every coefficient of every component has begun to be sent with all its bits (T.81, G.1.1.1)."""
    finest: dict[int, list[int]] = {}
    for marker, data in _segments(content):
        if marker in _SEQUENTIAL_FRAMES:
            return True
        if marker == _PROGRESSIVE_FRAME:
            finest = {component: [_UNSENT] * _COEFFICIENTS for component in data[6::3]}
        elif marker == _SCAN and len(data) >= 4:
            first, last, precision = data[-3:]
            for component in data[1:-3:2]:
                if component in finest:
                    finest[component][first : last + 1] = [precision & 0xF] * (last + 1 - first)
    return bool(finest) and not any(any(bits) for bits in finest.values())


def _segments(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Marker and data of each segment; the pixels' data between them is passed over."""
    at = 2
    while 0 <= at < len(content) - 3:
        marker = content[at + 1]
        if content[at] != 0xFF or marker in (0x00, 0xFF) or marker in _RESTARTS:
            at = content.find(b"\xff", at + 1)
            continue
        length = int.from_bytes(content[at + 2 : at + 4], "big")
        yield marker, content[at + 4 : at + 2 + length]
        at += 2 + length


def _pixels(content: bytes) -> bytes:
    """A digest of the decoded pixels; of what cannot be decoded, one that no other file has."""
    try:
        with Image.open(BytesIO(content), formats=("JPEG",)) as image:
            return hashlib.sha256(image.tobytes()).digest()
    except (OSError, SyntaxError, ValueError):
        return content
