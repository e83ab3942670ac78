"""Integer graphs as MIL programs, in two flavours.

``exact`` holds integers in float32 and computes them without rounding. For a shift,

    q = clip(floor(conv(x, w * 2^-s) + (b * 2^-s + 1/2)), q_min, q_max)

where every product and partial sum is a multiple of 2^-s below 2^24 * 2^-s, so that float32 holds it, in whatever order
it is summed. For a multiplier, ``q = clip(round(conv(x, w) + b) * m)``, with ``round`` taking halves to even.

``ane`` is the form that Apple documents for int8 x int8 products on the Neural Engine (A17 Pro, M4 and newer): int8
activations between ``quantize`` and ``dequantize``, float16 between them, weights as a table of int8. float16 has 11
significant bits, and who rounds what is the hardware's business, so this flavour is close to the integer graph and not
equal to it.

Layout is NCHW. ``depth_to_space`` orders input channels as the integer graph does, ``(dy * r + dx) * C + c``.
"""

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from qsr_edge.errors import BackendError
from qsr_edge.graph.ir import (
    Add,
    Constants,
    Conv2d,
    DepthToSpace,
    Graph,
    Multiplier,
    QuantizeInput,
    Shift,
    Tensor,
    TensorId,
)
from qsr_edge.quant.arithmetic import IMAGE_ZERO, CodeRange
from qsr_edge_converters.coreml.flavor import CoremlFlavor
from qsr_edge_converters.coreml.sdk import ct, mb, mil
from qsr_edge_converters.coreml.weights import Packing, packed_weights

INPUT_NAME = "image"
OUTPUT_NAME = "upscaled"
_INT8 = CodeRange.signed(8)
_INT8_MAX = 127
Expression = Any
"""A MIL variable; coremltools publishes no types."""


def mil_name(name: str) -> str:
    """A node's name as MIL allows it: letters, digits and underscores."""
    return "".join(letter if letter.isalnum() else "_" for letter in name)


def _channels(values: NDArray[Any]) -> NDArray[Any]:
    """(O,) -> (1, O, 1, 1)."""
    return values.reshape(1, -1, 1, 1)


def _nchw(weights: NDArray[Any]) -> NDArray[np.int8]:
    """(O, K, K, I) -> (O, I, K, K)."""
    return np.ascontiguousarray(weights.astype(np.int8).transpose(0, 3, 1, 2))


class _Shared:
    """Constants that many operations take; one of each keeps the program small."""

    def __init__(self) -> None:
        self._known: dict[tuple[object, ...], Expression] = {}

    def __call__(self, value: Any, label: str) -> Expression:
        array = np.asarray(value)
        key = (label, array.dtype.str, array.shape, array.tobytes())
        if key not in self._known:
            self._known[key] = mb.const(val=value, name=f"shared_{label}_{len(self._known)}")
        return self._known[key]


class _Flavor(Protocol):
    def image(self, image: Expression) -> Expression: ...

    def conv(self, node: Conv2d, source: Expression, output: Tensor) -> Expression: ...

    def add(self, node: Add, sources: tuple[Expression, Expression], output: Tensor) -> Expression: ...

    def depth_to_space(self, node: DepthToSpace, source: Expression) -> Expression: ...

    def levels(self, codes: Expression) -> Expression: ...


