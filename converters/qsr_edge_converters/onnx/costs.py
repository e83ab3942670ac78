"""What running an ONNX model costs, counted from the operators of a file that qsr-edge wrote."""

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qsr_edge.errors import GraphError
from qsr_edge.graph.cost import GraphCost, graph_cost
from qsr_edge.graph.ir import (
    Add,
    ConstantId,
    Constants,
    Conv2d,
    DepthToSpace,
    Graph,
    Node,
    QuantizeInput,
    Shift,
    Tensor,
    TensorId,
)
from qsr_edge.quant.arithmetic import CodeRange, Profile
from qsr_edge_converters.onnx.format import INPUT_NAME, OUTPUT_NAME
from qsr_edge_converters.onnx.images import CHANNELS

_SAME_TENSOR = frozenset({"Cast", "DequantizeLinear", "Mul", "QuantizeLinear"})
"""What our files have around operators that compute; it makes no tensor of the integer graph."""
_BITS = 8
"""Of weights and codes, as far as a file tells."""
_MOST_WEIGHTS = 1 << 24
"""Of a convolution: a damaged file may declare more than fits into memory."""


def model_cost(model: Any, depth: int) -> GraphCost | None:
    """The costs of a model, an ``onnx.ModelProto``; weights count as 8 bits, since a file does not tell their bits.

    None if it has operators or shapes that our files have not: another tool may have rewritten one.
    """
    reader = _Reader(model)
    try:
        graph, constants = reader.graph(depth)
        return graph_cost(graph, constants)
    except (GraphError, KeyError, IndexError):
        return None


class _Reader:
    """Makes a graph of the same operators and shapes; ranges, weights and requantizations are stand-ins, of no cost."""

    def __init__(self, model: Any):
        self._model = model.graph
        self._shapes: dict[str, Sequence[int]] = {tensor.name: tensor.dims for tensor in self._model.initializer}
        """Of constants, and of what is made from them alone."""
        self._ids: dict[str, TensorId] = {}
        self._tensors: dict[TensorId, Tensor] = {}
        self._nodes: list[Node] = []
        self._weights: dict[ConstantId, NDArray[np.int8]] = {}

    def graph(self, depth: int) -> tuple[Graph, Constants]:
        self._nodes.append(QuantizeInput(name="image", output=self._new(INPUT_NAME, CHANNELS, 1)))
        for node in self._model.node:
            self._read(node)
        output = self._ids[OUTPUT_NAME]
        graph = Graph(
            name="file",
            scale=self._tensors[output].upscale,
            depth=depth,
            bits=_BITS,
            profile=Profile.PORTABLE,
            tensors=tuple(self._tensors.values()),
            nodes=tuple(self._nodes),
            output=output,
        )
        return graph, Constants(self._weights)

    def _new(self, name: str, channels: int, upscale: int) -> TensorId:
        key = TensorId(f"{len(self._tensors)}")
        self._ids[name] = key
        self._tensors[key] = Tensor(id=key, channels=channels, range=CodeRange.signed(_BITS), upscale=upscale)
        return key

    def _read(self, node: Any) -> None:
        first, output = node.input[0], node.output[0]
        if node.op_type in _SAME_TENSOR:
            if first in self._shapes:
                self._shapes[output] = self._shapes[first]
            else:
                self._ids[output] = self._ids[first]
            return
        source = self._ids[first]
        channels, upscale = self._tensors[source].channels, self._tensors[source].upscale
        match node.op_type:
            case "Conv":
                key = ConstantId(f"{len(self._nodes)}")
                out_channels, in_channels, height, width = self._dimensions(node.input[1])
                self._weights[key] = np.zeros((out_channels, height, width, in_channels), np.int8)
                conv = Conv2d(
                    name=node.name,
                    input=source,
                    output=self._new(output, out_channels, upscale),
                    weights=key,
                    bias=key,
                    weight_bits=_BITS,
                    requantization=Shift(shifts=key),
                )
                self._nodes.append(conv)
            case "Add":
                inputs = (source, self._ids[node.input[1]])
                self._nodes.append(Add(name=node.name, inputs=inputs, output=self._new(output, channels, upscale)))
            case "DepthToSpace":
                block = next((attribute.i for attribute in node.attribute if attribute.name == "blocksize"), 0)
                if block < 1:
                    raise GraphError(f"node {node.name}: blocks of {block}")
                target = self._new(output, channels // block**2, upscale * block)
                self._nodes.append(DepthToSpace(name=node.name, input=source, output=target, block=block))
            case other:
                raise GraphError(f"node {node.name}: {other} is no operator of our files")

    def _dimensions(self, weights: str) -> Sequence[int]:
        shape = self._shapes[weights]
        if len(shape) != 4 or min(shape) < 1 or prod(shape) > _MOST_WEIGHTS:
            raise GraphError(f"{weights}: weights of the shape {tuple(shape)}")
        return shape
