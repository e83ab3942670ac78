"""Reading .tflite files from outside, with bounds checked and without any SDK."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from qsr_edge.errors import BackendError
from qsr_edge_converters.tflite.checking import check_model
from qsr_edge_converters.tflite.file_model import FileModel, FileOperator, FileSignature, FileSubgraph, FileTensor
from qsr_edge_converters.tflite.flatbuffer_reading import DamagedError, Table
from qsr_edge_converters.tflite.format import IDENTIFIER, SCHEMA_VERSION

Item = TypeVar("Item")

IDENTIFIER_BYTES = slice(4, 8)
# Slots of the schema's tables that qsr-edge writes; see schema.fbs of LiteRT.
_MODEL_SLOTS = (0, 1, 2, 3, 4, 6, 7)
_OPERATOR_CODE_SLOTS = (0, 2, 3)
_SUBGRAPH_SLOTS = (0, 1, 2, 3, 4)
_TENSOR_SLOTS = (0, 1, 2, 3, 4, 7)
_QUANTIZATION_SLOTS = (2, 3, 6)
_OPERATOR_SLOTS = (0, 1, 2, 3, 4)
_BUFFER_SLOTS = (0,)
_METADATA_SLOTS = (0, 1)
_SIGNATURE_SLOTS = (0, 1, 2, 4)
_TENSOR_MAP_SLOTS = (0, 1)


def read_model_file(path: Path, *, ours: bool = True) -> FileModel:
    """Read a .tflite file.

    Args:
        path: the file.
        ours: refuse fields that qsr-edge never writes, and whatever ``check_model`` refuses, so that native code can be
            trusted with the file.

    Raises:
        BackendError: naming the file and what is wrong with it.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BackendError(f"{path}: cannot be read: {error.strerror or error}") from error
    try:
        model = read_model(content, ours=ours)
        if ours:
            check_model(model)
    except DamagedError as error:
        raise BackendError(f"{path}: damaged or not written by qsr-edge: {error}; convert the model again") from error
    return model


def read_model(content: bytes, *, ours: bool) -> FileModel:
    """Read the bytes of a .tflite file.

    Raises:
        DamagedError: saying what is wrong, without naming the file.
    """
    if content[IDENTIFIER_BYTES] != IDENTIFIER:
        raise DamagedError("it has no TFLite identifier")
    root = Table.root(content)
    if root.scalar(0, "I") != SCHEMA_VERSION:
        raise DamagedError(f"schema version {root.scalar(0, 'I')}, expected {SCHEMA_VERSION}")
    reader = _Reader(ours=ours)
    reader.expect(root, _MODEL_SLOTS, "the model")
    buffers = [reader.buffer(table) for table in root.tables(4)]
    codes = [reader.operator_code(table) for table in root.tables(1)]
    return FileModel(
        content=content,
        description=root.text(3),
        subgraphs=tuple(reader.subgraph(table, buffers, codes) for table in root.tables(2)),
        signatures=MappingProxyType(dict(reader.signature(table) for table in root.tables(7))),
        metadata=MappingProxyType(dict(reader.metadata(table, buffers) for table in root.tables(6))),
    )


class _Reader:
    def __init__(self, *, ours: bool):
        self._ours = ours

    def expect(self, table: Table, slots: tuple[int, ...], what: str) -> None:
        if self._ours:
            table.expect_slots(slots, what)

    def buffer(self, table: Table) -> NDArray[np.uint8]:
        self.expect(table, _BUFFER_SLOTS, "a buffer")
        return table.array(0, "<u1")

    def operator_code(self, table: Table) -> tuple[int, int]:
        self.expect(table, _OPERATOR_CODE_SLOTS, "an operator code")
        # Readers take the greater of the two; the first is a byte, kept for old ones.
        return max(table.scalar(0, "b"), table.scalar(3, "i")), table.scalar(2, "i", 1)

    def subgraph(self, table: Table, buffers: list[NDArray[np.uint8]], codes: list[tuple[int, int]]) -> FileSubgraph:
        self.expect(table, _SUBGRAPH_SLOTS, "a subgraph")
        return FileSubgraph(
            name=table.text(4),
            tensors=tuple(self.tensor(item, buffers) for item in table.tables(0)),
            operators=tuple(self.operator(item, codes) for item in table.tables(3)),
            inputs=_integers(table, 1),
            outputs=_integers(table, 2),
        )

    def tensor(self, table: Table, buffers: list[NDArray[np.uint8]]) -> FileTensor:
        self.expect(table, _TENSOR_SLOTS, "a tensor")
        shape = _integers(table, 0)
        quantization = table.table(4)
        if quantization is not None:
            self.expect(quantization, _QUANTIZATION_SLOTS, "the quantization of a tensor")
        return FileTensor(
            name=table.text(3),
            shape=shape,
            shape_signature=_integers(table, 7) or shape,
            type=table.scalar(1, "b"),
            scales=quantization.array(2, "<f4") if quantization else np.zeros(0, np.float32),
            zero_points=quantization.array(3, "<i8") if quantization else np.zeros(0, np.int64),
            axis=quantization.scalar(6, "i") if quantization else 0,
            content=_item(buffers, table.scalar(2, "I"), "buffer"),
        )

    def operator(self, table: Table, codes: list[tuple[int, int]]) -> FileOperator:
        self.expect(table, _OPERATOR_SLOTS, "an operator")
        code, version = _item(codes, table.scalar(0, "I"), "operator code")
        return FileOperator(
            code=code,
            version=version,
            inputs=_integers(table, 1),
            outputs=_integers(table, 2),
            options_type=table.scalar(3, "B"),
            options=table.table(4),
        )

    def signature(self, table: Table) -> tuple[str, FileSignature]:
        self.expect(table, _SIGNATURE_SLOTS, "a signature")
        return table.text(2), FileSignature(
            subgraph=table.scalar(4, "I"), inputs=self.arguments(table, 0), outputs=self.arguments(table, 1)
        )

    def arguments(self, table: Table, slot: int) -> Mapping[str, int]:
        entries = table.tables(slot)
        for entry in entries:
            self.expect(entry, _TENSOR_MAP_SLOTS, "an argument of a signature")
        return MappingProxyType({entry.text(0): entry.scalar(1, "I") for entry in entries})

    def metadata(self, table: Table, buffers: list[NDArray[np.uint8]]) -> tuple[str, bytes]:
        self.expect(table, _METADATA_SLOTS, "a metadata entry")
        return table.text(0), _item(buffers, table.scalar(1, "I"), "buffer").tobytes()


def _integers(table: Table, slot: int) -> tuple[int, ...]:
    return tuple(int(value) for value in table.array(slot, "<i4"))


def _item(items: Sequence[Item], index: int, what: str) -> Item:
    if index >= len(items):
        raise DamagedError(f"it refers to {what} {index} of {len(items)}")
    return items[index]


def signature_input_shape(model: FileModel, key: str) -> tuple[int, ...] | None:
    """(1, H, W, C) of the image that a signature takes, -1 where the size is open; None without such a signature."""
    signature = model.signatures.get(key)
    if signature is None:
        return None
    subgraph = model.subgraphs[signature.subgraph]
    return subgraph.tensors[subgraph.inputs[0]].shape_signature
