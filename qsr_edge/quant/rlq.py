"""The Redistribution-driven Learnable Quantizer (RLQ) of QuantSR (Qin et al., NeurIPS 2023, section 3.2)."""

import math

import torch
from torch import Tensor, nn

from qsr_edge.quant.arithmetic import CodeRange
from qsr_edge.quant.calibration import least_error_step
from qsr_edge.quant.rounding import clipped_round, scale_gradient


class RLQ(nn.Module):
    """Quantizer with a learnable step size and a learnable shift per channel.

    Forward ``step * round(clip((x + shift) / step, q_min, q_max))``, backward with phi in place of the rounding. The
    step size's gradient is multiplied by ``1 / sqrt(n * q_max)``, n the elements of one sample or output channel.
    Without shift and phi this is LSQ (Esser et al., "Learned step size quantization", ICLR 2020).

    Attributes:
        step: scalar, or (C, 1, ..., 1) for one step size per output channel of a weight; float32, positive.
        shift: (C,) float32 in units of x, one per input channel (activations), or None (weights).
    """

    def __init__(
        self,
        code_range: CodeRange,
        *,
        shift_channels: int | None = None,
        step_shape: tuple[int, ...] = (),
        redistributed: bool = True,
        half_to_even: bool = False,
    ):
        """Make a quantizer for ``code_range``; set ``step`` before use, e.g. by :meth:`calibrate`.

        Args:
            code_range: of the codes.
            shift_channels: channels that have a shift; None for no shift.
            step_shape: shape of ``step``.
            redistributed: whether gradients pass the rounding by phi; by the identity otherwise.
            half_to_even: how halves are rounded, up otherwise.
        """
        super().__init__()
        self.code_range = code_range
        self.redistributed = redistributed
        self.half_to_even = half_to_even
        self.step = nn.Parameter(torch.ones(step_shape))
        self.shift = None if shift_channels is None else nn.Parameter(torch.zeros(shift_channels))

    @torch.no_grad()
    def calibrate(self, x: Tensor) -> None:
        """Set the step size to the one with the least squared error on ``x``; per channel if ``step`` has channels."""
        dim = None if self.step.ndim == 0 else tuple(range(1, x.ndim))
        self.step.copy_(least_error_step(x, self.code_range, dim=dim).reshape(self.step.shape))

    def scaled_step(self, numel: int) -> Tensor:
        """The step size, its gradient scaled for ``numel`` elements sharing one step."""
        return scale_gradient(self.step, 1 / math.sqrt(numel * self.code_range.q_max))

    def quantize(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Codes of ``x``, (N, C, H, W) or a weight (O, I, H, W), float32 in [q_min, q_max]; and the step size."""
        step = self.scaled_step(x[0].numel())
        if self.shift is not None:
            x = x + self.shift.reshape(1, -1, *[1] * (x.ndim - 2))
        codes = clipped_round(
            x / step,
            self.code_range.q_min,
            self.code_range.q_max,
            half_to_even=self.half_to_even,
            redistributed=self.redistributed,
        )
        return codes, step

    def forward(self, x: Tensor) -> Tensor:
        """Fake-quantized ``x``: same shape, float32, multiples of the step size."""
        codes, step = self.quantize(x)
        return step * codes
