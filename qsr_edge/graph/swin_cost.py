"""What a ``quantsr_t`` graph costs, from its structure and from the program that runs it."""

from collections.abc import Sequence
from math import prod

import numpy as np

from qsr_edge.graph.cost import UNTILED_HALO_PX, GraphCost, TileGrid
from qsr_edge.graph.integer_ops import Int
from qsr_edge.graph.swin import SwinGraph
from qsr_edge.graph.swin_program import SwinProgram
from qsr_edge.graph.windows import padded_size

_INT32_BYTES = 4
_TRACED_WINDOWS = 4
"""Windows a side of the image that the program is followed on; borders count for less on larger ones."""


class _Traced:
    """A tensor that is not computed: its shape, and the step that made its bytes; None for constants."""

    __slots__ = ("shape", "step")

    def __init__(self, shape: tuple[int, ...], step: int | None):
        self.shape = shape
        self.step = step


class _TracingOps:
    """Implements :class:`~qsr_edge.graph.integer_ops.IntegerOps` by noting what is made, and until when it is read.

    Every result is int32, and reshaping makes none. Matrix products read int8 copies, made for them alone.
    """

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.last_reads: list[int] = []
        self.copies: dict[int, int] = {}

    def made(self, shape: Sequence[int], *operands: _Traced, copies: int = 0) -> _Traced:
        """A result of ``operands``; ``copies``: bytes that are needed only while it is made."""
        step = len(self.sizes)
        self.sizes.append(_INT32_BYTES * prod(shape))
        self.last_reads.append(step)
        self.copies[step] = copies
        for operand in operands:
            if operand.step is not None:
                self.last_reads[operand.step] = step
        return _Traced(tuple(shape), step)

    def peak_bytes(self) -> int:
        """The most bytes that are alive at one step."""
        change = np.zeros(len(self.sizes) + 1, np.int64)
        for step, (size, last) in enumerate(zip(self.sizes, self.last_reads, strict=True)):
            change[step] += size + self.copies[step]
            change[step + 1] -= self.copies[step]
            change[last + 1] -= size
        return int(np.cumsum(change).max())

    def constant(self, values: Int) -> _Traced:
        return _Traced(values.shape, None)

    def shape(self, x: _Traced) -> tuple[int, ...]:
        return x.shape

    def _elementwise(self, *operands: _Traced) -> _Traced:
        return self.made(np.broadcast_shapes(*(operand.shape for operand in operands)), *operands)

    def add(self, a: _Traced, b: _Traced) -> _Traced:
        return self._elementwise(a, b)

    subtract = multiply = divide = minimum = maximum = add

    def shift_right(self, a: _Traced, bits: Int) -> _Traced:
        return self._elementwise(a)

    def where_less(self, a: _Traced, b: _Traced, then: _Traced, otherwise: _Traced) -> _Traced:
        return self._elementwise(a, b, then, otherwise)

    def sum_last(self, a: _Traced) -> _Traced:
        return self.made((*a.shape[:-1], 1), a)

    max_last = sum_last

    def matmul(self, a: _Traced, b: _Traced) -> _Traced:
        copies = sum(prod(operand.shape) for operand in (a, b) if operand.step is not None)
        return self.made((*a.shape[:2], b.shape[2]), a, b, copies=copies)

    def lookup(self, a: _Traced, table: Int) -> _Traced:
        return self._elementwise(a)

    def reshape(self, a: _Traced, shape: Sequence[int]) -> _Traced:
        return _Traced(tuple(shape), a.step)

    def transpose(self, a: _Traced, axes: Sequence[int]) -> _Traced:
        return self.made([a.shape[axis] for axis in axes], a)

    def cut(self, a: _Traced, axis: int, start: int, stop: int) -> _Traced:
        return self.made([*a.shape[:axis], stop - start, *a.shape[axis + 1 :]], a)

    def concatenate(self, parts: Sequence[_Traced], axis: int) -> _Traced:
        shape = list(parts[0].shape)
        shape[axis] = sum(part.shape[axis] for part in parts)
        return self.made(shape, *parts)


def peak_activation_bytes(graph: SwinGraph, size_px: tuple[int, int]) -> int:
    """The largest sum of the program's tensors alive at one step, for an input of (height, width), without the image.

    Intermediates are int32, as exports hold them; a convolution's nine taps are tensors too.
    """
    ops = _TracingOps()
    SwinProgram(graph, ops).image(ops.made((*size_px, 3)))
    return ops.peak_bytes()


def tile_grid(graph: SwinGraph) -> TileGrid:
    """How a graph is tiled: the exact receptive field of tiles that begin and end between windows.

    What lies beyond an edge of a tile reaches so many of its pixels: a convolution adds one, and attention takes in the
    whole of every window that holds such a pixel, or that the edge cuts, as it does with shifted ones. (That the edge's
    cut windows do not see the opposite edge is the mask's doing, as at an image's border.) Windows and their shifts
    being symmetric, all four edges are alike.
    """
    window = graph.window_px
    reach_px = 1  # the first convolution
    for group in graph.groups:
        for layer in group.layers:
            shift = layer.attention.shift_px
            reach_px = padded_size(reach_px - shift, window) + shift
        reach_px += 1
    reach_px += 2  # the convolution after the body, and the upsampler's
    # With half a window's multiple on either side, tiles that stand side by side begin a whole one's apart.
    return TileGrid(step_px=window, halo_px=padded_size(reach_px, window // 2))


def swin_cost(graph: SwinGraph) -> GraphCost:
    """What a graph costs.

    Multiply-accumulates are those of linear layers, convolutions and attention's two products (8 bits each). Weights
    count at their bits, without the scales, biases and tables. Activations are those of :func:`peak_activation_bytes`
    for a small image, and its uint8 pixels.
    """
    layers = sum(len(group.layers) for group in graph.groups)
    attention = 2 * graph.window_px**2 * graph.channels * layers
    macs = sum(linear.weights.size for linear in graph.linears()) + attention
    bops = sum(linear.weights.size * linear.weight_bits * linear.input_bits for linear in graph.linears())
    bits = sum(linear.weights.size * linear.weight_bits for linear in graph.linears())
    side_px = _TRACED_WINDOWS * graph.window_px
    return GraphCost(
        macs_per_pixel=int(macs),
        bops_per_pixel=int(bops) + attention * 64,
        weight_bytes_ideal=-(-int(bits) // 8),
        peak_activation_bytes_per_pixel=3 + -(-peak_activation_bytes(graph, (side_px, side_px)) // side_px**2),
        halo_px=UNTILED_HALO_PX,
        grid=tile_grid(graph),
    )
