"""Writing files so that nothing half-written is ever seen under their final name."""

import contextlib
import os
import tempfile
from pathlib import Path


def atomic_write(path: Path, content: bytes) -> None:
    """Write ``content`` to a temporary name beside ``path``, flush it to the disk, then rename it.

    Raises:
        OSError: if the folder is missing, not writable, or the disk is full; the temporary file is removed.
    """
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    except OSError as error:
        error.filename = str(path)
        raise
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        umask = os.umask(0)
        os.umask(umask)
        Path(temporary).chmod(0o666 & ~umask)
        Path(temporary).replace(path)
    except BaseException as error:
        if isinstance(error, OSError):
            # A full disk does not say which file it was that had no room.
            error.filename = str(path)
        with contextlib.suppress(FileNotFoundError):
            Path(temporary).unlink()
        raise
