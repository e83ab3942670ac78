"""The arithmetic of a ``quantsr_t`` graph: one program over :class:`~qsr_edge.graph.integer_ops.IntegerOps`.

*Layer normalization*, of codes x with C channels: m = round(sum x / C), d = x - m, V = sum d^2 + epsilon. V and d are
brought to V in [2^29, 2^31) by even shifts, R = floor(sqrt(V)) by Newton's iteration (exact), and the result is
w = round(d * floor(2^30 / R) / 2^15), so that w / 2^15 = d / sqrt(V).

*Softmax*: scores in units of 1/32 octave less their maximum select 127 * 2^(s / 32) from a table of 256 entries; the
products with the values are divided by the entries' sum afterwards, so that probabilities sum to one whatever the
table rounds. (I-BERT, Kim et al. 2021, and I-ViT, Li and Gu 2023, do the same by polynomials and shifts.)

*GELU* is a table of the 256 codes that its input can have.
"""

from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from qsr_edge.errors import GraphError
from qsr_edge.graph.integer_ops import Int, IntegerOps, NumpyOps
from qsr_edge.graph.swin import (
    STREAM_BITS,
    IntegerAttention,
    IntegerGroup,
    IntegerLayer,
    IntegerLinear,
    IntegerNorm,
    Rescale,
    SwinGraph,
)
from qsr_edge.graph.windows import halves_apart, padded_size, reflected_indices, wrapped_windows
from qsr_edge.quant.arithmetic import IMAGE_ZERO, CodeRange

V = TypeVar("V")
STREAM = CodeRange.signed(STREAM_BITS)
OCTAVE = 32
"""Units of a score in a factor of two."""
EXPONENTIALS = np.array([0, *(round(127 * 2 ** (-i / OCTAVE)) for i in range(254, -1, -1))], np.int16)
"""``127 * 2^(s / 32)`` for s = -255 to 0; nothing at its end, where masked pixels lie."""
_MASK_REACH = 1 << 20
"""What is taken from scores of pixels that are no neighbours: more than any scores differ, see ``LARGEST_SCORE``."""
LARGEST_SCORE = 1 << 18
"""The largest magnitude of a score. Two scores differ by so much less than the mask that a masked pixel has no weight
at all."""
_SQRT_START = 46340
"""floor(sqrt(2^31 - 1))."""
_NEWTON_STEPS = 5
_HALVINGS = ((15, 8), (23, 4), (27, 2), (29, 1))
"""Pairs (a, b): where V is below 2^a, it is multiplied by 4^b."""
_RECIPROCAL_BITS = 23
_SPLIT_BITS = 6


