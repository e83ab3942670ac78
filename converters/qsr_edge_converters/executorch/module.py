"""An integer graph as a torch module of ``quantized_decomposed`` operators, each pattern one that XNNPACK takes whole.

Every consumer of a tensor has its own dequantize node, a clamp stands before the quantize node of the convolution that
it fuses into, and depth-to-space is a transposed convolution by ones, which runs inside the delegate in int8.
"""

import numpy as np
import torch
import torch.ao.quantization.fx._decomposed
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from qsr_edge.graph.ir import Add, Constants, Conv2d, DepthToSpace, Graph, QuantizeInput, TensorId
from qsr_edge.quant.arithmetic import CodeRange
from qsr_edge_converters.executorch.encoding import encode_conv

INT8 = CodeRange.signed(8)
_SIGN_BIT = 128
"""Level minus 128, as int8, is the level's byte with its highest bit flipped."""

_ops = torch.ops.quantized_decomposed


def _zero_point(codes: CodeRange) -> int:
    """What int8 stores code 0 as: 0, but -128 for the unsigned codes of 8 bits."""
    return min(0, INT8.q_max - codes.q_max)


def _dequantized(stored: Tensor, codes: CodeRange) -> Tensor:
    arguments = (1.0, _zero_point(codes), INT8.q_min, INT8.q_max, torch.int8)
    result: Tensor = _ops.dequantize_per_tensor(stored, *arguments)
    return result


def _quantized(x: Tensor, codes: CodeRange) -> Tensor:
    result: Tensor = _ops.quantize_per_tensor(x, 1.0, _zero_point(codes), INT8.q_min, INT8.q_max, torch.int8)
    return result


class GraphModule(torch.nn.Module):
    """Runs a graph on (1, 3, H, W) uint8 images in channels-last order; (1, 3, rH, rW) uint8 in the same order."""

    def __init__(self, graph: Graph, constants: Constants):
        """Take the constants of ``graph``.

        Raises:
            BackendError: naming the node that cannot be computed exactly.
        """
        super().__init__()
        self.graph = graph
        self._tensors = graph.tensors_by_id()
        for i, node in enumerate(graph.nodes):
            match node:
                case Conv2d():
                    encoded = encode_conv(node, constants, input_range=self._tensors[node.input].range)
                    self._add_weights(i, encoded.weights, encoded.scales)
                    self.register_buffer(f"bias{i}", torch.from_numpy(encoded.bias))
                case DepthToSpace():
                    channels = self._tensors[node.output].channels
                    self._add_weights(i, _spread(node.block, channels), np.ones(channels, np.float32))
                case QuantizeInput() | Add():
                    pass  # have no weights

    def _add_weights(self, i: int, weights: NDArray[np.int8], scales: NDArray[np.float32]) -> None:
        self.register_buffer(f"weights{i}", torch.from_numpy(np.ascontiguousarray(weights)))
        self.register_buffer(f"scales{i}", torch.from_numpy(scales))
        self.register_buffer(f"zero_points{i}", torch.zeros(len(scales), dtype=torch.int64))

    def _weights(self, i: int, axis: int) -> Tensor:
        weights, scales, zeros = (getattr(self, f"{name}{i}") for name in ("weights", "scales", "zero_points"))
        result: Tensor = _ops.dequantize_per_channel(weights, scales, zeros, axis, -INT8.q_max, INT8.q_max, torch.int8)
        return result

    def forward(self, image: Tensor) -> Tensor:
        """Upscale one image."""
        stored: dict[TensorId, Tensor] = {}

        def real(tensor: TensorId) -> Tensor:
            return _dequantized(stored[tensor], self._tensors[tensor].range)

        for i, node in enumerate(self.graph.nodes):
            output = self._tensors[node.output]
            match node:
                case QuantizeInput():
                    stored[node.output] = torch.bitwise_xor(image, _SIGN_BIT).to(torch.int8)
                    continue
                case Conv2d():
                    weights = self._weights(i, 0)
                    result = F.conv2d(
                        real(node.input),
                        weights,
                        getattr(self, f"bias{i}"),
                        padding=weights.shape[-1] // 2,
                        groups=output.channels if node.depthwise else 1,
                    )
                    if output.range != INT8:
                        result = F.hardtanh(result, float(output.range.q_min), float(output.range.q_max))
                case Add():
                    result = real(node.inputs[0]) + real(node.inputs[1])
                case DepthToSpace():
                    result = F.conv_transpose2d(real(node.input), self._weights(i, 1), stride=node.block)
            stored[node.output] = _quantized(result, output.range)
        return torch.bitwise_xor(stored[self.graph.output], -_SIGN_BIT).to(torch.uint8)


def _spread(block: int, channels: int) -> NDArray[np.int8]:
    """Depth-to-space as a transposed convolution's weights: (block^2 * channels, channels, block, block) int8."""
    weights = np.zeros((block * block * channels, channels, block, block), np.int8)
    for y in range(block):
        for x in range(block):
            for channel in range(channels):
                weights[(y * block + x) * channels + channel, channel, y, x] = 1
    return weights
