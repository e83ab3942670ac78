"""Checks that a ``quantsr_t`` graph is well formed and that nothing in it overflows int32."""

from collections.abc import Iterator

import numpy as np

from qsr_edge.errors import GraphError
from qsr_edge.graph.swin import LARGEST_SHIFT, IntegerLinear, Rescale, SwinGraph
from qsr_edge.quant.arithmetic import CodeRange

_INT32_MAX = (1 << 31) - 1
_GELU_ENTRIES = 256


def verify_swin(graph: SwinGraph) -> None:
    """Check a graph whole: shapes, bit ranges, sums, rescalings.

    Raises:
        GraphError: naming the layer, what was got and what was expected.
    """
    for name, linear in graph.named_linears().items():
        _verify_linear(f"graph {graph.name}: {name}", linear)
    for name, by in _rescales(graph):
        _verify_rescale(f"graph {graph.name}: {name}", by)
    width, area = graph.channels, graph.window_px**2
    for name, got, expected in (
        ("border", graph.border.shape, (3,)),
        ("conv_first", graph.conv_first.weights.shape, (27, width)),
        ("conv_after_body", graph.conv_after_body.weights.shape, (9 * width, width)),
        ("upsample", graph.upsample.weights.shape, (9 * width, 3 * graph.scale**2)),
    ):
        _expect(f"graph {graph.name}: {name}", got, expected)
    for i, group in enumerate(graph.groups):
        _expect(f"graph {graph.name}: group {i}, conv", group.conv.weights.shape, (9 * width, width))
        for j, layer in enumerate(group.layers):
            name = f"graph {graph.name}: group {i}, layer {j}"
            _expect(f"{name}, gelu", layer.gelu.shape, (_GELU_ENTRIES,))
            _expect(f"{name}, bias", layer.attention.bias.shape, (graph.heads, area, area))
            _expect(f"{name}, qkv", layer.attention.qkv.weights.shape, (width, 3 * width))
            _expect(f"{name}, proj", layer.attention.proj.weights.shape, (width, width))
            _expect(f"{name}, fc1", layer.fc1.weights.shape[:1], (width,))
            _expect(f"{name}, fc2", layer.fc2.weights.shape, (layer.fc1.weights.shape[1], width))


def _expect(name: str, got: tuple[int, ...], expected: tuple[int, ...]) -> None:
    if got != expected:
        raise GraphError(f"{name}: got the shape {got}, expected {expected}")


def _verify_linear(name: str, linear: IntegerLinear) -> None:
    codes = CodeRange.signed(linear.weight_bits)
    weights = linear.weights
    if weights.dtype != np.int8 or weights.ndim != 2 or not weights.size:
        raise GraphError(f"{name}: got weights {weights.dtype} {weights.shape}, expected int8 (I, O), not empty")
    if weights.min() < codes.q_min or weights.max() > codes.q_max:
        raise GraphError(
            f"{name}: got weights in [{weights.min()}, {weights.max()}], expected {linear.weight_bits} bits"
        )
    largest = int(np.abs(weights.astype(np.int64)).sum(0).max()) << (linear.input_bits - 1)
    if largest > _INT32_MAX:
        raise GraphError(f"{name}: got sums up to {largest}, expected them to fit int32")


def _rescales(graph: SwinGraph) -> Iterator[tuple[str, Rescale]]:
    for name, linear in graph.named_linears().items():
        yield name, linear.output
    yield "patch_norm", graph.patch_norm.output
    yield "norm", graph.norm.output
    for i, group in enumerate(graph.groups):
        yield f"group {i}, conv_input", group.conv_input
        for j, layer in enumerate(group.layers):
            place = f"group {i}, layer {j}"
            yield f"{place}, norm1", layer.norm1.output
            yield f"{place}, attended", layer.attention.attended
            yield f"{place}, norm2", layer.norm2.output
            yield f"{place}, activated", layer.activated


def _verify_rescale(name: str, by: Rescale) -> None:
    for array in (by.limits, by.multipliers, by.offsets, by.shifts):
        if array.dtype != np.int32 or array.shape != by.limits.shape or array.ndim != 1:
            raise GraphError(
                f"{name}: got {array.dtype} {array.shape}, expected int32 {by.limits.shape[:1]} throughout"
            )
    if by.limits.min() < 0 or by.shifts.min() < 0 or by.shifts.max() > LARGEST_SHIFT:
        raise GraphError(f"{name}: got a negative limit, or shifts outside 0 to {LARGEST_SHIFT}")
    limits, multipliers, offsets = (array.astype(np.int64) for array in (by.limits, by.multipliers, by.offsets))
    largest = int((limits * np.abs(multipliers) + np.abs(offsets)).max())
    if largest > _INT32_MAX:
        raise GraphError(f"{name}: got products up to {largest}, expected them to fit int32")
