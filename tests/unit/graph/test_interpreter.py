"""The interpreter against a slow evaluation in exact Python integers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from qsr_edge.errors import GraphError
from qsr_edge.graph import Conv2d, Graph, Multiplier, QuantizeInput, Shift, Tensor
from qsr_edge.graph.interpreter import accumulator_bound, depth_to_space, run_graph
from qsr_edge.graph.ir import ConstantId, Constants, DepthToSpace, TensorId
from qsr_edge.graph.verify import verify_graph
from qsr_edge.quant.arithmetic import CodeRange, Profile

INT8 = CodeRange.signed(8)


def one_conv(
    weights: NDArray[np.int8],
    bias: NDArray[np.int32],
    shifts: NDArray[np.int32],
    *,
    weight_bits: int = 6,
    depthwise: bool = False,
    multipliers: NDArray[np.float32] | None = None,
) -> tuple[Graph, Constants]:
    """image -> one convolution to 12 channels or 3 -> depth-to-space by 2 where it fits."""
    outputs = weights.shape[0]
    arrays = {ConstantId("w"): weights, ConstantId("b"): bias, ConstantId("s"): shifts}
    requantization: Shift | Multiplier = Shift(shifts=ConstantId("s"))
    if multipliers is not None:
        arrays[ConstantId("m")] = multipliers
        requantization = Multiplier(multipliers=ConstantId("m"))
    conv = Conv2d(
        name="conv", input=TensorId("image"), output=TensorId("out"), weights=ConstantId("w"), bias=ConstantId("b"),
        weight_bits=weight_bits, requantization=requantization, depthwise=depthwise,
    )  # fmt: skip
    graph = Graph(
        name="one", scale=2, depth=0, bits=4,
        profile=Profile.PORTABLE if multipliers is None else Profile.SCALED,
        tensors=(
            Tensor(id=TensorId("image"), channels=3, range=INT8),
            Tensor(id=TensorId("out"), channels=outputs, range=INT8),
            Tensor(id=TensorId("up"), channels=3, range=INT8, upscale=2),
        ),
        nodes=(
            QuantizeInput(name="quantize", output=TensorId("image")),
            conv,
            DepthToSpace(name="d2s", input=TensorId("out"), output=TensorId("up"), block=2),
        ),
        output=TensorId("up"),
    )  # fmt: skip
    return graph, Constants(arrays)


def slow_conv(
    image: NDArray[np.uint8], weights: NDArray[np.int8], bias: NDArray[np.int32], shifts: NDArray[np.int32]
) -> list[list[list[int]]]:
    height, width, _ = image.shape
    outputs, kernel = weights.shape[:2]
    result = [[[0] * outputs for _ in range(width)] for _ in range(height)]
    for y in range(height):
        for x in range(width):
            for o in range(outputs):
                total = int(bias[o])
                for ky in range(kernel):
                    for kx in range(kernel):
                        sy, sx = y + ky - kernel // 2, x + kx - kernel // 2
                        if 0 <= sy < height and 0 <= sx < width:
                            total += sum(int(weights[o, ky, kx, c]) * (int(image[sy, sx, c]) - 128) for c in range(3))
                s = int(shifts[o])
                result[y][x][o] = max(-128, min(127, (total + (1 << (s - 1))) >> s))
    return result


@given(st.integers(1, 5), st.integers(1, 5), st.sampled_from([1, 3]), st.integers(0, 2**32 - 1))
def test_convolution_equals_exact_integers(height: int, width: int, kernel: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    weights = rng.integers(-31, 32, (12, kernel, kernel, 3), np.int8)
    bias = rng.integers(-5000, 5000, 12, np.int32)
    shifts = rng.integers(1, 9, 12, dtype=np.int32)
    image = rng.integers(0, 256, (height, width, 3), np.uint8)
    graph, constants = one_conv(weights, bias, shifts)
    verify_graph(graph, constants)
    expected = depth_to_space(np.array(slow_conv(image, weights, bias, shifts), np.float32), 2) + 128
    assert np.array_equal(run_graph(graph, constants, image), expected.astype(np.uint8))


def test_depth_to_space_keeps_neighbours_together() -> None:
    codes = np.arange(12, dtype=np.float32).reshape(1, 1, 12)
    assert depth_to_space(codes, 2).tolist() == [[[0, 1, 2], [3, 4, 5]], [[6, 7, 8], [9, 10, 11]]]


def test_multiplier_rounds_halves_to_even() -> None:
    weights = np.zeros((12, 1, 1, 3), np.int8)
    weights[np.arange(12), 0, 0, np.arange(12) % 3] = 1
    graph, constants = one_conv(
        weights, np.zeros(12, np.int32), np.ones(12, np.int32), multipliers=np.full(12, 0.5, np.float32)
    )
    verify_graph(graph, constants)
    image = np.array([[[129, 131, 125]]], np.uint8)  # codes 1, 3, -3 -> 0.5, 1.5, -1.5 -> 0, 2, -2
    assert run_graph(graph, constants, image)[0, 0].tolist() == [128, 130, 126]


def test_accumulator_bound_is_reached_and_never_passed() -> None:
    weights = np.full((1, 3, 3, 2), -8, np.int8)
    bias = np.array([-5], np.int32)
    assert accumulator_bound(weights, bias, CodeRange.signed(4)) == 9 * 2 * 8 * 8 + 5
    assert accumulator_bound(weights, bias, CodeRange.unsigned(4)) == 9 * 2 * 8 * 15 + 5


def test_float64_takes_over_where_float32_would_not_be_exact() -> None:
    weights = np.ones((12, 1, 1, 3), np.int8)
    # One below the rounding threshold; float32 would round it onto it.
    value = (1 << 25) + (1 << 18) - 1
    bias = np.full(12, value, np.int32)
    graph, constants = one_conv(weights, bias, np.full(12, 19, np.int32))
    image = np.full((1, 1, 3), 128, np.uint8)
    assert run_graph(graph, constants, image)[0, 0, 0] == 128 + ((value + (1 << 18)) >> 19)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weights": np.full((12, 3, 3, 3), 33, np.int8)}, "6 bits"),
        ({"weights": np.zeros((12, 2, 2, 3), np.int8)}, "K odd"),
        ({"weights": np.zeros((12, 3, 3, 4), np.int8)}, "12 output and 3 input channels"),
        ({"bias": np.zeros(11, np.int32)}, "bias int32"),
        ({"bias": np.full(12, 1 << 23, np.int32)}, "accumulators up to"),
        ({"shifts": np.zeros(12, np.int32)}, "1 to 24"),
    ],
)
def test_verify_names_the_node_and_the_fault(change: dict[str, NDArray[np.int8]], message: str) -> None:
    parts = {
        "weights": np.zeros((12, 3, 3, 3), np.int8), "bias": np.zeros(12, np.int32), "shifts": np.ones(12, np.int32),
    }  # fmt: skip
    graph, constants = one_conv(**{**parts, **change})
    with pytest.raises(GraphError, match=f"node conv.*{message}"):
        verify_graph(graph, constants)


def test_only_uint8_images_are_taken() -> None:
    graph, constants = one_conv(np.zeros((12, 3, 3, 3), np.int8), np.zeros(12, np.int32), np.ones(12, np.int32))
    for image in (np.zeros((2, 2, 3), np.float32), np.zeros((2, 2), np.uint8), np.zeros((0, 2, 3), np.uint8)):
        with pytest.raises(GraphError, match="uint8 image"):
            run_graph(graph, constants, image)
