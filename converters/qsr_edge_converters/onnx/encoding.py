"""How integer codes, weights and requantizations of the IR are written in QDQ form so that every runtime rounds alike.

In QDQ form an operator stands between DequantizeLinear and QuantizeLinear. A runtime may fuse the three into an integer
kernel, or compute them in float32 as they stand. Both give the golden bytes, because

- scales of activations are 1 and a weight's scale is a power of two, 2^-(s+1): products and sums are integers times
  it, and float32 holds integers up to 2^24 exactly, in whatever order they are added;
- weights are doubled and the bias is ``2 * b + 1``: no accumulator is a tie between two codes, so it does not matter
  how a runtime rounds halves.

A range of fewer than 256 codes is clamped by two zero points, see :class:`Label`; an operator Clip would do in ONNX
Runtime's CPU kernels, but Qualcomm's HTP back end drops it behind a convolution without a word.

One guard bit is enough where a runtime adds the bias as it stands. It is also the most that is safe everywhere: on x86
processors without VNNI, ONNX Runtime adds pairs of uint8 * int8 products in int16, which saturates beyond 2 * 255 * 64.

Hexagon NPUs from v73 on, as Qualcomm's emulator has them, do not: some biases come out one unit nearer to zero. So the
flavour ``npu`` has two guard bits and the bias ``4 * b + 2``, which is no tie with one unit more or less either.
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from qsr_edge.errors import BackendError
from qsr_edge.graph.ir import Constants, Conv2d, Multiplier, Shift
from qsr_edge.quant.arithmetic import CodeRange


class OnnxFlavor(StrEnum):
    """How far sums are kept from ties."""

    QDQ = "qdq"
    NPU = "npu"


GUARD_BITS = {OnnxFlavor.QDQ: 1, OnnxFlavor.NPU: 2}
INT8_MAX = 127
INT4_CODES = CodeRange.signed(4)
UINT8_MAX = 255
EXACT_FLOAT = 1 << 24
"""float32 holds every integer up to this magnitude."""
PACKING_GAIN_BYTES = 512
"""INT4 is not worth the operators that unpack it if it saves fewer bytes than this."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EncodedConv:
    """A convolution as it goes into the file.

    Attributes:
        weights: (O, I, K, K), depthwise (O, 1, K, K); int8.
        int4_factor: None to store ``weights`` as int8; else they are stored as INT4, divided by this.
        weight_scales: (O,) float32.
        bias: (O,) int32, in units of ``weight_scales``; activations have the scale 1.
    """

    weights: NDArray[np.int8]
    int4_factor: int | None
    weight_scales: NDArray[np.float32]
    bias: NDArray[np.int32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """How a tensor of codes is declared: code q is stored as ``q + zero_point`` in uint8; the scale is 1.

    Attributes:
        zero_point: what code 0 is stored as; uint8's lower end is at or below the range's.
        upper_zero_point: a zero point with which uint8 ends where the range does, if ``zero_point`` does not bring that
            about: codes pass through a tensor declared so, are clamped there from above, and here from below. None if
            uint8 with ``zero_point`` is the range.
    """

    zero_point: int
    upper_zero_point: int | None = None


def label_of(codes: CodeRange, *, where: str) -> Label:
    """How a tensor of this range is declared.

    Args:
        codes: of a tensor; 0 is among them.
        where: names the tensor in the error.

    Raises:
        BackendError: if the codes are more than uint8 holds.
    """
    width = codes.q_max - codes.q_min
    if width > UINT8_MAX or not codes.q_min <= 0 <= codes.q_max:
        raise BackendError(
            f"{where}: codes in [{codes.q_min}, {codes.q_max}], expected 256 of them at most, and 0 among them"
        )
    upper = UINT8_MAX - codes.q_max
    return Label(zero_point=-codes.q_min, upper_zero_point=None if width == UINT8_MAX else upper)


def encode_conv(
    node: Conv2d,
    constants: Constants,
    *,
    input_range: CodeRange,
    compact: bool,
    flavor: OnnxFlavor = OnnxFlavor.QDQ,
) -> EncodedConv:
    """Encode a convolution.

    Args:
        node: a convolution of a verified graph.
        constants: holds its weights, bias and requantization.
        input_range: codes of its input.
        compact: store weights of 4 bits or less as INT4.
        flavor: how many guard bits there are.

    Raises:
        BackendError: naming the node, if a runtime could compute something else.
    """
    weights, bias = constants[node.weights].astype(np.int64), constants[node.bias].astype(np.int64)
    match node.requantization:
        case Multiplier(multipliers=key):
            guard_bits, offset = 0, 0
            scales = constants[key].astype(np.float32)
        case Shift(shifts=key):
            guard_bits = GUARD_BITS[flavor]
            offset = 1 << (guard_bits - 1)
            scales = np.ldexp(1.0, -(constants[key].astype(np.int64) + guard_bits)).astype(np.float32)
    largest = int(np.abs(weights).max(initial=0))
    if weights.max(initial=0) << guard_bits > INT8_MAX or weights.min(initial=0) << guard_bits < -INT8_MAX - 1:
        raise BackendError(
            f"node {node.name}: weights up to {largest} leave no room in int8 for the {guard_bits} guard bit(s) that "
            f"shifts need; expected at most {INT8_MAX >> guard_bits}: train with fewer weight bits, or use the "
            "profile 'scaled'"
        )
    reach = max(abs(input_range.q_min), abs(input_range.q_max))
    bound = int((reach * np.abs(weights).sum(axis=(1, 2, 3)) + np.abs(bias)).max(initial=0))
    if (bound << guard_bits) + offset > EXACT_FLOAT:
        raise BackendError(
            f"node {node.name}: accumulators up to {bound}, expected at most {(EXACT_FLOAT - offset) >> guard_bits} "
            "for float32 to be exact: use fewer channels or bits"
        )
    return EncodedConv(
        weights=np.ascontiguousarray((weights << guard_bits).transpose(0, 3, 1, 2)).astype(np.int8),
        int4_factor=_int4_factor(weights, guard_bits) if compact else None,
        weight_scales=scales,
        bias=((bias << guard_bits) + offset).astype(np.int32),
    )


def _int4_factor(weights: NDArray[np.int64], guard_bits: int) -> int | None:
    """What INT4 has to be multiplied by to give the weights with their guard bits: 1, if there is room for these."""
    if weights.size // 2 < PACKING_GAIN_BYTES:
        return None
    for factor in (1, 1 << guard_bits):
        stored = (weights << guard_bits) // factor
        if INT4_CODES.q_min <= stored.min() and stored.max() <= INT4_CODES.q_max:
            return factor
    return None
