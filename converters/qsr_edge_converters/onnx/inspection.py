"""What an ONNX model consists of."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from qsr_edge.errors import BackendError, one_line
from qsr_edge.graph.cost import GraphCost
from qsr_edge_converters.onnx.costs import model_cost

_BEGINNING = b"\x08"
"""The key of field 1, a varint."""
_IR_VERSIONS = range(1, 64)
_DEPTH_DIGITS = 4
_LONGEST_REASON = 200
_NEXT = (0x12, 0x1A, 0x22, 0x3A, 0x42)
"""Keys of producer_name, producer_version, domain, graph and opset_import."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OnnxReport:
    """What a model consists of.

    Attributes:
        size_bytes: of the file; constants of a shared file are not counted.
        description: the file's own.
        producer: what wrote it, and its version.
        opset: version of the standard operators; 0 if it uses none.
        ir_version: of the file format.
        input_shape, output_shape: of the first of each, as text: ``1 x 3 x height x width``.
        operators: how often each occurs, in order of the names.
        constant_types: how often each element type occurs among the constants.
        external_files: that hold constants of the model.
        unquantized: the first node whose floats are not rounded to integers next; None if there is none: the model is
            in QDQ form throughout, which runtimes turn into integer kernels.
        metadata: what qsr-edge wrote of the model; anything if something else wrote it.
        costs: of its depth; empty if the model does not tell, or is not of the form that qsr-edge writes.
    """

    size_bytes: int
    description: str
    producer: str
    opset: int
    ir_version: int
    input_shape: str
    output_shape: str
    operators: Mapping[str, int]
    constant_types: Mapping[str, int]
    external_files: tuple[str, ...]
    unquantized: str | None
    metadata: Mapping[str, str]
    costs: Mapping[int, GraphCost]

    @property
    def first_float(self) -> str | None:
        """What in it is floating-point; None if nothing is."""
        if self.unquantized:
            return f"{self.unquantized} computes with floats"
        if "DequantizeLinear" in self.operators:
            return (
                "QDQ form: float32 between each DequantizeLinear and the next QuantizeLinear, which runtimes fuse into "
                "integer kernels"
            )
        return None


def is_onnx(path: Path) -> bool:
    """Whether a file begins as an ONNX model does: its IR version, then one of its next fields.

    A protobuf has no identifier; field 1 of ``ModelProto`` is a small number (onnx.proto).

    Raises:
        OSError: if it cannot be read.
    """
    if not path.is_file():
        return False
    with path.open("rb") as file:
        head = file.read(3)
    return len(head) == len(_BEGINNING) + 2 and head[:1] == _BEGINNING and head[1] in _IR_VERSIONS and head[2] in _NEXT


def inspect_onnx(path: Path) -> OnnxReport:
    """Say what a model consists of; it may come from elsewhere.

    Raises:
        BackendError: if the file is missing or damaged.
    """
    import onnx
    from google.protobuf.message import DecodeError
    from onnx.shape_inference import InferenceError

    try:
        content = path.read_bytes()
    except OSError as error:
        raise BackendError(f"{path}: cannot be read ({error.strerror}); convert anew") from error
    try:
        return _report(onnx.load_model_from_string(content), len(content))
    # RuntimeError and its like: onnx's checks of what it is to infer types from.
    except (DecodeError, InferenceError, RuntimeError, ValueError) as error:
        text = one_line(error, None)
        raise BackendError(f"{path}: no sound ONNX model ({text[:_LONGEST_REASON]}); convert anew") from error


def _report(model: Any, size_bytes: int) -> OnnxReport:
    from onnx import TensorProto

    graph = model.graph
    if not graph.node:
        raise ValueError("it has no node")
    metadata = {_text(entry.key): _text(entry.value) for entry in model.metadata_props}
    depth = metadata.get("depth", "")
    cost = model_cost(model, int(depth)) if depth.isdecimal() and len(depth) <= _DEPTH_DIGITS else None
    external = {
        _text(entry.value)
        for tensor in graph.initializer
        for entry in tensor.external_data
        if _text(entry.key) == "location"
    }
    return OnnxReport(
        size_bytes=size_bytes,
        description=_text(model.doc_string),
        producer=" ".join(part for part in (_text(model.producer_name), _text(model.producer_version)) if part),
        opset=next((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), 0),
        ir_version=model.ir_version,
        input_shape=_shape(graph.input),
        output_shape=_shape(graph.output),
        operators=_counted(_text(node.op_type) for node in graph.node),
        constant_types=_counted(
            TensorProto.DataType.Name(tensor.data_type).lower()
            if tensor.data_type in TensorProto.DataType.values()
            else f"type {tensor.data_type}"
            for tensor in graph.initializer
        ),
        external_files=tuple(sorted(external)),
        unquantized=_unquantized(model),
        metadata=MappingProxyType(metadata),
        costs=MappingProxyType({int(depth): cost} if cost else {}),
    )


def _text(value: str | bytes) -> str:
    """A string field; protobuf hands over bytes if it is not UTF-8."""
    return value if isinstance(value, str) else value.decode(errors="replace")


def _counted(names: Iterable[str]) -> Mapping[str, int]:
    return MappingProxyType(dict(sorted(Counter(names).items())))


def _shape(values: Sequence[Any]) -> str:
    if not values:
        return "none"
    dimensions = values[0].type.tensor_type.shape.dim
    return " x ".join(
        str(side.dim_value) if side.HasField("dim_value") else _text(side.dim_param) or "?" for side in dimensions
    )


def _unquantized(model: Any) -> str | None:
    """The first node whose floats go elsewhere than into QuantizeLinear; those of DequantizeLinear are as meant."""
    from onnx import TensorProto, shape_inference

    inferred = shape_inference.infer_shapes(model).graph
    types = {value.name: value.type.tensor_type.elem_type for value in (*inferred.value_info, *inferred.output)}
    readers: dict[str, set[str]] = {}
    for node in inferred.node:
        for name in node.input:
            readers.setdefault(name, set()).add(node.op_type)
    integers = {
        getattr(TensorProto, name)
        for name in ("INT4", "UINT4", "INT8", "UINT8", "INT16", "UINT16", "INT32", "UINT32", "INT64", "UINT64", "BOOL")
    }
    for node in inferred.node:
        if node.op_type == "DequantizeLinear":
            continue
        for name in node.output:
            if types.get(name) not in integers and readers.get(name) != {"QuantizeLinear"}:
                return f"{_text(node.name or name)} ({_text(node.op_type)})"
    return None
