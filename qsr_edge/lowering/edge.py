"""``quantsr_c_edge`` checkpoint -> integer graphs, one per depth.

The same float32 operations in the same order as the training forward pass turn weights into codes, so the graph
computes what the trained network computes, bit for bit.
"""

import numpy as np
from numpy.typing import NDArray

from qsr_edge.errors import LoweringError
from qsr_edge.graph.ir import (
    Array,
    ConstantId,
    Constants,
    Multiplier,
    Requantization,
    Shift,
)
from qsr_edge.lowering.builder import Float, GraphBuilder, rounded
from qsr_edge.lowering.network import LoweredNetwork, convolutional_network, model_name
from qsr_edge.nn.checkpoint import Checkpoint
from qsr_edge.nn.config import EDGE_WEIGHT_BITS, RATIO_MANTISSA, EdgeConfig
from qsr_edge.quant.arithmetic import IMAGE_STEP, STREAM_RANGE, CodeRange, Profile


def _config(checkpoint: Checkpoint) -> EdgeConfig:
    if not isinstance(checkpoint.config, EdgeConfig):
        raise LoweringError(f"a {checkpoint.config.architecture.value} network is lowered by another pass")
    return checkpoint.config


class _ConstantWriter:
    """Turns one checkpoint's tensors into integer constants; all depths share them."""

    def __init__(self, checkpoint: Checkpoint):
        self.checkpoint = checkpoint
        self.arrays: dict[ConstantId, Array] = {}

    def _integers(self, key: str, values: NDArray[np.float32], dtype: type[np.int8] | type[np.int32]) -> ConstantId:
        limits = np.iinfo(dtype)
        if not np.isfinite(values).all() or values.min() < limits.min or values.max() > limits.max:
            raise LoweringError(
                f"{key}: codes in [{values.min()}, {values.max()}] do not fit {limits.dtype}; train anew"
            )
        self.arrays[ConstantId(key)] = values.astype(dtype)
        return ConstantId(key)

    def convolution(
        self,
        name: str,
        step_in: Float,
        step_out: Float,
        weight_range: CodeRange,
        gain: Float | None = None,
        *,
        depth: int | None = None,
    ) -> tuple[ConstantId, ConstantId, Requantization]:
        """Weights (OHWI), bias and requantization of one trained convolution; ``depth``: with that depth's own bias."""
        tensors = self.checkpoint.tensors
        weight, bias = tensors[f"{name}.weight"], tensors[f"{name}.bias"]
        if gain is not None:
            weight, bias = weight * gain, bias * gain
        bias_key = f"{name}.bias"
        if depth is not None:
            bias = bias + tensors[f"{name}_depth_bias"][self.checkpoint.config.depths.index(depth)]
            bias_key += f".d{depth}"
        requantization: Requantization
        if self.checkpoint.config.profile is Profile.PORTABLE:
            exponent = tensors[f"{name}.exponent"]
            step_w = np.asarray(np.exp2(-exponent) * (step_out / step_in), np.float32)
            requantization = Shift(shifts=self._integers(f"{name}.shifts", exponent, np.int32))
        else:
            step_w = tensors[f"{name}.step"]
            key = ConstantId(f"{name}.multipliers")
            self.arrays[key] = np.asarray(step_in * step_w / step_out, np.float32)
            requantization = Multiplier(multipliers=key)
        q_weight = rounded(weight / step_w.reshape(-1, 1, 1, 1), weight_range)
        q_bias = rounded(np.asarray(bias / (step_in * step_w), np.float32))
        return (
            self._integers(f"{name}.weights", q_weight.transpose(0, 2, 3, 1), np.int8),
            self._integers(bias_key, q_bias, np.int32),
            requantization,
        )

    def stream_requantization(self, name: str, stream_step: Float) -> tuple[ConstantId, ConstantId, Requantization]:
        """RLQ with its shift, from the stream's grid to a block's: depthwise 1x1 convolution by an integer mantissa."""
        step = self.checkpoint.tensors[f"{name}.step"]
        shift = self.checkpoint.tensors[f"{name}.shift"]
        ratio = np.asarray(stream_step / step, np.float32)
        unit = np.exp2(np.floor(np.log2(ratio)) - np.float32(4)).astype(np.float32)
        mantissa = rounded(ratio / unit, RATIO_MANTISSA)
        q_shift = rounded(shift / step / unit)
        channels = shift.shape[0]
        return (
            self._integers(f"{name}.weights", np.full((channels, 1, 1, 1), mantissa, np.float32), np.int8),
            self._integers(f"{name}.bias", q_shift, np.int32),
            Shift(shifts=self._integers(f"{name}.shifts", np.full(channels, -np.log2(unit), np.float32), np.int32)),
        )

    def anchor(self, scale: int) -> tuple[ConstantId, ConstantId, Requantization]:
        """Nearest-neighbour copy, 3 -> 3 r^2 channels: weight 2, shift 1."""
        outputs = 3 * scale**2
        weights = np.zeros((outputs, 1, 1, 3), np.float32)
        weights[np.arange(outputs), 0, 0, np.arange(outputs) % 3] = 2
        return (
            self._integers("anchor.weights", weights, np.int8),
            self._integers("anchor.bias", np.zeros(outputs, np.float32), np.int32),
            Shift(shifts=self._integers("anchor.shifts", np.ones(outputs, np.float32), np.int32)),
        )

    def tail(self, stream_step: Float, image_step: Float) -> dict[int, tuple[ConstantId, ConstantId, Requantization]]:
        """The last convolution by depth; all depths share it but for their own biases, if the network has those.

        Output channels are reordered from pixel shuffle's c * r^2 + s to the graph's s * 3 + c.
        """
        config, edge = _config(self.checkpoint), CodeRange.signed(EDGE_WEIGHT_BITS)
        if config.depth_biases:
            tails = {d: self.convolution("tail", stream_step, image_step, edge, depth=d) for d in config.depths}
        else:
            tails = dict.fromkeys(config.depths, self.convolution("tail", stream_step, image_step, edge))
        order = np.arange(3 * config.scale**2).reshape(3, config.scale**2).T.ravel()
        keys: set[ConstantId] = set()
        for weights, bias, requantization in tails.values():
            match requantization:
                case Shift(shifts=key) | Multiplier(multipliers=key):
                    keys |= {weights, bias, key}
        for key in keys:
            self.arrays[key] = self.arrays[key][order]
        return tails


