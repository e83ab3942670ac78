"""What running a .tflite file costs, counted from its operators."""

from math import isqrt
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

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
from qsr_edge_converters.tflite.file_model import FileSubgraph
from qsr_edge_converters.tflite.format import Operator, signature_key
from qsr_edge_converters.tflite.reading import read_model_file

MAX_DEPTH = 64
"""The most residual blocks that a network has, so the most signatures to look for."""


def model_costs(path: Path) -> dict[int, GraphCost]:
    """Costs by depth of a model that qsr-edge wrote; weights count as 8 bits, since a file does not tell their bits.

    Raises:
        BackendError: if the file is damaged.
    """
    model = read_model_file(path)
    costs = {}
    for depth in range(MAX_DEPTH + 1):
        signature = model.signatures.get(signature_key(depth))
        if signature is not None:
            costs[depth] = graph_cost(*_as_graph(model.subgraphs[signature.subgraph], depth))
    return costs


def _as_graph(subgraph: FileSubgraph, depth: int) -> tuple[Graph, Constants]:
    """A graph of the same operators and shapes; ranges, weights and requantizations are stand-ins that cost nothing."""
    upscale = dict.fromkeys(range(len(subgraph.tensors)), 1)
    nodes: list[Node] = []
    weights: dict[ConstantId, NDArray[np.int8]] = {}
    output = _tensor_id(-1)
    for i, operator in enumerate(subgraph.operators):
        name, target = f"operator {i}", operator.outputs[0]
        sources = [key for key in operator.inputs if not subgraph.tensors[key].content.size]
        source = _tensor_id(sources[0])
        upscale[target] = upscale[sources[0]]
        if operator.code == Operator.QUANTIZE and sources[0] in subgraph.inputs:
            nodes.append(QuantizeInput(name=name, output=_tensor_id(target)))
        elif operator.code == Operator.QUANTIZE:
            output = source
        elif operator.code == Operator.ADD:
            nodes.append(Add(name=name, inputs=(source, _tensor_id(sources[-1])), output=_tensor_id(target)))
        elif operator.code == Operator.DEPTH_TO_SPACE:
            block = isqrt(subgraph.tensors[sources[0]].shape[-1] // subgraph.tensors[target].shape[-1])
            upscale[target] *= block
            nodes.append(DepthToSpace(name=name, input=source, output=_tensor_id(target), block=block))
        else:
            key = ConstantId(str(operator.inputs[1]))
            weights[key] = np.zeros(subgraph.tensors[operator.inputs[1]].shape, np.int8)
            conv = Conv2d(
                name=name,
                input=source,
                output=_tensor_id(target),
                weights=key,
                bias=key,
                weight_bits=8,
                requantization=Shift(shifts=key),
            )
            nodes.append(conv)
    graph = Graph(
        name=subgraph.name,
        scale=max(upscale.values()),
        depth=depth,
        bits=8,
        profile=Profile.PORTABLE,
        tensors=tuple(
            Tensor(id=_tensor_id(i), channels=tensor.shape[-1], range=CodeRange.signed(8), upscale=upscale[i])
            for i, tensor in enumerate(subgraph.tensors)
        ),
        nodes=tuple(nodes),
        output=output,
    )
    return graph, Constants(weights)


def _tensor_id(index: int) -> TensorId:
    return TensorId(str(index))
