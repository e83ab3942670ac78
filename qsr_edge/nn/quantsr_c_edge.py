"""``quantsr_c_edge``: the small convolutional network that is shipped to phones.

    f = head(x);  f = f + importance_i * conv2_i(relu(conv1_i(f))) for each kept block i;  y = depth_to_space(tail(f)
    + anchor(x))

The anchor copies each input pixel to its r x r output pixels (nearest neighbour): exact in integers, and never at
fault for a gain error.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn.functional import pixel_shuffle, relu

from qsr_edge.nn.config import EDGE_WEIGHT_BITS, RATIO_MANTISSA, EdgeConfig, NetworkConfig
from qsr_edge.nn.network import SuperResolutionNetwork
from qsr_edge.nn.quantized_conv import QuantizedConv
from qsr_edge.quant.arithmetic import IMAGE_STEP, STREAM_RANGE, CodeRange, Profile
from qsr_edge.quant.calibration import least_error_step
from qsr_edge.quant.rlq import RLQ
from qsr_edge.quant.rounding import clipped_round, scale_gradient


class ResidualBlock(nn.Module):
    """conv-ReLU-conv branch; both convolutions' inputs are quantized by RLQ, the first one unless it reads the stream.

    Attributes:
        quant1: from the residual stream's grid to the block's own; None where conv1 reads the stream's codes.
        quant2: of what the ReLU lets through.
    """

    def __init__(self, config: EdgeConfig):
        """Make one block of the width and bits of ``config``."""
        super().__init__()
        weights = CodeRange.signed(config.bits or 8)
        activation_bits = config.body_activation_bits or 8
        profile = config.profile if config.bits else Profile.SCALED
        self.conv1 = QuantizedConv(config.channels, config.channels, weight_range=weights, profile=profile)
        self.conv2 = QuantizedConv(config.channels, config.channels, weight_range=weights, profile=profile)
        self.importance = nn.Parameter(torch.ones(()))
        self.quant1 = (
            None
            if config.reads_stream_codes
            else RLQ(CodeRange.signed(activation_bits), shift_channels=config.channels)
        )
        # After the ReLU a shift t <= 0 is the same function as a change of conv1's bias, which therefore
        # is the shift here.
        self.quant2 = RLQ(CodeRange.unsigned(activation_bits))

    def forward(self, x: Tensor) -> Tensor:
        """Float branch: (N, C, H, W) -> (N, C, H, W)."""
        branch: Tensor = self.importance * self.conv2(relu(self.conv1(x)))
        return branch

    def branch_codes(self, stream: Tensor, stream_step: Tensor) -> Tensor:
        """Integer branch: (N, C, H, W) stream codes -> (N, C, H, W) codes on the stream's grid."""
        step2 = self.quant2.scaled_step(stream[0].numel())
        if self.quant1 is None:
            codes, step1 = stream, stream_step
        else:
            step1 = self.quant1.scaled_step(stream[0].numel())
            codes = requantized_stream(self.quant1, stream, stream_step, step1)
        codes = self.conv1.requantized(codes, step1, step2, self.quant2.code_range)
        return self.conv2.requantized(codes, step2, stream_step, STREAM_RANGE, self.importance)


def requantized_stream(quantizer: RLQ, stream: Tensor, stream_step: Tensor, step: Tensor) -> Tensor:
    """RLQ on stream codes, as the integer graph does it: ``(mantissa * q + q_shift) * 2^-e``, all integers."""
    if quantizer.shift is None:
        raise TypeError("the stream's quantizer has a shift")
    ratio = stream_step / step
    unit = torch.exp2(torch.floor(torch.log2(ratio.detach())) - 4)
    rounded = clipped_round(ratio / unit)
    # The mantissa ends at 31 for want of a bit, not because the function saturates: its gradient goes on.
    mantissa = rounded + (rounded.clamp(RATIO_MANTISSA.q_min, RATIO_MANTISSA.q_max) - rounded).detach()
    q_shift = clipped_round(quantizer.shift / step / unit)
    accumulator = stream * mantissa + q_shift.reshape(1, -1, 1, 1)
    return clipped_round(accumulator * unit, quantizer.code_range.q_min, quantizer.code_range.q_max)


