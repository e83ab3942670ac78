"""Writing files so that nothing half-written is ever seen under their final name."""

import contextlib
import os
import secrets
from pathlib import Path

_KEPT_NAME_LENGTH = 40
"""How much of a file's name its temporary name keeps: file systems bound names at 255 bytes."""


def atomic_write(path: Path, content: bytes) -> None:
    """Write ``content`` to a temporary name beside ``path``, flush it to the disk, then rename it.

    Raises:
        OSError: naming ``path``, if the folder is missing, not writable, or the disk is full; the temporary file is
            removed.
    """
    temporary = path.with_name(f".{path.name[:_KEPT_NAME_LENGTH]}.{secrets.token_hex(8)}.tmp")
    try:
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
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
