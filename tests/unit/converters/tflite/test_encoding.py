"""Encodings against exact integers, and what cannot be encoded."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qsr_edge.errors import BackendError
from qsr_edge.graph.ir import ConstantId, Constants, Conv2d, Multiplier, Requantization, Shift, TensorId
from qsr_edge.quant.arithmetic import CodeRange
from qsr_edge_converters.tflite.encoding import (
    NEARLY_ONE,
    OFFSET,
    PLAIN,
    Activation,
    WeightType,
    encode_conv,
    label_of,
    pack_int4,
)

INT8 = CodeRange.signed(8)


def conv(
    weights: np.ndarray,
    shifts: list[int] | None = None,
    *,
    bias: int = 0,
    weight_bits: int = 6,
    multipliers: list[float] | None = None,
    depthwise: bool = False,
) -> tuple[Conv2d, Constants]:
    arrays = {
        ConstantId("w"): weights.astype(np.int8),
        ConstantId("b"): np.full(len(weights), bias, np.int32),
        ConstantId("s"): np.array(shifts or [], np.int32),
        ConstantId("m"): np.array(multipliers or [], np.float32),
    }
    requantization: Requantization = Shift(shifts=ConstantId("s"))
    if multipliers is not None:
        requantization = Multiplier(multipliers=ConstantId("m"))
    node = Conv2d(
        name="block3.conv1",
        input=TensorId("x"),
        output=TensorId("y"),
        weights=ConstantId("w"),
        bias=ConstantId("b"),
        weight_bits=weight_bits,
        requantization=requantization,
        depthwise=depthwise,
    )
    return node, Constants(arrays)


@pytest.mark.parametrize(
    ("codes", "scale", "zero_point", "activation"),
    [
        (CodeRange(-128, 127), 1.0, 0, Activation.NONE),
        (CodeRange(-8, 7), 1 / 8, 120, Activation.RELU_N1_TO_1),
        (CodeRange(-2, 1), 1 / 2, 126, Activation.RELU_N1_TO_1),
        (CodeRange(0, 15), 1.0, 112, Activation.RELU),
        (CodeRange(0, 255), 1.0, -128, Activation.RELU),
    ],
)
def test_label(codes: CodeRange, scale: float, zero_point: int, activation: Activation) -> None:
    label = label_of(codes, where="x")
    assert (label.scale, label.zero_point, label.activation) == (scale, zero_point, activation)
    # The upper end of every range is the upper end of int8, so that saturation clamps there.
    assert codes.q_max + zero_point == 127


@pytest.mark.parametrize("codes", [CodeRange(-7, 7), CodeRange(0, 14), CodeRange(1, 15), CodeRange(0, 256)])
def test_label_refuses_other_ranges(codes: CodeRange) -> None:
    with pytest.raises(BackendError, match=r"node n, output.*expected the signed or unsigned range"):
        label_of(codes, where="node n, output")


@pytest.mark.parametrize(("largest", "guard_bits"), [(31, 2), (32, 1), (63, 1)])
def test_guard_bits(largest: int, guard_bits: int) -> None:
    node, constants = conv(np.full((1, 1, 1, 1), largest), [4], bias=5, weight_bits=7)
    encoded = encode_conv(node, constants, input_range=INT8, output_range=INT8, compact=False)
    assert encoded.weights.item() == largest << guard_bits
    assert encoded.bias.item() == (5 << guard_bits) + 1
    assert encoded.weight_scales.item() == NEARLY_ONE * 2.0 ** -(4 + guard_bits)
    assert encoded.output == PLAIN


@given(
    accumulator=st.integers(-(1 << 20), 1 << 20),
    shift=st.integers(1, 12),
    guard_bits=st.sampled_from([1, 2]),
)
def test_float32_and_fixed_point_requantization_agree(accumulator: int, shift: int, guard_bits: int) -> None:
    """XNNPACK's formula and the built-in kernels', in Python, against half up."""
    q = (accumulator + (1 << shift >> 1)) >> shift
    if abs(q) > 256:
        return
    encoded = (accumulator << guard_bits) + 1
    exponent = shift + guard_bits
    xnnpack = np.rint(np.float32(encoded) * np.float32(NEARLY_ONE * 2.0**-exponent))
    mantissa = (1 << 31) - 128  # of NEARLY_ONE, in units of 2^-31
    high = (encoded * mantissa + (1 << 30 if encoded >= 0 else 1 - (1 << 30))) / (1 << 31)
    truncated = int(high)
    mask = (1 << exponent) - 1
    threshold = (mask >> 1) + (truncated < 0)
    builtin = (truncated >> exponent) + ((truncated & mask) > threshold)
    assert xnnpack == builtin == q


def test_signed_narrow_output_scales() -> None:
    node, constants = conv(np.full((2, 1, 1, 1), 16), [3, 5], depthwise=True)
    encoded = encode_conv(node, constants, input_range=INT8, output_range=CodeRange(-8, 7), compact=False)
    assert encoded.weights.shape == (1, 1, 1, 2)
    ratio = encoded.weight_scales / np.float32(encoded.output.scale)
    assert ratio.tolist() == [NEARLY_ONE * 2.0**-5, NEARLY_ONE * 2.0**-7]


def test_compact_keeps_four_bits_as_they_are_and_offsets_signed_outputs() -> None:
    weights = np.random.default_rng(0).integers(-8, 8, (16, 3, 3, 16))
    node, constants = conv(weights, [6] * 16, bias=-3, weight_bits=4)
    encoded = encode_conv(node, constants, input_range=CodeRange(0, 15), output_range=INT8, compact=True)
    assert encoded.weight_type is WeightType.INT4
    np.testing.assert_array_equal(encoded.weights, weights)
    assert encoded.output == OFFSET
    assert set(encoded.bias.tolist()) == {128 * 64 - 3}


def test_compact_appends_a_guard_bit_to_three_bits() -> None:
    weights = np.random.default_rng(0).integers(-4, 4, (16, 3, 3, 16))
    node, constants = conv(weights, [6] * 16, bias=-3, weight_bits=3)
    encoded = encode_conv(node, constants, input_range=CodeRange(0, 7), output_range=INT8, compact=True)
    assert encoded.weight_type is WeightType.INT4
    np.testing.assert_array_equal(encoded.weights, 2 * weights)
    assert encoded.output == PLAIN


@pytest.mark.parametrize("shape", [(16, 3, 3, 16), (3, 1, 1, 3)])
def test_compact_leaves_wide_or_few_weights_alone(shape: tuple[int, ...]) -> None:
    bits = 6 if shape[0] == 16 else 4
    node, constants = conv(np.full(shape, 7), [6] * shape[0], weight_bits=bits)
    encoded = encode_conv(node, constants, input_range=CodeRange(-8, 7), output_range=INT8, compact=True)
    assert encoded.weight_type is WeightType.INT8


def test_multipliers_are_written_exactly() -> None:
    multipliers = [0.0123456, 0.7]
    node, constants = conv(np.full((2, 3, 3, 4), 127), multipliers=multipliers, weight_bits=8)
    encoded = encode_conv(node, constants, input_range=CodeRange(-8, 7), output_range=INT8, compact=False)
    ratio = np.float32(1 / 8) * encoded.weight_scales  # output scale 1
    np.testing.assert_array_equal(ratio, np.array(multipliers, np.float32))


@pytest.mark.parametrize(
    ("node_and_constants", "message"),
    [
        (conv(np.full((1, 1, 1, 1), 64), [4], weight_bits=8), r"leave no guard bit"),
        (conv(np.full((1, 31, 31, 64), 31), [14]), r"accumulators up to \d+, shifts up to 14"),
        (conv(np.full((1, 1, 1, 1), 1), multipliers=[256.0]), r"multipliers from 256"),
        (conv(np.full((1, 1, 1, 1), 1), multipliers=[float("nan")]), r"multipliers from nan"),
        (conv(np.full((1, 1, 1, 1), 1), [20], bias=2**31 - 1), r"accumulators"),
    ],
)
def test_refuses_what_kernels_would_not_compute_exactly(
    node_and_constants: tuple[Conv2d, Constants], message: str
) -> None:
    node, constants = node_and_constants
    with pytest.raises(BackendError, match=r"^node block3\.conv1: .*" + message):
        encode_conv(node, constants, input_range=INT8, output_range=INT8, compact=False)


@given(st.lists(st.integers(-8, 7), max_size=9))
def test_pack_int4(codes: list[int]) -> None:
    packed = pack_int4(np.array(codes, np.int8))
    assert len(packed) == (len(codes) + 1) // 2
    unpacked = [((byte >> shift & 0xF) ^ 8) - 8 for byte in packed for shift in (0, 4)]
    assert unpacked[: len(codes)] == codes
