"""Graphs as ``.qsrg`` files, and as text to read.

A ``.qsrg`` file, all numbers little-endian:

    magic       4 bytes   "QSRG"
    version     uint32    1
    header      uint32    length in bytes
    header                JSON: the graph, and of each constant its id, data type and shape
    arrays                in the header's order, without gaps
    sha256      32 bytes  of everything before it

Equal graphs give equal bytes. Only the constants that the graph reads are stored.
"""

import hashlib
import json
import math
import struct
from collections.abc import Mapping
from dataclasses import fields
from typing import TypeVar

import numpy as np

from qsr_edge.errors import GraphError
from qsr_edge.graph.ir import (
    Add,
    Array,
    ConstantId,
    Constants,
    Conv2d,
    DepthToSpace,
    Graph,
    Multiplier,
    Node,
    QuantizeInput,
    Requantization,
    Shift,
    Tensor,
    TensorId,
    node_constants,
    node_inputs,
)
from qsr_edge.quant.arithmetic import CodeRange, Profile

_MAGIC = b"QSRG"
_VERSION = 1
_PREFIX = struct.Struct("<4sII")
_DIGEST_BYTES = hashlib.sha256().digest_size
_DTYPES = {"int8": "<i1", "int32": "<i4", "float32": "<f4"}
_KINDS: Mapping[str, type[Node]] = {
    "quantize_input": QuantizeInput,
    "conv2d": Conv2d,
    "add": Add,
    "depth_to_space": DepthToSpace,
}
_KIND_NAMES = {kind: name for name, kind in _KINDS.items()}
_REMEDY = "write the graph anew"

_Table = dict[str, object]
_Value = TypeVar("_Value", int, str, bool, list[object], _Table)


def _used_constants(graph: Graph) -> list[ConstantId]:
    return sorted({key for node in graph.nodes for key in node_constants(node)})


def _node_table(node: Node) -> _Table:
    table: _Table = {"kind": _KIND_NAMES[type(node)]}
    for field in fields(node):
        value = getattr(node, field.name)
        match value:
            case Shift(shifts=key):
                table[field.name] = {"shift": key}
            case Multiplier(multipliers=key):
                table[field.name] = {"multiplier": key}
            case tuple():
                table[field.name] = list(value)
            case _:
                table[field.name] = value
    return table


def dump_graph(graph: Graph, constants: Constants) -> bytes:
    """A graph and the constants that it reads as a ``.qsrg`` file.

    Raises:
        GraphError: if a constant is missing, or of a data type that graphs do not have.
    """
    descriptions: list[_Table] = []
    arrays: list[bytes] = []
    for key in _used_constants(graph):
        array = constants[key]
        if array.dtype.name not in _DTYPES or not array.size:
            raise GraphError(
                f"graph {graph.name}: {key} is {array.dtype} {array.shape}, expected {' or '.join(_DTYPES)}, not empty"
            )
        descriptions.append({"id": key, "dtype": array.dtype.name, "shape": list(array.shape)})
        arrays.append(array.astype(_DTYPES[array.dtype.name]).tobytes(order="C"))
    table: _Table = {
        "name": graph.name,
        "scale": graph.scale,
        "depth": graph.depth,
        "bits": graph.bits,
        "profile": graph.profile.value,
        "tensors": [
            {
                "id": tensor.id,
                "channels": tensor.channels,
                "q_min": tensor.range.q_min,
                "q_max": tensor.range.q_max,
                "upscale": tensor.upscale,
            }
            for tensor in graph.tensors
        ],
        "nodes": [_node_table(node) for node in graph.nodes],
        "output": graph.output,
        "constants": descriptions,
    }
    header = json.dumps(table, separators=(",", ":")).encode("ascii")
    content = b"".join([_PREFIX.pack(_MAGIC, _VERSION, len(header)), header, *arrays])
    return content + hashlib.sha256(content).digest()


