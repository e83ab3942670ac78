"""Published quantizers that RLQ is compared with. LSQ needs no code of its own: it is RLQ without shift and phi."""

import math

import torch
from torch import Tensor, nn

from qsr_edge.quant.arithmetic import CodeRange
from qsr_edge.quant.calibration import least_error_step
from qsr_edge.quant.rounding import clipped_round, scale_gradient

_MOMENTUM = 0.01
"""Share of a new batch in the running range of activations."""


class MinMax(nn.Module):
    """The smallest step size that clips nothing, not learned; rounding is the identity backward (STE).

    The uniform quantizer of DoReFa-Net (Zhou et al., 2016) without its tanh on weights. A weight's step sizes, one per
    output channel, follow the weight at every call; an activation's is a running average.
    """

    step: Tensor

    def __init__(self, code_range: CodeRange, *, per_channel: bool):
        """Make a quantizer of weights (``per_channel``) or activations for ``code_range``."""
        super().__init__()
        self.code_range = code_range
        self.per_channel = per_channel
        self.register_buffer("step", torch.ones(()))

    @torch.no_grad()
    def _covering_step(self, x: Tensor) -> Tensor:
        dims = tuple(range(1 if self.per_channel else 0, x.ndim))
        step = x.amax(dim=dims, keepdim=self.per_channel) / self.code_range.q_max
        if self.code_range.q_min < 0:
            step = torch.maximum(step, x.amin(dim=dims, keepdim=self.per_channel) / self.code_range.q_min)
        return step.clamp_min(1e-8)

    @torch.no_grad()
    def calibrate(self, x: Tensor) -> None:
        """Start the running average from ``x``."""
        if not self.per_channel:
            self.step.copy_(self._covering_step(x))

    def quantize(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """See :class:`qsr_edge.quant.protocol.Quantizer`; the running average moves only while gradients are kept."""
        if self.per_channel:
            step = self._covering_step(x)
        else:
            if torch.is_grad_enabled():
                self.step.lerp_(self._covering_step(x), _MOMENTUM)
            # A copy: the buffer changes again before the backward pass when two depths share it.
            step = self.step.clone()
        return clipped_round(x / step, self.code_range.q_min, self.code_range.q_max, redistributed=False), step


class LearnedClip(nn.Module):
    """Learned clipping bounds for activations, as PACT (Choi et al., 2018) and PAMS (Li et al., ECCV 2020).

    Bounds are ``q_min * step`` and ``q_max * step``. Rounding is the identity backward; the bounds' gradient comes from
    clipped values alone, which is what sets this apart from LSQ.
    """

    def __init__(self, code_range: CodeRange):
        """Make a quantizer of activations for ``code_range``."""
        super().__init__()
        self.code_range = code_range
        self.step = nn.Parameter(torch.ones(()))

    @torch.no_grad()
    def calibrate(self, x: Tensor) -> None:
        """Set the bounds so that the squared error on ``x`` is least."""
        self.step.copy_(least_error_step(x, self.code_range))

    def quantize(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """See :class:`qsr_edge.quant.protocol.Quantizer`."""
        step = scale_gradient(self.step, 1 / math.sqrt(x[0].numel() * self.code_range.q_max))
        clipped = torch.maximum(torch.minimum(x, self.code_range.q_max * step), self.code_range.q_min * step)
        fixed = self.step.detach()
        return clipped_round(clipped / fixed, redistributed=False), fixed
