"""Pictures and folders for tests of reading and writing files."""

import io
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

# JPEG at quality 95 with full chroma: how far a level of a smooth picture may move.
JPEG_LEVELS = 8


def smooth(height: int = 12, width: int = 20) -> NDArray[np.uint8]:
    """No two pixels, rows, columns or channels are alike, so a turn or a swap shows."""
    y, x = np.mgrid[:height, :width]
    return np.stack([y * 9 + x, x * 11 + y, 250 - y * 7 - x * 3], axis=-1).astype(np.uint8)


def noise(*shape: int) -> NDArray[np.uint8]:
    return np.random.default_rng(7).integers(0, 256, shape, dtype=np.uint8)


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    content = io.BytesIO()
    image.save(content, kind, **options)
    return content.getvalue()


def in_file(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


@contextmanager
def unprivileged_folder() -> Iterator[Path]:
    """A folder that other users may look into, as pytest's own are closed to them."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        try:
            yield folder
        finally:
            folder.chmod(0o755)


@contextmanager
def unprivileged() -> Iterator[None]:
    """Permissions do not bind root, so as root become nobody."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)
