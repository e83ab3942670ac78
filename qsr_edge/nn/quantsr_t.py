"""``quantsr_t``: the light SwinIR (Liang et al., 2021), RLQ in every linear layer of its body and DQA over its layers.

    u = image - mean;  f = conv_first(u);  x = norm(f)
    x = x + conv(layers(x)) for each group;  y = pixel_shuffle(upsample(conv_after_body(norm(x)) + f)) + mean

A block of DQA is one Swin layer; a group of which a depth keeps no layer is left out with its convolution. Quantized,
the body's linear layers and convolutions have inputs and weights of ``bits`` bits. The first convolution, the one after
the body and the last have 8-bit weights; queries, keys, values and the GELU's input have 8 bits, the residual stream
13. Layer normalization, softmax and GELU are floats in training; :mod:`qsr_edge.lowering.swin` makes them integers.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import pad, pixel_shuffle

from qsr_edge.graph.swin import STREAM_BITS
from qsr_edge.graph.windows import padded_size, reflected_indices
from qsr_edge.nn.fake_quantized import QuantizerName
from qsr_edge.nn.network import SuperResolutionNetwork
from qsr_edge.nn.quantized_linear import BodyQuantizer, CodeQuantizer, QuantizedConv3x3, quantized, set_calibrating
from qsr_edge.nn.swin_config import EDGE_BITS, RGB_MEAN, SwinConfig
from qsr_edge.nn.window_attention import SwinLayer
from qsr_edge.quant.arithmetic import IMAGE_STEP, IMAGE_ZERO, CodeRange


class _Layers(nn.Module):
    """SwinIR's name for the layers of a group."""

    def __init__(self, config: SwinConfig, body: BodyQuantizer | None):
        super().__init__()
        self.blocks = nn.ModuleList(SwinLayer(config, i, body) for i in range(config.layers))


class Group(nn.Module):
    """A residual Swin transformer block (RSTB): layers, a 3x3 convolution, and a residual connection around both."""

    def __init__(self, config: SwinConfig, body: BodyQuantizer | None):
        """Make one group."""
        super().__init__()
        self.residual_group = _Layers(config, body)
        self.conv = QuantizedConv3x3(config.channels, config.channels, body=body)

    def layer(self, i: int) -> SwinLayer:
        """Layer ``i``."""
        layer = self.residual_group.blocks[i]
        if not isinstance(layer, SwinLayer):
            raise TypeError(f"{type(layer).__name__} is no Swin layer")
        return layer

    def forward(self, x: Tensor, kept: tuple[int, ...], stream: nn.Module | None) -> Tensor:
        """(N, H, W, C) -> (N, H, W, C), through the ``kept`` layers."""
        inner = x
        for i in kept:
            inner = self.layer(i)(inner, stream)
        return quantized(stream, x + self.conv(inner.permute(0, 3, 1, 2)).permute(0, 2, 3, 1))


class _PatchEmbedding(nn.Module):
    """SwinIR's name for the normalization before the first group; a patch is one pixel."""

    def __init__(self, channels: int):
        super().__init__()
        self.norm = nn.LayerNorm(channels)