class QuantsrCEdge(SuperResolutionNetwork):
    """The network, float (``config.bits is None``) or with integer codes throughout."""

    config: EdgeConfig

    def __init__(self, config: EdgeConfig):
        """Make a network with random weights and uncalibrated step sizes."""
        super().__init__()
        # Assigned anew by dataclasses.replace only, which keeps its type.
        self.config = config  # pyright: ignore[reportIncompatibleVariableOverride]
        edge = CodeRange.signed(EDGE_WEIGHT_BITS)
        outputs = 3 * config.scale**2
        profile = config.profile if config.bits else Profile.SCALED
        self.head = QuantizedConv(3, config.channels, weight_range=edge, profile=profile)
        self.body = nn.ModuleList(ResidualBlock(config) for _ in range(config.blocks))
        self.tail = QuantizedConv(config.channels, outputs, weight_range=edge, profile=profile)
        self.stream_step = nn.Parameter(torch.ones(()))
        if config.depth_biases:
            self.tail_depth_bias = nn.Parameter(torch.zeros(len(config.depths), outputs))
        if not config.bits:
            for name, parameter in self.named_parameters():
                if name.endswith(("step", "shift")):
                    parameter.requires_grad_(False)

    def is_warm_startable(self, name: str, *, same_scale: bool) -> bool:
        """Weights, biases, importances and shifts; the tail only at the same scale factor."""
        taken = (".weight", ".bias", ".importance", ".shift", "tail_depth_bias")
        return name.endswith(taken) and (same_scale or not name.startswith("tail"))

    @torch.no_grad()
    def start_from(self, config: NetworkConfig, tensors: Mapping[str, Tensor]) -> None:
        """See :class:`~qsr_edge.nn.network.SuperResolutionNetwork`; a new tail starts near zero, as a correction."""
        super().start_from(config, tensors)
        if config.scale != self.config.scale:
            self.tail.weight.mul_(0.1)

    def blocks(self, depth: int) -> list[ResidualBlock]:
        """The blocks that ``depth`` keeps, in the order they run."""
        kept = self.config.kept_blocks(depth)
        return [block for i, block in enumerate(self.body) if i in kept and isinstance(block, ResidualBlock)]

    def anchor(self, codes: Tensor) -> Tensor:
        """Nearest-neighbour copy in depth-to-space layout: (N, 3, H, W) -> (N, 3 r^2, H, W)."""
        return codes.repeat_interleave(self.config.scale**2, dim=1)

    def forward(self, codes: Tensor, depth: int) -> Tensor:
        """Upscale.

        Args:
            codes: (N, 3, H, W) float32, levels of the RGB image minus 128.
            depth: number of residual blocks, one of ``config.depths``.

        Returns:
            (N, 3, rH, rW) float32 levels minus 128; integers in [-128, 127] if the network is quantized, else not
            rounded.
        """
        return self._integer(codes, depth) if self.config.bits else self._float(codes, depth)

    def _float(self, codes: Tensor, depth: int) -> Tensor:
        stream = self.head(codes * IMAGE_STEP)
        for block in self.blocks(depth):
            stream = stream + block(stream)
        residual = self.tail(stream)
        bias = self._tail_depth_bias(depth)
        if bias is not None:
            residual = residual + bias.reshape(1, -1, 1, 1)
        return pixel_shuffle(residual / IMAGE_STEP + self.anchor(codes), self.config.scale)

    def _tail_depth_bias(self, depth: int) -> Tensor | None:
        return self.tail_depth_bias[self.config.depths.index(depth)] if self.config.depth_biases else None

    def _integer(self, codes: Tensor, depth: int) -> Tensor:
        image_step = torch.tensor(IMAGE_STEP)
        numel = self.config.channels * codes.shape[2] * codes.shape[3]
        stream_step = scale_gradient(self.stream_step, (numel * STREAM_RANGE.q_max) ** -0.5)
        stream = self.head.requantized(codes, image_step, stream_step, STREAM_RANGE)
        for block in self.blocks(depth):
            stream = (stream + block.branch_codes(stream, stream_step)).clamp(STREAM_RANGE.q_min, STREAM_RANGE.q_max)
        bias = self._tail_depth_bias(depth)
        residual = self.tail.requantized(stream, stream_step, image_step, STREAM_RANGE, extra_bias=bias)
        image = (residual + self.anchor(codes)).clamp(STREAM_RANGE.q_min, STREAM_RANGE.q_max)
        return pixel_shuffle(image, self.config.scale)

    @torch.no_grad()
    def normalize_importance(self, codes: Tensor) -> None:
        """Move each branch's magnitude into its importance, the function unchanged.

        Afterwards ``|importance|`` is the branch's root mean square relative to the stream's, so that magnitudes can
        be compared between blocks and training can change them by one number.
        """
        stream = self.head(codes * IMAGE_STEP)
        for block in self.blocks(self.config.blocks):
            branch = block(stream)
            magnitude = branch.square().mean().sqrt() / stream.square().mean().sqrt()
            gain = magnitude / block.importance.abs()
            if not (torch.isfinite(gain) and gain > 0):
                # A branch without effect has no magnitude to move.
                stream = stream + branch
                continue
            block.conv2.weight.div_(gain)
            if block.conv2.bias is not None:
                block.conv2.bias.div_(gain)
            block.importance.mul_(gain)
            stream = stream + branch

    def importance_order(self) -> tuple[int, ...]:
        """Block indices, most important (largest ``|importance|``) first."""
        importance = [block.importance.abs().item() for block in self.blocks(self.config.blocks)]
        return tuple(sorted(range(len(importance)), key=lambda i: (-importance[i], i)))

    @torch.no_grad()
    def calibrate(self, codes: Tensor) -> None:
        """Set first step sizes, shifts and exponents from the float forward pass on ``codes``: (N, 3, H, W)."""
        stream = self.head(codes * IMAGE_STEP)
        streams = [stream]
        for block in self.blocks(self.config.blocks):
            inner = relu(block.conv1(stream))
            if block.quant1 is not None:
                block.quant1.step.copy_(least_error_step(stream, block.quant1.code_range))
            block.quant2.step.copy_(least_error_step(inner, block.quant2.code_range))
            stream = stream + block.importance * block.conv2(inner)
            streams.append(stream)
        self.stream_step.copy_(least_error_step(torch.stack(streams), STREAM_RANGE))
        image_step = torch.tensor(IMAGE_STEP)
        self.head.calibrate(image_step, self.stream_step)
        for block in self.blocks(self.config.blocks):
            step1 = self.stream_step if block.quant1 is None else block.quant1.step
            block.conv1.calibrate(step1, block.quant2.step)
            block.conv2.calibrate(block.quant2.step, self.stream_step, block.importance)
        self.tail.calibrate(self.stream_step, image_step)
