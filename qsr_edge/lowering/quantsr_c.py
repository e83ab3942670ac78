"""A calibrated ``quantsr_c`` checkpoint -> integer graphs in the scaled profile, one per depth.

The body computes the codes of training; what is float there becomes integer as follows.

*Shortcuts.* ``f_{i+1} = s_i f_i + branch_i`` is divided by ``P_{i+1} = s_0 s_1 ... s_i``: the stream holds
``y_i = f_i / P_i``, and ``y_{i+1} = y_i + branch_i / P_{i+1}`` is a plain addition on one grid, which has a step size
for each channel. A skipped block costs nothing. ``P_i`` goes into the requantization before conv1, ``1 / P_{i+1}`` into
conv2's.

*Shift and ReLU before conv2.* ``clip(round((max(c, 0) + t) / a))`` is ``max(k, clip(round((c + t) / a)))`` with
``k = clip(round(t / a))``. If no channel's k exceeds the least code, t is part of conv1's bias. Otherwise conv1 gives
``clip(round((c + t) / a) - k)``, from 0 up, and a depthwise convolution adds k and clips again.

*Padding.* The official network pads after the quantizer, hence with code 0, as the graph does. The first convolution
pads the image with its mean, which is no level of an image: it reads two halves, ``max(q - m, 0)`` and
``max(m - q, 0)``, of the codes about the rounded mean m, whose code 0 is m. (What m is rounded by is in the bias,
except beside the border.)

*Long skip.* The head is computed twice, 3 -> C channels each, once on the stream's grid and once on that of the
features before the upsampler: both additions are on one grid then, and neither costs the other accuracy.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qsr_edge.errors import LoweringError
from qsr_edge.graph.ir import Array, ConstantId, Constants, Multiplier, Requantization, TensorId
from qsr_edge.lowering.builder import GraphBuilder
from qsr_edge.lowering.network import LoweredNetwork, convolutional_network, model_name
from qsr_edge.nn.checkpoint import Checkpoint
from qsr_edge.nn.quantsr_c_config import RGB_MEAN, QuantsrCConfig, upsampling_factors
from qsr_edge.quant.arithmetic import IMAGE_ZERO, STREAM_RANGE, CodeRange

HEAD_TENSOR = TensorId("head")
"""The residual stream before the first block."""
_WEIGHT_BITS = 8
"""Bit width of the weights of head, upsampler and tail."""
_HALVES = CodeRange.unsigned(8)
_MANTISSA = 127
"""Weight of a requantization: the larger, the finer its bias resolves a shift."""
_LARGEST_SUM = (1 << 22) - 1
"""What the magnitudes of a channel's weights times the largest code may reach; the bias has as much again."""
_SMALLEST_MULTIPLIER = 2.0**-24
_SMALLEST_SHORTCUT = 1e-6

Real = NDArray[np.float64]
ConvConstants = tuple[ConstantId, ConstantId, Requantization]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Block:
    """Constants of one block's nodes, and the codes that its convolutions read; ``floor`` where k must be added."""

    quant1: ConvConstants
    conv1: ConvConstants
    floor: ConvConstants | None
    conv2: ConvConstants
    codes1: CodeRange
    codes2: CodeRange
    conv2_bits: int


def _rounded(x: Real | float) -> Real:
    return np.rint(np.asarray(x, np.float64))


