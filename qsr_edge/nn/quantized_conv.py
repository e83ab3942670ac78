"""A convolution from integer codes to integer codes, trainable.

Activations travel as integer-valued float32 codes, so the forward pass *is* the integer graph: products and sums of
codes are exact in float32 below 2^24, in whatever order they are computed. Step sizes appear only in turning the float
weights into codes:

    q_w = round(clip(w / step_w));  q_b = round(b / (step_in * step_w))
    q_out = round(clip((q_w * q_in + q_b) * multiplier))

In the portable profile each output channel has a frozen exponent e, ``multiplier = 2^-e`` and
``step_w = 2^-e * step_out / step_in``: gradients reach the activation steps through that ratio. In the scaled
profile step_w is learnt (RLQ on weights, one step size per output channel) and
``multiplier = step_in * step_w / step_out``.
"""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from qsr_edge.quant.arithmetic import CodeRange, Profile
from qsr_edge.quant.calibration import least_error_step
from qsr_edge.quant.rounding import clipped_round, scale_gradient

EXPONENTS = range(1, 20)
"""Right shifts offered to a channel; a shift of 0 would leave two-step rounding of some kernels without its guard."""
_LARGEST_BIAS = 1 << 19
"""The largest bias, in units of the accumulator: leaves sum |w| |q| room below what every back end holds exactly."""


class _CodeConv(torch.autograd.Function):
    """3x3 convolution of integer codes: exact forward, gradients from products in a shorter float type."""

    @staticmethod
    def forward(ctx: Any, codes: Tensor, weight: Tensor, bias: Tensor, gradient_dtype: torch.dtype) -> Tensor:
        # Codes have at most 8 bits, which bfloat16 holds exactly.
        ctx.save_for_backward(codes.to(gradient_dtype), weight.to(gradient_dtype))
        return F.conv2d(codes, weight, bias, padding=1)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor, Tensor, None]:
        codes, weight = ctx.saved_tensors
        wanted = (ctx.needs_input_grad[0], True, False)
        to_codes, to_weight, _ = torch.ops.aten.convolution_backward(
            grads[0].to(weight.dtype), codes, weight, None, (1, 1), (1, 1), (1, 1), False, (0, 0), 1, wanted
        )
        return (
            to_codes.float() if wanted[0] else None,
            to_weight.float(),
            grads[0].sum(dim=(0, 2, 3)),
            None,
        )


def convolve_codes(codes: Tensor, weight: Tensor, bias: Tensor, gradient_dtype: torch.dtype) -> Tensor:
    """3x3 convolution, zero padding, of integer-valued float32 codes: exact below 2^24.

    Args:
        codes: (N, C, H, W), at most 8 bits.
        weight: (O, C, 3, 3), at most 8 bits.
        bias: (O,), integers.
        gradient_dtype: type of the factors in the products of the backward pass.

    Returns:
        (N, O, H, W) float32.
    """
    return _CodeConv.apply(codes, weight, bias, gradient_dtype)  # type: ignore[no-untyped-call,no-any-return]


class QuantizedConv(nn.Conv2d):
    """3x3 convolution, stride 1, zero padding, with a float and an integer forward pass."""

    exponent: Tensor

    def __init__(self, in_channels: int, out_channels: int, *, weight_range: CodeRange, profile: Profile):
        """Make a convolution whose weight codes lie in ``weight_range``."""
        super().__init__(in_channels, out_channels, 3, padding=1)
        self.weight_range = weight_range
        self.profile = profile
        self.gradient_dtype = torch.float32
        if profile is Profile.PORTABLE:
            self.register_buffer("exponent", torch.ones(out_channels))
        else:
            self.step = nn.Parameter(torch.ones(out_channels))

    @torch.no_grad()
    def calibrate(self, step_in: Tensor, step_out: Tensor, gain: Tensor | float = 1.0) -> None:
        """Choose each output channel's exponent (portable: least squared weight error) or first step size (scaled)."""
        weight = self.weight * gain
        bias = torch.zeros(len(weight)) if self.bias is None else self.bias * gain
        if self.profile is Profile.SCALED:
            self.step.copy_(least_error_step(weight, self.weight_range, dim=(1, 2, 3)))
            return
        errors = []
        for exponent in EXPONENTS:
            step = step_out / step_in * 2.0**-exponent
            codes = clipped_round(weight / step, self.weight_range.q_min, self.weight_range.q_max)
            error = (weight - codes * step).square().sum(dim=(1, 2, 3))
            errors.append(torch.where((bias / (step_in * step)).abs() < _LARGEST_BIAS, error, torch.inf))
        best = torch.stack(errors).argmin(dim=0)
        self.exponent.copy_(best + EXPONENTS.start)

    def requantized(
        self,
        codes: Tensor,
        step_in: Tensor,
        step_out: Tensor,
        out_range: CodeRange,
        gain: Tensor | None = None,
        *,
        extra_bias: Tensor | None = None,
    ) -> Tensor:
        """Integer forward pass.

        Args:
            codes: (N, C, H, W) float32, integer-valued.
            step_in: scalar, real size of one input code.
            step_out: scalar, real size of one output code.
            out_range: range that output codes are clipped to; [0, ...] also is the ReLU.
            gain: scalar factor folded into weights and bias.
            extra_bias: (O,) float32, added to the bias.

        Returns:
            (N, O, H, W) float32 codes in ``out_range``.
        """
        weight, bias = self.weight, self.bias
        if bias is None:
            raise TypeError("a QuantizedConv always has a bias")
        if gain is not None:
            weight, bias = weight * gain, bias * gain
        if extra_bias is not None:
            bias = bias + extra_bias
        if self.profile is Profile.PORTABLE:
            multiplier = torch.exp2(-self.exponent)
            step_w = multiplier * (step_out / step_in)
        else:
            step_w = scale_gradient(self.step, 1 / math.sqrt(weight[0].numel() * self.weight_range.q_max))
            multiplier = step_in * step_w / step_out
        q_weight = clipped_round(weight / step_w.reshape(-1, 1, 1, 1), self.weight_range.q_min, self.weight_range.q_max)
        q_bias = clipped_round(bias / (step_in * step_w))
        accumulator = convolve_codes(codes, q_weight, q_bias, self.gradient_dtype)
        return clipped_round(
            accumulator * multiplier.reshape(1, -1, 1, 1),
            out_range.q_min,
            out_range.q_max,
            half_to_even=self.profile is Profile.SCALED,
        )
