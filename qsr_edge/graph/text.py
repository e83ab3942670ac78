"""Graphs as text to read: what ``qsr-edge inspect CHECKPOINT --graph DEPTH`` prints."""

import hashlib

from qsr_edge.graph.ir import (
    Add,
    Array,
    ConstantId,
    Constants,
    Conv2d,
    DepthToSpace,
    Graph,
    Multiplier,
    QuantizeInput,
    node_constants,
    node_inputs,
)

_DTYPES = {"int8": "<i1", "int32": "<i4", "float32": "<f4"}
_KIND_NAMES = {QuantizeInput: "quantize_input", Conv2d: "conv2d", Add: "add", DepthToSpace: "depth_to_space"}


def _used_constants(graph: Graph) -> list[ConstantId]:
    return sorted({key for node in graph.nodes for key in node_constants(node)})


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
