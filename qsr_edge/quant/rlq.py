"""The Redistribution-driven Learnable Quantizer (RLQ) of QuantSR (Qin et al., NeurIPS 2023, section 3.2)."""

import math

import torch
from torch import Tensor, nn

from qsr_edge.quant.codes import CodeRange
from qsr_edge.quant.rounding import clipped_round, scale_gradient


def initial_step(x: Tensor, code_range: CodeRange, *, dim: tuple[int, ...] | None = None) -> Tensor:
    """Initial step size ``2 mean|x| / sqrt(q_max)`` (Esser et al., "Learned step size quantization", section 2.1).

    Args:
        x: any shape, float; the tensor to be quantized.
        code_range: the codes it will have.
        dim: dimensions to average over; all by default, which gives a scalar.

    Returns:
        Positive step sizes, at least 1e-8 (an all-zero tensor has no scale of its own).
    """
    magnitude = x.abs().mean() if dim is None else x.abs().mean(dim=dim)
    return (2 * magnitude / math.sqrt(code_range.q_max)).clamp_min(1e-8)


class RLQ(nn.Module):
    """Quantizer with a learnable step size and a learnable shift per channel.

    Forward ``step * round(clip((x + shift) / step, q_min, q_max))``, backward with phi in place of the rounding. The
    step
    size's gradient is multiplied by ``1 / sqrt(numel * q_max)``.

    Attributes:
        step: scalar, or (C, 1, ..., 1) for one step size per output channel of a weight; float32, positive.
        shift: (C,) float32 in units of x, one per input channel (activations), or None (weights).
    """

    def __init__(self, code_range: CodeRange, *, shift_channels: int | None = None, step_shape: tuple[int, ...] = ()):
        """Make a quantizer for ``code_range``; set ``step`` before use, e.g. by :meth:`init_step`."""
        super().__init__()
        self.code_range = code_range
        self.step = nn.Parameter(torch.ones(step_shape))
        self.shift = None if shift_channels is None else nn.Parameter(torch.zeros(shift_channels))

    @torch.no_grad()
    def init_step(self, x: Tensor) -> None:
        """Set the step size from a sample of what will be quantized; per channel if ``step`` has channels."""
        dim = None if self.step.ndim == 0 else tuple(range(1, x.ndim))
        self.step.copy_(initial_step(x, self.code_range, dim=dim).reshape(self.step.shape))

    def scaled_step(self, numel: int) -> Tensor:
        """The step size, its gradient scaled for a tensor of ``numel`` elements sharing one step."""
        return scale_gradient(self.step, 1 / math.sqrt(numel * self.code_range.q_max))

    def codes(self, x: Tensor) -> Tensor:
        """Integer-valued codes of ``x``: (N, C, H, W) or a weight (O, I, H, W); float32 in [q_min, q_max]."""
        step = self.scaled_step(x.numel() // max(1, self.step.numel()))
        if self.shift is not None:
            x = x + self.shift.reshape(1, -1, *[1] * (x.ndim - 2))
        return clipped_round(x / step, self.code_range.q_min, self.code_range.q_max)

    def forward(self, x: Tensor) -> Tensor:
        """Fake-quantized ``x``: same shape, float32, multiples of the step size."""
        return self.scaled_step(x.numel() // max(1, self.step.numel())) * self.codes(x)
