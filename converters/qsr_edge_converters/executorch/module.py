"""The program around a delegate, as a torch module: the image's bytes to int8 codes, XNNPACK's part, and back."""

from typing import Any

import torch
from executorch.exir.lowered_backend_module import LoweredBackendModule
from torch import Tensor
from torch.export import Dim, ExportedProgram, export

from qsr_edge_converters.executorch.delegate import Delegate
from qsr_edge_converters.executorch.kernels import XNNPACK_DELEGATE

LARGEST_SIDE_PX = 1024
"""The largest side of an input of any size: memory for the largest is reserved when a program is loaded."""
_EXAMPLE_SIZE_PX = (24, 40)
_SIGN_BIT = 128
"""Level minus 128, as int8, is the level's byte with its highest bit flipped."""


class _DelegatesShape(torch.nn.Module):
    """Stands for the delegate while torch traces: it tells the output's shape and computes nothing."""

    def __init__(self, scale: int):
        super().__init__()
        self.scale = scale

    def forward(self, codes: Tensor) -> Tensor:
        height, width = codes.shape[2] * self.scale, codes.shape[3] * self.scale
        return torch.empty((1, 3, height, width), dtype=torch.int8, memory_format=torch.channels_last)


class _ImageModule(torch.nn.Module):
    """Runs a delegate on (1, 3, H, W) uint8 images in channels-last order; (1, 3, rH, rW) uint8 in the same order."""

    def __init__(self, delegate: LoweredBackendModule):
        super().__init__()
        self.delegate = delegate

    def forward(self, image: Tensor) -> Tensor:
        codes = torch.bitwise_xor(image, _SIGN_BIT).to(torch.int8)
        upscaled: Tensor = self.delegate(codes)
        return torch.bitwise_xor(upscaled, -_SIGN_BIT).to(torch.uint8)


def export_program(delegate: Delegate, scale: int, size_px: tuple[int, int] | None) -> ExportedProgram:
    """The program for images of one size, or of any up to ``LARGEST_SIDE_PX``.

    Args:
        delegate: written for that size, or for the largest.
        scale: of the network.
        size_px: (height, width), or None for any.
    """
    shapes: Any = None
    if size_px is None:
        shapes = ({2: Dim("height", min=1, max=LARGEST_SIDE_PX), 3: Dim("width", min=1, max=LARGEST_SIDE_PX)},)
    image = torch.zeros(1, 3, *(size_px or _EXAMPLE_SIZE_PX), dtype=torch.uint8)
    image = image.contiguous(memory_format=torch.channels_last)
    shape_alone = export(_DelegatesShape(scale), (image.to(torch.int8),), dynamic_shapes=shapes, strict=False)
    lowered = LoweredBackendModule(shape_alone, XNNPACK_DELEGATE, delegate.content, [], delegate.constants)
    return export(_ImageModule(lowered), (image,), dynamic_shapes=shapes, strict=False)
