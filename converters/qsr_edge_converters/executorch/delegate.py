"""An integer graph as the graph that XNNPACK's delegate runs, written by ExecuTorch's own schema and serializer.

ExecuTorch's partitioner would come to the same graph, from a program of quantize and dequantize operators, in dozens of
passes of torch over each depth: 30 CPU seconds for three depths, where this takes 4. What it would find is known
beforehand: each node is one of XNNPACK's in int8. Every activation has step size 1, so that a weight's scale is the
multiplier; a clamp is the range of the node that it follows; depth-to-space is a transposed convolution by ones.
"""

import hashlib
from dataclasses import dataclass, field

import numpy as np
from executorch.backends.xnnpack.serialization.xnnpack_graph_schema import (
    ConstantDataOffset,
    OutputMinMax,
    PerChannelQuant,
    PerTensorQuant,
    XNNAdd,
    XNNConv2d,
    XNNConvTranspose2d,
    XNNDatatype,
    XNNDepthwiseConv2d,
    XNNGraph,
    XNNQuantizedTensorValue,
    XNNTensorValue,
    XNode,
    XValue,
)
from executorch.backends.xnnpack.serialization.xnnpack_graph_serialize import (
    CONSTANT_TENSOR_ALIGNMENT,
    serialize_xnnpack_binary,
)
from executorch.backends.xnnpack.utils.xnnpack_constants import (
    UINT64_MAX,
    XNN_INVALID_VALUE_ID,
    XNN_VALUE_FLAG_EXTERNAL_INPUT,
    XNN_VALUE_FLAG_EXTERNAL_OUTPUT,
)
from executorch.exir._serialize._named_data_store import NamedDataStore, NamedDataStoreOutput
from numpy.typing import NDArray

from qsr_edge.graph.integer_graph import ConvolutionalGraph
from qsr_edge.graph.ir import Add, Conv2d, DepthToSpace, QuantizeInput, TensorId
from qsr_edge.quant.arithmetic import CodeRange
from qsr_edge_converters.executorch.encoding import encode_conv

