"""The integer intermediate representation (IR).

A graph maps a uint8 RGB image (1, H, W, 3) to a uint8 RGB image (1, rH, rW, 3). Between the two, every tensor is NHWC
and holds integer codes of a declared range; code 0 always means real zero, so zero padding pads with code 0.
Arithmetic, in exact integers:

    QuantizeInput   q = level - 128
    Conv2d          A = sum(w * q) + b;  q_out = clip(requantize(A), q_min, q_max)      stride 1, zero padding ("same")
    Add             q_out = clip(q_a + q_b, q_min, q_max)
    DepthToSpace    (1, H, W, r*r*C) -> (1, rH, rW, C); input channel (dy * r + dx) * C + c, as TFLite orders it
    output          level = q + 128

Requantization is either a ``Shift`` (portable profile), ``floor(A / 2^s + 1/2) = (A + 2^(s-1)) >> s`` with s >= 1, or
a ``Multiplier`` (scaled profile), XNNPACK's ``rint(float32(A) * m)`` with halves to even.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NewType

from numpy.typing import NDArray

from qsr_edge.errors import GraphError
from qsr_edge.quant.arithmetic import CodeRange, Profile

TensorId = NewType("TensorId", str)
ConstantId = NewType("ConstantId", str)

Array = NDArray[Any]
"""int8 weights, int32 biases and shifts, or float32 multipliers."""


class Constants(Mapping[ConstantId, Array]):
    """Arrays of a graph by id; read-only."""

    def __init__(self, arrays: Mapping[ConstantId, Array]):
        """Take copies that nobody can write to."""
        self._arrays: dict[ConstantId, Array] = {}
        for key, array in arrays.items():
            copy = array.copy()
            copy.flags.writeable = False
            self._arrays[key] = copy

    def __getitem__(self, key: ConstantId) -> Array:
        try:
            return self._arrays[key]
        except KeyError:
            raise GraphError(f"the graph refers to a constant {key!r} that it does not hold") from None

    def __iter__(self) -> Iterator[ConstantId]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tensor:
    """An activation: NHWC integer codes.

    Attributes:
        id: unique name.
        channels: size of the last dimension.
        range: the codes that may occur.
        upscale: height and width in units of the input image's: 1, or the scale factor after depth-to-space.
    """

    id: TensorId
    channels: int
    range: CodeRange
    upscale: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """Requantization by an arithmetic right shift per output channel; ``shifts``: (O,) int32, each >= 1."""

    shifts: ConstantId


@dataclass(frozen=True, slots=True, kw_only=True)
class Multiplier:
    """Requantization by a float32 multiplier per output channel; ``multipliers``: (O,) float32, each > 0."""

    multipliers: ConstantId


Requantization = Shift | Multiplier


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantizeInput:
    """uint8 levels -> codes; the graph's first node. ``output``: 3 channels in [-128, 127]."""

    name: str
    output: TensorId


@dataclass(frozen=True, slots=True, kw_only=True)
class Conv2d:
    """Convolution with per-output-channel requantization.

    Attributes:
        name: unique name.
        input: (1, H, W, I).
        output: (1, H, W, O).
        weights: (O, K, K, I) int8, K odd; depthwise: (O, K, K, 1) with O = I.
        bias: (O,) int32, in units of the accumulator.
        weight_bits: bit width of the weights: every weight lies in the signed range of so many bits.
        requantization: from the accumulator to output codes.
        depthwise: output channel c reads input channel c only.
    """

    name: str
    input: TensorId
    output: TensorId
    weights: ConstantId
    bias: ConstantId
    weight_bits: int
    requantization: Requantization
    depthwise: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Add:
    """Saturating sum of two tensors on the same grid."""

    name: str
    inputs: tuple[TensorId, TensorId]
    output: TensorId


@dataclass(frozen=True, slots=True, kw_only=True)
class DepthToSpace:
    """(1, H, W, r*r*C) -> (1, rH, rW, C)."""

    name: str
    input: TensorId
    output: TensorId
    block: int


Node = QuantizeInput | Conv2d | Add | DepthToSpace


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """One network at one depth.

    Attributes:
        name: what it is called in files.
        scale: upscaling factor r.
        depth: number of residual blocks.
        bits: bit width of the body.
        profile: ``portable`` if every requantization is a shift.
        tensors: every activation, in order of creation.
        nodes: in order of execution.
        output: the tensor whose codes plus 128 are the image.
    """

    name: str
    scale: int
    depth: int
    bits: int
    profile: Profile
    tensors: tuple[Tensor, ...]
    nodes: tuple[Node, ...]
    output: TensorId

    def tensors_by_id(self) -> Mapping[TensorId, Tensor]:
        """The tensors by id.

        Raises:
            GraphError: if two have the same id.
        """
        table = {tensor.id: tensor for tensor in self.tensors}
        if len(table) != len(self.tensors):
            raise GraphError(f"graph {self.name}: two tensors have the same id")
        return MappingProxyType(table)


def node_inputs(node: Node) -> tuple[TensorId, ...]:
    """The tensors that a node reads."""
    match node:
        case QuantizeInput():
            return ()
        case Add():
            return node.inputs
        case Conv2d() | DepthToSpace():
            return (node.input,)


def node_constants(node: Node) -> tuple[ConstantId, ...]:
    """The constants that a node reads."""
    if not isinstance(node, Conv2d):
        return ()
    match node.requantization:
        case Shift(shifts=key) | Multiplier(multipliers=key):
            return (node.weights, node.bias, key)
