"""``quantsr_t`` checkpoint -> integer graphs, one per depth.

Step sizes, shifts, importances and layer normalizations' gains become multipliers and offsets of rescalings; GELU and
the softmax's exponential become tables. What is rounded in training is rounded here alike; the multipliers' own
rounding, the tables and the integer layer normalization are not part of training, so that a graph is close to the
fake-quantized network and not equal to it.
"""

import math

import numpy as np
from numpy.typing import NDArray

from qsr_edge.errors import GraphError, LoweringError
from qsr_edge.graph.integer_graph import TransformerGraph
from qsr_edge.graph.swin import (
    STREAM_BITS,
    IntegerAttention,
    IntegerGroup,
    IntegerLayer,
    IntegerLinear,
    IntegerNorm,
    Rescale,
    SwinGraph,
    rescale,
)
from qsr_edge.graph.swin_program import LARGEST_SCORE, OCTAVE
from qsr_edge.graph.swin_verify import verify_swin
from qsr_edge.graph.windows import relative_position_index
from qsr_edge.lowering.builder import rounded
from qsr_edge.lowering.network import LoweredNetwork, model_name
from qsr_edge.nn.checkpoint import Checkpoint
from qsr_edge.nn.swin_config import EDGE_BITS, RGB_MEAN, SwinConfig
from qsr_edge.quant.arithmetic import IMAGE_STEP, IMAGE_ZERO, CodeRange

Float = NDArray[np.float64]
_EPSILON = 1e-5
"""The epsilon of torch's layer normalization."""
_UNIT = 1 << 15
"""What the integer layer normalization calls a sum of squares of 1."""
_CODES = CodeRange.signed(8)
_STREAM = CodeRange.signed(STREAM_BITS)
_TABLE_MAX = (1 << 14) - 1
_AVERAGE_BITS = 8
_SCORE_SHIFTS = range(32 - LARGEST_SCORE.bit_length(), 21)
"""What fits int32 and is shifted by so many bits is no larger than the largest score."""
_INT32_MAX = (1 << 31) - 1


