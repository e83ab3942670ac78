"""Codes in QDQ form: what every runtime must round and clamp alike."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qsr_edge.errors import BackendError
from qsr_edge.graph.ir import ConstantId, Constants, Conv2d, Multiplier, Shift, TensorId
from qsr_edge.quant.arithmetic import CodeRange
from qsr_edge_converters.onnx.encoding import EXACT_FLOAT, OnnxFlavor, encode_conv, label_of

INT8 = CodeRange.signed(8)
CONV = Conv2d(
    name="conv", input=TensorId("a"), output=TensorId("b"), weights=ConstantId("w"), bias=ConstantId("b"),
    weight_bits=6, requantization=Shift(shifts=ConstantId("s")),
)  # fmt: skip


def constants(weights: np.ndarray, bias: int = 0, shift: int = 5) -> Constants:
    count = len(weights)
    return Constants(
        {
            ConstantId("w"): weights.astype(np.int8),
            ConstantId("b"): np.full(count, bias, np.int32),
            ConstantId("s"): np.full(count, shift, np.int32),
            ConstantId("m"): np.full(count, 0.1, np.float32),
        }
    )


@pytest.mark.parametrize(
    "codes", [make(bits) for bits in range(1, 9) for make in (CodeRange.signed, CodeRange.unsigned)]
)
def test_two_saturations_clamp_to_the_range(codes: CodeRange) -> None:
    values = np.arange(-1000, 1000)
    label = label_of(codes, where="tensor")
    real = values
    for zero_point in (label.upper_zero_point, label.zero_point):
        if zero_point is not None:
            real = np.clip(real + zero_point, 0, 255) - zero_point
    np.testing.assert_array_equal(real, np.clip(values, codes.q_min, codes.q_max))


def test_eight_bits_need_one_quantization_only() -> None:
    assert label_of(INT8, where="tensor").upper_zero_point is None
    assert label_of(CodeRange.unsigned(8), where="tensor").upper_zero_point is None


@pytest.mark.parametrize("codes", [CodeRange(-200, 100), CodeRange(3, 9)])
def test_codes_that_uint8_cannot_hold_are_refused(codes: CodeRange) -> None:
    with pytest.raises(BackendError, match="tensor: codes in"):
        label_of(codes, where="tensor")


@given(st.integers(-(1 << 22), 1 << 22), st.integers(1, 15))
def test_however_halves_are_rounded_the_code_is_the_same(accumulator: int, shift: int) -> None:
    encoded = encode_conv(CONV, constants(np.ones((1, 1, 1, 1)), 0, shift), input_range=INT8, compact=False)
    guarded = float(2 * accumulator + int(encoded.bias[0])) * float(encoded.weight_scales[0])
    expected = (accumulator + (1 << (shift - 1))) >> shift
    assert np.rint(guarded) == np.floor(guarded + 0.5) == np.ceil(guarded - 0.5) == expected


@given(st.integers(-(1 << 21), 1 << 21), st.integers(1, 15), st.integers(-1, 1))
def test_for_npus_the_code_is_the_same_with_a_bias_that_is_one_unit_off(accumulator: int, shift: int, off: int) -> None:
    ones = constants(np.ones((1, 1, 1, 1)), 0, shift)
    encoded = encode_conv(CONV, ones, input_range=INT8, compact=False, flavor=OnnxFlavor.NPU)
    assert encoded.weights.item() == 4
    guarded = float(4 * accumulator + int(encoded.bias[0]) + off) * float(encoded.weight_scales[0])
    expected = (accumulator + (1 << (shift - 1))) >> shift
    assert np.rint(guarded) == np.floor(guarded + 0.5) == np.ceil(guarded - 0.5) == expected


def test_pairs_of_products_with_six_bit_weights_stay_within_int16() -> None:
    """What x86 processors without VNNI add them in."""
    weights = np.array([[[[31, -32]]]])
    encoded = encode_conv(CONV, constants(weights), input_range=INT8, compact=False)
    low, high = (2 * 255 * int(extreme) for extreme in (encoded.weights.min(), encoded.weights.max()))
    assert -(1 << 15) <= low
    assert high < 1 << 15


def test_weights_without_room_for_a_guard_bit_are_refused_but_by_the_scaled_profile() -> None:
    wide = np.full((1, 1, 1, 1), 100)
    with pytest.raises(BackendError, match=r"node conv: weights up to 100 leave no room in int8 for the 1 guard bit"):
        encode_conv(CONV, constants(wide), input_range=INT8, compact=False)
    scaled = dataclasses.replace(CONV, requantization=Multiplier(multipliers=ConstantId("m")))
    encoded = encode_conv(scaled, constants(wide, bias=7), input_range=INT8, compact=False)
    assert encoded.weights.item() == 100
    assert encoded.bias.item() == 7


def test_accumulators_that_float32_could_not_hold_are_refused() -> None:
    weights = np.full((1, 3, 3, 256), 31)
    with pytest.raises(BackendError, match=f"expected at most {(EXACT_FLOAT - 1) // 2}"):
        encode_conv(CONV, constants(weights), input_range=INT8, compact=False)


@pytest.mark.parametrize(("largest", "factor"), [(3, 1), (7, 2), (31, None)])
def test_compact_weights_are_int4_where_they_fit(largest: int, factor: int | None) -> None:
    weights = np.resize([largest, -largest], (32, 3, 3, 8))
    encoded = encode_conv(CONV, constants(weights), input_range=INT8, compact=True)
    assert encoded.int4_factor == factor
    few = encode_conv(CONV, constants(weights[:1]), input_range=INT8, compact=True)
    assert few.int4_factor is None