def lower_checkpoint(checkpoint: Checkpoint) -> LoweredNetwork:
    """Lower a quantized ``quantsr_c_edge`` network at every depth that it offers.

    Raises:
        LoweringError: if the network is a float one, or a code does not fit its type.
        GraphError: if a graph would not be exact.
    """
    config, tensors = _config(checkpoint), checkpoint.tensors
    if config.bits is None:
        raise LoweringError("this is a float checkpoint; train a quantized one from it with 'qsr-edge train --start'")
    bits, activation_bits = config.bits, config.body_activation_bits or config.bits
    width, outputs = config.channels, 3 * config.scale**2
    image_step, stream_step = np.float32(IMAGE_STEP), tensors["stream_step"]
    edge, body = CodeRange.signed(EDGE_WEIGHT_BITS), CodeRange.signed(bits)
    writer = _ConstantWriter(checkpoint)
    head = writer.convolution("head", image_step, stream_step, edge)
    tails = writer.tail(stream_step, image_step)
    anchor = writer.anchor(config.scale)
    blocks = []
    for i in range(config.blocks):
        step2, name = tensors[f"body.{i}.quant2.step"], f"body.{i}.quant1"
        step1 = stream_step if config.reads_stream_codes else tensors[f"{name}.step"]
        blocks.append(
            (
                None if config.reads_stream_codes else writer.stream_requantization(name, stream_step),
                writer.convolution(f"body.{i}.conv1", step1, step2, body),
                writer.convolution(f"body.{i}.conv2", step2, stream_step, body, tensors[f"body.{i}.importance"]),
            )
        )
    constants = Constants(writer.arrays)
    graphs = {}
    for depth in config.depths:
        build = GraphBuilder()
        image = build.quantize_input()
        stream = build.conv2d("head", image, head, width, STREAM_RANGE, EDGE_WEIGHT_BITS)
        for i in config.kept_blocks(depth):
            requantized, conv1, conv2 = blocks[i]
            inner = stream
            if requantized is not None:
                grid, name = CodeRange.signed(activation_bits), f"body.{i}.quant1"
                inner = build.conv2d(name, stream, requantized, width, grid, EDGE_WEIGHT_BITS, depthwise=True)
            inner = build.conv2d(f"body.{i}.conv1", inner, conv1, width, CodeRange.unsigned(activation_bits), bits)
            branch = build.conv2d(f"body.{i}.conv2", inner, conv2, width, STREAM_RANGE, bits)
            stream = build.add(f"body.{i}.add", stream, branch, width)
        residual = build.conv2d("tail", stream, tails[depth], outputs, STREAM_RANGE, EDGE_WEIGHT_BITS)
        nearest = build.conv2d("anchor", image, anchor, outputs, STREAM_RANGE, EDGE_WEIGHT_BITS)
        summed = build.add("sum", residual, nearest, outputs)
        output = build.depth_to_space(summed, config.scale)
        graphs[depth] = build.graph(model_name(config), config, depth, bits, output, constants)
    return convolutional_network(graphs, constants)
