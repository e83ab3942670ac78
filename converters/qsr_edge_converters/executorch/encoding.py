"""Integer convolutions as XNNPACK's int8 kernels compute them exactly.

XNNPACK requantizes ``rint(float32(A) * m)`` with halves to even. The portable profile's ``floor(A / 2^s + 1/2)`` comes
out of that by guard bits: weights times 2^g, bias ``b * 2^g + 1``, multiplier 2^-(s+g). Accumulators are odd then, so
none is a tie. The scaled profile's rule is XNNPACK's own.

In the program every activation has step size 1 and zero point 0, so that a weight's scale is the multiplier.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qsr_edge.errors import BackendError
from qsr_edge.graph.ir import Constants, Conv2d, Multiplier, Shift
from qsr_edge.quant.arithmetic import CodeRange

INT8_MAX = 127
EXACT_ACCUMULATOR = 1 << 24
"""Below this, float32 holds every integer."""
MULTIPLIER_MIN = 2.0**-32
MULTIPLIER_MAX = 256.0
"""XNNPACK requantizes by multipliers in [2^-32, 2^8)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EncodedConv:
    """A convolution as it goes into the program.

    Attributes:
        weights: (O, K, K, I), depthwise (O, K, K, 1); int8, guard bits included.
        scales: (O,) float32, the multipliers.
        bias: (O,) int32, in units of the accumulator, guard bits included.
        guard_bits: bits that weights and bias were shifted by.
    """

    weights: NDArray[np.int8]
    scales: NDArray[np.float32]
    bias: NDArray[np.int32]
    guard_bits: int


def encode_conv(node: Conv2d, constants: Constants, *, input_range: CodeRange) -> EncodedConv:
    """Encode a convolution.

    Args:
        node: a convolution of a verified graph.
        constants: holds its weights, bias and requantization.
        input_range: codes of its input.

    Raises:
        BackendError: naming the node, if XNNPACK would not compute it exactly.
    """
    weights, bias = constants[node.weights].astype(np.int64), constants[node.bias].astype(np.int64)
    match node.requantization:
        case Multiplier(multipliers=key):
            guard_bits = 0
            scales = constants[key].astype(np.float32)
        case Shift(shifts=key):
            largest = int(np.abs(weights).max())
            guard_bits = 2 if largest << 2 <= INT8_MAX else 1
            if largest << guard_bits > INT8_MAX:
                raise BackendError(
                    f"node {node.name}: weights up to {largest} leave no guard bit in int8, which shifts need; "
                    f"expected at most {INT8_MAX >> 1}: train with fewer weight bits, or use the profile 'scaled'"
                )
            bias = (bias << guard_bits) + 1
            scales = np.ldexp(1.0, -(constants[key].astype(np.int64) + guard_bits)).astype(np.float32)
    if not np.all((scales >= MULTIPLIER_MIN) & (scales < MULTIPLIER_MAX)):
        raise BackendError(
            f"node {node.name}: multipliers from {scales.min()} to {scales.max()}, expected 2^-32 to less than 256"
        )
    reach = max(abs(input_range.q_min), abs(input_range.q_max))
    bound = int(((reach * np.abs(weights).sum(axis=(1, 2, 3)) << guard_bits) + np.abs(bias)).max())
    if bound >= EXACT_ACCUMULATOR:
        raise BackendError(
            f"node {node.name}: accumulators up to {bound}, expected less than {EXACT_ACCUMULATOR} for float32 to hold "
            "them: use fewer channels or bits"
        )
    return EncodedConv(
        weights=(weights << guard_bits).astype(np.int8),
        scales=scales,
        bias=bias.astype(np.int32),
        guard_bits=guard_bits,
    )
