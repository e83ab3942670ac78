"""How integer codes, weights and requantizations of the IR are written so that every LiteRT kernel rounds them alike.

LiteRT's kernel families round differently: XNNPACK multiplies in float32 and rounds halves to even; the built-in
kernels use a 32-bit fixed-point multiplier, then divide by a power of two, and round both times. They agree where no
rounding is a tie and the first one is without effect. Two devices bring that about for ``floor(A / 2^s + 1/2)``:

- *Guard bits*: weights times 2^g, bias ``b * 2^g + 1``, multiplier 2^-(s+g). Accumulators are odd, so none is a tie.
- A multiplier of ``(1 - 2^-24) * 2^-k`` in place of 2^-k: its fixed-point mantissa is just below 1, so the first
  rounding of the built-in kernels returns the accumulator itself.

INT4 filters leave no room for guard bits at 4-bit weights, but they run in the built-in kernels only. These round
negative halves up or away from zero, by kernel and release, and all others up. So no result may be negative: behind a
fused ReLU, which clamps it anyway, or with 128 * 2^s added to the bias and the zero point -128 (codes are the same
then, but the tensor must be relabelled to zero point 0).

Scales of activations in the file are labels: only the ratio input * weight / output counts. They are powers of two, so
it is exact.
"""

from dataclasses import dataclass
from enum import IntEnum, StrEnum

import numpy as np
from numpy.typing import NDArray

from qsr_edge.errors import BackendError
from qsr_edge.graph.ir import Constants, Conv2d, Multiplier, Shift
from qsr_edge.quant.arithmetic import CodeRange

INT8_CODES = CodeRange.signed(8)
INT4_CODES = CodeRange.signed(4)
INT8_MAX = 127
OFFSET_ZERO_POINT = -128
"""Zero point of an output whose accumulators were made non-negative."""
NEARLY_ONE = 1 - 2.0**-24
"""The greatest float32 below 1."""
EXACT_ACCUMULATOR = 1 << 23
"""Below this, float32's rounding and the deviation of ``NEARLY_ONE`` are less than a guard's distance to a tie."""
INT32_MAX = (1 << 31) - 1
PACKING_GAIN_BYTES = 512
"""INT4 is not worth an operator that XNNPACK cannot take if it saves fewer bytes than this."""
MULTIPLIER_MIN = 2.0**-32
MULTIPLIER_MAX = 256.0
"""XNNPACK requantizes by multipliers in [2^-32, 2^8)."""


class Activation(StrEnum):
    """Fused activations that serve as clamps."""

    NONE = "NONE"
    RELU = "RELU"
    RELU_N1_TO_1 = "RELU_N1_TO_1"


class WeightType(IntEnum):
    """Bits per weight in the file."""

    INT4 = 4
    INT8 = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """How a tensor of codes is declared: code q is stored as ``q + zero_point`` in int8.

    Attributes:
        scale: a power of two without meaning, except that it places the clamp of ``RELU_N1_TO_1``.
        zero_point: what code 0 is stored as.
        activation: the fused activation that, with int8 saturation, clamps to the tensor's range.
    """

    scale: float = 1.0
    zero_point: int = 0
    activation: Activation = Activation.NONE


PLAIN = Label()
OFFSET = Label(zero_point=OFFSET_ZERO_POINT)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EncodedConv:
    """A convolution as it goes into the file.

    Attributes:
        weights: (O, K, K, I), depthwise (1, K, K, O); int8, within [-8, 7] if ``weight_type`` is INT4.
        weight_type: storage of the weights.
        weight_scales: (O,) float32.
        bias: (O,) int32.
        bias_scales: (O,) float32, the product of the input's and the weights' scales.
        output: how its output is declared; ``OFFSET`` means that it must be relabelled to ``PLAIN``.
    """

    weights: NDArray[np.int8]
    weight_type: WeightType
    weight_scales: NDArray[np.float32]
    bias: NDArray[np.int32]
    bias_scales: NDArray[np.float32]
    output: Label


def label_of(codes: CodeRange, *, where: str) -> Label:
    """How a tensor of this range is declared.

    Args:
        codes: [-128, 127], [-2^(b-1), 2^(b-1) - 1] or [0, 2^b - 1] with b from 1 to 8.
        where: names the tensor in the error.

    Raises:
        BackendError: for any other range.
    """
    if codes == INT8_CODES:
        return PLAIN
    bits = codes.bits
    if 2 <= bits < 8 and codes == CodeRange.signed(bits):
        return Label(scale=2.0 ** (1 - bits), zero_point=INT8_MAX - codes.q_max, activation=Activation.RELU_N1_TO_1)
    if bits <= 8 and codes == CodeRange.unsigned(bits):
        return Label(zero_point=INT8_MAX - codes.q_max, activation=Activation.RELU)
    raise BackendError(
        f"{where}: codes in [{codes.q_min}, {codes.q_max}], expected the signed or unsigned range of 1 to 8 bits"
    )


