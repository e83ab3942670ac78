"""Rounding with RLQ's redistributed gradient (QuantSR, section 3.2).

Forward, rounding is ``floor(u + 1/2)``: halves go up. (Only the scaled profile's requantization rounds halves to even,
since XNNPACK does.) Backward, rounding is replaced by

    phi(u) = floor(u) + tanh(u - floor(u) - 1/2) / (2 tanh(1/2)) + 1/2

which is monotone, equals the identity at the integers and at the halves, and has its largest slope (1.082) at the
rounding threshold and its smallest (0.851) at the integers: gradients are redistributed towards the values about to
flip.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

_TWO_TANH_HALF = 2 * math.tanh(0.5)
_SLOPE_COEFFICIENTS = (1.08197656, -1.08194699, 0.72034821, -0.39752744, 0.15822273)
"""Coefficients of (1 - tanh(z)^2) / (2 tanh(1/2)) in powers of z^2, fitted at Chebyshev nodes of z^2 in [0, 1/4]."""


def phi(u: Tensor) -> Tensor:
    """The smooth stand-in for rounding; ``u``: any shape, float, in units of the step size."""
    floor = torch.floor(u)
    return floor + torch.tanh(u - floor - 0.5) / _TWO_TANH_HALF + 0.5


def phi_slope(u: Tensor) -> Tensor:
    """Derivative of :func:`phi`, in [0.851, 1.082], by a polynomial that is off by at most 2.3e-7 in float32."""
    square = (u - torch.floor(u) - 0.5).square()
    slope = square * _SLOPE_COEFFICIENTS[-1]
    for coefficient in _SLOPE_COEFFICIENTS[-2:0:-1]:
        slope = (slope + coefficient) * square
    return slope + _SLOPE_COEFFICIENTS[0]


def _redistributed_gradient(u: Tensor, gradient: Tensor, q_min: float, q_max: float) -> Tensor:
    """The gradient to ``u`` of ``phi(clip(u, q_min, q_max))``, given the one to its result."""
    return torch.where((u >= q_min) & (u <= q_max), phi_slope(u) * gradient, 0.0)


def _straight_through_gradient(u: Tensor, gradient: Tensor, q_min: float, q_max: float) -> Tensor:
    """The gradient to ``u`` of ``clip(u, q_min, q_max)``: rounding counts as the identity (STE)."""
    return torch.where((u >= q_min) & (u <= q_max), gradient, 0.0)


def _round_and_clip(u: Tensor, q_min: float, q_max: float) -> Tensor:
    return torch.floor(u + 0.5).clamp(q_min, q_max)


_kernels: dict[str, Callable[..., Tensor]] = {
    "forward": _round_and_clip,
    "redistributed": _redistributed_gradient,
    "straight_through": _straight_through_gradient,
}


def compile_kernels() -> None:
    """Fuse each of the elementwise formulas above into one pass, by ``torch.compile``; it needs a C++ compiler.

    Compiling takes about 20 s once per machine. Results may differ from the uncompiled ones in the last bit of a
    gradient, never in a code.
    """
    # One version for each range of codes, rank and layout; beyond the limit the rest would run uncompiled.
    torch._dynamo.config.recompile_limit = 64
    for name, kernel in _kernels.items():
        _kernels[name] = torch.compile(kernel, dynamic=True)


class _ClippedRound(torch.autograd.Function):
    """``clip(round(u), q_min, q_max)``; backward phi, or the identity, inside the range, 0 outside."""

    @staticmethod
    def forward(ctx: Any, u: Tensor, q_min: float, q_max: float, half_to_even: bool, backward: str) -> Tensor:
        ctx.save_for_backward(u)
        ctx.bounds = (q_min, q_max)
        ctx.backward_kernel = backward
        if half_to_even:
            return torch.round(u).clamp_(q_min, q_max)
        return _kernels["forward"](u, q_min, q_max)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None, None, None]:
        (u,) = ctx.saved_tensors
        return _kernels[ctx.backward_kernel](u, grads[0], *ctx.bounds), None, None, None, None


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
    u: Tensor,
    q_min: float = -math.inf,
    q_max: float = math.inf,
    *,
    half_to_even: bool = False,
    redistributed: bool = True,
) -> Tensor:
    """Integer codes of ``u`` (any shape, in steps), halves rounded up (or to even), clipped to [q_min, q_max].

    The gradient to ``u`` is that of ``phi(clip(u, q_min, q_max))``; without ``redistributed``, of the clip alone.
    """
    backward = "redistributed" if redistributed else "straight_through"
    return _ClippedRound.apply(u, q_min, q_max, half_to_even, backward)  # type: ignore[no-untyped-call,no-any-return]


def scale_gradient(x: Tensor, factor: float) -> Tensor:
    """``x`` unchanged, its gradient times ``factor``."""
    return _ScaledGradient.apply(x, factor)  # type: ignore[no-untyped-call,no-any-return]
