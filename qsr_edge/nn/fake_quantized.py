"""``quantsr_c_edge`` with any quantizer in its body, computed in floats: what quantizers are compared in.

Every body convolution has a quantizer for its input and one for its weight; head, tail, residual stream and biases stay
float, as in the literature. Nothing here is deployed: :class:`~qsr_edge.nn.quantsr_c_edge.QuantsrCEdge` is.
"""

from collections.abc import Callable
from enum import StrEnum

import torch
from torch import Tensor, nn
from torch.nn.functional import pixel_shuffle, relu

from qsr_edge.nn.config import EdgeConfig
from qsr_edge.nn.quantized_conv import QuantizedConv, convolve_codes
from qsr_edge.nn.quantsr_c_edge import QuantsrCEdge
from qsr_edge.quant.arithmetic import IMAGE_STEP, CodeRange
from qsr_edge.quant.baselines import LearnedClip, MinMax
from qsr_edge.quant.protocol import Quantizer
from qsr_edge.quant.rlq import RLQ


class QuantizerName(StrEnum):
    """Quantizers that can be compared."""

    MIN_MAX = "minmax"
    LEARNED_CLIP = "pact"
    LSQ = "lsq"
    RLQ_WITHOUT_PHI = "rlq_no_phi"
    RLQ_WITHOUT_SHIFT = "rlq_no_shift"
    RLQ = "rlq"


def weight_quantizer(name: QuantizerName, bits: int, step_shape: tuple[int, ...]) -> Quantizer:
    """A quantizer of a weight with one step size per output channel: (O, 1, 1, 1), of a linear layer (O, 1)."""
    code_range = CodeRange.signed(bits)
    if name in (QuantizerName.MIN_MAX, QuantizerName.LEARNED_CLIP):  # PACT and PAMS learn bounds of activations only
        return MinMax(code_range, per_channel=True)
    redistributed = name in (QuantizerName.RLQ, QuantizerName.RLQ_WITHOUT_SHIFT)
    return RLQ(code_range, step_shape=step_shape, redistributed=redistributed)


def activation_quantizer(name: QuantizerName, code_range: CodeRange, channels: int) -> Quantizer:
    """A quantizer of a convolution's input; unsigned codes follow a ReLU, where a shift is a bias and is left out."""
    if name is QuantizerName.MIN_MAX:
        return MinMax(code_range, per_channel=False)
    if name is QuantizerName.LEARNED_CLIP:
        return LearnedClip(code_range)
    shifted = name in (QuantizerName.RLQ, QuantizerName.RLQ_WITHOUT_PHI) and code_range.q_min < 0
    redistributed = name in (QuantizerName.RLQ, QuantizerName.RLQ_WITHOUT_SHIFT)
    return RLQ(code_range, shift_channels=channels if shifted else None, redistributed=redistributed)


class _FakeQuantizedConv(nn.Module):
    """The quantizers of one convolution's input and weight."""

    activation: Quantizer
    weight: Quantizer

    def __init__(self, name: QuantizerName, bits: int, codes: CodeRange, channels: int):
        super().__init__()
        self.activation = activation_quantizer(name, codes, channels)
        self.weight = weight_quantizer(name, bits, (channels, 1, 1, 1))

    def calibrate(self, conv: QuantizedConv, x: Tensor) -> None:
        self.activation.calibrate(x)
        self.weight.calibrate(conv.weight)

    def run(self, conv: QuantizedConv, x: Tensor) -> Tensor:
        codes, step = self.activation.quantize(x)
        q_weight, weight_step = self.weight.quantize(conv.weight)
        accumulator = convolve_codes(codes, q_weight, torch.zeros(len(q_weight)), conv.gradient_dtype)
        result = accumulator * (step * weight_step).reshape(1, -1, 1, 1)
        return result if conv.bias is None else result + conv.bias.reshape(1, -1, 1, 1)


class FakeQuantizedEdge(QuantsrCEdge):
    """A float network whose body convolutions see quantized inputs and weights."""

    def __init__(self, config: EdgeConfig, name: QuantizerName, bits: int):
        """Make the network of a float ``config`` with quantizers of ``bits`` bits in its body."""
        super().__init__(config)
        width = config.channels
        self.first = nn.ModuleList(
            _FakeQuantizedConv(name, bits, CodeRange.signed(bits), width) for _ in range(config.blocks)
        )
        self.second = nn.ModuleList(
            _FakeQuantizedConv(name, bits, CodeRange.unsigned(bits), width) for _ in range(config.blocks)
        )

    def forward(self, codes: Tensor, depth: int) -> Tensor:
        """See :meth:`QuantsrCEdge.forward`; the result is not rounded."""
        return self._run(codes, depth, lambda quantizers, conv, x: quantizers.run(conv, x))

    def _run(
        self, codes: Tensor, depth: int, convolve: Callable[[_FakeQuantizedConv, QuantizedConv, Tensor], Tensor]
    ) -> Tensor:
        stream = self.head(codes * IMAGE_STEP)
        kept = self.config.kept_blocks(depth)
        for i, block in zip(kept, self.blocks(depth), strict=True):
            inner = relu(convolve(self._quantizers(self.first, i), block.conv1, stream))
            stream = stream + block.importance * convolve(self._quantizers(self.second, i), block.conv2, inner)
        return pixel_shuffle(self.tail(stream) / IMAGE_STEP + self.anchor(codes), self.config.scale)

    @staticmethod
    def _quantizers(modules: nn.ModuleList, i: int) -> _FakeQuantizedConv:
        module = modules[i]
        if not isinstance(module, _FakeQuantizedConv):
            raise TypeError(f"{type(module).__name__} holds no quantizers")
        return module

    @torch.no_grad()
    def calibrate(self, codes: Tensor) -> None:
        """Calibrate every quantizer on the float forward pass of ``codes``: (N, 3, H, W)."""

        def calibrated(quantizers: _FakeQuantizedConv, conv: QuantizedConv, x: Tensor) -> Tensor:
            quantizers.calibrate(conv, x)
            result: Tensor = conv(x)
            return result

        self._run(codes, self.config.blocks, calibrated)