class QuantsrT(SuperResolutionNetwork):
    """The network, float (``config.bits is None``) or fake-quantized."""

    config: SwinConfig
    mean: Tensor

    def __init__(self, config: SwinConfig, body: BodyQuantizer | None = None):
        """Make a network with random weights and uncalibrated step sizes.

        Args:
            config: its shape; with ``bits`` all of it is quantized, the body by RLQ.
            body: quantizes the body of a float ``config``, to compare quantizers.
        """
        super().__init__()
        # Assigned anew by dataclasses.replace only, which keeps its type.
        self.config = config  # pyright: ignore[reportIncompatibleVariableOverride]
        edge_bits, edge_range, stream = None, None, None
        if config.bits:
            body = BodyQuantizer(name=QuantizerName.RLQ, bits=config.bits)
            edge_bits, edge_range, stream = EDGE_BITS, CodeRange.signed(EDGE_BITS), CodeRange.signed(STREAM_BITS)
        width = config.channels
        self.conv_first = QuantizedConv3x3(3, width, weight_bits=edge_bits, padding=0)
        self.patch_embed = _PatchEmbedding(width)
        self.layers = nn.ModuleList(Group(config, body) for _ in range(config.groups))
        self.norm = nn.LayerNorm(width)
        self.conv_after_body = QuantizedConv3x3(width, width, activation=edge_range, weight_bits=edge_bits)
        self.upsample = nn.ModuleList([QuantizedConv3x3(width, 3 * config.scale**2, weight_bits=edge_bits)])
        self.shallow = CodeQuantizer(stream) if stream else None
        self.stream = CodeQuantizer(stream) if stream else None
        self.register_buffer("mean", torch.tensor(RGB_MEAN).reshape(1, 3, 1, 1), persistent=False)

    def group(self, i: int) -> Group:
        """Group ``i``."""
        group = self.layers[i]
        if not isinstance(group, Group):
            raise TypeError(f"{type(group).__name__} is no group")
        return group

    def forward(self, codes: Tensor, depth: int) -> Tensor:
        """See :class:`~qsr_edge.nn.network.SuperResolutionNetwork`; sizes that windows do not divide are reflected."""
        height, width = codes.shape[2:]
        rows, columns = (
            torch.from_numpy(reflected_indices(size, padded_size(size, self.config.window_px))).to(codes.device)
            for size in (height, width)
        )
        image = self.upscaled((codes[:, :, rows][:, :, :, columns] + IMAGE_ZERO) * IMAGE_STEP, depth)
        scale = self.config.scale
        return image[:, :, : height * scale, : width * scale] / IMAGE_STEP - IMAGE_ZERO

    def upscaled(self, image: Tensor, depth: int) -> Tensor:
        """SwinIR's own interface: (N, 3, H, W) float32 in [0, 1] -> (N, 3, rH, rW); H and W multiples of the window."""
        shallow = quantized(self.shallow, self.conv_first(self._bordered(image)))
        x = quantized(self.stream, self.patch_embed.norm(shallow.permute(0, 2, 3, 1)))
        for i, kept in enumerate(self.config.kept_layers(depth)):
            if kept:
                x = self.group(i)(x, kept, self.stream)
        deep = quantized(self.shallow, self.conv_after_body(self.norm(x).permute(0, 3, 1, 2)) + shallow)
        return pixel_shuffle(self.upsample[0](deep), self.config.scale) + self.mean

    def _bordered(self, image: Tensor) -> Tensor:
        """The image less its mean within a border of zeros; quantized, of what codes can express nearest to zero."""
        if not self.config.bits:
            return pad(image - self.mean, (1, 1, 1, 1))
        # An integer image has no code for the mean.
        level = torch.round(self.mean / IMAGE_STEP) * IMAGE_STEP
        return pad(image - level, (1, 1, 1, 1)) + (level - self.mean)

    def is_warm_startable(self, name: str, *, same_scale: bool) -> bool:
        """All but step sizes; the last convolution only at the same scale factor."""
        return not name.endswith("step") and (same_scale or not name.startswith("upsample"))

    @torch.no_grad()
    def calibrate(self, codes: Tensor) -> None:
        """See :class:`~qsr_edge.nn.network.SuperResolutionNetwork`."""
        set_calibrating(self, on=True)
        try:
            self(codes, self.config.blocks)
        finally:
            set_calibrating(self, on=False)

    def normalize_importance(self, codes: Tensor) -> None:
        """Nothing: every layer begins with importance 1 and the same initialization, so that they are comparable.

        Branches of a random SwinIR add less than a thousandth of the stream. Moved into the importance, as
        ``quantsr_c_edge`` does it, such a magnitude is a gate that Adam's absolute steps close before the layer learns:
        of four layers so trained, two ended below 1e-4.
        """

    def importance_order(self) -> tuple[int, ...]:
        """Layer indices over all groups, most important (largest ``|importance|``) first."""
        importance = [
            self.group(i).layer(j).importance.abs().item()
            for i in range(self.config.groups)
            for j in range(self.config.layers)
        ]
        return tuple(sorted(range(len(importance)), key=lambda i: (-importance[i], i)))
