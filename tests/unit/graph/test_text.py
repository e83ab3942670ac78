"""Graphs as text: a line for each tensor, node and constant, other text for another graph."""

from dataclasses import replace

import numpy as np

from qsr_edge.graph.ir import (
    Add,
    ConstantId,
    Constants,
    Conv2d,
    DepthToSpace,
    Graph,
    Multiplier,
    QuantizeInput,
    Shift,
    Tensor,
    TensorId,
)
from qsr_edge.graph.text import format_graph
from qsr_edge.quant.arithmetic import CodeRange, Profile

INT8 = CodeRange.signed(8)


def small_graph() -> tuple[Graph, Constants]:
    """One of each node, on 3 channels, x2."""
    image, stream, wide, big = (TensorId(name) for name in ("image", "stream", "wide", "big"))
    weights, depthwise, bias, shifts, wide_bias, multipliers = (
        ConstantId(name) for name in ("w", "dw", "b", "s", "wide_b", "m")
    )
    graph = Graph(
        name="small",
        scale=2,
        depth=1,
        bits=4,
        profile=Profile.SCALED,
        tensors=(
            Tensor(id=image, channels=3, range=INT8),
            Tensor(id=stream, channels=3, range=CodeRange.unsigned(4)),
            Tensor(id=TensorId("sum"), channels=3, range=INT8),
            Tensor(id=wide, channels=12, range=INT8),
            Tensor(id=big, channels=3, range=INT8, upscale=2),
        ),
        nodes=(
            QuantizeInput(name="quantize", output=image),
            Conv2d(
                name="shift_input",
                input=image,
                output=stream,
                weights=depthwise,
                bias=bias,
                weight_bits=4,
                requantization=Shift(shifts=shifts),
                depthwise=True,
            ),
            Add(name="residual", inputs=(image, stream), output=TensorId("sum")),
            Conv2d(
                name="tail",
                input=TensorId("sum"),
                output=wide,
                weights=weights,
                bias=wide_bias,
                weight_bits=6,
                requantization=Multiplier(multipliers=multipliers),
            ),
            DepthToSpace(name="shuffle", input=wide, output=big, block=2),
        ),
        output=big,
    )
    constants = Constants(
        {
            weights: (np.arange(12 * 27) % 13 - 6).astype(np.int8).reshape(12, 3, 3, 3),
            depthwise: np.ones((3, 1, 1, 1), np.int8),
            bias: np.array([-1, 0, 70_000], np.int32),
            wide_bias: np.arange(12, dtype=np.int32),
            shifts: np.array([1, 2, 3], np.int32),
            multipliers: np.linspace(0.001, 0.5, 12, dtype=np.float32),
            ConstantId("unused"): np.zeros(1000, np.int8),
        }
    )
    return graph, constants


TEXT = """\
graph small: x2, depth 1, 4 bits, scaled, output big
tensors
  image: 3 channels, codes [-128, 127], grid x1
  stream: 3 channels, codes [0, 15], grid x1
  sum: 3 channels, codes [-128, 127], grid x1
  wide: 12 channels, codes [-128, 127], grid x1
  big: 3 channels, codes [-128, 127], grid x2
nodes
  quantize: quantize_input image -> image
  shift_input: conv2d image -> stream weights dw (4 bits), bias b, shift s, depthwise
  residual: add image, stream -> sum
  tail: conv2d sum -> wide weights w (6 bits), bias wide_b, multiplier m
  shuffle: depth_to_space wide -> big block 2
constants
  b: int32 3 [-1, 70000] sha256 aef24192cfaf
  dw: int8 3x1x1x1 [1, 1] sha256 75c8fd04ad91
  m: float32 12 [0.00100000005, 0.5] sha256 f9e26edb3dc0
  s: int32 3 [1, 3] sha256 4636993d3e1d
  w: int8 12x3x3x3 [-6, 6] sha256 a78299afe40d
  wide_b: int32 12 [0, 11] sha256 a4886fc88ead
"""


def test_text() -> None:
    assert format_graph(*small_graph()) == TEXT


def test_text_shows_a_change_of_one_weight() -> None:
    graph, constants = small_graph()
    bias = constants[ConstantId("wide_b")].copy()
    bias[5] += 1
    assert format_graph(graph, Constants({**constants, ConstantId("wide_b"): bias})) != TEXT
    assert format_graph(replace(graph, depth=2), constants) != TEXT
