"""Writes integer graphs in TOSA 1.0, profile PRO-INT: no operator with a float anywhere in the profile.

A convolution gives int32 accumulators; RESCALE with the multiplier 2^30 and the shift 30 + s is exactly the portable
profile's ``(A + 2^(s-1)) >> s`` and saturates to int8 (TOSA specification, "Precision scaling", SINGLE_ROUND); CLAMP
narrows it to the codes' range. Additions run in int32. No guard bits are needed.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tosa_serializer
from numpy.typing import NDArray

from qsr_edge.errors import BackendError
from qsr_edge.graph.ir import Add, Constants, Conv2d, DepthToSpace, Graph, QuantizeInput, Shift, TensorId
from qsr_edge.quant.arithmetic import IMAGE_ZERO, CodeRange

ts: Any = tosa_serializer  # its names appear when its extension is loaded
INT8, UINT8 = CodeRange.signed(8), CodeRange.unsigned(8)
_MULTIPLIER_SHIFT = 30
_LARGEST_SHIFT = 62
_VERSION = (1, 0, 0)


class _Writer:
    """Appends operators to a TOSA graph; tensors are known by name."""

    def __init__(self, size_px: tuple[int, int]):
        major, minor, patch = _VERSION
        self.serializer = ts.TosaSerializer("", ts.ConstMode.EMBED, major, minor, patch, False)
        self.size_px = size_px
        self.names: dict[TensorId, str] = {}

    def shape(self, channels: int, upscale: int = 1) -> list[int]:
        return [1, self.size_px[0] * upscale, self.size_px[1] * upscale, channels]

    def constant(self, dtype: Any, values: NDArray[Any]) -> str:
        name: str = self.serializer.addConst(list(values.shape), dtype, values).name
        return name

    def operator(self, op: Any, inputs: Sequence[str], shape: Sequence[int], dtype: Any, attribute: Any) -> str:
        output: str = self.serializer.addIntermediate(list(shape), dtype).name
        self.serializer.addOperator(op, list(inputs), [output], attribute)
        return output

    def rescale(
        self,
        source: str,
        shape: Sequence[int],
        shifts: NDArray[np.int32],
        dtypes: tuple[Any, Any],
        zero_points: tuple[int, int] = (0, 0),
        *,
        unsigned: tuple[bool, bool] = (False, False),
    ) -> str:
        """``(value - zp_in + 2^(s-1)) >> s`` + zp_out, saturated; s = 0 copies. ``shifts``: (1,) or (C,)."""
        attribute = ts.TosaSerializerAttribute()
        attribute.RescaleAttribute(True, ts.RoundingMode.SINGLE_ROUND, len(shifts) > 1, *unsigned)
        numpy_types = {ts.DType.INT8: np.int8, ts.DType.INT32: np.int32}
        constants = [
            self.constant(ts.DType.INT32, np.full(len(shifts), 1 << _MULTIPLIER_SHIFT, np.int32)),
            self.constant(ts.DType.INT8, (shifts + _MULTIPLIER_SHIFT).astype(np.int8)),
            *(
                self.constant(dtype, np.array([zero_point]).astype(numpy_types[dtype]))
                for dtype, zero_point in zip(dtypes, zero_points, strict=True)
            ),
        ]
        return self.operator(ts.Op.RESCALE, [source, *constants], shape, dtypes[1], attribute)

    def clamp(self, source: str, shape: Sequence[int], codes: CodeRange) -> str:
        attribute = ts.TosaSerializerAttribute()
        bounds = [list(np.array([bound], np.int8).view(np.uint8)) for bound in (codes.q_min, codes.q_max)]
        attribute.ClampAttribute(*bounds, ts.NanPropagationMode.PROPAGATE)
        return self.operator(ts.Op.CLAMP, [source], shape, ts.DType.INT8, attribute)

    def conv2d(self, node: Conv2d, constants: Constants, shape: list[int], zero_points: tuple[int, int]) -> str:
        """``zero_points``: of the input's int8 values and the output's; padding stands for a code of 0."""
        weights = constants[node.weights].astype(np.int8)
        if not isinstance(node.requantization, Shift):
            raise BackendError(
                f"node {node.name}: a float multiplier cannot be exact in TOSA's integer arithmetic; "
                "convert a network of the profile 'portable'"
            )
        shifts = constants[node.requantization.shifts]
        if shifts.max() + _MULTIPLIER_SHIFT > _LARGEST_SHIFT:
            raise BackendError(f"node {node.name}: shifts up to {shifts.max()}, expected at most 32; train anew")
        pad = weights.shape[1] // 2
        attribute = ts.TosaSerializerAttribute()
        arguments = ([pad] * 4, [1, 1], [1, 1], False, ts.DType.INT32)
        if node.depthwise:
            weights = weights.transpose(1, 2, 0, 3)  # (K, K, C, 1)
            attribute.DepthwiseConv2dAttribute(*arguments)
        else:
            attribute.Conv2dAttribute(*arguments)
        inputs = [
            self.names[node.input],
            self.constant(ts.DType.INT8, np.ascontiguousarray(weights)),
            self.constant(ts.DType.INT32, constants[node.bias].astype(np.int32)),
            self.constant(ts.DType.INT8, np.array([zero_points[0]], np.int8)),
            self.constant(ts.DType.INT8, np.zeros(1, np.int8)),
        ]
        op = ts.Op.DEPTHWISE_CONV2D if node.depthwise else ts.Op.CONV2D
        accumulator = self.operator(op, inputs, shape, ts.DType.INT32, attribute)
        return self.rescale(accumulator, shape, shifts, (ts.DType.INT32, ts.DType.INT8), (0, zero_points[1]))

    def add(self, node: Add, shape: list[int]) -> str:
        copy = np.zeros(1, np.int32)
        wide = [self.rescale(self.names[t], shape, copy, (ts.DType.INT8, ts.DType.INT32)) for t in node.inputs]
        attribute = ts.TosaSerializerAttribute()
        attribute.AddAttribute()
        total = self.operator(ts.Op.ADD, wide, shape, ts.DType.INT32, attribute)
        return self.rescale(total, shape, copy, (ts.DType.INT32, ts.DType.INT8))

    def reshape(self, source: str, shape: list[int]) -> str:
        attribute = ts.TosaSerializerAttribute()
        attribute.ReshapeAttribute()
        target = self.serializer.addConst([len(shape)], ts.DType.SHAPE, shape).name
        return self.operator(ts.Op.RESHAPE, [source, target], shape, ts.DType.INT8, attribute)

    def depth_to_space(self, node: DepthToSpace, shape: list[int]) -> str:
        block, channels = node.block, shape[3]
        height, width = shape[1] // block, shape[2] // block
        split = self.reshape(self.names[node.input], [1, height, width, block, block * channels])
        attribute = ts.TosaSerializerAttribute()
        attribute.TransposeAttribute([0, 1, 3, 2, 4])
        moved = [1, height, block, width, block * channels]
        swapped = self.operator(ts.Op.TRANSPOSE, [split], moved, ts.DType.INT8, attribute)
        return self.reshape(swapped, shape)


def _zero_point(codes: CodeRange) -> int:
    """The int8 value that stands for a code of 0: codes of 8 unsigned bits are held less 128."""
    return INT8.q_min if codes == UINT8 else 0


def write_graph(graph: Graph, constants: Constants, size_px: tuple[int, int]) -> bytes:
    """One graph as a file.

    Args:
        graph: a verified graph of the portable profile.
        constants: its arrays.
        size_px: (height, width) of the input.

    Returns:
        A TOSA flatbuffer: (1, H, W, 3) in, (1, rH, rW, 3) out, unsigned bytes both.

    Raises:
        BackendError: naming the node that cannot be expressed exactly.
    """
    writer = _Writer(size_px)
    image = ts.TosaSerializerTensor("image", writer.shape(3), ts.DType.INT8)
    writer.serializer.addInputTensor(image)
    tensors = graph.tensors_by_id()
    copy = np.zeros(1, np.int32)
    bytes_to_bytes = (ts.DType.INT8, ts.DType.INT8)
    for node in graph.nodes:
        output = tensors[node.output]
        shape = writer.shape(output.channels, output.upscale)
        match node:
            case QuantizeInput():
                name = writer.rescale(
                    "image", shape, copy, bytes_to_bytes, (np.uint8(IMAGE_ZERO).view(np.int8).item(), 0),
                    unsigned=(True, False),
                )  # fmt: skip
            case Conv2d():
                source = tensors[node.input]
                name = writer.conv2d(node, constants, shape, (_zero_point(source.range), _zero_point(output.range)))
            case Add():
                name = writer.add(node, shape)
            case DepthToSpace():
                name = writer.depth_to_space(node, shape)
        if output.range not in (INT8, UINT8):
            name = writer.clamp(name, shape, output.range)
        writer.names[node.output] = name
    output = tensors[graph.output]
    final = writer.rescale(
        writer.names[graph.output], writer.shape(output.channels, output.upscale), copy, bytes_to_bytes,
        (0, np.uint8(IMAGE_ZERO).view(np.int8).item()), unsigned=(False, True),
    )  # fmt: skip
    writer.serializer.addOutputTensor(writer.serializer.currRegion.currBasicBlock.tensors[final])
    content = writer.serializer.serialize()
    return bytes(content)
