"""What a path is: a bundle, a model, a checkpoint or a graph, told by its content."""

from enum import StrEnum
from pathlib import Path

from qsr_edge.bundle.manifest import MANIFEST_NAME
from qsr_edge.errors import QsrError
from qsr_edge.nn.state_dict import is_torch_file, torch_file_advice

_ZIP_MAGIC = b"PK"
_TFLITE_IDENTIFIER = b"TFL3"  # at bytes 4 to 7
_GRAPH_MAGIC = b"QSRG"
_EXECUTORCH_IDENTIFIER = b"ET1"  # at bytes 4 to 6; the next one is the schema's version
_COREML_MANIFEST_NAME = "Manifest.json"


class Kind(StrEnum):
    """What a path can be."""

    BUNDLE = "bundle"
    TFLITE = "TFLite model"
    EXECUTORCH = "ExecuTorch program"
    COREML = "Core ML package"
    CHECKPOINT = "checkpoint"
    GRAPH = "integer graph"


def recognise(path: Path) -> Kind:
    """The kind of a file, by its content and not by its name.

    Raises:
        QsrError: if it is none that can be inspected.
        OSError: if it cannot be read.
    """
    known = "give a bundle, a .tflite, .pte or .mlpackage model, a checkpoint or a .qsrg graph"
    if path.is_dir():
        # Compared as spelt: on some file systems the one name also finds the other.
        names = {entry.name for entry in path.iterdir()}
        if MANIFEST_NAME in names:
            return Kind.BUNDLE
        if _COREML_MANIFEST_NAME in names:
            return Kind.COREML
        raise QsrError(f"{path}: a folder without {MANIFEST_NAME}, so not a bundle; {known}")
    with path.open("rb") as file:
        head = file.read(9)
    if is_torch_file(path):
        raise QsrError(f"{path}: {torch_file_advice(path)}")
    if head.startswith(_ZIP_MAGIC):
        return Kind.BUNDLE
    if head[4:8] == _TFLITE_IDENTIFIER:
        return Kind.TFLITE
    if head[4:7] == _EXECUTORCH_IDENTIFIER:
        return Kind.EXECUTORCH
    if head.startswith(_GRAPH_MAGIC):
        return Kind.GRAPH
    # safetensors: the length of the JSON header as 8 bytes, little-endian, of which the upper ones are zero; then the
    # header.
    if head[5:] == b"\0\0\0{":
        return Kind.CHECKPOINT
    raise QsrError(f"{path}: neither a bundle, a model nor a checkpoint, it begins with {head[:8]!r}; {known}")
