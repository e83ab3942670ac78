"""``quantsr_c``: the paper's convolutional network (QuantSR, NeurIPS 2023), with the arithmetic of the official code.

With x the image in [0, 1] and m the mean of RGB:

    f_0     = conv_first(255 * (x - m))
    f_{i+1} = s_i * f_i + conv2_i(relu(conv1_i(f_i)))           a skipped block: s_i * f_i
    y       = conv_last(upsample(conv_after_body(f_N) + f_0)) / 255 + m

In the body ``conv(f) = conv2d(a * clip((f + t) / a), a_w * clip(w / a_w)) + b``, clip to the codes of the bit width and
round halves to even, one step size a for the input and one a_w for the weight, a shift t for each input channel. Zero
padding comes last: what is padded is code 0, not the code of 0 + t. Everything else is float; it becomes integer by
calibration, after training.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, pixel_shuffle, relu

from qsr_edge.nn.network import SuperResolutionNetwork
from qsr_edge.nn.quantsr_c_config import RGB_MEAN, QuantsrCConfig, shortcut_order, upsampling_factors
from qsr_edge.quant.arithmetic import IMAGE_ZERO, CodeRange
from qsr_edge.quant.rlq import RLQ

IMAGE_RANGE = 255.0


class BodyConv(nn.Conv2d):
    """3x3 convolution whose input and weight are quantized by RLQ, each with one step size."""

    def __init__(self, channels: int, *, bits: int | None, signed: bool):
        """Make a convolution; ``signed``: whether its input has signed codes; no ``bits``, no quantizers."""
        super().__init__(channels, channels, 3, padding=1)
        self.activation: RLQ | None = None
        self.weight_quantizer: RLQ | None = None
        if bits:
            codes = CodeRange.signed(bits) if signed else CodeRange.unsigned(bits)
            self.activation = RLQ(codes, shift_channels=channels, half_to_even=True)
            self.weight_quantizer = RLQ(CodeRange.signed(bits), half_to_even=True)

    def forward(self, input: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W), float32."""
        if self.activation is None or self.weight_quantizer is None:
            return self.float_forward(input)
        return conv2d(self.activation(input), self.weight_quantizer(self.weight), self.bias, padding=1)

    def float_forward(self, x: Tensor) -> Tensor:
        """Without quantizers."""
        return conv2d(x, self.weight, self.bias, padding=1)

    def calibrate(self, x: Tensor) -> None:
        """First step sizes, from an input of the float network."""
        if self.activation is not None and self.weight_quantizer is not None:
            self.activation.calibrate(x)
            self.weight_quantizer.calibrate(self.weight)


