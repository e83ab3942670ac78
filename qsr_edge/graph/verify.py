"""Checks that a graph is well formed and computed exactly by the golden interpreter; a back end may refuse more."""

import numpy as np

from qsr_edge.errors import GraphError
from qsr_edge.graph.interpreter import accumulator_bound
from qsr_edge.graph.ir import (
    Add,
    Constants,
    Conv2d,
    DepthToSpace,
    Graph,
    Multiplier,
    Node,
    QuantizeInput,
    Shift,
    Tensor,
    TensorId,
    node_constants,
    node_inputs,
)
from qsr_edge.quant.arithmetic import CodeRange, Profile

GUARD_BITS = 2
"""Bits that a back end appends to weights and bias so that no accumulator is a tie."""
MAX_SHIFT = 24
_INT8 = CodeRange.signed(8)
_FLOAT32_EXACT = 1 << 24


def _fail(node: Node, got: str, expected: str) -> GraphError:
    return GraphError(f"node {node.name}: got {got}, expected {expected}")


def _verify_conv(node: Conv2d, source: Tensor, output: Tensor, constants: Constants, profile: Profile) -> None:
    weights, bias = constants[node.weights], constants[node.bias]
    inputs = 1 if node.depthwise else source.channels
    if (
        weights.dtype != np.int8
        or weights.ndim != 4
        or weights.shape[1] != weights.shape[2]
        or weights.shape[1] % 2 == 0
    ):
        raise _fail(node, f"weights {weights.dtype} {weights.shape}", "int8 (O, K, K, I) with K odd")
    if weights.size == 0 or not 1 <= node.weight_bits <= 8:
        raise _fail(node, f"{weights.shape} weights of {node.weight_bits} bits", "at least one weight, of 1 to 8 bits")
    if weights.shape[0] != output.channels or weights.shape[3] != inputs:
        raise _fail(node, f"weights of shape {weights.shape}", f"{output.channels} output and {inputs} input channels")
    if node.depthwise and source.channels != output.channels:
        raise _fail(node, f"{source.channels} -> {output.channels} channels", "equal counts in a depthwise convolution")
    if bias.dtype != np.int32 or bias.shape != (output.channels,):
        raise _fail(node, f"bias {bias.dtype} {bias.shape}", f"int32 ({output.channels},)")
    signed = CodeRange.signed(node.weight_bits)
    if weights.min() < signed.q_min or weights.max() > signed.q_max:
        raise _fail(node, f"weights in [{weights.min()}, {weights.max()}]", f"{node.weight_bits} bits")
    if source.range.q_min > 0 or source.range.q_max < 0:
        raise _fail(node, f"input codes {source.range}", "a range that holds 0, the padding code")
    upper = output.range
    if upper.bits > 8 or not (
        upper == _INT8 or upper == CodeRange.signed(upper.bits) or upper == CodeRange.unsigned(upper.bits)
    ):
        raise _fail(node, f"output codes {upper}", "the full signed or unsigned range of a bit width")
    bound = accumulator_bound(weights.astype(np.int8), bias.astype(np.int32), source.range)
    match node.requantization:
        case Shift(shifts=key):
            shifts = constants[key]
            if shifts.dtype != np.int32 or shifts.shape != (output.channels,):
                raise _fail(node, f"shifts {shifts.dtype} {shifts.shape}", f"int32 ({output.channels},)")
            if shifts.min() < 1 or shifts.max() > MAX_SHIFT:
                raise _fail(node, f"shifts in [{shifts.min()}, {shifts.max()}]", f"1 to {MAX_SHIFT}")
            guarded = max(abs(int(weights.min())), abs(int(weights.max()))) << GUARD_BITS
            if guarded > -_INT8.q_min:
                raise _fail(
                    node, f"weights that need {guarded} with guard bits", "6-bit weights in the portable profile"
                )
            if (bound << GUARD_BITS) + 1 >= _FLOAT32_EXACT:
                raise _fail(
                    node, f"accumulators up to {bound}", f"less than 2^{24 - GUARD_BITS} in the portable profile"
                )
        case Multiplier(multipliers=key):
            multipliers = constants[key]
            if profile is Profile.PORTABLE:
                raise _fail(node, "a multiplier", "a shift in the portable profile")
            if multipliers.dtype != np.float32 or multipliers.shape != (output.channels,):
                raise _fail(
                    node, f"multipliers {multipliers.dtype} {multipliers.shape}", f"float32 ({output.channels},)"
                )
            if not (np.isfinite(multipliers).all() and (multipliers > 0).all()):
                raise _fail(node, "multipliers that are not finite and positive", "finite and positive")
            if bound >= _FLOAT32_EXACT // 2:
                raise _fail(node, f"accumulators up to {bound}", "less than 2^23")