class _Reader:
    """Takes typed values out of the header's tables; every message names the file and the place."""

    def __init__(self, source: str):
        self._source = source

    def error(self, problem: str) -> GraphError:
        return GraphError(f"{self._source}: {problem}; {_REMEDY}")

    def typed(self, value: object, kind: type[_Value], where: str) -> _Value:
        # The type itself: a bool is an int to isinstance.
        if type(value) is not kind:
            raise self.error(f"{where} is a {type(value).__name__}, expected {kind.__name__}")
        return value

    def field(self, table: _Table, key: str, kind: type[_Value], where: str) -> _Value:
        if key not in table:
            raise self.error(f"{where} has no {key!r}")
        return self.typed(table[key], kind, f"{where}: {key}")

    def only(self, table: _Table, keys: set[str], where: str) -> None:
        if unknown := sorted(table.keys() - keys):
            raise self.error(f"{where} has an unknown key {unknown[0]!r}")

    def tables(self, table: _Table, key: str) -> list[_Table]:
        return [
            self.typed(entry, dict, f"{key}[{i}]") for i, entry in enumerate(self.field(table, key, list, "header"))
        ]

    def tensor(self, table: _Table, where: str) -> Tensor:
        self.only(table, {"id", "channels", "q_min", "q_max", "upscale"}, where)
        return Tensor(
            id=TensorId(self.field(table, "id", str, where)),
            channels=self.field(table, "channels", int, where),
            range=CodeRange(self.field(table, "q_min", int, where), self.field(table, "q_max", int, where)),
            upscale=self.field(table, "upscale", int, where),
        )

    def requantization(self, table: _Table, where: str) -> Requantization:
        match table:
            case {"shift": str(key)} if len(table) == 1:
                return Shift(shifts=ConstantId(key))
            case {"multiplier": str(key)} if len(table) == 1:
                return Multiplier(multipliers=ConstantId(key))
        raise self.error(f"{where}: requantization is neither a shift nor a multiplier")

    def node(self, table: _Table, where: str) -> Node:
        kind = _KINDS.get(self.field(table, "kind", str, where))
        if kind is None:
            raise self.error(f"{where} is of an unknown kind, known are {', '.join(_KINDS)}")
        self.only(table, {"kind"} | {field.name for field in fields(kind)}, where)
        name = self.field(table, "name", str, where)
        output = TensorId(self.field(table, "output", str, where))
        if kind is QuantizeInput:
            return QuantizeInput(name=name, output=output)
        if kind is Add:
            inputs = [self.typed(entry, str, where) for entry in self.field(table, "inputs", list, where)]
            if len(inputs) != 2:
                raise self.error(f"{where} has {len(inputs)} inputs, expected 2")
            return Add(name=name, inputs=(TensorId(inputs[0]), TensorId(inputs[1])), output=output)
        source = TensorId(self.field(table, "input", str, where))
        if kind is DepthToSpace:
            return DepthToSpace(name=name, input=source, output=output, block=self.field(table, "block", int, where))
        return Conv2d(
            name=name,
            input=source,
            output=output,
            weights=ConstantId(self.field(table, "weights", str, where)),
            bias=ConstantId(self.field(table, "bias", str, where)),
            weight_bits=self.field(table, "weight_bits", int, where),
            requantization=self.requantization(self.field(table, "requantization", dict, where), where),
            depthwise=self.field(table, "depthwise", bool, where),
        )

    def arrays(self, descriptions: list[_Table], content: memoryview) -> Constants:
        arrays: dict[ConstantId, Array] = {}
        offset = 0
        for table in descriptions:
            key = ConstantId(self.field(table, "id", str, "constant"))
            where = f"constant {key!r}"
            self.only(table, {"id", "dtype", "shape"}, where)
            dtype = _DTYPES.get(self.field(table, "dtype", str, where))
            shape = [self.typed(size, int, where) for size in self.field(table, "shape", list, where)]
            if dtype is None or key in arrays or len(shape) > 8 or any(not 1 <= size < 2**31 for size in shape):
                raise self.error(f"{where} is there twice, or its data type or shape is not possible")
            end = offset + math.prod(shape) * np.dtype(dtype).itemsize
            if end > len(content):
                raise self.error(f"{where} of shape {shape} needs more bytes than the file has")
            array = np.frombuffer(content[offset:end], dtype=dtype).reshape(shape)
            arrays[key] = array.astype(np.dtype(dtype).newbyteorder("="))
            offset = end
        if offset != len(content):
            raise self.error(f"{len(content) - offset} bytes follow the last constant, expected none")
        return Constants(arrays)

    def graph(self, header: _Table) -> Graph:
        self.only(header, {field.name for field in fields(Graph)} | {"constants"}, "header")
        profile = self.field(header, "profile", str, "header")
        if profile not in list(Profile):
            raise self.error(f"profile is {profile!r}, expected one of {', '.join(Profile)}")
        return Graph(
            name=self.field(header, "name", str, "header"),
            scale=self.field(header, "scale", int, "header"),
            depth=self.field(header, "depth", int, "header"),
            bits=self.field(header, "bits", int, "header"),
            profile=Profile(profile),
            tensors=tuple(
                self.tensor(entry, f"tensors[{i}]") for i, entry in enumerate(self.tables(header, "tensors"))
            ),
            nodes=tuple(self.node(entry, f"nodes[{i}]") for i, entry in enumerate(self.tables(header, "nodes"))),
            output=TensorId(self.field(header, "output", str, "header")),
        )


