"""Rounding with RLQ's redistributed gradient (QuantSR, section 3.2).

Forward, rounding is ``floor(u + 1/2)``: halves go up. (Only the scaled profile's requantization rounds halves to
even, since
XNNPACK does.) Backward, rounding is replaced by

    phi(u) = floor(u) + tanh(u - floor(u) - 1/2) / (2 tanh(1/2)) + 1/2

which is monotone, equals the identity at the integers and at the halves, and has its largest slope (1.082) at the
rounding
threshold and its smallest (0.851) at the integers: gradients are redistributed towards the values about to flip.
"""

import math
from typing import Any

import torch
from torch import Tensor

_TWO_TANH_HALF = 2 * math.tanh(0.5)


def phi(u: Tensor) -> Tensor:
    """The smooth stand-in for rounding; ``u``: any shape, float, in units of the step size."""
    floor = torch.floor(u)
    return floor + torch.tanh(u - floor - 0.5) / _TWO_TANH_HALF + 0.5


def phi_slope(u: Tensor) -> Tensor:
    """Derivative of :func:`phi`, in [0.851, 1.082]."""
    tanh = (u - torch.floor(u)).sub_(0.5).tanh_()
    return tanh.square_().neg_().add_(1).div_(_TWO_TANH_HALF)


class _ClippedRound(torch.autograd.Function):
    """``clip(round(u), q_min, q_max)``; backward phi inside the range, 0 outside."""

    @staticmethod
    def forward(ctx: Any, u: Tensor, q_min: float, q_max: float, half_to_even: bool) -> Tensor:
        ctx.save_for_backward(u)
        ctx.bounds = (q_min, q_max)
        rounded = torch.round(u) if half_to_even else (u + 0.5).floor_()
        return rounded.clamp_(q_min, q_max)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None, None]:
        (u,) = ctx.saved_tensors
        q_min, q_max = ctx.bounds
        slope = phi_slope(u).mul_((u >= q_min) & (u <= q_max))
        return slope.mul_(grads[0]), None, None, None


class _ScaledGradient(torch.autograd.Function):
    """Identity whose gradient is multiplied by a constant."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, factor: float) -> Tensor:
        ctx.factor = factor
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        return grads[0] * ctx.factor, None


def clipped_round(
    u: Tensor, q_min: float = -math.inf, q_max: float = math.inf, *, half_to_even: bool = False
) -> Tensor:
    """Integer codes of ``u`` (any shape, in steps), halves rounded up (or to even), clipped to [q_min, q_max].

    The gradient to ``u`` is that of ``phi(clip(u, q_min, q_max))``.
    """
    return _ClippedRound.apply(u, q_min, q_max, half_to_even)  # type: ignore[no-untyped-call,no-any-return]


def scale_gradient(x: Tensor, factor: float) -> Tensor:
    """``x`` unchanged, its gradient times ``factor``."""
    return _ScaledGradient.apply(x, factor)  # type: ignore[no-untyped-call,no-any-return]