class _Lowering:
    """One checkpoint's tensors as integers; all depths share what comes out."""

    def __init__(self, checkpoint: Checkpoint, config: SwinConfig, bits: int):
        self.tensors = checkpoint.tensors
        self.config = config
        self.bits = bits
        self.stream = self.value("stream.step")
        self.shallow = self.value("shallow.step")

    def array(self, name: str) -> Float:
        return self.tensors[name].astype(np.float64)

    def value(self, name: str) -> float:
        return float(self.tensors[name])

    def linear(
        self,
        name: str,
        step_in: float,
        step_out: float | Float,
        output: CodeRange,
        *,
        gain: float = 1.0,
        offset: Float | float = 0.0,
        input_codes: CodeRange | None = None,
        weight_bits: int | None = None,
        order: NDArray[np.int64] | None = None,
    ) -> IntegerLinear:
        """A linear layer, or a convolution as one of nine times the inputs; ``order``: of the output channels."""
        weight_bits = weight_bits or self.bits
        input_codes = input_codes or CodeRange.signed(self.bits)
        weight, step = self.tensors[f"{name}.weight"], self.tensors[f"{name}.weight_quantizer.step"]
        codes = rounded(weight / step, CodeRange.signed(weight_bits))
        if codes.ndim == 4:
            codes = codes.transpose(0, 2, 3, 1).reshape(len(codes), -1)
        steps = step.reshape(-1).astype(np.float64)
        real_offset = np.broadcast_to(self.array(f"{name}.bias") * gain / step_out + offset, steps.shape)
        factor = np.broadcast_to(step_in * steps * gain / step_out, steps.shape)
        if order is not None:
            codes, factor, real_offset = codes[order], factor[order], real_offset[order]
        reach = max(abs(input_codes.q_min), abs(input_codes.q_max))
        bound = int(np.abs(codes).sum(1).max()) * reach
        if bound > _INT32_MAX:
            raise LoweringError(f"{name}: sums up to {bound} do not fit int32")
        return IntegerLinear(
            weights=np.ascontiguousarray(codes.T).astype(np.int8),
            weight_bits=weight_bits,
            input_bits=input_codes.bits,
            output=self.rescaled(name, factor, real_offset, bound, output),
        )

    def rescaled(self, name: str, factor: Float, offset: Float, bound: int, codes: CodeRange) -> Rescale:
        try:
            return rescale(factor, offset, bound, codes)
        except GraphError as error:
            raise LoweringError(f"{name}: {error}") from error

    def input_codes(self, name: str, step_in: float, bound: int) -> Rescale:
        """RLQ before a linear layer: from another grid to its input codes, the shift as offset."""
        step, shift = self.value(f"{name}.activation.step"), self.array(f"{name}.activation.shift")
        factor = np.full(shift.shape, step_in / step)
        return self.rescaled(name, factor, shift / step, bound, CodeRange.signed(self.bits))

    def norm(self, name: str, step_in: float, step_out: float, codes: CodeRange, shift: Float | float) -> IntegerNorm:
        """Layer normalization onto a grid; ``shift``: added to the real result."""
        gain, bias = self.array(f"{name}.weight"), self.array(f"{name}.bias")
        channels = self.config.channels
        epsilon = round(channels * _EPSILON / step_in**2)
        if epsilon >= 1 << 20:
            raise LoweringError(f"{name}: a step size of {step_in:.3g} is too small for its epsilon; train anew")
        factor = gain * math.sqrt(channels) / _UNIT / step_out
        bound = _UNIT + 2
        return IntegerNorm(
            epsilon=max(1, epsilon), output=self.rescaled(name, factor, (bias + shift) / step_out, bound, codes)
        )

    def norm_before(self, norm: str, linear: str) -> IntegerNorm:
        """Layer normalization of the stream and RLQ before a linear layer, in one."""
        step, shift = self.value(f"{linear}.activation.step"), self.array(f"{linear}.activation.shift")
        return self.norm(norm, self.stream, step, CodeRange.signed(self.bits), shift)

    def attention(self, name: str, gain: float, shift_px: int) -> IntegerAttention:
        config = self.config
        width, area = config.channels, config.window_px**2
        steps = [self.value(f"{name}.{part}.step") for part in ("query", "key", "value")]
        input_step = self.value(f"{name}.qkv.activation.step")
        qkv = self.linear(f"{name}.qkv", input_step, np.repeat(steps, width), _CODES)
        size = width // config.heads
        factor = steps[0] * steps[1] / math.sqrt(size) * math.log2(math.e) * OCTAVE
        table = self.array(f"{name}.relative_position_bias_table") * math.log2(math.e) * OCTAVE
        bias = table[relative_position_index(config.window_px).ravel()].T.reshape(config.heads, area, area)
        bound = size * _CODES.q_min**2
        shift = -1
        for candidate in _SCORE_SHIFTS:
            unit = 2.0**candidate
            if bound * round(factor * unit) + np.abs(bias).max() * unit + unit <= _INT32_MAX:
                shift = candidate
        if shift < 0:
            raise LoweringError(f"{name}: scores of {factor * bound / OCTAVE:.3g} octaves do not fit; train anew")
        half = 1 << (shift - 1)
        average = steps[2] / (1 << _AVERAGE_BITS)
        return IntegerAttention(
            qkv=qkv,
            multiplier=round(factor * 2**shift),
            shift=shift,
            bias=(np.rint(bias * 2.0**shift) + half).astype(np.int32),
            attended=self.input_codes(f"{name}.proj", average, (-_CODES.q_min + 1) << _AVERAGE_BITS),
            proj=self.linear(
                f"{name}.proj", self.value(f"{name}.proj.activation.step"), self.stream, _STREAM, gain=gain
            ),
            shift_px=shift_px,
        )

    def layer(self, name: str, index: int) -> IntegerLayer:
        gain = self.value(f"{name}.importance")
        hidden = self.value(f"{name}.mlp.hidden.step")
        real = np.arange(_CODES.q_min, _CODES.q_max + 1) * hidden
        gelu = np.array([x * (1 + math.erf(x / math.sqrt(2))) / 2 for x in real])
        unit = np.abs(gelu).max() / _TABLE_MAX
        return IntegerLayer(
            norm1=self.norm_before(f"{name}.norm1", f"{name}.attn.qkv"),
            attention=self.attention(f"{name}.attn", gain, self.config.window_px // 2 if index % 2 else 0),
            norm2=self.norm_before(f"{name}.norm2", f"{name}.mlp.fc1"),
            fc1=self.linear(f"{name}.mlp.fc1", self.value(f"{name}.mlp.fc1.activation.step"), hidden, _CODES),
            gelu=np.rint(gelu / unit).astype(np.int16),
            activated=self.input_codes(f"{name}.mlp.fc2", float(unit), _TABLE_MAX),
            fc2=self.linear(
                f"{name}.mlp.fc2", self.value(f"{name}.mlp.fc2.activation.step"), self.stream, _STREAM, gain=gain
            ),
        )

    def conv_first(self) -> IntegerLinear:
        """Image codes are levels less 128; what that leaves of the mean goes into the bias, over all nine taps."""
        steps = self.tensors["conv_first.weight_quantizer.step"]
        weights = rounded(self.tensors["conv_first.weight"] / steps, CodeRange.signed(EDGE_BITS)) * steps
        lifted = IMAGE_ZERO * IMAGE_STEP - np.array(RGB_MEAN)
        offset = (weights.astype(np.float64).sum((2, 3)) @ lifted) / self.shallow
        return self.linear(
            "conv_first", IMAGE_STEP, self.shallow, _STREAM, offset=offset, input_codes=_CODES, weight_bits=EDGE_BITS
        )

    def upsample(self) -> IntegerLinear:
        """Shallow codes to image codes; channels reordered from pixel shuffle's c * r^2 + s to s * 3 + c."""
        squared = self.config.scale**2
        order = np.arange(3 * squared).reshape(3, squared).T.ravel()
        offset = np.repeat(RGB_MEAN, squared) / IMAGE_STEP - IMAGE_ZERO
        return self.linear(
            "upsample.0", self.shallow, IMAGE_STEP, _CODES,
            offset=offset, input_codes=_STREAM, weight_bits=EDGE_BITS, order=order,
        )  # fmt: skip


def lower_checkpoint(checkpoint: Checkpoint) -> LoweredNetwork:
    """Lower a quantized ``quantsr_t`` network at every depth that it offers.

    Raises:
        LoweringError: if the network is a float one, or a number does not fit its type.
    """
    config = checkpoint.config
    if not isinstance(config, SwinConfig):
        raise LoweringError(f"a {config.architecture.value} network is lowered by another pass")
    if config.bits is None:
        raise LoweringError("this is a float checkpoint; train a quantized one from it with 'qsr-edge train --start'")
    lower = _Lowering(checkpoint, config, config.bits)
    conv_first, upsample = lower.conv_first(), lower.upsample()
    patch_norm = lower.norm("patch_embed.norm", lower.shallow, lower.stream, _STREAM, 0.0)
    body_step = lower.value("conv_after_body.activation.step")
    norm = lower.norm("norm", lower.stream, body_step, _CODES, 0.0)
    after = lower.linear(
        "conv_after_body", body_step, lower.shallow, _STREAM, input_codes=_CODES, weight_bits=EDGE_BITS
    )
    layers = {
        (group, layer): lower.layer(f"layers.{group}.residual_group.blocks.{layer}", layer)
        for group in range(config.groups)
        for layer in range(config.layers)
    }
    reach = max(abs(_STREAM.q_min), _STREAM.q_max)
    convs = [
        (
            lower.input_codes(f"layers.{i}.conv", lower.stream, reach),
            lower.linear(f"layers.{i}.conv", lower.value(f"layers.{i}.conv.activation.step"), lower.stream, _STREAM),
        )
        for i in range(config.groups)
    ]
    border = np.rint(np.array(RGB_MEAN) / IMAGE_STEP).astype(np.int32) - IMAGE_ZERO
    graphs = {
        depth: SwinGraph(
            name=f"{model_name(config)}-d{depth}",
            scale=config.scale,
            depth=depth,
            bits=config.bits,
            channels=config.channels,
            heads=config.heads,
            window_px=config.window_px,
            border=border,
            conv_first=conv_first,
            patch_norm=patch_norm,
            groups=tuple(
                IntegerGroup(layers=tuple(layers[i, j] for j in kept), conv_input=convs[i][0], conv=convs[i][1])
                for i, kept in enumerate(config.kept_layers(depth))
                if kept
            ),
            norm=norm,
            conv_after_body=after,
            upsample=upsample,
        )
        for depth in config.depths
    }
    for graph in graphs.values():
        verify_swin(graph)
    return LoweredNetwork(graphs={depth: TransformerGraph(swin=graph) for depth, graph in graphs.items()})