class _Convolutions:
    """What both flavours share."""

    def __init__(self, constants: Constants, packing: Packing, dtype: type[np.float16] | type[np.float32]):
        self.constants = constants
        self.packing = packing
        self.dtype = dtype
        self.shared = _Shared()

    def number(self, value: float, label: str) -> Expression:
        return self.shared(self.dtype(value), label)

    def clip(self, codes: Expression, codes_range: CodeRange, name: str) -> Expression:
        lower = self.number(codes_range.q_min, "lower")
        return mb.clip(x=codes, alpha=lower, beta=self.number(codes_range.q_max, "upper"), name=name)

    def product(
        self, node: Conv2d, source: Expression, scales: NDArray[Any], bias: NDArray[Any], name: str
    ) -> Expression:
        """``sum(w * scale * q) + bias``; scales and bias: (O,) of the flavour's type."""
        weights = _nchw(self.constants[node.weights])
        kernel = weights.shape[2]
        if node.depthwise and kernel == 1:
            factors = _channels((weights.reshape(-1) * scales.astype(np.float64)).astype(self.dtype))
            scaled = mb.mul(x=source, y=factors, name=f"{name}_scaled")
            return mb.add(x=scaled, y=_channels(bias), name=name)
        packed = packed_weights(weights, node.weight_bits, scales, self.packing, name=f"{name}_weights")
        pad = kernel // 2
        return mb.conv(
            x=source,
            weight=packed,
            bias=bias,
            strides=self.shared(np.array([1, 1], np.int32), "ones"),
            dilations=self.shared(np.array([1, 1], np.int32), "ones"),
            pad_type=self.shared("custom", "pad_type"),
            pad=self.shared(np.full(4, pad, np.int32), "pad"),
            groups=self.shared(np.int32(weights.shape[0] if node.depthwise else 1), "groups"),
            name=name,
        )


class _Exact(_Convolutions):
    """Integers in float32."""

    def __init__(self, constants: Constants, packing: Packing):
        super().__init__(constants, packing, np.float32)

    def image(self, image: Expression) -> Expression:
        return mb.sub(x=image, y=np.float32(IMAGE_ZERO), name="codes")

    def conv(self, node: Conv2d, source: Expression, output: Tensor) -> Expression:
        name, bias = mil_name(node.name), self.constants[node.bias].astype(np.int64)
        match node.requantization:
            case Shift(shifts=key):
                scales = np.exp2(-self.constants[key].astype(np.float64))
                folded = bias * scales + 0.5
                bias32 = folded.astype(np.float32)
                if not np.array_equal(bias32, folded):
                    raise BackendError(f"node {node.name}: a bias up to {np.abs(bias).max()} is not exact as float32")
                total = self.product(node, source, scales.astype(np.float32), bias32, f"{name}_sum")
                rounded = mb.floor(x=total, name=f"{name}_rounded")
            case Multiplier(multipliers=key):
                ones = np.ones(len(bias), np.float32)
                total = self.product(node, source, ones, bias.astype(np.float32), f"{name}_sum")
                factors = _channels(self.constants[key].astype(np.float32))
                rounded = mb.round(x=mb.mul(x=total, y=factors, name=f"{name}_scaled"), name=f"{name}_rounded")
        return self.clip(rounded, output.range, name)

    def add(self, node: Add, sources: tuple[Expression, Expression], output: Tensor) -> Expression:
        name = mil_name(node.name)
        total = mb.add(x=sources[0], y=sources[1], name=f"{name}_sum")
        return self.clip(total, output.range, name)

    def depth_to_space(self, node: DepthToSpace, source: Expression) -> Expression:
        return mb.depth_to_space(x=source, block_size=node.block, name=mil_name(node.name))

    def levels(self, codes: Expression) -> Expression:
        return mb.add(x=codes, y=np.float32(IMAGE_ZERO), name=OUTPUT_NAME)