class _Writer:
    """Turns a checkpoint's tensors into integer constants; all depths share them."""

    def __init__(self, checkpoint: Checkpoint, config: QuantsrCConfig):
        self.config = config
        self.arrays: dict[ConstantId, Array] = {}
        self._tensors = {name: array.astype(np.float64) for name, array in checkpoint.tensors.items()}
        shortcuts = np.array([self._tensors[f"body.{i}.shortcut"] for i in range(config.blocks)])
        for i, shortcut in enumerate(shortcuts):
            if abs(shortcut) < _SMALLEST_SHORTCUT:
                raise LoweringError(
                    f"body.{i}: its shortcut is {shortcut:g}, which no division can undo; expected a magnitude of "
                    f"{_SMALLEST_SHORTCUT:g} at least: train it anew"
                )
        self.products = np.concatenate([[1.0], np.cumprod(shortcuts)])
        self.stream_step = self._tensors["stream_step"]
        self.features_step = self._tensors["features_step"]

    def _store(self, name: str, weights: Real, bias: Real, multipliers: Real) -> ConvConstants:
        """Keep a convolution's integers: weights (O, K, K, I)."""
        for what, values, dtype in (("weights", weights, np.int8), ("bias", bias, np.int32)):
            limits = np.iinfo(dtype)
            if not np.isfinite(values).all() or values.min() < limits.min or values.max() > limits.max:
                raise LoweringError(
                    f"{name}: {what} in [{values.min():g}, {values.max():g}] do not fit {limits.dtype}; "
                    "calibrate on images like those it was trained on"
                )
            self.arrays[ConstantId(f"{name}.{what}")] = values.astype(dtype)
        key = ConstantId(f"{name}.multipliers")
        self.arrays[key] = np.broadcast_to(multipliers, bias.shape).astype(np.float32)
        return ConstantId(f"{name}.weights"), ConstantId(f"{name}.bias"), Multiplier(multipliers=key)

    def eight_bits(
        self, name: str, weight: Real, bias: Real, step_out: Real | float, input_range: CodeRange
    ) -> ConvConstants:
        """A convolution (O, I, K, K) whose inputs' step sizes are folded into its weight, one step size per output."""
        flat = weight.reshape(len(weight), -1)
        reach = max(abs(input_range.q_min), abs(input_range.q_max))
        codes = CodeRange.signed(_WEIGHT_BITS)
        # A channel of (almost) nothing but its bias keeps to a bias and a multiplier that fit.
        least = np.maximum(np.abs(bias) / _LARGEST_SUM, _SMALLEST_MULTIPLIER * np.asarray(step_out))
        step = np.maximum(np.abs(flat).max(axis=1) / codes.q_max, least)
        # A bound that the accumulator may not pass; hardly a trained channel comes near.
        step *= np.maximum(1, reach * np.abs(flat / step[:, None]).sum(axis=1) / _LARGEST_SUM)
        quantized = np.clip(_rounded(weight / step.reshape(-1, 1, 1, 1)), codes.q_min, codes.q_max)
        return self._store(name, quantized.transpose(0, 2, 3, 1), _rounded(bias / step), step / step_out)

    def centre(self) -> tuple[ConvConstants, Real]:
        """Image codes to their halves above and below the rounded mean, and what the mean was rounded by: (3,)."""
        mean = np.array(RGB_MEAN) * 255 - IMAGE_ZERO
        weights = np.concatenate([np.eye(3), -np.eye(3)]).reshape(6, 1, 1, 3)
        bias = np.concatenate([-_rounded(mean), _rounded(mean)])
        return self._store("centre", weights, bias, np.ones(6)), _rounded(mean) - mean

    def head(self, name: str, offset: Real, step_out: Real) -> ConvConstants:
        """``conv_first`` on both halves, on the grid ``step_out``."""
        weight, bias = self._tensors["conv_first.weight"], self._tensors["conv_first.bias"]
        bias = bias + (weight.sum(axis=(2, 3)) * offset).sum(axis=1)
        return self.eight_bits(name, np.concatenate([weight, -weight], axis=1), bias, step_out, _HALVES)

    def block(self, i: int) -> _Block:
        """Block ``i``."""
        bits, name = self.config.bits or 0, f"body.{i}"
        get = self._tensors.__getitem__
        codes1, codes2 = (
            CodeRange.signed(bits) if self.config.has_signed_input(i, conv) else CodeRange.unsigned(bits)
            for conv in (0, 1)
        )
        a1, a2 = get(f"{name}.conv1.activation.step"), get(f"{name}.conv2.activation.step")
        w1, w2 = get(f"{name}.conv1.weight_quantizer.step"), get(f"{name}.conv2.weight_quantizer.step")
        t1, t2 = get(f"{name}.conv1.activation.shift"), get(f"{name}.conv2.activation.shift")
        before, after = self.products[i], self.products[i + 1]
        multipliers = np.abs(before) * self.stream_step / (a1 * _MANTISSA)
        mantissas = np.full((self.config.channels, 1, 1, 1), np.sign(before) * _MANTISSA)
        quant1 = self._store(f"{name}.quant1", mantissas, _rounded(t1 / a1 / multipliers), multipliers)

        least = np.clip(_rounded(t2 / a2), codes2.q_min, codes2.q_max)
        needs_floor = bool((least > codes2.q_min).any())
        lifted = least if needs_floor else np.zeros_like(least)
        bias1 = (get(f"{name}.conv1.bias") + t2) / (a1 * w1) - lifted * a2 / (a1 * w1)
        conv1 = self._store(
            f"{name}.conv1", self._trained(f"{name}.conv1", w1, 1), _rounded(bias1), np.asarray(a1 * w1 / a2)
        )
        floor = None
        if needs_floor:
            ones = np.ones((self.config.channels, 1, 1, 1))
            floor = self._store(f"{name}.floor", ones, lifted, np.ones(self.config.channels))
        weights2 = self._trained(f"{name}.conv2", w2, np.sign(after))
        bias2 = _rounded(np.sign(after) * get(f"{name}.conv2.bias") / (a2 * w2))
        conv2 = self._store(f"{name}.conv2", weights2, bias2, a2 * w2 / (np.abs(after) * self.stream_step))
        # Negated, the least code of b bits needs one bit more.
        conv2_bits = bits + 1 if weights2.max() > CodeRange.signed(bits).q_max else bits
        return _Block(
            quant1=quant1, conv1=conv1, floor=floor, conv2=conv2, codes1=codes1, codes2=codes2, conv2_bits=conv2_bits
        )

    def _trained(self, name: str, step: Real, sign: Real | int) -> Real:
        # In float32 as in training, so that no weight falls to the other side of a half.
        weight = self._tensors[f"{name}.weight"].astype(np.float32) / np.float32(step)
        codes = CodeRange.signed(self.config.bits or 0)
        quantized = np.clip(np.rint(weight), codes.q_min, codes.q_max).astype(np.float64)
        return np.asarray(sign * quantized.transpose(0, 2, 3, 1))

    def after_body(self) -> ConvConstants:
        """``conv_after_body``, from the stream's grid to that of the features."""
        weight = self._tensors["conv_after_body.weight"] * (self.products[-1] * self.stream_step).reshape(1, -1, 1, 1)
        bias = self._tensors["conv_after_body.bias"]
        return self.eight_bits("conv_after_body", weight, bias, self.features_step, STREAM_RANGE)

    def upsampler(self) -> list[ConvConstants]:
        """The upsampler's convolutions, output channels reordered from c * r^2 + s to the graph's s * C + c."""
        result, step_in, channels = [], self.features_step, self.config.channels
        for k, factor in enumerate(upsampling_factors(self.config.scale)):
            order = np.arange(channels * factor**2).reshape(channels, factor**2).T.ravel()
            step_out = self._tensors[f"upsample.{k}.output_step"]
            weight = self._tensors[f"upsample.{k}.weight"][order] * step_in.reshape(1, -1, 1, 1)
            bias = self._tensors[f"upsample.{k}.bias"][order]
            result.append(self.eight_bits(f"upsample.{k}", weight, bias, np.tile(step_out, factor**2), STREAM_RANGE))
            step_in = step_out
        return result

    def tail(self) -> ConvConstants:
        """``conv_last``, which writes the image's codes."""
        step_in = self._tensors[f"upsample.{len(upsampling_factors(self.config.scale)) - 1}.output_step"]
        weight = self._tensors["conv_last.weight"] * step_in.reshape(1, -1, 1, 1)
        bias = self._tensors["conv_last.bias"] + np.array(RGB_MEAN) * 255 - IMAGE_ZERO
        return self.eight_bits("conv_last", weight, bias, 1.0, STREAM_RANGE)


