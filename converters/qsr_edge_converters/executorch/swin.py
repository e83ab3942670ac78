"""``quantsr_t`` graphs as ExecuTorch programs of portable kernels on int32: what the golden interpreter runs.

XNNPACK has no integer softmax, layer normalization, division or table, and its int8 matrix products round by a float
multiplier; a program that went through it would be float in these parts, or not exact. Portable kernels have everything
that the graph asks for, at the price of speed (docs/results/quantsr_t.md has figures).
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from qsr_edge.graph.integer_ops import Int
from qsr_edge.graph.swin import SwinGraph
from qsr_edge.graph.swin_program import SwinProgram

_NARROW = (np.int8, np.int16)


class TorchOps:
    """Implements :class:`~qsr_edge.graph.integer_ops.IntegerOps` by torch's operators on int32 tensors.

    Constants are kept in the smallest type that holds them and widened where they are used.
    """

    def constant(self, values: Int) -> Tensor:
        """See :class:`~qsr_edge.graph.integer_ops.IntegerOps`."""
        for dtype in _NARROW:
            limits = np.iinfo(dtype)
            if values.size > 1 and limits.min <= values.min() and values.max() <= limits.max:
                return torch.from_numpy(np.ascontiguousarray(values, dtype)).to(torch.int32)
        return torch.from_numpy(np.ascontiguousarray(values, np.int32))

    def shape(self, x: Tensor) -> tuple[int, ...]:
        """See :class:`~qsr_edge.graph.integer_ops.IntegerOps`."""
        return tuple(x.shape)

    def add(self, a: Tensor, b: Tensor) -> Tensor:
        """See :class:`~qsr_edge.graph.integer_ops.IntegerOps`."""
        return a + b

    def subtract(self, a: Tensor, b: Tensor) -> Tensor:
        """See :class:`~qsr_edge.graph.integer_ops.IntegerOps`."""
        return a - b

    def multiply(self, a: Tensor, b: Tensor) -> Tensor:
        """See :class:`~qsr_edge.graph.integer_ops.IntegerOps`."""
        return a * b

    def shift_right(self, a: Tensor, bits: Int) -> Tensor:
        """See :class:`~qsr_edge.graph.integer_ops.IntegerOps`."""
        return torch.bitwise_right_shift(a, torch.from_numpy(np.ascontiguousarray(bits, np.int32)))

    def divide(self, a: Tensor, b: Tensor) -> Tensor:
        """See :class:`~qsr_edge.graph.integer_ops.IntegerOps`."""
        return torch.div(a, b, rounding_mode="floor")

    def minimum(self, a: Tensor, b: Tensor) -> Tensor:
        """See :class:`~qsr_edge.graph.integer_ops.IntegerOps`."""
        return torch.minimum(a, b)

    def maximum(self, a: Tensor, b: Tensor) -> Tensor:
        """See :class:`~qsr_edge.graph.integer_ops.IntegerOps`."""
        return torch.maximum(a, b)

    def where_less(self, a: Tensor, b: Tensor, then: Tensor, otherwise: Tensor) -> Tensor:
        """See :class:`~qsr_edge.graph.integer_ops.IntegerOps`."""
        return torch.where(a < b, then, otherwise)

    def sum_last(self, a: Tensor) -> Tensor:
        """See :class:`~qsr_edge.graph.integer_ops.IntegerOps`.

        As a matrix product: ExecuTorch's ``sum`` of int32 adds up in float32, which is wrong from 2^24 on.
        """
        ones = torch.ones(1, a.shape[-1], 1, dtype=torch.int32)
        return torch.bmm(a.reshape(1, -1, a.shape[-1]), ones).reshape(*a.shape[:-1], 1)

    def max_last(self, a: Tensor) -> Tensor:
        """See :class:`~qsr_edge.graph.integer_ops.IntegerOps`."""
        return torch.amax(a, -1, keepdim=True)

    def matmul(self, a: Tensor, b: Tensor) -> Tensor:
        """See :class:`~qsr_edge.graph.integer_ops.IntegerOps`."""
        return torch.bmm(a, b)

    def lookup(self, a: Tensor, table: Int) -> Tensor:
        """See :class:`~qsr_edge.graph.integer_ops.IntegerOps`."""
        entries = torch.from_numpy(np.ascontiguousarray(table, np.int32))
        return torch.index_select(entries, 0, (a + 128).reshape(-1)).reshape(a.shape)

    def reshape(self, a: Tensor, shape: Sequence[int]) -> Tensor:
        """See :class:`~qsr_edge.graph.integer_ops.IntegerOps`."""
        return a.reshape(tuple(shape))

    def transpose(self, a: Tensor, axes: Sequence[int]) -> Tensor:
        """See :class:`~qsr_edge.graph.integer_ops.IntegerOps`."""
        return a.permute(tuple(axes))

    def cut(self, a: Tensor, axis: int, start: int, stop: int) -> Tensor:
        """See :class:`~qsr_edge.graph.integer_ops.IntegerOps`."""
        return a.narrow(axis, start, stop - start)

    def concatenate(self, parts: Sequence[Tensor], axis: int) -> Tensor:
        """See :class:`~qsr_edge.graph.integer_ops.IntegerOps`."""
        return torch.cat(list(parts), axis)


class SwinModule(torch.nn.Module):
    """Runs a graph on (1, 3, H, W) uint8 images in channels-last order; (1, 3, rH, rW) uint8 in the same order."""

    def __init__(self, graph: SwinGraph):
        """Take a graph."""
        super().__init__()
        self.graph = graph

    def forward(self, image: Tensor) -> Tensor:
        """Upscale one image."""
        # Portable kernels permute tensors of the default dimension order only.
        levels = image.to(torch.int32, memory_format=torch.contiguous_format).permute(0, 2, 3, 1)
        upscaled = SwinProgram(self.graph, TorchOps()).image(levels.reshape(levels.shape[1:]))
        planes = upscaled.permute(2, 0, 1).reshape(1, upscaled.shape[2], *upscaled.shape[:2])
        return planes.to(torch.uint8, memory_format=torch.channels_last)