def load_graph(content: bytes, source: str = "graph") -> tuple[Graph, Constants]:
    """Read a ``.qsrg`` file. What the graph means is for ``qsr_edge.graph.verify`` to check.

    Args:
        content: the file.
        source: its name, for messages.

    Raises:
        GraphError: if it is foreign, cut, damaged, of another version, or not what :func:`dump_graph` writes.
    """
    reader = _Reader(source)
    if not content.startswith(_MAGIC):
        raise reader.error(f"not a .qsrg file, expected {_MAGIC!r} at its start")
    if len(content) < _PREFIX.size + _DIGEST_BYTES:
        raise reader.error(f"cut after {len(content)} bytes")
    _, version, length = _PREFIX.unpack_from(content)
    if hashlib.sha256(content[:-_DIGEST_BYTES]).digest() != content[-_DIGEST_BYTES:]:
        raise reader.error(f"cut or damaged: the sha256 of its {len(content)} bytes is not the one at its end")
    if version != _VERSION:
        raise GraphError(f"{source}: format version {version}, this release reads {_VERSION}; update qsr-edge")
    body = memoryview(content)[_PREFIX.size : -_DIGEST_BYTES]
    if length > len(body):
        raise reader.error(f"a header of {length} bytes is longer than the file")
    try:
        table = json.loads(bytes(body[:length]).decode("ascii"))
    except (ValueError, RecursionError) as error:
        raise reader.error(f"the header is not JSON ({error})") from error
    header = reader.typed(table, dict, "header")
    graph = reader.graph(header)
    constants = reader.arrays(reader.tables(header, "constants"), body[length:])
    if list(constants) != _used_constants(graph):
        raise reader.error("its constants are not those that its nodes read")
    return graph, constants


def _describe(array: Array) -> str:
    digest = hashlib.sha256(array.astype(_DTYPES[array.dtype.name]).tobytes(order="C")).hexdigest()
    shape = "x".join(map(str, array.shape))
    return f"{array.dtype.name} {shape} [{array.min():.9g}, {array.max():.9g}] sha256 {digest[:12]}"


def format_graph(graph: Graph, constants: Constants) -> str:
    """A graph as text, the same for equal graphs: a line per tensor, node and constant, arrays by range and sha256."""
    lines = [
        f"graph {graph.name}: x{graph.scale}, depth {graph.depth}, {graph.bits} bits, {graph.profile}, "
        f"output {graph.output}",
        "tensors",
    ]
    for tensor in graph.tensors:
        codes = f"[{tensor.range.q_min}, {tensor.range.q_max}]"
        lines.append(f"  {tensor.id}: {tensor.channels} channels, codes {codes}, grid x{tensor.upscale}")
    lines.append("nodes")
    for node in graph.nodes:
        details = ""
        match node:
            case Conv2d():
                kind = "multiplier" if isinstance(node.requantization, Multiplier) else "shift"
                _, _, requantization = node_constants(node)
                details = (
                    f" weights {node.weights} ({node.weight_bits} bits), bias {node.bias}, {kind} {requantization}"
                )
                details += ", depthwise" if node.depthwise else ""
            case DepthToSpace():
                details = f" block {node.block}"
            case QuantizeInput() | Add():
                pass
        inputs = ", ".join(node_inputs(node)) or "image"
        lines.append(f"  {node.name}: {_KIND_NAMES[type(node)]} {inputs} -> {node.output}{details}")
    lines.append("constants")
    lines += [f"  {key}: {_describe(constants[key])}" for key in _used_constants(graph)]
    return "\n".join(lines) + "\n"
