"""Decoded training images in one memory-mapped file, so that a run starts at once and its pages are shared.

Layout of the file: magic (8 bytes), length of the header (8 bytes, little-endian), header (JSON: per image the shapes
of its two arrays; digest of all pixels; which images were left out), then the pixels, uint8, (H, W, 3), high before low
resolution, image by image.
"""

import hashlib
import json
import mmap
import struct
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from qsr_edge.data.lmdb_folder import LmdbImage
from qsr_edge.errors import DatasetError
from qsr_edge.files import new_file, sweep

_MAGIC = b"QSRPAIR1"
_PREFIX = struct.Struct("<8sQ")
_Pair = tuple[NDArray[np.uint8], NDArray[np.uint8]]


def cache_path(folder: Path, files: Sequence[Path | LmdbImage], settings: str) -> Path:
    """Name of the cache of these files, read with these settings; another once a file's size or time changes."""
    key = hashlib.sha256(settings.encode())
    for file in files:
        status = file.stat()
        key.update(f"\0{file}\0{status.st_size}\0{status.st_mtime_ns}".encode())
    return folder / f"{key.hexdigest()[:32]}.pairs"


def digest_of(pairs: Iterable[_Pair]) -> str:
    """SHA-256 of all pixels and shapes, in order."""
    digest = hashlib.sha256()
    for pair in pairs:
        for image in pair:
            digest.update(repr(image.shape).encode())
            digest.update(image.data)
    return digest.hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CachedImages:
    """What a cache holds.

    Attributes:
        pairs: memory-mapped arrays, (rH, rW, 3) and (H, W, 3) uint8.
        digest: of all their pixels.
        left_out: which images are not among them, and why.
    """

    pairs: list[_Pair]
    digest: str
    left_out: tuple[str, ...]


def write_cache(path: Path, pairs: Iterable[_Pair], left_out: Sequence[str] = ()) -> None:
    """Write pairs of C-contiguous (H, W, 3) uint8 arrays, one pair in memory at a time; a former file is replaced.

    ``left_out`` may grow while the pairs are taken. The file appears whole or not at all; of two processes that write
    the same one, the last wins with equal content.

    Raises:
        DatasetError: if the folder cannot be made or written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        sweep(path.parent)
        path.unlink(missing_ok=True)
        with new_file(path) as file, tempfile.TemporaryFile(dir=path.parent) as pixels:
            shapes, digest = [], hashlib.sha256()
            for pair in pairs:
                shapes.append([image.shape for image in pair])
                for image in pair:
                    digest.update(repr(image.shape).encode())
                    digest.update(image.data)
                    pixels.write(image.data)
            header = json.dumps({"shapes": shapes, "digest": digest.hexdigest(), "left_out": list(left_out)}).encode()
            file.write(_PREFIX.pack(_MAGIC, len(header)) + header)
            pixels.seek(0)
            while chunk := pixels.read(1 << 24):
                file.write(chunk)
    except OSError as error:
        raise DatasetError(
            f"{path.parent}: cannot keep decoded images here ({error}); give --cache FOLDER, or --no-cache"
        ) from error


def read_cache(path: Path) -> CachedImages | None:
    """What a cache holds; None if the file is missing, cut short or of another kind."""
    try:
        with path.open("rb") as file:
            magic, length = _PREFIX.unpack(file.read(_PREFIX.size))
            if magic != _MAGIC or length > 1 << 28:
                return None
            header = json.loads(file.read(length))
            content = np.frombuffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), np.uint8)
        start, pairs = _PREFIX.size + length, []
        for shapes in header["shapes"]:
            images = []
            for height, width, channels in shapes:
                size = height * width * channels
                images.append(content[start : start + size].reshape(height, width, channels))
                start += size
            pairs.append((images[0], images[1]))
        left_out = tuple(map(str, header.get("left_out", [])))
        return (
            CachedImages(pairs=pairs, digest=str(header["digest"]), left_out=left_out)
            if start == len(content)
            else None
        )
    except (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError, struct.error):
        return None
