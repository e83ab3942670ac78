"""SwinIR-light written out plainly from its published description, pixel by pixel of a window: slow and independent."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor

State = Mapping[str, Tensor]


def _norm(x: Tensor, state: State, name: str) -> Tensor:
    mean = x.mean(-1, keepdim=True)
    variance = (x - mean).square().mean(-1, keepdim=True)
    return (x - mean) / torch.sqrt(variance + 1e-5) * state[f"{name}.weight"] + state[f"{name}.bias"]


def _linear(x: Tensor, state: State, name: str) -> Tensor:
    return x @ state[f"{name}.weight"].T + state[f"{name}.bias"]


def _conv(x: Tensor, state: State, name: str) -> Tensor:
    """(H, W, I) -> (H, W, O): a sum over the nine taps."""
    height, width, channels = x.shape
    padded = torch.zeros(height + 2, width + 2, channels, dtype=x.dtype)
    padded[1:-1, 1:-1] = x
    weight = state[f"{name}.weight"]
    taps = (padded[i : i + height, j : j + width] @ weight[:, :, i, j].T for i in range(3) for j in range(3))
    return sum(taps, state[f"{name}.bias"])


def _attention(x: Tensor, state: State, name: str, window: int, heads: int, shift: int) -> Tensor:
    """Each pixel attends to those of its window that were its neighbours before the cyclic shift."""
    height, width, channels = x.shape
    size = channels // heads
    qkv = _linear(x, state, f"{name}.qkv")
    table = state[f"{name}.relative_position_bias_table"]
    mixed = torch.zeros_like(x)

    def region(position: int, length: int) -> int:
        # Positions after the cyclic shift: the last window is cut where the image ended.
        return 0 if position < length - window else 1 if position < length - shift else 2

    for top in range(0, height, window):
        for left in range(0, width, window):
            places = [(top + i, left + j) for i in range(window) for j in range(window)]
            sources = [((y + shift) % height, (x_ + shift) % width) for y, x_ in places]
            rows = torch.stack([qkv[y, x_] for y, x_ in sources])
            bias = torch.zeros(heads, len(places), len(places), dtype=x.dtype)
            for a, (ya, xa) in enumerate(places):
                for b, (yb, xb) in enumerate(places):
                    row = (ya - yb + window - 1) * (2 * window - 1) + xa - xb + window - 1
                    bias[:, a, b] = table[row]
                    if shift and (region(ya, height) != region(yb, height) or region(xa, width) != region(xb, width)):
                        bias[:, a, b] -= 100
            for head in range(heads):
                cut = slice(head * size, (head + 1) * size)
                query, key, value = (rows[:, i * channels : (i + 1) * channels][:, cut] for i in range(3))
                scores = query @ key.T / math.sqrt(size) + bias[head]
                exponentials = torch.exp(scores - scores.max(-1, keepdim=True).values)
                result = exponentials / exponentials.sum(-1, keepdim=True) @ value
                for a, (y, x_) in enumerate(sources):
                    mixed[y, x_, cut] = result[a]
    return _linear(mixed, state, f"{name}.proj")


def _gelu(x: Tensor) -> Tensor:
    return 0.5 * x * (1 + torch.erf(x / math.sqrt(2)))


def swinir_light(image: Tensor, state: State, *, scale: int, groups: int, layers: int, heads: int) -> Tensor:
    """(3, H, W) in [0, 1] -> (3, rH, rW); H and W multiples of the window of 8 pixels."""
    window = 8
    mean = torch.tensor([0.4488, 0.4371, 0.4040], dtype=image.dtype)
    shallow = _conv(image.permute(1, 2, 0) - mean, state, "conv_first")
    x = _norm(shallow, state, "patch_embed.norm")
    for group in range(groups):
        inner = x
        for layer in range(layers):
            name = f"layers.{group}.residual_group.blocks.{layer}"
            shift = window // 2 if layer % 2 else 0
            normed = _norm(inner, state, f"{name}.norm1")
            inner = inner + _attention(normed, state, f"{name}.attn", window, heads, shift)
            hidden = _gelu(_linear(_norm(inner, state, f"{name}.norm2"), state, f"{name}.mlp.fc1"))
            inner = inner + _linear(hidden, state, f"{name}.mlp.fc2")
        x = x + _conv(inner, state, f"layers.{group}.conv")
    deep = _conv(_norm(x, state, "norm"), state, "conv_after_body") + shallow
    residual = _conv(deep, state, "upsample.0")
    height, width = residual.shape[:2]
    pixels = residual.reshape(height, width, 3, scale, scale).permute(2, 0, 3, 1, 4)
    return pixels.reshape(3, height * scale, width * scale) + mean.reshape(3, 1, 1)
