"""JPEG files that lack their end: read if every pixel is there, and not otherwise."""

import hashlib
from io import BytesIO
from typing import IO

from PIL import Image

_END = b"\xff\xd9"

# What could follow where the file stops. A decoder that still needs data makes other pixels of each.
_CONTINUATIONS = (b"", b"\x55" * 64, b"\xaa" * 64)

# How far from the file's end its end marker may stand: some cameras write padding or a trailer.
_TRAILER_BYTES = 1 << 16

# ITU-T T.81, table B.1: start of a frame whose pixels come in one go, and start of a scan.
_SEQUENTIAL = (b"\xff\xc0", b"\xff\xc1")

MISSING_END = "the end of the file is missing; all its pixels are there"


def with_its_end(file: IO[bytes]) -> tuple[IO[bytes], tuple[str, ...]]:
    """A JPEG with its end marker, and a note if that was missing.

    The pixels of a file without the marker are complete if they do not depend on what is appended. Of a progressive
    file this cannot be known, as whole scans may be missing; it is left as it is, for the decoder to refuse.
    """
    length = file.seek(0, 2)
    file.seek(max(0, length - _TRAILER_BYTES))
    marked = _END in file.read()
    file.seek(0)
    if marked:
        return file, ()
    content = file.read()
    file.seek(0)
    if not any(marker in content for marker in _SEQUENTIAL):
        return file, ()
    if len({_pixels(content + continuation + _END) for continuation in _CONTINUATIONS}) != 1:
        return file, ()
    return BytesIO(content + _END), (MISSING_END,)


def _pixels(content: bytes) -> bytes:
    """A digest of the decoded pixels; of what cannot be decoded, one that no other file has."""
    try:
        with Image.open(BytesIO(content), formats=("JPEG",)) as image:
            return hashlib.sha256(image.tobytes()).digest()
    except (OSError, SyntaxError, ValueError):
        return content
