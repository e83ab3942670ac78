"""The arithmetic of the official QuantSR-C, written anew in plain torch: what the import is held against.

Also makes state dicts of exactly the official layout.
"""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

StateDict = dict[str, Tensor]
MEAN = (0.4488, 0.4371, 0.4040)


def _quantize(x: Tensor, alpha: Tensor, bits: int, signed: bool) -> Tensor:
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    return (x / alpha).clamp(low, high).round() * alpha


def _body_conv(x: Tensor, state: Mapping[str, Tensor], name: str, bits: int) -> Tensor:
    shifted = x + state[f"{name}.channel_threshold"]
    activations = _quantize(shifted, state[f"{name}.ActOurs.alpha"], bits, state[f"{name}.ActOurs.signed"].item() == 1)
    weights = _quantize(state[f"{name}.weight"], state[f"{name}.alpha"], bits, True)
    return F.conv2d(activations, weights, state[f"{name}.bias"], padding=1)


@torch.no_grad()
def official_forward(state: Mapping[str, Tensor], image: Tensor, bits: int, skipped: set[int]) -> Tensor:
    """(N, 3, H, W) in [0, 1] -> (N, 3, rH, rW)."""

    def conv(x: Tensor, name: str) -> Tensor:
        return F.conv2d(x, state[f"{name}.weight"], state[f"{name}.bias"], padding=1)

    mean = torch.tensor(MEAN).view(1, 3, 1, 1)
    head = conv((image - mean) * 255.0, "conv_first")
    x = head
    for i in range(sum(name.endswith("learnable_shortcut") for name in state)):
        shortcut = x * state[f"body.{i}.learnable_shortcut"]
        if i in skipped:
            x = shortcut
        else:
            inner = torch.relu(_body_conv(x, state, f"body.{i}.conv1", bits))
            x = shortcut + _body_conv(inner, state, f"body.{i}.conv2", bits)
    x = conv(x, "conv_after_body") + head
    for name in ("upsample.0", "upsample.2"):
        if f"{name}.weight" in state:
            x = conv(x, name)
            x = F.pixel_shuffle(x, 3 if x.shape[1] == 9 * state["conv_first.bias"].numel() else 2)
    return conv(x, "conv_last") / 255.0 + mean


def official_state(
    *, scale: int, bits: int, channels: int = 8, blocks: int = 4, seed: int = 0, negative: bool = False
) -> StateDict:
    """A random state dict of the official layout whose quantizers use all of their codes.

    Args:
        scale: 2, 3 or 4.
        bits: of the body.
        channels: width.
        blocks: residual blocks.
        seed: of all random numbers.
        negative: also make shortcuts negative and a second convolution's input signed, which no released file has.
    """
    generator = torch.Generator().manual_seed(seed)

    def random(*shape: int, deviation: float = 1.0) -> Tensor:
        return torch.randn(*shape, generator=generator) * deviation

    state: StateDict = {}

    def convolution(name: str, inputs: int, outputs: int, gain: float = 1.0) -> None:
        state[f"{name}.weight"] = random(outputs, inputs, 3, 3, deviation=gain * (9 * inputs) ** -0.5)
        state[f"{name}.bias"] = random(outputs)

    convolution("conv_first", 3, channels)
    probe = (torch.rand(1, 3, 24, 24, generator=generator) - 0.45) * 255
    spread = F.conv2d(probe, state["conv_first.weight"]).std().item()
    for i in range(blocks):
        shortcut = 1 + random(1, deviation=0.1)
        state[f"body.{i}.learnable_shortcut"] = -shortcut if negative and i == 1 else shortcut
        for conv in ("conv1", "conv2"):
            name, signed = f"body.{i}.{conv}", conv == "conv1" or (negative and i == 2)
            convolution(name, channels, channels, gain=0.5)
            codes = 2 ** (bits - 1) if signed else 2**bits
            state[f"{name}.alpha"] = state[f"{name}.weight"].std().reshape(1) * 2.5 / 2 ** (bits - 1)
            state[f"{name}.init_state"] = torch.ones(1)
            state[f"{name}.ActOurs.alpha"] = torch.full((1,), (1.5 if conv == "conv1" else 0.7) * spread / codes)
            state[f"{name}.channel_threshold"] = random(1, channels, 1, 1) * state[f"{name}.ActOurs.alpha"]
            state[f"{name}.ActOurs.init_state"] = torch.ones(1)
            state[f"{name}.ActOurs.signed"] = torch.full((1,), float(signed))
    convolution("conv_after_body", channels, channels, gain=0.5)
    convolution("upsample.0", channels, (9 if scale == 3 else 4) * channels)
    if scale == 4:
        convolution("upsample.2", channels, 4 * channels)
    convolution("conv_last", channels, 3)
    return state
