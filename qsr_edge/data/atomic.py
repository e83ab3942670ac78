"""Writing files so that nothing half-written is ever seen under their final name."""

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

_KEPT_NAME_LENGTH = 40
"""How much of a file's name its temporary name keeps: file systems bound names at 255 bytes."""


@contextlib.contextmanager
def atomic_open(path: Path) -> Iterator[BinaryIO]:
    """Open a temporary name beside ``path`` for writing; at the end it is flushed to the disk and renamed.

    Raises:
        OSError: naming ``path``, if the folder is missing, not writable, or the disk is full. The temporary file is
            removed then, as after any exception.
    """
    temporary = path.with_name(f".{path.name[:_KEPT_NAME_LENGTH]}.{secrets.token_hex(8)}.tmp")
    try:
        with temporary.open("x+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException as error:
        if isinstance(error, OSError):
            # A full disk does not say which file had no room, and nobody knows the temporary name.
            error.filename, error.filename2 = str(path), None
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def atomic_write(path: Path, content: bytes) -> None:
    """Write ``content`` as a file that appears when it is complete; errors as :func:`atomic_open`."""
    with atomic_open(path) as file:
        file.write(content)