INT8 = CodeRange.signed(8)
_INPUT, _OUTPUT = 0, 1
"""Numbers of the delegate's input and output."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delegate:
    """What a program hands to XNNPACK.

    Attributes:
        content: the serialized graph.
        constants: weights, biases and multipliers, by digests of their bytes, which methods of a program share.
    """

    content: bytes
    constants: NamedDataStoreOutput


def write_delegate(graph: ConvolutionalGraph, size_px: tuple[int, int], external_tag: str | None) -> Delegate:
    """Write a graph from the codes of the image to those of the upscaled one, both (1, H, W, 3) int8.

    Args:
        graph: a verified graph.
        size_px: (height, width) of the largest image.
        external_tag: what the constants' own file is called; None to have them in the program.

    Raises:
        BackendError: naming the node that XNNPACK would not compute exactly.
    """
    return _Writer(graph, size_px, external_tag).written()


def _zero_point(codes: CodeRange) -> int:
    """What int8 stores code 0 as: 0, but -128 for the unsigned codes of 8 bits."""
    return min(0, INT8.q_max - codes.q_max)


@dataclass(slots=True)
class _Writer:
    """Appends values and nodes to one graph."""

    graph: ConvolutionalGraph
    size_px: tuple[int, int]
    external_tag: str | None
    _nodes: list[XNode] = field(default_factory=list)
    _values: list[XValue] = field(default_factory=list)
    _offsets: list[ConstantDataOffset] = field(default_factory=lambda: [ConstantDataOffset(0, 0)])  # 0: no constant
    _store: NamedDataStore = field(default_factory=NamedDataStore)
    _ids: dict[TensorId, int] = field(default_factory=dict)

    def written(self) -> Delegate:
        graph, tensors = self.graph.graph, self.graph.graph.tensors_by_id()
        images = []
        for node in graph.nodes:
            match node:
                case QuantizeInput():
                    images.append(self._activation(node.output, is_image=True))
                case Conv2d():
                    encoded = encode_conv(node, self.graph.constants, input_range=tensors[node.input].range)
                    self._convolution(node, encoded.weights, encoded.scales, encoded.bias)
                case Add():
                    first, second = (self._ids[source] for source in node.inputs)
                    output = self._activation(node.output)
                    self._node(XNNAdd(input1_id=first, input2_id=second, output_id=output, flags=0), node.output)
                case DepthToSpace():
                    self._depth_to_space(node)
        content = XNNGraph(
            version="0",
            xnodes=self._nodes,
            xvalues=self._values,
            num_externs=2,
            input_ids=images,
            output_ids=[self._ids[graph.output]],
            constant_data=self._offsets,
        )
        constants = self._store.get_named_data_store_output()
        return Delegate(content=serialize_xnnpack_binary(content, bytearray()), constants=constants)

    def _node(self, operator: XNNAdd | XNNConv2d | XNNDepthwiseConv2d | XNNConvTranspose2d, output: TensorId) -> None:
        codes = self.graph.graph.tensors_by_id()[output].range
        limits = None if codes == INT8 else OutputMinMax(float(codes.q_min), float(codes.q_max))
        self._nodes.append(XNode(xnode_union=operator, debug_handle=len(self._nodes), output_min_max=limits))

    def _value(self, tensor: XNNTensorValue, quantization: PerTensorQuant | PerChannelQuant) -> int:
        self._values.append(XValue(XNNQuantizedTensorValue(tensor_value=tensor, quant_params=quantization)))
        return len(self._values) - 1

    def _activation(self, name: TensorId, *, is_image: bool = False) -> int:
        graph = self.graph.graph
        tensor = graph.tensors_by_id()[name]
        external, flags = XNN_INVALID_VALUE_ID, 0
        if is_image:
            external, flags = _INPUT, XNN_VALUE_FLAG_EXTERNAL_INPUT
        elif name == graph.output:
            external, flags = _OUTPUT, XNN_VALUE_FLAG_EXTERNAL_OUTPUT
        value = XNNTensorValue(
            datatype=XNNDatatype.xnn_datatype_qint8,
            num_dims=4,
            dims=[1, *(side * tensor.upscale for side in self.size_px), tensor.channels],
            constant_buffer_idx=0,
            external_id=external,
            flags=flags,
            id_out=len(self._values),
        )
        self._ids[name] = self._value(value, PerTensorQuant(scale=1.0, zero_point=_zero_point(tensor.range)))
        return self._ids[name]

    def _stored(self, values: NDArray[np.int8 | np.int32 | np.float32], prefix: str = "") -> int:
        """The number of a constant's bytes."""
        content = np.ascontiguousarray(values).tobytes()
        key = prefix + hashlib.sha256(content).hexdigest()
        self._store.add_named_data(key, content, CONSTANT_TENSOR_ALIGNMENT, self.external_tag)
        self._offsets.append(ConstantDataOffset(offset=UINT64_MAX, size=len(content), named_key=key))
        return len(self._offsets) - 1

    def _constant(self, values: NDArray[np.int8 | np.int32], scales: NDArray[np.float32], channel_axis: int) -> int:
        kinds = {
            np.dtype(np.int8): XNNDatatype.xnn_datatype_qcint8,
            np.dtype(np.int32): XNNDatatype.xnn_datatype_qcint32,
        }
        value = XNNTensorValue(
            datatype=kinds[values.dtype],
            num_dims=values.ndim,
            dims=list(values.shape),
            constant_buffer_idx=self._stored(values),
            external_id=XNN_INVALID_VALUE_ID,
            flags=0,
            id_out=len(self._values),
        )
        place = self._stored(scales, "scale_")
        quantization = PerChannelQuant(
            scale=[], channel_dim=channel_axis, scale_buffer_idx=place, num_scales=len(scales)
        )
        return self._value(value, quantization)

    def _convolution(
        self, node: Conv2d, weights: NDArray[np.int8], scales: NDArray[np.float32], bias: NDArray[np.int32]
    ) -> None:
        """``weights``: (O, K, K, I), depthwise (O, K, K, 1)."""
        outputs, side, _, inputs = weights.shape
        filters = weights.transpose(3, 1, 2, 0) if node.depthwise else weights
        kind = XNNDepthwiseConv2d if node.depthwise else XNNConv2d
        places = {
            "input1_id": self._ids[node.input],
            "filter_id": self._constant(np.ascontiguousarray(filters), scales, 3 if node.depthwise else 0),
            "bias_id": self._constant(bias, scales, 0),
            "output_id": self._activation(node.output),
        }
        groups = outputs if node.depthwise else 1
        settings = _settings(kernel=side, stride=1, padding=side // 2, groups=groups)
        operator = kind(**settings, **places, group_input_channels=inputs, group_output_channels=outputs // groups)
        self._node(operator, node.output)

    def _depth_to_space(self, node: DepthToSpace) -> None:
        channels = self.graph.graph.tensors_by_id()[node.output].channels
        weights = _spread(node.block, channels)
        places = {
            "input1_id": self._ids[node.input],
            "filter_id": self._constant(weights, np.ones(channels, np.float32), 0),
            "bias_id": XNN_INVALID_VALUE_ID,
            "output_id": self._activation(node.output),
        }
        settings = _settings(kernel=node.block, stride=node.block, padding=0, groups=1)
        groups = {"group_input_channels": node.block**2 * channels, "group_output_channels": channels}
        self._node(XNNConvTranspose2d(**settings, **places, **groups), node.output)


def _settings(*, kernel: int, stride: int, padding: int, groups: int) -> dict[str, int]:
    """What all convolutions have, for both axes alike."""
    sides = dict.fromkeys((f"padding_{side}" for side in ("top", "right", "bottom", "left")), padding)
    by_axis = {"kernel": kernel, "subsampling": stride, "dilation": 1, "adjustment": 0}
    axes = {f"{name}_{axis}": value for name, value in by_axis.items() for axis in ("height", "width")}
    return {**sides, **axes, "groups": groups, "flags": 0}


def _spread(block: int, channels: int) -> NDArray[np.int8]:
    """Depth-to-space as a transposed convolution's weights: (channels, block, block, block^2 * channels) int8."""
    weights = np.zeros((channels, block, block, block * block * channels), np.int8)
    for y in range(block):
        for x in range(block):
            for channel in range(channels):
                weights[channel, y, x, (y * block + x) * channels + channel] = 1
    return weights
