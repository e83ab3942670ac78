"""The golden interpreter: numpy, exact, fast.

Convolutions are one BLAS product over im2col rows of integer-valued floats. Every product and partial sum is an
integer, so the result is exact in whatever order BLAS adds, as long as the sum of magnitudes stays below 2^24 (float32)
or 2^53 (float64). That bound is computed from the weights and the declared input range; a graph beyond it is refused.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qsr_edge.errors import GraphError
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
    node_inputs,
)
from qsr_edge.quant.arithmetic import IMAGE_ZERO, CodeRange

Codes = NDArray[np.floating[Any]]

_FLOAT32_EXACT = 1 << 24
_FLOAT64_EXACT = 1 << 53
_BAND_BYTES = 64 << 20
"""Size that the im2col rows of one band may have: large enough for BLAS, small enough for any machine."""


def accumulator_bound(weights: NDArray[np.int8], bias: NDArray[np.int32], input_range: CodeRange) -> int:
    """The largest magnitude that an accumulator or a partial sum of it can reach: sum |w| * max|q| + |b|.

    Args:
        weights: (O, K, K, I) int8.
        bias: (O,) int32.
        input_range: codes of the input; padding (code 0) lies in it.
    """
    reach = max(abs(input_range.q_min), abs(input_range.q_max))
    sums = np.abs(weights.astype(np.int64)).sum(axis=(1, 2, 3)) * reach + np.abs(bias.astype(np.int64))
    return int(sums.max(initial=0))


def requantize(accumulator: Codes, node: Conv2d, constants: Constants) -> Codes:
    """Accumulators (..., O) to unclipped output codes; exact in the accumulator's dtype."""
    match node.requantization:
        case Shift(shifts=key):
            multiplier = np.exp2(-1.0 * constants[key].astype(np.int32)).astype(accumulator.dtype)
            return np.asarray(np.floor(accumulator * multiplier + accumulator.dtype.type(0.5)))
        case Multiplier(multipliers=key):
            product = accumulator.astype(np.float32) * constants[key].astype(np.float32)
            return np.rint(product)


def _convolve(codes: Codes, node: Conv2d, constants: Constants, output: Tensor, input_range: CodeRange) -> Codes:
    """(H, W, I) -> (H, W, O), in bands of rows so that what im2col adds to input and output stays bounded."""
    weights = constants[node.weights].astype(np.int8)
    bias = constants[node.bias].astype(np.int32)
    bound = accumulator_bound(weights, bias, input_range)
    # One more bit for the half that rounding adds to a shifted accumulator.
    if bound >= _FLOAT64_EXACT // 2:
        raise GraphError(f"node {node.name}: accumulators may reach {bound}, beyond what float64 holds exactly")
    dtype: type[np.float32] | type[np.float64] = np.float32 if bound < _FLOAT32_EXACT // 2 else np.float64
    if isinstance(node.requantization, Multiplier) and dtype is np.float64:
        raise GraphError(
            f"node {node.name}: accumulators may reach {bound}, beyond what a float32 multiplier rounds exactly"
        )
    height, width, channels = codes.shape
    kernel = weights.shape[1]
    pad = kernel // 2
    result = np.empty((height, width, output.channels), dtype)
    matrix: Codes | None = None
    if not (node.depthwise and kernel == 1):
        matrix = weights.reshape(weights.shape[0], -1).T.astype(dtype)
    widest = max(kernel * kernel * channels, output.channels)
    band = max(1, _BAND_BYTES // (width * widest * np.dtype(dtype).itemsize))
    padded: Codes = np.zeros((height + 2 * pad, width + 2 * pad, channels), dtype)
    padded[pad : pad + height, pad : pad + width] = codes
    for top in range(0, height, band):
        rows = min(band, height - top)
        window: Codes = padded[top : top + rows + 2 * pad]
        if matrix is None:
            accumulator = window * weights.reshape(-1).astype(dtype)
        elif node.depthwise:
            rows_of_taps = np.lib.stride_tricks.sliding_window_view(window, kernel, axis=0)
            patches = np.lib.stride_tricks.sliding_window_view(rows_of_taps, kernel, axis=1)
            accumulator = np.einsum("hwckl,ckl->hwc", patches, weights[..., 0].astype(dtype))
        else:
            taps = [window[y : y + rows, x : x + width] for y in range(kernel) for x in range(kernel)]
            columns: Codes = taps[0] if kernel == 1 else np.concatenate(taps, axis=2)
            accumulator = (columns.reshape(rows * width, -1) @ matrix).reshape(rows, width, -1)
        accumulator = accumulator + bias.astype(dtype)
        quantized = requantize(accumulator, node, constants)
        np.clip(quantized, output.range.q_min, output.range.q_max, out=result[top : top + rows])
    return result


def depth_to_space(codes: Codes, block: int) -> Codes:
    """(H, W, r*r*C) -> (rH, rW, C); input channel (dy * r + dx) * C + c."""
    height, width, channels = codes.shape
    split = codes.reshape(height, width, block, block, channels // (block * block))
    return split.transpose(0, 2, 1, 3, 4).reshape(height * block, width * block, -1)


def run_nodes(
    graph: Graph, constants: Constants, nodes: Sequence[Node], values: dict[TensorId, Codes], output: TensorId
) -> Codes:
    """Compute some of a graph's nodes exactly.

    Args:
        graph: a verified graph.
        constants: its arrays.
        nodes: of the graph, in its order, ``QuantizeInput`` left out.
        values: (H, W, C) float codes of the tensors that these nodes read and do not write; emptied as they go.
        output: the tensor that is wanted.

    Returns:
        Its codes, (H, W, C) integer-valued floats.

    Raises:
        GraphError: for a node that could not be computed exactly.
    """
    tensors = graph.tensors_by_id()
    last_use = {tensor: i for i, node in enumerate(nodes) for tensor in node_inputs(node)}
    for i, node in enumerate(nodes):
        match node:
            case QuantizeInput():
                raise GraphError(f"node {node.name}: its output is given, not computed")
            case Conv2d():
                values[node.output] = _convolve(
                    values[node.input], node, constants, tensors[node.output], tensors[node.input].range
                )
            case Add():
                total = values[node.inputs[0]] + values[node.inputs[1]]
                codes = tensors[node.output].range
                values[node.output] = np.clip(total, codes.q_min, codes.q_max)
            case DepthToSpace():
                values[node.output] = depth_to_space(values[node.input], node.block)
        for tensor in node_inputs(node):
            if last_use[tensor] == i and tensor != output:
                values.pop(tensor, None)
    return values[output]


def run_graph(graph: Graph, constants: Constants, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Compute the graph exactly.

    Args:
        graph: a verified graph.
        constants: its arrays.
        image: (H, W, 3) uint8 RGB.

    Returns:
        (rH, rW, 3) uint8 RGB.

    Raises:
        GraphError: for an image of another kind, or a node that could not be computed exactly.
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
        raise GraphError(
            f"graph {graph.name}: takes a non-empty (H, W, 3) uint8 image, got {image.dtype} {image.shape}"
        )
    first, *rest = graph.nodes
    codes: Codes = image.astype(np.float32) - IMAGE_ZERO
    return (run_nodes(graph, constants, rest, {first.output: codes}, graph.output) + IMAGE_ZERO).astype(np.uint8)
