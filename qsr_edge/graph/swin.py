"""The integer graph of a ``quantsr_t`` network: what stands where, and the integers that are computed with.

Unlike :mod:`qsr_edge.graph.ir` a graph is not a list of nodes but SwinIR's structure, for which
:mod:`qsr_edge.graph.swin_program` gives the arithmetic.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qsr_edge.errors import GraphError
from qsr_edge.quant.arithmetic import CodeRange

Ints = NDArray[np.int32]
STREAM_BITS = 13
"""Bit width of a residual stream: so many that its rounding costs nothing, so few that sums of squares fit int32."""
_INT32_MAX = (1 << 31) - 1
LARGEST_SHIFT = 30


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rescale:
    """From integers on one grid to codes on another, by channel (the last dimension).

        q = clip((min(max(a, -limit), limit) * multiplier + offset) >> shift, q_min, q_max)

    The limit only cuts off what is clipped in the end; it makes room for the multiplier in int32.

    Attributes:
        limits: (C,) or (1,) int32.
        multipliers: of the same shape; signed.
        offsets: of the same shape; the rounding's half is in it.
        shifts: of the same shape, 0 to 30.
        range: codes that come out.
    """

    limits: Ints
    multipliers: Ints
    offsets: Ints
    shifts: Ints
    range: CodeRange


def rescale(factor: NDArray[np.float64], offset: NDArray[np.float64], bound: int, codes: CodeRange) -> Rescale:
    """The rescaling that comes nearest to ``clip(round(a * factor + offset))``, with halves rounded up.

    Args:
        factor: (C,) or (1,), in output codes per input unit.
        offset: of the same shape, in output codes.
        bound: the largest magnitude that ``a`` can have.
        codes: what comes out.

    Raises:
        GraphError: if a factor or offset is not finite or too large for int32.
    """
    factor, offset = np.broadcast_arrays(np.atleast_1d(factor), np.atleast_1d(offset))
    if not (np.isfinite(factor).all() and np.isfinite(offset).all()):
        raise GraphError(f"a factor of {factor} or an offset of {offset} is not finite; train anew")
    span = max(abs(codes.q_min), abs(codes.q_max)) + 1 + np.abs(offset)
    with np.errstate(divide="ignore"):
        limits = np.minimum(np.ceil(span / np.abs(factor)), bound)
    shifts = np.full(factor.shape, -1)
    for shift in range(LARGEST_SHIFT + 1):
        half = 2.0**shift / 2 if shift else 0.0
        largest = limits * np.rint(np.abs(factor) * 2.0**shift) + np.rint(np.abs(offset) * 2.0**shift) + half
        shifts[largest <= _INT32_MAX] = shift
    if shifts.min() < 0:
        raise GraphError(f"factors up to {np.abs(factor).max():.3g} do not fit int32; train anew")
    unit = np.exp2(shifts)
    return Rescale(
        limits=limits.astype(np.int32),
        multipliers=np.rint(factor * unit).astype(np.int32),
        offsets=(np.rint(offset * unit) + np.where(shifts > 0, unit / 2, 0)).astype(np.int32),
        shifts=shifts.astype(np.int32),
        range=codes,
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class IntegerLinear:
    """A matrix product of codes and what becomes of its sums; 3x3 convolutions have nine times as many inputs.

    Attributes:
        weights: (I, O) int8; of a convolution (9 I, O), tap by tap.
        weight_bits: bit width of the weights.
        input_bits: bit width of the inputs.
        output: from sums to codes.
    """

    weights: NDArray[np.int8]
    weight_bits: int
    input_bits: int
    output: Rescale


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class IntegerNorm:
    """Layer normalization of stream codes.

    Attributes:
        epsilon: added to the sum of squared differences.
        output: from normalized values, 2^15 being a sum of squares of 1, to codes.
    """

    epsilon: int
    output: Rescale


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class IntegerAttention:
    """Attention within windows.

    Attributes:
        qkv: from codes to those of queries, keys and values, 8 bits each.
        multiplier: of scores; they are in units of 1/32 octave after the shift.
        shift: of scores.
        bias: (heads, W^2, W^2) int32, added before the shift; the rounding's half is in it.
        attended: from values averaged by attention, in 1/256 of their codes, to the projection's input codes.
        proj: back to the stream's grid.
        shift_px: cyclic shift of the windows.
    """

    qkv: IntegerLinear
    multiplier: int
    shift: int
    bias: Ints
    attended: Rescale
    proj: IntegerLinear
    shift_px: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class IntegerLayer:
    """A Swin layer.

    Attributes:
        norm1: before the attention.
        attention: within windows.
        norm2: before the MLP.
        fc1: to 8-bit codes.
        gelu: (256,) int16, the GELU of every such code.
        activated: from the table's entries to fc2's input codes.
        fc2: back to the stream's grid.
    """

    norm1: IntegerNorm
    attention: IntegerAttention
    norm2: IntegerNorm
    fc1: IntegerLinear
    gelu: NDArray[np.int16]
    activated: Rescale
    fc2: IntegerLinear


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class IntegerGroup:
    """The layers that a depth keeps of a group, and its convolution."""

    layers: tuple[IntegerLayer, ...]
    conv_input: Rescale
    conv: IntegerLinear


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SwinGraph:
    """One network at one depth.

    Attributes:
        name: what it is called in files.
        scale: upscaling factor r.
        depth: number of Swin layers.
        bits: bit width of the body.
        channels: width of the streams.
        heads: attention heads.
        window_px: side of a window; inputs are multiples of it.
        border: (3,) codes that the image is continued by for the first convolution, nearest to the mean.
        conv_first: from image codes to the shallow grid.
        patch_norm: from the shallow to the stream's grid.
        groups: those that the depth keeps.
        norm: from the stream to codes of 8 bits.
        conv_after_body: from them to the shallow grid.
        upsample: from shallow codes of 13 bits to image codes; output channel ``(dy * r + dx) * 3 + c``.
    """

    name: str
    scale: int
    depth: int
    bits: int
    channels: int
    heads: int
    window_px: int
    border: Ints
    conv_first: IntegerLinear
    patch_norm: IntegerNorm
    groups: tuple[IntegerGroup, ...]
    norm: IntegerNorm
    conv_after_body: IntegerLinear
    upsample: IntegerLinear

    def named_linears(self) -> dict[str, IntegerLinear]:
        """Every linear layer and convolution; groups and layers are counted as this depth keeps them, from 0."""
        body = {}
        for i, group in enumerate(self.groups):
            for j, layer in enumerate(group.layers):
                parts = {"qkv": layer.attention.qkv, "proj": layer.attention.proj, "fc1": layer.fc1, "fc2": layer.fc2}
                body.update({f"group {i}, layer {j}, {name}": linear for name, linear in parts.items()})
            body[f"group {i}, conv"] = group.conv
        edges = {"conv_after_body": self.conv_after_body, "upsample": self.upsample}
        return {"conv_first": self.conv_first, **body, **edges}

    def linears(self) -> tuple[IntegerLinear, ...]:
        """Every linear layer and convolution."""
        return tuple(self.named_linears().values())
