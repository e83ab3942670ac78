"""First step sizes, from a sample of what will be quantized."""

import math

import torch
from torch import Tensor

from qsr_edge.quant.arithmetic import CodeRange

_FACTORS = torch.exp2(torch.arange(-20, 9) / 4)
"""What the published initial step is multiplied by: it is far too large at 8 bits, and clips nothing."""


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


def least_error_step(x: Tensor, code_range: CodeRange, *, dim: tuple[int, ...] | None = None) -> Tensor:
    """Step size with the least squared quantization error, out of a geometric grid about :func:`initial_step`.

    Args:
        x: any shape, float32; the tensor to be quantized.
        code_range: the codes it will have.
        dim: dimensions that share a step size; all by default, which gives a scalar.

    Returns:
        Positive step sizes, at least 1e-8.
    """
    dims = tuple(range(x.ndim)) if dim is None else dim
    first = initial_step(x, code_range, dim=dims).reshape([1 if i in dims else n for i, n in enumerate(x.shape)])
    steps = torch.stack([(first * factor).clamp_min(1e-8) for factor in _FACTORS])
    errors = torch.stack(
        [
            (torch.floor(x / step + 0.5).clamp(code_range.q_min, code_range.q_max) * step - x).square().sum(dim=dims)
            for step in steps
        ]
    )
    best = errors.argmin(dim=0, keepdim=True)
    return steps.reshape(len(steps), *errors.shape[1:]).gather(0, best)[0]
