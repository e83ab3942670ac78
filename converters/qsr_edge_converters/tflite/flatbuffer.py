"""Building a .tflite file: tensors, operators, signatures, and everything equal stored once.

A thin layer over the object API of LiteRT's generated schema. What it adds: equal buffers and equal quantization
parameters are written once and shared by all that refer to them, across subgraphs too, and buffers are aligned as the
schema asks.

Importing this module imports the schema, so only ``TfliteBackend.convert`` and what it calls do.
"""

from collections.abc import Sequence
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated
from numpy.typing import NDArray

from qsr_edge_converters.tflite.format import BUFFER_ALIGNMENT, IDENTIFIER, SCHEMA_VERSION

schema: Any = schema_py_generated  # its annotations say lists where it takes, and prefers, arrays
NO_BUFFER = 0
"""By the schema's convention buffer 0 is empty and means that a tensor has no constant data."""


class FileBuilder:
    """A .tflite file under construction."""

    def __init__(self, *, description: str):
        """Start a file without subgraphs; ``description`` is what the file says of itself."""
        self._description = description
        self._contents: dict[bytes, int] = {b"": NO_BUFFER}
        self._quantizations: dict[tuple[bytes, int, int], Any] = {}
        self._operator_codes: dict[tuple[int, int], int] = {}
        self._subgraphs: list[SubgraphBuilder] = []
        self._signatures: list[Any] = []
        self._metadata: list[Any] = []

    def buffer(self, content: bytes) -> int:
        """Index of the buffer that holds ``content``."""
        return self._contents.setdefault(content, len(self._contents))

    def quantization(self, scales: NDArray[np.float32], zero_point: int, axis: int) -> Any:
        """Quantization parameters: (1,) scales for a tensor, (O,) along ``axis`` for each of its slices."""
        key = (scales.tobytes(), zero_point, axis)
        if key not in self._quantizations:
            parameters = schema.QuantizationParametersT()
            parameters.scale = scales.astype(np.float32)
            parameters.zeroPoint = np.full(scales.shape, zero_point, np.int64)
            parameters.quantizedDimension = axis
            self._quantizations[key] = _packed_once(parameters)
        return self._quantizations[key]

    def operator_code(self, operator: int, version: int) -> int:
        """Index of an operator in the file's table."""
        return self._operator_codes.setdefault((operator, version), len(self._operator_codes))

    def subgraph(self, name: str) -> "SubgraphBuilder":
        """Add a subgraph."""
        subgraph = SubgraphBuilder(self, name)
        self._subgraphs.append(subgraph)
        return subgraph

    def signature(
        self, key: str, subgraph: "SubgraphBuilder", *, inputs: dict[str, int], outputs: dict[str, int]
    ) -> None:
        """Make a subgraph callable by name; ``inputs`` and ``outputs`` map argument names to tensor indices."""
        signature = schema.SignatureDefT()
        signature.signatureKey = key
        signature.subgraphIndex = self._subgraphs.index(subgraph)
        signature.inputs = [_tensor_map(name, tensor) for name, tensor in inputs.items()]
        signature.outputs = [_tensor_map(name, tensor) for name, tensor in outputs.items()]
        self._signatures.append(signature)

    def metadata(self, name: str, content: bytes) -> None:
        """Add a named buffer for whoever reads the file; the runtime ignores it."""
        entry = schema.MetadataT()
        entry.name = name
        entry.buffer = self.buffer(content)
        self._metadata.append(entry)

    def to_bytes(self) -> bytes:
        """The file."""
        model = schema.ModelT()
        model.version = SCHEMA_VERSION
        model.description = self._description
        model.buffers = [_aligned_buffer(content) for content in self._contents]
        model.operatorCodes = [_operator_code(*key) for key in self._operator_codes]
        model.subgraphs = [subgraph.build() for subgraph in self._subgraphs]
        model.signatureDefs = self._signatures
        model.metadata = self._metadata
        builder = _SharingBuilder(1 << 16)
        builder.Finish(model.Pack(builder), IDENTIFIER)
        return bytes(builder.Output())