class _Ane(_Convolutions):
    """int8 between operations, float16 within them; expressions are int8, or uint8 for codes up to 255."""

    def __init__(self, constants: Constants, packing: Packing):
        super().__init__(constants, packing, np.float16)

    def _quantized(self, codes: Expression, codes_range: CodeRange, name: str) -> Expression:
        wide = codes_range.q_max > _INT8_MAX
        saturates = codes_range in (_INT8, CodeRange.unsigned(8))
        if not saturates:
            codes = self.clip(codes, codes_range, f"{name}_clipped")
        kind = self.shared("uint8" if wide else "int8", "type")
        return mb.quantize(input=codes, scale=self.number(1, "step"), output_dtype=kind, name=name)

    def _real(self, codes: Expression, name: str) -> Expression:
        return mb.dequantize(input=codes, scale=self.number(1, "step"), name=name)

    def image(self, image: Expression) -> Expression:
        half = mb.cast(x=image, dtype="fp16", name="levels_fp16")
        centred = mb.sub(x=half, y=np.float16(IMAGE_ZERO), name="centred")
        return self._quantized(centred, _INT8, "codes")

    def conv(self, node: Conv2d, source: Expression, output: Tensor) -> Expression:
        name, bias = mil_name(node.name), self.constants[node.bias].astype(np.float64)
        match node.requantization:
            case Shift(shifts=key):
                scales = np.exp2(-self.constants[key].astype(np.float64))
                # Rounding takes halves to even, the graph halves up: half a unit of the accumulator decides for up.
                bias = bias + 0.5
            case Multiplier(multipliers=key):
                scales = self.constants[key].astype(np.float64)
        real = self._real(source, f"{name}_input")
        total = self.product(node, real, scales.astype(np.float16), (bias * scales).astype(np.float16), f"{name}_sum")
        return self._quantized(total, output.range, name)

    def add(self, node: Add, sources: tuple[Expression, Expression], output: Tensor) -> Expression:
        name = mil_name(node.name)
        left, right = (self._real(source, f"{name}_input{i}") for i, source in enumerate(sources))
        return self._quantized(mb.add(x=left, y=right, name=f"{name}_sum"), output.range, name)

    def depth_to_space(self, node: DepthToSpace, source: Expression) -> Expression:
        name = mil_name(node.name)
        moved = mb.depth_to_space(x=self._real(source, f"{name}_input"), block_size=node.block, name=f"{name}_moved")
        return self._quantized(moved, _INT8, name)

    def levels(self, codes: Expression) -> Expression:
        levels = mb.add(x=self._real(codes, "output_codes"), y=np.float16(IMAGE_ZERO), name="levels")
        return mb.cast(x=levels, dtype="fp32", name=OUTPUT_NAME)


def build_program(
    graph: Graph,
    constants: Constants,
    flavor: CoremlFlavor,
    *,
    opset: Any,
    size_px: tuple[int, int] | None,
) -> Any:
    """Express a graph.

    Args:
        graph: a verified graph.
        constants: its arrays.
        flavor: which arithmetic.
        opset: ``coremltools.target.iOS17`` or later.
        size_px: fixed (height, width); None leaves both open.

    Returns:
        A program with the function ``main``: ``image``, (1, 3, H, W) float32 levels -> ``upscaled``, (1, 3, rH, rW)
        float32 levels.

    Raises:
        BackendError: naming the node that cannot be expressed.
    """
    height, width = size_px or (mil.get_new_symbol(), mil.get_new_symbol())
    old = opset < ct.target.iOS18
    spec = mb.TensorSpec(shape=(1, 3, height, width), dtype=mil.types.fp32)

    def body(image: Expression) -> Expression:
        writer: _Flavor
        if flavor is CoremlFlavor.EXACT:
            writer = _Exact(constants, Packing.PLAIN if old else Packing.INT4)
        else:
            writer = _Ane(constants, Packing.PLAIN if old else Packing.TABLE)
        return _write(graph, writer, image)

    return mb.program(input_specs=[spec], opset_version=opset)(body)


def _write(graph: Graph, writer: _Flavor, image: Expression) -> Expression:
    tensors = graph.tensors_by_id()
    values: dict[TensorId, Expression] = {}
    for node in graph.nodes:
        match node:
            case QuantizeInput():
                values[node.output] = writer.image(image)
            case Conv2d():
                values[node.output] = writer.conv(node, values[node.input], tensors[node.output])
            case Add():
                pair = (values[node.inputs[0]], values[node.inputs[1]])
                values[node.output] = writer.add(node, pair, tensors[node.output])
            case DepthToSpace():
                values[node.output] = writer.depth_to_space(node, values[node.input])
    return writer.levels(values[graph.output])
