"""Costs against numbers derived by hand."""

from dataclasses import replace

import numpy as np
import pytest

from qsr_edge.errors import GraphError
from qsr_edge.graph.cost import graph_cost
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

INT8 = CodeRange.signed(8)


def conv(name: str, source: str, weights: str, *, bits: int, depthwise: bool = False) -> Conv2d:
    return Conv2d(
        name=name,
        input=TensorId(source),
        output=TensorId(name),
        weights=ConstantId(weights),
        bias=ConstantId(f"{weights}.bias"),
        weight_bits=bits,
        requantization=Shift(shifts=ConstantId(f"{weights}.shift")),
        depthwise=depthwise,
    )


# x -> head 3x3 (3 -> 4), W6 ------------------------- + -> tail 3x3 (4 -> 12), W6 -+-> depth to space
#   |            `-> requantize 1x1 dw -> a 3x3, W4 --'                             |
#   `-> anchor 1x1 (3 -> 12), W2 ---------------------------------------------------'
NODES: tuple[Node, ...] = (
    QuantizeInput(name="quantize", output=TensorId("x")),
    conv("head", "x", "w.head", bits=6),
    conv("requantize", "head", "w.requantize", bits=6, depthwise=True),
    conv("a", "requantize", "w.a", bits=4),
    Add(name="add", inputs=(TensorId("head"), TensorId("a")), output=TensorId("sum")),
    conv("tail", "sum", "w.tail", bits=6),
    conv("anchor", "x", "w.anchor", bits=2),
    Add(name="add_anchor", inputs=(TensorId("tail"), TensorId("anchor")), output=TensorId("image")),
    DepthToSpace(name="shuffle", input=TensorId("image"), output=TensorId("y"), block=2),
)
GRAPH = Graph(
    name="small",
    scale=2,
    depth=1,
    bits=4,
    profile=Profile.PORTABLE,
    tensors=(
        Tensor(id=TensorId("x"), channels=3, range=INT8),
        Tensor(id=TensorId("head"), channels=4, range=INT8),
        Tensor(id=TensorId("requantize"), channels=4, range=CodeRange.signed(4)),
        Tensor(id=TensorId("a"), channels=4, range=INT8),
        Tensor(id=TensorId("sum"), channels=4, range=INT8),
        Tensor(id=TensorId("tail"), channels=12, range=INT8),
        Tensor(id=TensorId("anchor"), channels=12, range=INT8),
        Tensor(id=TensorId("image"), channels=12, range=INT8),
        Tensor(id=TensorId("y"), channels=3, range=INT8, upscale=2),
    ),
    nodes=NODES,
    output=TensorId("y"),
)
CONSTANTS = Constants(
    {
        ConstantId("w.head"): np.zeros((4, 3, 3, 3), np.int8),
        ConstantId("w.requantize"): np.zeros((4, 1, 1, 1), np.int8),
        ConstantId("w.a"): np.zeros((4, 3, 3, 4), np.int8),
        ConstantId("w.tail"): np.zeros((12, 3, 3, 4), np.int8),
        ConstantId("w.anchor"): np.zeros((12, 1, 1, 3), np.int8),
        ConstantId("w.out"): np.zeros((3, 3, 3, 3), np.int8),
    }
)


def test_macs() -> None:
    # head 4*9*3 = 108, requantize 4, a 4*9*4 = 144, tail 12*9*4 = 432, anchor 12*3 = 36
    assert graph_cost(GRAPH, CONSTANTS).macs_per_pixel == 108 + 4 + 144 + 432 + 36


def test_bops() -> None:
    # MACs x weight bits x bits of what is read; only the input of "a" is narrower than 8 bits.
    expected = 108 * 6 * 8 + 4 * 6 * 8 + 144 * 4 * 4 + 432 * 6 * 8 + 36 * 2 * 8
    assert graph_cost(GRAPH, CONSTANTS).bops_per_pixel == expected


def test_ideal_weight_bytes() -> None:
    bits = 108 * 6 + 4 * 6 + 144 * 4 + 432 * 6 + 36 * 2
    assert graph_cost(GRAPH, CONSTANTS).weight_bytes_ideal == bits / 8


def test_shared_weights_count_once() -> None:
    twice = replace(GRAPH, nodes=(*NODES[:6], replace(conv("a", "sum", "w.a", bits=4), name="again"), *NODES[6:]))
    cost, once = graph_cost(twice, CONSTANTS), graph_cost(GRAPH, CONSTANTS)
    assert cost.weight_bytes_ideal == once.weight_bytes_ideal
    assert cost.macs_per_pixel == once.macs_per_pixel + 144


def test_peak_activations() -> None:
    # At add_anchor: tail, anchor and their sum, 12 bytes each; depth to space then holds 12 + 12, the output image 12
    # + 12. The uint8 input image adds 3 throughout.
    assert graph_cost(GRAPH, CONSTANTS).peak_activation_bytes_per_pixel == 3 + 36


def test_a_tensor_lives_until_its_last_reader() -> None:
    # Without the tail's wide tensors the peak is at "add": x (for the anchor), head, a and the sum.
    nodes = (*NODES[:5], Add(name="last", inputs=(TensorId("sum"), TensorId("x")), output=TensorId("image")))
    tensors = tuple(replace(t, channels=1) if t.id == "image" else t for t in GRAPH.tensors)
    cost = graph_cost(replace(GRAPH, nodes=nodes, tensors=tensors, output=TensorId("image")), CONSTANTS)
    assert cost.peak_activation_bytes_per_pixel == 3 + 3 + 4 + 4 + 4


def test_halo_follows_the_longest_path() -> None:
    assert graph_cost(GRAPH, CONSTANTS).halo_px == 3  # head, a, tail; 1x1 reach nothing


def test_halo_of_a_convolution_after_upscaling() -> None:
    out = Tensor(id=TensorId("out"), channels=3, range=INT8, upscale=2)
    graph = replace(
        GRAPH, nodes=(*NODES, conv("out", "y", "w.out", bits=6)), tensors=(*GRAPH.tensors, out), output=TensorId("out")
    )
    cost = graph_cost(graph, CONSTANTS)
    assert cost.halo_px == 4  # half an input pixel more, rounded up
    assert cost.macs_per_pixel == 724 + 81 * 4


def test_an_undeclared_tensor() -> None:
    with pytest.raises(GraphError, match="'head' that is not declared"):
        graph_cost(replace(GRAPH, tensors=GRAPH.tensors[:1]), CONSTANTS)


def test_a_tensor_read_before_it_is_written() -> None:
    with pytest.raises(GraphError, match="reads 'head', which was not written before"):
        graph_cost(replace(GRAPH, nodes=(NODES[0], *NODES[2:])), CONSTANTS)


def test_an_output_that_is_never_written() -> None:
    with pytest.raises(GraphError, match="no node writes the output"):
        graph_cost(replace(GRAPH, nodes=NODES[:3]), CONSTANTS)


def test_a_missing_constant() -> None:
    with pytest.raises(GraphError, match=r"w\.head"):
        graph_cost(GRAPH, Constants({}))
