"""What a path is: a bundle, a model of some back end, or a checkpoint, told by its content."""

from enum import StrEnum
from pathlib import Path

from qsr_edge.bundle.manifest import MANIFEST_NAME
from qsr_edge.conversion.backend import Backend, InspectsModels
from qsr_edge.conversion.registry import registered_backends
from qsr_edge.errors import QsrError
from qsr_edge.nn.state_dict import is_torch_file, torch_file_advice

_ZIP_MAGIC = b"PK"


class Kind(StrEnum):
    """What a path can be that is no back end's model."""

    BUNDLE = "bundle"
    CHECKPOINT = "checkpoint"


def model_backend(path: Path) -> tuple[Backend, InspectsModels] | None:
    """The back end whose model a path is, by its content and not by its name, as what it is and what looks into it.

    Raises:
        OSError: if it cannot be read.
    """
    for backend in registered_backends():
        if isinstance(backend, InspectsModels) and backend.recognises(path):
            return backend, backend
    return None


def recognise(path: Path) -> Kind:
    """The kind of a path that is no model, by its content and not by its name.

    Raises:
        QsrError: if it is none that can be inspected.
        OSError: if it cannot be read.
    """
    if path.is_dir():
        # Compared as spelt: on some file systems the one name also finds the other.
        if MANIFEST_NAME in {entry.name for entry in path.iterdir()}:
            return Kind.BUNDLE
        raise QsrError(f"{path}: a folder without {MANIFEST_NAME}, so not a bundle; {_known()}")
    with path.open("rb") as file:
        head = file.read(9)
    if is_torch_file(path):
        raise QsrError(f"{path}: {torch_file_advice(path)}")
    if head.startswith(_ZIP_MAGIC):
        return Kind.BUNDLE
    # safetensors: the length of the JSON header as 8 bytes, little-endian, of which the upper ones are zero; then the
    # header.
    if head[5:] == b"\0\0\0{":
        return Kind.CHECKPOINT
    raise QsrError(f"{path}: neither a bundle, a model nor a checkpoint, it begins with {head[:8]!r}; {_known()}")


def _known() -> str:
    suffixes = [other.capabilities.suffix for other in registered_backends() if isinstance(other, InspectsModels)]
    return f"give a bundle, a checkpoint, or a model ({', '.join(suffixes)})"