class SwinProgram(Generic[V]):
    """Runs or writes down a graph by some implementation of the operations."""

    def __init__(self, graph: SwinGraph, ops: IntegerOps[V]):
        """Take the graph and the operations."""
        self.graph = graph
        self.ops = ops
        self._known: dict[tuple[object, ...], V] = {}

    def constant(self, values: Int, rank: int | None = None) -> V:
        """A constant, one of each; ``rank``: with dimensions of size 1 before its own."""
        array = np.asarray(values, np.int32)
        if rank is not None:
            array = array.reshape((1,) * (rank - array.ndim) + array.shape)
        key = (array.shape, array.tobytes())
        if key not in self._known:
            self._known[key] = self.ops.constant(array)
        return self._known[key]

    def scalar(self, value: int, like: V) -> V:
        """A number that can be combined with ``like``."""
        return self.constant(np.array(value), len(self.ops.shape(like)))

    def shifted(self, x: V, bits: int) -> V:
        """``floor(x / 2^bits + 1/2)``."""
        ops = self.ops
        half = self.scalar(1 << (bits - 1), x)
        return ops.shift_right(ops.add(x, half), np.full((1,) * len(ops.shape(x)), bits))

    def clipped(self, x: V, codes: CodeRange) -> V:
        """Codes within their range."""
        return self.ops.minimum(self.ops.maximum(x, self.scalar(codes.q_min, x)), self.scalar(codes.q_max, x))

    def rescaled(self, x: V, by: Rescale) -> V:
        """See :class:`~qsr_edge.graph.swin.Rescale`."""
        ops, rank = self.ops, len(self.ops.shape(x))
        limits = by.limits.astype(np.int64)
        inner = ops.minimum(ops.maximum(x, self.constant(-limits, rank)), self.constant(limits, rank))
        product = ops.multiply(inner, self.constant(by.multipliers, rank))
        total = ops.add(product, self.constant(by.offsets, rank))
        shifts = by.shifts.reshape((1,) * (rank - 1) + by.shifts.shape)
        return self.clipped(ops.shift_right(total, shifts), by.range)

    def linear(self, x: V, layer: IntegerLinear) -> V:
        """(1, P, I) codes -> (1, P, O) codes."""
        return self.rescaled(self.ops.matmul(x, self.constant(layer.weights, 3)), layer.output)

    def taps(self, x: V, height: int, width: int, border: Int) -> V:
        """(1, P, C) -> (1, P, 9 C): every pixel's neighbours, row by row; beyond the image ``border``, (C,)."""
        ops = self.ops
        channels = ops.shape(x)[-1]
        image = ops.reshape(x, (height, width, channels))
        side = self.constant(np.broadcast_to(border, (height, 1, channels)))
        image = ops.concatenate([side, image, side], 1)
        edge = self.constant(np.broadcast_to(border, (1, width + 2, channels)))
        image = ops.concatenate([edge, image, edge], 0)
        parts = [ops.cut(ops.cut(image, 0, i, i + height), 1, j, j + width) for i in range(3) for j in range(3)]
        return ops.reshape(ops.concatenate(parts, 2), (1, height * width, 9 * channels))

    def convolved(self, x: V, layer: IntegerLinear, size: tuple[int, int], border: Int | None = None) -> V:
        """(1, P, I) codes -> (1, P, O) codes by a 3x3 convolution."""
        inputs = self.ops.shape(x)[-1]
        zeros = np.zeros(inputs, np.int32) if border is None else border
        return self.linear(self.taps(x, *size, zeros), layer)

    def convolved_wide(self, x: V, layer: IntegerLinear, size: tuple[int, int]) -> V:
        """The same as :meth:`convolved` for codes of 13 bits, by two matrix products: upper and lower bits."""
        ops = self.ops
        upper = ops.shift_right(x, np.full((1, 1, 1), _SPLIT_BITS))
        lower = ops.subtract(x, ops.multiply(upper, self.scalar(1 << _SPLIT_BITS, x)))
        zeros = np.zeros(ops.shape(x)[-1], np.int32)
        weights = self.constant(layer.weights, 3)
        sums = [ops.matmul(self.taps(part, *size, zeros), weights) for part in (upper, lower)]
        total = ops.add(ops.multiply(sums[0], self.scalar(1 << _SPLIT_BITS, x)), sums[1])
        return self.rescaled(total, layer.output)

    def square_root(self, x: V) -> V:
        """``floor(sqrt(x))`` for x in [2^29, 2^31)."""
        ops = self.ops
        root = self.scalar(_SQRT_START, x)
        one = np.full((1,) * len(ops.shape(x)), 1)
        for _ in range(_NEWTON_STEPS):
            root = ops.shift_right(ops.add(root, ops.divide(x, root)), one)
        # From above Newton's iteration ends at the root or, one below a square, alternates with the next integer.
        less = ops.subtract(root, self.scalar(1, x))
        return ops.where_less(x, ops.multiply(root, root), less, root)

    def normalized(self, x: V, norm: IntegerNorm) -> V:
        """Stream codes (1, P, C) -> codes of ``norm.output``."""
        ops = self.ops
        channels = ops.shape(x)[-1]
        # Shifted so that the dividend is never negative; half the divisor more rounds to the nearest.
        lifted = ops.add(ops.sum_last(x), self.scalar(channels * -STREAM.q_min + channels // 2, x))
        mean = ops.subtract(ops.divide(lifted, self.scalar(channels, x)), self.scalar(-STREAM.q_min, x))
        centered = ops.subtract(x, mean)
        squares = ops.add(ops.sum_last(ops.multiply(centered, centered)), self.scalar(norm.epsilon, x))
        factor = self.scalar(1, x)
        for below, bits in _HALVINGS:
            step = ops.where_less(squares, self.scalar(1 << below, x), self.scalar(1 << bits, x), self.scalar(1, x))
            squares = ops.multiply(squares, ops.multiply(step, step))
            factor = ops.multiply(factor, step)
        reciprocal = ops.divide(self.scalar(1 << 30, x), self.square_root(squares))
        unit = self.shifted(ops.multiply(ops.multiply(centered, factor), reciprocal), 15)
        return self.rescaled(unit, norm.output)

    def rolled(self, image: V, shift_px: int) -> V:
        """(H, W, C) cyclically shifted by so many rows and columns; negative towards the beginning."""
        ops = self.ops
        for axis in (0, 1):
            size = ops.shape(image)[axis]
            cut = -shift_px % size
            image = ops.concatenate([ops.cut(image, axis, cut, size), ops.cut(image, axis, 0, cut)], axis)
        return image

    def attended(self, x: V, layer: IntegerAttention, size: tuple[int, int]) -> V:
        """(1, P, C) codes -> (1, P, C) on the stream's grid."""
        ops, heads, window = self.ops, self.graph.heads, self.graph.window_px
        (height, width), channels = size, self.graph.channels
        rows, columns, area = height // window, width // window, window**2
        qkv = ops.reshape(self.linear(x, layer.qkv), (height, width, 3 * channels))
        if layer.shift_px:
            qkv = self.rolled(qkv, -layer.shift_px)
        split = ops.reshape(qkv, (rows, window, columns, window, 3 * channels))
        windows = ops.reshape(ops.transpose(split, (0, 2, 1, 3, 4)), (rows * columns, area, 3 * channels))
        size_of_head = channels // heads
        query, key, value = (
            ops.reshape(
                ops.cut(windows, 2, i * channels, (i + 1) * channels), (rows * columns, area, heads, size_of_head)
            )
            for i in range(3)
        )
        batch = rows * columns * heads
        query, value = (
            ops.reshape(ops.transpose(part, (0, 2, 1, 3)), (batch, area, size_of_head)) for part in (query, value)
        )
        key = ops.reshape(ops.transpose(key, (0, 2, 3, 1)), (batch, size_of_head, area))
        weights = self._attention_weights(ops.matmul(query, key), layer, size)
        sums = ops.sum_last(weights)
        reciprocal = ops.divide(
            ops.add(ops.shift_right(sums, np.full((1, 1, 1), 1)), self.scalar(1 << _RECIPROCAL_BITS, sums)), sums
        )
        mean = self.shifted(ops.multiply(ops.matmul(weights, value), reciprocal), _RECIPROCAL_BITS - 8)
        by_head = ops.reshape(mean, (rows * columns, heads, area, size_of_head))
        tiles = ops.reshape(ops.transpose(by_head, (0, 2, 1, 3)), (rows, columns, window, window, channels))
        image = ops.reshape(ops.transpose(tiles, (0, 2, 1, 3, 4)), (height, width, channels))
        if layer.shift_px:
            image = self.rolled(image, layer.shift_px)
        pixels = ops.reshape(image, (1, height * width, channels))
        return self.linear(self.rescaled(pixels, layer.attended), layer.proj)

    def masks(self, size: tuple[int, int]) -> V:
        """(windows, 1, W^2, W^2), to add to the scores of shifted windows: 0, or what closes a pair out.

        As products of a number for each window and one for each pair. Held as a constant, masks would take 64 integers
        for each pixel of the input, and be by far the largest part of a file.
        """
        window = self.graph.window_px
        vertical, horizontal = (
            self.ops.multiply(self.constant(windows[:, None, None, None]), self.constant(-_MASK_REACH * apart, 4))
            for windows, apart in zip(wrapped_windows(*size, window), halves_apart(window), strict=True)
        )
        return self.ops.minimum(vertical, horizontal)

    def _attention_weights(self, products: V, layer: IntegerAttention, size: tuple[int, int]) -> V:
        """(B, W^2, W^2) products of queries and keys -> softmax's numerators in [0, 127]."""
        ops, heads = self.ops, self.graph.heads
        batch, area = ops.shape(products)[:2]
        scaled = ops.multiply(products, self.scalar(layer.multiplier, products))
        scores = ops.reshape(scaled, (batch // heads, heads, area, area))
        scores = ops.add(scores, self.constant(layer.bias, 4))
        scores = ops.shift_right(scores, np.full((1, 1, 1, 1), layer.shift))
        if layer.shift_px:
            scores = ops.add(scores, self.masks(size))
        below = ops.subtract(scores, ops.max_last(scores))
        index = ops.add(ops.maximum(below, self.scalar(-255, below)), self.scalar(127, below))
        return ops.reshape(ops.lookup(index, EXPONENTIALS), (batch, area, area))

    def layer(self, stream: V, layer: IntegerLayer, size: tuple[int, int]) -> V:
        """Stream codes -> stream codes: attention and MLP, each added and clipped."""
        ops = self.ops
        branch = self.attended(self.normalized(stream, layer.norm1), layer.attention, size)
        stream = self.clipped(ops.add(stream, branch), STREAM)
        hidden = self.linear(self.normalized(stream, layer.norm2), layer.fc1)
        activated = self.rescaled(ops.lookup(hidden, layer.gelu), layer.activated)
        return self.clipped(ops.add(stream, self.linear(activated, layer.fc2)), STREAM)

    def group(self, stream: V, group: IntegerGroup, size: tuple[int, int]) -> V:
        """Stream codes -> stream codes."""
        inner = stream
        for layer in group.layers:
            inner = self.layer(inner, layer, size)
        branch = self.convolved(self.rescaled(inner, group.conv_input), group.conv, size)
        return self.clipped(self.ops.add(stream, branch), STREAM)

    def image(self, levels: V) -> V:
        """(H, W, 3) levels in [0, 255] -> (rH, rW, 3) levels; H and W are multiples of the window's side."""
        ops, graph = self.ops, self.graph
        height, width, colors = ops.shape(levels)
        size = (height, width)
        pixels = ops.reshape(ops.subtract(levels, self.scalar(IMAGE_ZERO, levels)), (1, height * width, colors))
        shallow = self.convolved(pixels, graph.conv_first, size, graph.border)
        stream = self.normalized(shallow, graph.patch_norm)
        for group in graph.groups:
            stream = self.group(stream, group, size)
        deep = self.convolved(self.normalized(stream, graph.norm), graph.conv_after_body, size)
        shallow = self.clipped(ops.add(shallow, deep), STREAM)
        codes = ops.reshape(
            self.convolved_wide(shallow, graph.upsample, size), (height, width, graph.scale, graph.scale * colors)
        )
        upscaled = ops.reshape(ops.transpose(codes, (0, 2, 1, 3)), (height * graph.scale, width * graph.scale, colors))
        return ops.add(upscaled, self.scalar(IMAGE_ZERO, upscaled))


def run_swin(graph: SwinGraph, image: NDArray[np.uint8], ops: IntegerOps[Int] | None = None) -> NDArray[np.uint8]:
    """Compute a graph exactly; sizes that windows do not divide are completed by reflection and cut again.

    Args:
        graph: what to compute.
        image: (H, W, 3) uint8 RGB.
        ops: the operations; the golden ones by default.

    Returns:
        (rH, rW, 3) uint8 RGB.

    Raises:
        GraphError: for an image of another kind.
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
        raise GraphError(
            f"graph {graph.name}: takes a non-empty (H, W, 3) uint8 image, got {image.dtype} {image.shape}"
        )
    height, width = image.shape[:2]
    rows, columns = (reflected_indices(size, padded_size(size, graph.window_px)) for size in (height, width))
    levels = SwinProgram(graph, ops or NumpyOps()).image(image[rows][:, columns].astype(np.int32))
    return np.ascontiguousarray(levels[: height * graph.scale, : width * graph.scale]).astype(np.uint8)