def _verify_node(
    node: Node, sources: tuple[Tensor, ...], output: Tensor, constants: Constants, profile: Profile
) -> None:
    match node:
        case QuantizeInput():
            if (output.channels, output.range, output.upscale) != (3, _INT8, 1):
                raise _fail(node, f"output {output}", "3 channels of codes in [-128, 127]")
        case Conv2d():
            _verify_conv(node, sources[0], output, constants, profile)
        case Add():
            a, b = sources
            if not a.channels == b.channels == output.channels or not a.upscale == b.upscale == output.upscale:
                raise _fail(node, f"{a} + {b} -> {output}", "tensors of one shape")
            if not all(tensor.range == _INT8 for tensor in (a, b, output)):
                raise _fail(node, "codes of fewer than 8 bits", "codes in [-128, 127], which saturate by themselves")
        case DepthToSpace():
            source = sources[0]
            if node.block < 2 or source.channels != output.channels * node.block**2:
                raise _fail(node, f"{source.channels} -> {output.channels} channels", f"a factor of {node.block}^2")
            if output.upscale != source.upscale * node.block or output.range != source.range:
                raise _fail(node, f"{source} -> {output}", "the same codes, upscaled by the block")
    if isinstance(node, Conv2d) and sources[0].upscale != output.upscale:
        raise _fail(node, f"upscale {sources[0].upscale} -> {output.upscale}", "the same size")


def verify_graph(graph: Graph, constants: Constants) -> None:
    """Check a graph whole: references, shapes, bit ranges, accumulator bounds, output.

    Raises:
        GraphError: naming the node, what was got and what was expected.
    """
    tensors = graph.tensors_by_id()
    if len({node.name for node in graph.nodes}) != len(graph.nodes):
        raise GraphError(f"graph {graph.name}: two nodes have the same name")
    made: set[TensorId] = set()
    for i, node in enumerate(graph.nodes):
        if isinstance(node, QuantizeInput) != (i == 0):
            raise _fail(node, f"position {i}", "exactly one QuantizeInput, first")
        for tensor in (*node_inputs(node), node.output):
            if tensor not in tensors:
                raise _fail(node, f"the tensor {tensor!r}", "a declared tensor")
        for tensor in node_inputs(node):
            if tensor not in made:
                raise _fail(node, f"the tensor {tensor!r}", "a tensor made by an earlier node")
        if node.output in made:
            raise _fail(node, f"the tensor {node.output!r}", "a tensor not made by another node")
        for key in node_constants(node):
            if key not in constants:
                raise _fail(node, f"the constant {key!r}", "a stored constant")
        sources = tuple(tensors[tensor] for tensor in node_inputs(node))
        _verify_node(node, sources, tensors[node.output], constants, graph.profile)
        made.add(node.output)
    if made != set(tensors):
        raise GraphError(f"graph {graph.name}: declared but never made: {', '.join(sorted(set(tensors) - made))}")
    output = tensors.get(graph.output)
    if output is None or (output.channels, output.range, output.upscale) != (3, _INT8, graph.scale):
        raise GraphError(
            f"graph {graph.name}: the output is {output}, expected 3 channels of int8 codes at x{graph.scale}"
        )
