"""Linear layers and convolutions whose inputs and weights are quantized by any quantizer, computed in floats.

    y = (sum(q_w * q_x)) * (step_x * step_w[o]) + bias

The products are of integer codes, exact in float32 below 2^24. Without quantizers these are torch's own layers.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from qsr_edge.nn.fake_quantized import QuantizerName, activation_quantizer, weight_quantizer
from qsr_edge.quant.arithmetic import CodeRange
from qsr_edge.quant.calibration import least_error_step
from qsr_edge.quant.rlq import RLQ


@dataclass(frozen=True, slots=True, kw_only=True)
class BodyQuantizer:
    """How the body's linear layers are quantized: by which quantizer, at how many bits."""

    name: QuantizerName
    bits: int


class CodeQuantizer(RLQ):
    """Fake quantization with one learned step size; on request its step is calibrated instead, nothing quantized."""

    def __init__(self, code_range: CodeRange):
        """Make a quantizer of activations for ``code_range``."""
        super().__init__(code_range)
        self.calibrating = False

    def forward(self, x: Tensor) -> Tensor:
        """Fake-quantized ``x``, one sample in each first index."""
        if self.calibrating:
            with torch.no_grad():  # the largest of all places where it stands
                self.step.copy_(torch.maximum(self.step, least_error_step(x, self.code_range)))
            return x
        return super().forward(x)


def code_quantizer(bits: int) -> CodeQuantizer:
    """A quantizer with signed codes of ``bits`` bits."""
    return CodeQuantizer(CodeRange.signed(bits))


def quantized(quantizer: nn.Module | None, x: Tensor) -> Tensor:
    """``x`` through a quantizer, if there is one."""
    if quantizer is None:
        return x
    result: Tensor = quantizer(x)
    return result


class QuantizedLinear(nn.Linear):
    """A linear layer over the last dimension of (N, H, W, C)."""

    def __init__(self, inputs: int, outputs: int, body: BodyQuantizer | None):
        """Make a layer; without ``body`` it stays float."""
        super().__init__(inputs, outputs)
        nn.init.trunc_normal_(self.weight, std=0.02)
        nn.init.zeros_(self.bias)
        self.calibrating = False
        self.activation = self.weight_quantizer = None
        if body:
            self.activation = activation_quantizer(body.name, CodeRange.signed(body.bits), inputs)
            self.weight_quantizer = weight_quantizer(body.name, body.bits, (outputs, 1))

    def forward(self, input: Tensor) -> Tensor:
        """(N, H, W, I) -> (N, H, W, O)."""
        if self.activation is None or self.weight_quantizer is None:
            return F.linear(input, self.weight, self.bias)
        if self.calibrating:
            self.activation.calibrate(input.permute(0, 3, 1, 2))
            self.weight_quantizer.calibrate(self.weight)
            return F.linear(input, self.weight, self.bias)
        codes, step = self.activation.quantize(input.permute(0, 3, 1, 2))
        q_weight, weight_step = self.weight_quantizer.quantize(self.weight)
        return F.linear(codes.permute(0, 2, 3, 1), q_weight) * (step * weight_step.reshape(-1)) + self.bias


class QuantizedConv3x3(nn.Conv2d):
    """A 3x3 convolution of (N, C, H, W), zero padding; what the quantizer's shift does not reach stays zero."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        activation: CodeRange | None = None,
        body: BodyQuantizer | None = None,
        weight_bits: int | None = None,
        padding: int = 1,
    ):
        """Make a convolution.

        Args:
            inputs: channels.
            outputs: channels.
            activation: codes of the input, with one step size; None if it is quantized already, or float.
            body: quantizes input and weight instead, as those of the body.
            weight_bits: bit width of the weights, with one step size per output channel; None for float ones.
            padding: zeros on every side.
        """
        super().__init__(inputs, outputs, 3, padding=padding)
        self.calibrating = False
        self.activation = self.weight_quantizer = None
        if body:
            self.activation = activation_quantizer(body.name, CodeRange.signed(body.bits), inputs)
            self.weight_quantizer = weight_quantizer(body.name, body.bits, (outputs, 1, 1, 1))
        elif weight_bits:
            self.activation = RLQ(activation) if activation else None
            self.weight_quantizer = RLQ(CodeRange.signed(weight_bits), step_shape=(outputs, 1, 1, 1))

    def forward(self, input: Tensor) -> Tensor:
        """(N, I, H, W) -> (N, O, H, W)."""
        if self.weight_quantizer is None:
            return super().forward(input)
        if self.calibrating:
            if self.activation is not None:
                self.activation.calibrate(input)
            self.weight_quantizer.calibrate(self.weight)
            return super().forward(input)
        q_weight, weight_step = self.weight_quantizer.quantize(self.weight)
        if self.activation is None:
            return F.conv2d(input, q_weight * weight_step, self.bias, padding=self.padding)
        codes, step = self.activation.quantize(input)
        scale = (step * weight_step).reshape(1, -1, 1, 1)
        products = F.conv2d(codes, q_weight, padding=self.padding)
        return products * scale if self.bias is None else products * scale + self.bias.reshape(1, -1, 1, 1)


@torch.no_grad()
def set_calibrating(network: nn.Module, *, on: bool) -> None:
    """Whether every quantizer within is calibrated on what comes, and nothing quantized."""
    for module in network.modules():
        if isinstance(module, QuantizedLinear | QuantizedConv3x3 | CodeQuantizer):
            module.calibrating = on
            if on and isinstance(module, CodeQuantizer):
                module.step.zero_()
