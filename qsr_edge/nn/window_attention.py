"""Shifted-window attention and the Swin transformer layer (Liu et al., ICCV 2021; Liang et al., "SwinIR", 2021).

Names of submodules and parameters are those of the official SwinIR, so that its state dicts fit; ``importance`` and the
quantizers are ours. Tensors are (N, H, W, C).
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from qsr_edge.graph.windows import foreign_pairs, relative_position_index
from qsr_edge.nn.quantized_linear import BodyQuantizer, QuantizedLinear, code_quantizer, quantized
from qsr_edge.nn.swin_config import MASKED, MLP_RATIO, SwinConfig


def partitioned(x: Tensor, window_px: int) -> Tensor:
    """(N, H, W, C) -> (N, windows, W^2, C), row by row."""
    batch, height, width, channels = x.shape
    split = x.reshape(batch, height // window_px, window_px, width // window_px, window_px, channels)
    return split.transpose(2, 3).reshape(batch, -1, window_px**2, channels)


def merged(windows: Tensor, height: int, width: int, window_px: int) -> Tensor:
    """The inverse of :func:`partitioned`."""
    batch, channels = windows.shape[0], windows.shape[-1]
    split = windows.reshape(batch, height // window_px, width // window_px, window_px, window_px, channels)
    return split.transpose(2, 3).reshape(batch, height, width, channels)


class WindowAttention(nn.Module):
    """Multi-head self-attention within windows, with a learned bias for each relative position."""

    def __init__(self, config: SwinConfig, shift_px: int, body: BodyQuantizer | None):
        """Make the attention of one layer; windows are shifted by ``shift_px``."""
        super().__init__()
        self.window_px, self.heads, self.shift_px = config.window_px, config.heads, shift_px
        width = config.channels
        self.relative_position_bias_table = nn.Parameter(torch.empty((2 * config.window_px - 1) ** 2, config.heads))
        nn.init.trunc_normal_(self.relative_position_bias_table, std=0.02)
        self.qkv = QuantizedLinear(width, 3 * width, body)
        self.proj = QuantizedLinear(width, width, body)
        self.query, self.key, self.value = (code_quantizer(8) if config.bits else None for _ in range(3))

    def bias(self) -> Tensor:
        """Bias of every pair of pixels in a window: (heads, W^2, W^2)."""
        index = torch.from_numpy(relative_position_index(self.window_px).ravel())
        table = self.relative_position_bias_table[index.to(self.relative_position_bias_table.device)]
        return table.T.reshape(self.heads, self.window_px**2, -1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, H, W, C) -> (N, H, W, C); H and W are multiples of the window's side."""
        batch, height, width, channels = x.shape
        qkv = self.qkv(x)
        if self.shift_px:
            qkv = torch.roll(qkv, (-self.shift_px, -self.shift_px), (1, 2))
        split = partitioned(qkv, self.window_px).reshape(
            batch, -1, self.window_px**2, 3, self.heads, channels // self.heads
        )
        # Quantizers see one sample in each first index.
        query, key, value = (
            quantized(quantizer, tensor)
            for quantizer, tensor in zip(
                (self.query, self.key, self.value), split.permute(3, 0, 1, 4, 2, 5).unbind(0), strict=True
            )
        )
        bias = self.bias()[None, None]
        if self.shift_px:
            foreign = torch.from_numpy(foreign_pairs(height, width, self.window_px)).to(x.device)
            bias = bias + foreign[None, :, None] * MASKED
        attended = F.scaled_dot_product_attention(query, key, value, bias)
        merged_heads = attended.transpose(2, 3).reshape(batch, -1, self.window_px**2, channels)
        image = merged(merged_heads, height, width, self.window_px)
        if self.shift_px:
            image = torch.roll(image, (self.shift_px, self.shift_px), (1, 2))
        result: Tensor = self.proj(image)
        return result


class Mlp(nn.Module):
    """Two linear layers with a GELU between them."""

    def __init__(self, config: SwinConfig, body: BodyQuantizer | None):
        """Make one of the network's width."""
        super().__init__()
        self.fc1 = QuantizedLinear(config.channels, MLP_RATIO * config.channels, body)
        self.hidden = code_quantizer(8) if config.bits else None
        self.fc2 = QuantizedLinear(MLP_RATIO * config.channels, config.channels, body)

    def forward(self, x: Tensor) -> Tensor:
        """(N, H, W, C) -> (N, H, W, C)."""
        result: Tensor = self.fc2(F.gelu(quantized(self.hidden, self.fc1(x))))
        return result


class SwinLayer(nn.Module):
    """Attention and MLP, each behind a layer normalization and around it a residual connection.

    Both branches are multiplied by ``importance``, which orders the layers for DQA.
    """

    def __init__(self, config: SwinConfig, index: int, body: BodyQuantizer | None):
        """Make layer ``index`` of a group; odd ones shift their windows."""
        super().__init__()
        self.norm1 = nn.LayerNorm(config.channels)
        self.attn = WindowAttention(config, config.window_px // 2 if index % 2 else 0, body)
        self.norm2 = nn.LayerNorm(config.channels)
        self.mlp = Mlp(config, body)
        self.importance = nn.Parameter(torch.ones(()))

    def forward(self, x: Tensor, stream: nn.Module | None) -> Tensor:
        """(N, H, W, C) -> (N, H, W, C), both on the stream's grid if it is quantized by ``stream``."""
        x = quantized(stream, x + self.importance * self.attn(self.norm1(x)))
        return quantized(stream, x + self.importance * self.mlp(self.norm2(x)))
