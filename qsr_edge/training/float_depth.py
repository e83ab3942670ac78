"""A float network that upscales pictures: what its quantized relatives are measured against."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from qsr_edge.nn.checkpoint import Checkpoint
from qsr_edge.nn.network import SuperResolutionNetwork
from qsr_edge.quant.arithmetic import IMAGE_ZERO
from qsr_edge.training.state import network_from_checkpoint


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FloatDepth:
    """One depth of a float network, computed by torch in float32.

    Attributes:
        network: in evaluation mode.
        depth: number of blocks.
    """

    network: SuperResolutionNetwork
    depth: int

    @property
    def scale(self) -> int:
        """Upscaling factor r."""
        return self.network.config.scale

    def upscale(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The whole picture at once: (H, W, 3) uint8 RGB -> (rH, rW, 3) uint8 RGB, rounded to levels, halves up."""
        codes = torch.from_numpy(image.astype(np.float32).transpose(2, 0, 1)[None] - IMAGE_ZERO)
        with torch.no_grad():
            output = self.network(codes, self.depth)[0].numpy().transpose(1, 2, 0)
        levels: NDArray[np.uint8] = np.clip(np.floor(output + 0.5) + IMAGE_ZERO, 0, 255).astype(np.uint8)
        return levels


def float_depths(checkpoint: Checkpoint) -> tuple[FloatDepth, ...]:
    """Every depth of a float checkpoint, ascending."""
    network = network_from_checkpoint(checkpoint).eval()
    return tuple(FloatDepth(network=network, depth=depth) for depth in checkpoint.config.depths)