class SubgraphBuilder:
    """A subgraph under construction; made by ``FileBuilder.subgraph``."""

    def __init__(self, file: FileBuilder, name: str):
        """Start an empty subgraph of ``file``."""
        self.file = file
        self.inputs: list[int] = []
        self.outputs: list[int] = []
        self._name = name
        self._tensors: list[Any] = []
        self._operators: list[Any] = []

    def tensor(
        self,
        name: str,
        shape: Sequence[int],
        type_: int,
        *,
        scales: NDArray[np.float32] | None = None,
        zero_point: int = 0,
        axis: int = 0,
        content: bytes = b"",
    ) -> int:
        """Add a tensor and return its index.

        Args:
            name: for people.
            shape: -1 where the size is only known when the model runs.
            type_: a value of the schema's ``TensorType``.
            scales: (1,) or, along ``axis``, (O,); None for a tensor without quantization.
            zero_point: what real zero is stored as, in every slice.
            axis: the dimension that ``scales`` belong to.
            content: constant data; empty for an activation.
        """
        tensor = schema.TensorT()
        tensor.name = name
        tensor.shape = np.array([max(1, size) for size in shape], np.int32)
        if min(shape) < 0:
            tensor.shapeSignature = np.array(shape, np.int32)
        tensor.type = type_
        tensor.buffer = self.file.buffer(content)
        if scales is not None:
            tensor.quantization = self.file.quantization(scales, zero_point, axis)
        self._tensors.append(tensor)
        return len(self._tensors) - 1

    def operator(
        self, code: int, version: int, inputs: Sequence[int], output: int, *, options_type: int, options: Any
    ) -> None:
        """Add an operator that reads and writes the tensors with these indices."""
        operator = schema.OperatorT()
        operator.opcodeIndex = self.file.operator_code(code, version)
        operator.inputs = np.array(inputs, np.int32)
        operator.outputs = np.array([output], np.int32)
        operator.builtinOptionsType = options_type
        operator.builtinOptions = options
        self._operators.append(operator)

    def build(self) -> Any:
        """The schema's object for this subgraph."""
        subgraph = schema.SubGraphT()
        subgraph.name = self._name
        subgraph.tensors = self._tensors
        subgraph.operators = self._operators
        subgraph.inputs = np.array(self.inputs, np.int32)
        subgraph.outputs = np.array(self.outputs, np.int32)
        return subgraph


class _SharingBuilder(flatbuffers.Builder):  # type: ignore[misc]  # flatbuffers has no type annotations
    """Writes equal vectors and equal strings once."""

    def __init__(self, initial_bytes: int):
        super().__init__(initial_bytes)
        self._vectors: dict[tuple[str, bytes], int] = {}
        self._texts: dict[str, int] = {}

    def CreateNumpyVector(self, x: NDArray[Any]) -> int:  # noqa: N802 - flatbuffers' name
        key = (x.dtype.str, x.tobytes())
        if key not in self._vectors:
            self._vectors[key] = super().CreateNumpyVector(x)
        return self._vectors[key]

    def CreateString(self, s: str, encoding: str = "utf-8", errors: str = "strict") -> int:  # noqa: N802 - flatbuffers' name
        if s not in self._texts:
            self._texts[s] = super().CreateString(s, encoding, errors)
        return self._texts[s]


def _tensor_map(name: str, tensor: int) -> Any:
    entry = schema.TensorMapT()
    entry.name = name
    entry.tensorIndex = tensor
    return entry


def _operator_code(operator: int, version: int) -> Any:
    code = schema.OperatorCodeT()
    code.builtinCode = operator
    code.deprecatedBuiltinCode = min(operator, schema.BuiltinOperator.PLACEHOLDER_FOR_GREATER_OP_CODES)
    code.version = version
    return code


def _packed_once(item: Any) -> Any:
    """Make a second ``Pack`` by the same builder return the first one's offset."""
    pack = item.Pack
    offsets: dict[int, int] = {}

    def shared_pack(builder: Any) -> int:
        if id(builder) not in offsets:
            offsets[id(builder)] = pack(builder)
        return offsets[id(builder)]

    item.Pack = shared_pack
    return item


def _aligned_buffer(content: bytes) -> Any:
    # The generated Pack aligns bytes to 1; the schema says force_align: 16, which kernels with vector loads rely on.
    def pack(builder: Any) -> int:
        data = None
        if content:
            builder.StartVector(1, len(content), BUFFER_ALIGNMENT)
            builder.head -= len(content)
            builder.Bytes[builder.head : builder.head + len(content)] = content
            data = builder.EndVector()
        schema.BufferStart(builder)
        if data is not None:
            schema.BufferAddData(builder, data)
        return int(schema.BufferEnd(builder))

    buffer = schema.BufferT()
    buffer.Pack = pack
    return buffer
