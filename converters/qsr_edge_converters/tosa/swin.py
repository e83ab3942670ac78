"""Writes ``quantsr_t`` graphs in TOSA 1.0, profile PRO-INT: the same program that the golden interpreter runs.

Every value is int32 but for matrix products' operands and table indices, which are int8, and table entries, int16.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tosa_serializer

from qsr_edge.graph.integer_ops import Int
from qsr_edge.graph.swin import SwinGraph
from qsr_edge.graph.swin_program import SwinProgram
from qsr_edge.quant.arithmetic import IMAGE_ZERO

ts: Any = tosa_serializer  # its names appear when its extension is loaded
_VERSION = (1, 0, 0)
_TABLE_FRACTION_BITS = 7
"""TABLE interpolates int16 inputs between entries 2^7 apart; inputs that are multiples of it select an entry."""
_TABLE_ENTRIES = 513
_ZERO_BYTE = np.uint8(IMAGE_ZERO).view(np.int8).item()


class TosaOps:
    """Implements :class:`~qsr_edge.graph.integer_ops.IntegerOps` by appending operators; values are tensor names."""

    def __init__(self) -> None:
        """Begin a graph."""
        self.serializer = ts.TosaSerializer("", ts.ConstMode.EMBED, *_VERSION, False)
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._attributes: dict[str, tuple[Any, ...]] = {}

    def operator(
        self, op: Any, inputs: Sequence[str], shape: Sequence[int], dtype: Any, attribute: str, *arguments: Any
    ) -> str:
        """Append one operator with one output; the output's name."""
        attributes = ts.TosaSerializerAttribute()
        getattr(attributes, f"{attribute}Attribute")(*arguments)
        output: str = self.serializer.addIntermediate(list(shape), dtype).name
        self.serializer.addOperator(op, list(inputs), [output], attributes)
        self._shapes[output] = tuple(shape)
        return output

    def _stored(self, dtype: Any, values: Int) -> str:
        name: str = self.serializer.addConst(list(values.shape), dtype, values).name
        self._shapes[name] = values.shape
        return name

    def _shape_of(self, values: Sequence[int]) -> str:
        name: str = self.serializer.addConst([len(values)], ts.DType.SHAPE, list(values)).name
        return name

    def _elementwise(self, op: Any, attribute: str, operands: Sequence[str], *arguments: Any, dtype: Any = None) -> str:
        shape = np.broadcast_shapes(*(self._shapes[name] for name in operands))
        return self.operator(op, operands, shape, dtype or ts.DType.INT32, attribute, *arguments)

    def cast(self, x: str, dtype: Any) -> str:
        """The same values in another type, which holds them."""
        return self.operator(ts.Op.CAST, [x], self._shapes[x], dtype, "Cast")

    def constant(self, values: Int) -> str:
        """See :class:`~qsr_edge.graph.integer_ops.IntegerOps`."""
        return self._stored(ts.DType.INT32, np.ascontiguousarray(values, np.int32))

    def shape(self, x: str) -> tuple[int, ...]:
        """See :class:`~qsr_edge.graph.integer_ops.IntegerOps`."""
        return self._shapes[x]

    def add(self, a: str, b: str) -> str:
        """See :class:`~qsr_edge.graph.integer_ops.IntegerOps`."""
        return self._elementwise(ts.Op.ADD, "Add", [a, b])

    def subtract(self, a: str, b: str) -> str:
        """See :class:`~qsr_edge.graph.integer_ops.IntegerOps`."""
        return self._elementwise(ts.Op.SUB, "Sub", [a, b])

    def multiply(self, a: str, b: str) -> str:
        """See :class:`~qsr_edge.graph.integer_ops.IntegerOps`."""
        shape = np.broadcast_shapes(self._shapes[a], self._shapes[b])
        unshifted = self._stored(ts.DType.INT8, np.zeros(1, np.int8))
        return self.operator(ts.Op.MUL, [a, b, unshifted], shape, ts.DType.INT32, "Mul")

    def shift_right(self, a: str, bits: Int) -> str:
        """See :class:`~qsr_edge.graph.integer_ops.IntegerOps`."""
        return self._elementwise(ts.Op.ARITHMETIC_RIGHT_SHIFT, "ArithmeticRightShift", [a, self.constant(bits)], False)

    def divide(self, a: str, b: str) -> str:
        """See :class:`~qsr_edge.graph.integer_ops.IntegerOps`."""
        return self._elementwise(ts.Op.INTDIV, "IntDiv", [a, b])

    def minimum(self, a: str, b: str) -> str:
        """See :class:`~qsr_edge.graph.integer_ops.IntegerOps`."""
        return self._elementwise(ts.Op.MINIMUM, "Minimum", [a, b], ts.NanPropagationMode.PROPAGATE)

    def maximum(self, a: str, b: str) -> str:
        """See :class:`~qsr_edge.graph.integer_ops.IntegerOps`."""
        return self._elementwise(ts.Op.MAXIMUM, "Maximum", [a, b], ts.NanPropagationMode.PROPAGATE)

    def where_less(self, a: str, b: str, then: str, otherwise: str) -> str:
        """See :class:`~qsr_edge.graph.integer_ops.IntegerOps`."""
        less = self._elementwise(ts.Op.GREATER, "Greater", [b, a], dtype=ts.DType.BOOL)
        return self._elementwise(ts.Op.SELECT, "Select", [less, then, otherwise])

    def _reduced(self, op: Any, attribute: str, a: str, *arguments: Any) -> str:
        shape = self._shapes[a]
        return self.operator(op, [a], (*shape[:-1], 1), ts.DType.INT32, attribute, len(shape) - 1, *arguments)

    def sum_last(self, a: str) -> str:
        """See :class:`~qsr_edge.graph.integer_ops.IntegerOps`."""
        return self._reduced(ts.Op.REDUCE_SUM, "ReduceSum", a)

    def max_last(self, a: str) -> str:
        """See :class:`~qsr_edge.graph.integer_ops.IntegerOps`."""
        return self._reduced(ts.Op.REDUCE_MAX, "ReduceMax", a, ts.NanPropagationMode.PROPAGATE)

    def matmul(self, a: str, b: str) -> str:
        """See :class:`~qsr_edge.graph.integer_ops.IntegerOps`."""
        narrow = [self.cast(x, ts.DType.INT8) for x in (a, b)]
        zeros = [self._stored(ts.DType.INT8, np.zeros(1, np.int8)) for _ in range(2)]
        shape = (*self._shapes[a][:2], self._shapes[b][2])
        return self.operator(ts.Op.MATMUL, [*narrow, *zeros], shape, ts.DType.INT32, "MatMul")

    def lookup(self, a: str, table: Int) -> str:
        """See :class:`~qsr_edge.graph.integer_ops.IntegerOps`.

        An index is multiplied by 2^7, so that the interpolation of int16 inputs has nothing to do: entry
        ``index + 256`` of 513, times 2^7.
        """
        entries = np.zeros(_TABLE_ENTRIES, np.int16)
        entries[128:384] = table
        unit = self.constant(np.full((1,) * len(self._shapes[a]), 1 << _TABLE_FRACTION_BITS))
        index = self.cast(self.multiply(a, unit), ts.DType.INT16)
        found = self.operator(
            ts.Op.TABLE, [index, self._stored(ts.DType.INT16, entries)], self._shapes[a], ts.DType.INT32, "Table"
        )
        return self.shift_right(found, np.full((1,) * len(self._shapes[a]), _TABLE_FRACTION_BITS))

    def reshape(self, a: str, shape: Sequence[int]) -> str:
        """See :class:`~qsr_edge.graph.integer_ops.IntegerOps`."""
        return self.operator(ts.Op.RESHAPE, [a, self._shape_of(shape)], shape, ts.DType.INT32, "Reshape")

    def transpose(self, a: str, axes: Sequence[int]) -> str:
        """See :class:`~qsr_edge.graph.integer_ops.IntegerOps`."""
        shape = [self._shapes[a][axis] for axis in axes]
        return self.operator(ts.Op.TRANSPOSE, [a], shape, ts.DType.INT32, "Transpose", list(axes))

    def cut(self, a: str, axis: int, start: int, stop: int) -> str:
        """See :class:`~qsr_edge.graph.integer_ops.IntegerOps`."""
        shape = list(self._shapes[a])
        begin = [0] * len(shape)
        begin[axis], shape[axis] = start, stop - start
        inputs = [a, self._shape_of(begin), self._shape_of(shape)]
        return self.operator(ts.Op.SLICE, inputs, shape, ts.DType.INT32, "Slice")

    def concatenate(self, parts: Sequence[str], axis: int) -> str:
        """See :class:`~qsr_edge.graph.integer_ops.IntegerOps`."""
        shape = list(self._shapes[parts[0]])
        shape[axis] = sum(self._shapes[part][axis] for part in parts)
        return self.operator(ts.Op.CONCAT, parts, shape, ts.DType.INT32, "Concat", axis)

    def _bytes(self, x: str, zero_points: tuple[int, int], unsigned: tuple[bool, bool]) -> str:
        """Bytes as bytes: unsigned ones less 128 as signed ones, or back."""
        constants = [
            self._stored(ts.DType.INT32, np.array([1 << 30], np.int32)),
            self._stored(ts.DType.INT8, np.array([30], np.int8)),
            *(self._stored(ts.DType.INT8, np.array([point], np.int8)) for point in zero_points),
        ]
        arguments = (True, ts.RoundingMode.SINGLE_ROUND, False, *unsigned)
        return self.operator(ts.Op.RESCALE, [x, *constants], self._shapes[x], ts.DType.INT8, "Rescale", *arguments)

    def image(self, shape: Sequence[int]) -> str:
        """The graph's input: unsigned bytes, as int32."""
        self.serializer.addInputTensor(ts.TosaSerializerTensor("image", list(shape), ts.DType.INT8))
        self._shapes["image"] = tuple(shape)
        codes = self.cast(self._bytes("image", (_ZERO_BYTE, 0), (True, False)), ts.DType.INT32)
        return self.add(codes, self.constant(np.full((1,) * len(shape), IMAGE_ZERO)))

    def serialized(self, levels: str) -> bytes:
        """The graph, its output being levels as unsigned bytes."""
        rank = len(self._shapes[levels])
        codes = self.cast(self.subtract(levels, self.constant(np.full((1,) * rank, IMAGE_ZERO))), ts.DType.INT8)
        output = self._bytes(codes, (0, _ZERO_BYTE), (False, True))
        self.serializer.addOutputTensor(self.serializer.currRegion.currBasicBlock.tensors[output])
        return bytes(self.serializer.serialize())


def write_swin(graph: SwinGraph, size_px: tuple[int, int]) -> bytes:
    """One graph as a file.

    Args:
        graph: what to write.
        size_px: (height, width) of the input, multiples of the window's side.

    Returns:
        A TOSA flatbuffer: (1, H, W, 3) in, (1, rH, rW, 3) out, unsigned bytes both.
    """
    ops = TosaOps()
    levels = ops.reshape(ops.image((1, *size_px, 3)), (*size_px, 3))
    upscaled = SwinProgram(graph, ops).image(levels)
    return ops.serialized(ops.reshape(upscaled, (1, *ops.shape(upscaled))))
