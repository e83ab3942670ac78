"""Small ``quantsr_t`` networks, calibrated on noise that looks a little like a picture."""

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from qsr_edge.lowering.network import LoweredNetwork
from qsr_edge.lowering.swin import lower_checkpoint
from qsr_edge.nn.quantsr_t import QuantsrT
from qsr_edge.nn.swin_config import SwinConfig
from qsr_edge.training.state import checkpoint_from_network


def codes(batch: int, height: int, width: int) -> Tensor:
    """(N, 3, H, W) integer codes in [-128, 127]."""
    noise = torch.randint(-128, 128, (batch, 3, height, width)).float()
    return (1.5 * avg_pool2d(noise, 3, 1, 1)).round().clamp(-128, 127)


def random_network(
    bits: int,
    *,
    scale: int = 2,
    blocks: int = 4,
    groups: int = 2,
    depths: tuple[int, ...] = (1, 4),
    channels: int = 12,
    window_px: int = 8,
) -> QuantsrT:
    """A calibrated network whose every tensor has an effect."""
    config = SwinConfig(
        scale=scale,
        channels=channels,
        blocks=blocks,
        groups=groups,
        heads=2,
        window_px=window_px,
        depths=depths,
        order=tuple(range(blocks)),
        bits=bits,
    )
    network = QuantsrT(config)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.endswith(("bias", "shift")):
                parameter.add_(0.05 * torch.randn_like(parameter))
            elif "norm" in name:
                parameter.mul_(1 + 0.2 * torch.randn_like(parameter))
            elif name.endswith("importance"):
                parameter.mul_(0.7)
            elif name.endswith(("qkv.weight", "proj.weight", "fc1.weight", "fc2.weight", "table")):
                parameter.mul_(8)
    network.calibrate(codes(2, 24, 24))
    return network


def lowered(network: QuantsrT) -> LoweredNetwork:
    """Its integer graphs."""
    return lower_checkpoint(checkpoint_from_network(network, network.state_dict(), {}))