def lower_checkpoint(checkpoint: Checkpoint) -> LoweredNetwork:
    """Lower a quantized and calibrated ``quantsr_c`` network at every depth that it offers.

    Raises:
        LoweringError: if the network is a float one or not calibrated, or a code does not fit its type.
        GraphError: if a graph would not be exact.
    """
    config = checkpoint.config
    if not isinstance(config, QuantsrCConfig):
        raise LoweringError(f"a {config.architecture.value} network is lowered by another pass")
    if config.bits is None:
        raise LoweringError("this is a float checkpoint; train a quantized one from it with 'qsr-edge train --start'")
    if not config.calibrated:
        raise LoweringError(
            "head, upsampler and tail of this quantsr_c checkpoint are float yet; "
            "calibrate them on images: qsr-edge convert --checkpoint FILE --calibration DIR --save-checkpoint FILE"
        )
    writer = _Writer(checkpoint, config)
    centre, offset = writer.centre()
    head = writer.head("head", offset, writer.stream_step)
    skip = writer.head("long_skip", offset, writer.features_step)
    blocks = [writer.block(i) for i in range(config.blocks)]
    after_body, upsampler, tail = writer.after_body(), writer.upsampler(), writer.tail()
    constants = Constants(writer.arrays)
    width, bits, graphs = config.channels, config.bits, {}
    for depth in config.depths:
        build = GraphBuilder()
        image = build.quantize_input()
        halves = build.conv2d("centre", image, centre, 6, _HALVES, 2)
        stream = build.conv2d(HEAD_TENSOR, halves, head, width, STREAM_RANGE, _WEIGHT_BITS)
        for i in config.kept_blocks(depth):
            stream = _add_block(build, f"body.{i}", blocks[i], stream, width, bits)
        features = build.conv2d("conv_after_body", stream, after_body, width, STREAM_RANGE, _WEIGHT_BITS)
        skipped = build.conv2d("long_skip", halves, skip, width, STREAM_RANGE, _WEIGHT_BITS)
        features = build.add("features", features, skipped, width)
        upscale = 1
        for k, factor in enumerate(upsampling_factors(config.scale)):
            conv = build.conv2d(
                f"upsample.{k}", features, upsampler[k], factor**2 * width, STREAM_RANGE, _WEIGHT_BITS, upscale=upscale
            )
            upscale *= factor
            features = build.depth_to_space(
                conv,
                factor,
                name=f"depth_to_space.{k}",
                output_name=f"upscaled.{k}",
                channels=width,
                upscale=upscale,
            )
        output = build.conv2d("conv_last", features, tail, 3, STREAM_RANGE, _WEIGHT_BITS, upscale=upscale)
        graphs[depth] = build.graph(model_name(config), config, depth, bits, output, constants)
    return convolutional_network(graphs, constants)


def _add_block(build: GraphBuilder, name: str, block: _Block, stream: TensorId, width: int, bits: int) -> TensorId:
    codes = build.conv2d(f"{name}.quant1", stream, block.quant1, width, block.codes1, _WEIGHT_BITS, depthwise=True)
    lifted = CodeRange.unsigned(bits) if block.floor else block.codes2
    codes = build.conv2d(f"{name}.conv1", codes, block.conv1, width, lifted, bits)
    if block.floor:
        codes = build.conv2d(f"{name}.floor", codes, block.floor, width, block.codes2, 2, depthwise=True)
    branch = build.conv2d(f"{name}.conv2", codes, block.conv2, width, STREAM_RANGE, block.conv2_bits)
    return build.add(f"{name}.add", stream, branch, width)
