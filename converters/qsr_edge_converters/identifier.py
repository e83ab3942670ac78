"""Identifiers of flatbuffers, which stand after the root's offset."""

from pathlib import Path

_START = 4


def has_identifier(path: Path, identifier: bytes) -> bool:
    """Whether a path is a file that has this identifier, or whose identifier begins so.

    Raises:
        OSError: if it cannot be read.
    """
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(_START + len(identifier))[_START:] == identifier