class ResidualBlock(nn.Module):
    """A convolutional branch beside a shortcut with a learnable factor."""

    def __init__(self, config: QuantsrCConfig, index: int):
        """Make block ``index`` of ``config``."""
        super().__init__()
        self.shortcut = nn.Parameter(torch.ones(()))
        self.conv1 = BodyConv(config.channels, bits=config.bits, signed=config.has_signed_input(index, 0))
        self.conv2 = BodyConv(config.channels, bits=config.bits, signed=config.has_signed_input(index, 1))

    def forward(self, x: Tensor, *, kept: bool) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W); a block that is not kept multiplies by its shortcut all the same."""
        scaled = self.shortcut * x
        return scaled + self.conv2(relu(self.conv1(x))) if kept else scaled


class QuantsrC(SuperResolutionNetwork):
    """The network; quantized in its body if ``config.bits``."""

    config: QuantsrCConfig

    def __init__(self, config: QuantsrCConfig):
        """Make a network with random weights and uncalibrated step sizes."""
        super().__init__()
        # Assigned anew by dataclasses.replace only, which keeps its type.
        self.config = config  # pyright: ignore[reportIncompatibleVariableOverride]
        width = config.channels
        self.conv_first = nn.Conv2d(3, width, 3, padding=1)
        self.body = nn.ModuleList(ResidualBlock(config, i) for i in range(config.blocks))
        self.conv_after_body = nn.Conv2d(width, width, 3, padding=1)
        self.upsample = nn.ModuleList(
            nn.Conv2d(width, factor**2 * width, 3, padding=1) for factor in upsampling_factors(config.scale)
        )
        self.conv_last = nn.Conv2d(width, 3, 3, padding=1)
        if config.calibrated:
            self.stream_step = nn.Parameter(torch.ones(width), requires_grad=False)
            self.features_step = nn.Parameter(torch.ones(width), requires_grad=False)
            for conv in self.upsample:
                conv.register_parameter("output_step", nn.Parameter(torch.ones(width), requires_grad=False))
        self.register_buffer("mean", torch.tensor(RGB_MEAN).reshape(1, 3, 1, 1), persistent=False)

    mean: Tensor

    def blocks(self) -> list[ResidualBlock]:
        """All blocks, in the order they run."""
        return [block for block in self.body if isinstance(block, ResidualBlock)]

    def forward(self, codes: Tensor, depth: int) -> Tensor:
        """Upscale.

        Args:
            codes: (N, 3, H, W) float32, levels of the RGB image minus 128.
            depth: number of kept blocks, one of ``config.depths``.

        Returns:
            (N, 3, rH, rW) float32 levels minus 128, not rounded.
        """
        image = self.upscale((codes + IMAGE_ZERO) / IMAGE_RANGE, depth)
        return image * IMAGE_RANGE - IMAGE_ZERO

    def upscale(self, image: Tensor, depth: int) -> Tensor:
        """The official network: (N, 3, H, W) float32 in [0, 1] -> (N, 3, rH, rW), about [0, 1]."""
        kept = self.config.kept_blocks(depth)
        head = self.head(image)
        stream = head
        for i, block in enumerate(self.blocks()):
            stream = block(stream, kept=i in kept)
        return self.tail(self.conv_after_body(stream) + head)

    def head(self, image: Tensor) -> Tensor:
        """Image in [0, 1] to features: (N, 3, H, W) -> (N, C, H, W)."""
        features: Tensor = self.conv_first((image - self.mean) * IMAGE_RANGE)
        return features

    def tail(self, features: Tensor) -> Tensor:
        """Features to the image: (N, C, H, W) -> (N, 3, rH, rW), about [0, 1]."""
        for conv, factor in zip(self.upsample, upsampling_factors(self.config.scale), strict=True):
            features = pixel_shuffle(conv(features), factor)
        image: Tensor = self.conv_last(features) / IMAGE_RANGE + self.mean
        return image

    def is_warm_startable(self, name: str, *, same_scale: bool) -> bool:
        """Weights, biases, shortcuts and shifts; upsampler and tail only at the same scale factor."""
        taken = name.endswith((".weight", ".bias", ".shortcut", ".shift"))
        return taken and (same_scale or not name.startswith(("upsample", "conv_last")))

    def normalize_importance(self, codes: Tensor) -> None:
        """Nothing to do: every shortcut begins at 1, which can be compared."""

    def importance_order(self) -> tuple[int, ...]:
        """Block indices, most important first; see :func:`~qsr_edge.nn.quantsr_c_config.shortcut_order`."""
        return shortcut_order([block.shortcut.item() for block in self.blocks()])

    @torch.no_grad()
    def calibrate(self, codes: Tensor) -> None:
        """First step sizes of the body from the float forward pass on ``codes``: (N, 3, H, W)."""
        stream = self.head((codes + IMAGE_ZERO) / IMAGE_RANGE)
        for block in self.blocks():
            block.conv1.calibrate(stream)
            inner = relu(block.conv1.float_forward(stream))
            block.conv2.calibrate(inner)
            stream = block.shortcut * stream + block.conv2.float_forward(inner)
