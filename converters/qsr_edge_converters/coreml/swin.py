"""``quantsr_t`` graphs as MIL programs: the program that the golden interpreter runs, on int32.

Matrix products are the exception: MIL's run on floats everywhere, so that their operands, which fit int8, and their
sums are held in float32. No rounding happens, as a product whose sums could exceed 2^24 is refused. MIL has no shift: a
right shift is ``floor_div`` by a power of two.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from qsr_edge.errors import BackendError
from qsr_edge.graph.integer_ops import Int
from qsr_edge.graph.swin import SwinGraph
from qsr_edge.graph.swin_program import SwinProgram
from qsr_edge_converters.coreml.program import OUTPUT_NAME
from qsr_edge_converters.coreml.sdk import mb, mil

Expression = Any
"""A MIL variable; coremltools publishes no types."""
_INT8 = np.iinfo(np.int8)
_LARGEST_CODE = 128
_EXACT_IN_FLOAT32 = 1 << 24
"""Integers up to this magnitude are float32 numbers, every one."""


class MilOps:
    """Implements :class:`~qsr_edge.graph.integer_ops.IntegerOps` by MIL's operators on int32."""

    def __init__(self, graph: SwinGraph) -> None:
        """Begin with no operation; ``graph``: what is written, to name its layers by."""
        self._graph = graph
        self._count = 0
        self._known: dict[str, Int] = {}
        self._floats: dict[str, Expression] = {}
        self._zeros: dict[tuple[int, ...], Expression] = {}

    def _name(self, kind: str) -> str:
        self._count += 1
        return f"{kind}_{self._count}"

    def constant(self, values: Int) -> Expression:
        """See :class:`~qsr_edge.graph.integer_ops.IntegerOps`."""
        array = np.ascontiguousarray(values, np.int32)
        result = mb.const(val=array, name=self._name("const"))
        self._known[result.name] = array
        return result

    def shape(self, x: Expression) -> tuple[int, ...]:
        """See :class:`~qsr_edge.graph.integer_ops.IntegerOps`."""
        return tuple(int(size) for size in x.shape)

    def add(self, a: Expression, b: Expression) -> Expression:
        """See :class:`~qsr_edge.graph.integer_ops.IntegerOps`."""
        return mb.add(x=a, y=b, name=self._name("add"))

    def subtract(self, a: Expression, b: Expression) -> Expression:
        """See :class:`~qsr_edge.graph.integer_ops.IntegerOps`."""
        return mb.sub(x=a, y=b, name=self._name("sub"))

    def multiply(self, a: Expression, b: Expression) -> Expression:
        """See :class:`~qsr_edge.graph.integer_ops.IntegerOps`."""
        return mb.mul(x=a, y=b, name=self._name("mul"))

    def shift_right(self, a: Expression, bits: Int) -> Expression:
        """See :class:`~qsr_edge.graph.integer_ops.IntegerOps`."""
        return mb.floor_div(x=a, y=self.constant(np.left_shift(1, bits)), name=self._name("shift"))

    def divide(self, a: Expression, b: Expression) -> Expression:
        """See :class:`~qsr_edge.graph.integer_ops.IntegerOps`."""
        return mb.floor_div(x=a, y=b, name=self._name("divide"))

    def minimum(self, a: Expression, b: Expression) -> Expression:
        """See :class:`~qsr_edge.graph.integer_ops.IntegerOps`."""
        return mb.minimum(x=a, y=b, name=self._name("min"))

    def maximum(self, a: Expression, b: Expression) -> Expression:
        """See :class:`~qsr_edge.graph.integer_ops.IntegerOps`."""
        return mb.maximum(x=a, y=b, name=self._name("max"))

    def where_less(self, a: Expression, b: Expression, then: Expression, otherwise: Expression) -> Expression:
        """See :class:`~qsr_edge.graph.integer_ops.IntegerOps`."""
        less = mb.less(x=a, y=b, name=self._name("less"))
        shape = np.broadcast_shapes(*(self.shape(x) for x in (a, b, then, otherwise)))
        # MIL selects between tensors of one shape.
        if shape not in self._zeros:
            self._zeros[shape] = self.constant(np.zeros(shape))
        choices = [
            x if self.shape(x) == shape else mb.add(x=self._zeros[shape], y=x, name=self._name("spread"))
            for x in (then, otherwise)
        ]
        return mb.select(cond=less, a=choices[0], b=choices[1], name=self._name("select"))

    def sum_last(self, a: Expression) -> Expression:
        """See :class:`~qsr_edge.graph.integer_ops.IntegerOps`."""
        return mb.reduce_sum(x=a, axes=[-1], keep_dims=True, name=self._name("sum"))

    def max_last(self, a: Expression) -> Expression:
        """See :class:`~qsr_edge.graph.integer_ops.IntegerOps`."""
        return mb.reduce_max(x=a, axes=[-1], keep_dims=True, name=self._name("largest"))

    def _float(self, x: Expression) -> Expression:
        """The same numbers as float32; constants are stored as int8."""
        values = self._known.get(x.name)
        if values is None:
            return mb.cast(x=x, dtype="fp32", name=self._name("float"))
        if x.name not in self._floats:
            if values.min() < _INT8.min or values.max() > _INT8.max:
                raise BackendError(f"weights in [{values.min()}, {values.max()}] do not fit int8")
            scale = np.ones((1,) * values.ndim, np.float32)
            self._floats[x.name] = mb.constexpr_blockwise_shift_scale(
                data=values.astype(np.int8), scale=scale, name=self._name("weights")
            )
        return self._floats[x.name]

    def _layer(self, weights: Int | None) -> str:
        if weights is not None:
            for name, linear in self._graph.named_linears().items():
                if linear.weights.shape == weights.shape[-2:] and np.array_equal(linear.weights, weights[0]):
                    return name
        return "a product of activations"

    def matmul(self, a: Expression, b: Expression) -> Expression:
        """See :class:`~qsr_edge.graph.integer_ops.IntegerOps`.

        Raises:
            BackendError: if float32 could not hold a sum.
        """
        weights = self._known.get(b.name)
        reach = a.shape[-1] * _LARGEST_CODE if weights is None else int(np.abs(weights).sum(-2).max())
        if reach * _LARGEST_CODE > _EXACT_IN_FLOAT32:
            raise BackendError(
                f"{self._graph.name}: {self._layer(weights)}: sums up to {reach * _LARGEST_CODE:,} are not exact in "
                f"float32, expected {_EXACT_IN_FLOAT32:,} at most; train with fewer channels or bits, or use another "
                "target"
            )
        product = mb.matmul(x=self._float(a), y=self._float(b), name=self._name("matmul"))
        return mb.cast(x=product, dtype="int32", name=self._name("sums"))

    def lookup(self, a: Expression, table: Int) -> Expression:
        """See :class:`~qsr_edge.graph.integer_ops.IntegerOps`."""
        index = mb.add(x=a, y=self.constant(np.full((1,) * len(self.shape(a)), 128)), name=self._name("index"))
        entries = self.constant(table)
        return mb.gather(
            x=entries, indices=index, axis=0, batch_dims=0, validate_indices=False, name=self._name("table")
        )

    def reshape(self, a: Expression, shape: Sequence[int]) -> Expression:
        """See :class:`~qsr_edge.graph.integer_ops.IntegerOps`."""
        return mb.reshape(x=a, shape=np.array(shape, np.int32), name=self._name("reshape"))

    def transpose(self, a: Expression, axes: Sequence[int]) -> Expression:
        """See :class:`~qsr_edge.graph.integer_ops.IntegerOps`."""
        return mb.transpose(x=a, perm=np.array(axes, np.int32), name=self._name("transpose"))

    def cut(self, a: Expression, axis: int, start: int, stop: int) -> Expression:
        """See :class:`~qsr_edge.graph.integer_ops.IntegerOps`."""
        begin, size = [0] * len(a.shape), list(self.shape(a))
        begin[axis], size[axis] = start, stop - start
        return mb.slice_by_size(
            x=a, begin=np.array(begin, np.int32), size=np.array(size, np.int32), name=self._name("slice")
        )

    def concatenate(self, parts: Sequence[Expression], axis: int) -> Expression:
        """See :class:`~qsr_edge.graph.integer_ops.IntegerOps`."""
        return mb.concat(values=list(parts), axis=axis, interleave=False, name=self._name("concat"))


def build_swin_program(graph: SwinGraph, size_px: tuple[int, int], *, opset: Any) -> Any:
    """Express a graph.

    Args:
        graph: what to express.
        size_px: (height, width) of the input, multiples of the window's side.
        opset: ``coremltools.target.iOS18`` or later.

    Returns:
        A program with the function ``main``: ``image``, (1, 3, H, W) float32 levels -> ``upscaled``, (1, 3, rH, rW)
        float32 levels.

    Raises:
        BackendError: naming the layer whose sums float32 does not hold.
    """
    spec = mb.TensorSpec(shape=(1, 3, *size_px), dtype=mil.types.fp32)

    def body(image: Expression) -> Expression:
        ops = MilOps(graph)
        levels = mb.cast(x=image, dtype="int32", name="levels")
        pixels = ops.reshape(ops.transpose(levels, (0, 2, 3, 1)), (*size_px, 3))
        upscaled = ops.transpose(SwinProgram(graph, ops).image(pixels), (2, 0, 1))
        planes = ops.reshape(upscaled, (1, *ops.shape(upscaled)))
        return mb.cast(x=planes, dtype="fp32", name=OUTPUT_NAME)

    return mb.program(input_specs=[spec], opset_version=opset)(body)