def encode_conv(
    node: Conv2d, constants: Constants, *, input_range: CodeRange, output_range: CodeRange, compact: bool
) -> EncodedConv:
    """Encode a convolution.

    Args:
        node: a convolution of a verified graph.
        constants: holds its weights, bias and requantization.
        input_range: codes of its input.
        output_range: codes of its output.
        compact: store weights as INT4 where that is exact and saves space.

    Raises:
        BackendError: naming the node, if not every kernel would compute it exactly.
    """
    weights, bias = constants[node.weights].astype(np.int64), constants[node.bias].astype(np.int64)
    source = label_of(input_range, where=f"node {node.name}, input")
    target = label_of(output_range, where=f"node {node.name}, output")
    reach = max(abs(input_range.q_min), abs(input_range.q_max))
    # Of the IR's accumulator, per output channel: (O,).
    bound = reach * np.abs(weights).sum(axis=(1, 2, 3)) + np.abs(bias)

    match node.requantization:
        case Multiplier(multipliers=key):
            weight_type, guard_bits, offset = WeightType.INT8, 0, np.zeros_like(bias)
            ratios = _multipliers(node, constants[key])
        case Shift(shifts=key):
            shifts = constants[key].astype(np.int64)
            weight_type, guard_bits = _storage(node, weights, target, compact=compact)
            if guard_bits:
                offset = np.ones_like(bias)
            elif target == PLAIN:
                target = OFFSET
                offset = -OFFSET_ZERO_POINT << shifts
            else:
                offset = np.zeros_like(bias)
            # Accumulators beyond the clamp may be rounded as they please: they saturate.
            matters = np.minimum(bound, 257 << shifts) + offset
            if (matters << guard_bits).max() >= EXACT_ACCUMULATOR:
                raise BackendError(
                    f"node {node.name}: accumulators up to {matters.max()}, shifts up to {shifts.max()}, expected "
                    f"less than {EXACT_ACCUMULATOR >> guard_bits} for every kernel to be exact: use fewer channels"
                )
            ratios = np.ldexp(NEARLY_ONE, -(shifts + guard_bits))
    if ((bound << guard_bits) + offset).max() > INT32_MAX:
        raise BackendError(f"node {node.name}: accumulators overflow int32; use fewer channels or bits")

    weight_scales = (ratios * (target.scale / source.scale)).astype(np.float32)
    layout = weights.transpose(3, 1, 2, 0) if node.depthwise else weights
    return EncodedConv(
        weights=(layout << guard_bits).astype(np.int8),
        weight_type=weight_type,
        weight_scales=weight_scales,
        bias=((bias << guard_bits) + offset).astype(np.int32),
        bias_scales=(weight_scales * np.float32(source.scale)).astype(np.float32),
        output=target,
    )


def pack_int4(codes: NDArray[np.int8]) -> bytes:
    """Two codes in [-8, 7] per byte, in C order, the first in the low four bits; an odd last one alone."""
    nibbles = codes.ravel().view(np.uint8) & 0xF
    if nibbles.size % 2:
        nibbles = np.append(nibbles, np.uint8(0))
    return (nibbles[0::2] | (nibbles[1::2] << 4)).astype(np.uint8).tobytes()


def _multipliers(node: Conv2d, multipliers: NDArray[np.generic]) -> NDArray[np.float64]:
    values = multipliers.astype(np.float64)
    if not np.all((values >= MULTIPLIER_MIN) & (values < MULTIPLIER_MAX)):
        raise BackendError(
            f"node {node.name}: multipliers from {values.min()} to {values.max()}, expected 2^-32 to less than 256"
        )
    return values


def _storage(node: Conv2d, weights: NDArray[np.int64], target: Label, *, compact: bool) -> tuple[WeightType, int]:
    """The narrowest storage that is exact and wanted, and its guard bits."""
    largest = int(np.abs(weights).max())
    if compact and not node.depthwise and weights.size // 2 >= PACKING_GAIN_BYTES:
        if INT4_CODES.q_min <= 2 * weights.min() and 2 * weights.max() <= INT4_CODES.q_max:
            return WeightType.INT4, 1
        if node.weight_bits <= INT4_CODES.bits and (target == PLAIN or target.activation is Activation.RELU):
            return WeightType.INT4, 0
    for guard_bits in (2, 1):
        if largest << guard_bits <= INT8_MAX:
            return WeightType.INT8, guard_bits
    raise BackendError(
        f"node {node.name}: weights up to {largest} leave no guard bit in int8 storage, which shifts need; "
        f"expected at most {INT8_MAX >> 1}: train with fewer weight bits, or use the profile 'scaled'"
    )
