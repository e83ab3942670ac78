"""The integer arithmetic of QuantSR-T: each part against real numbers, and all of it within int32."""

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from qsr_edge.errors import GraphError, LoweringError
from qsr_edge.graph.integer_ops import NumpyOps
from qsr_edge.graph.swin import IntegerNorm, rescale
from qsr_edge.graph.swin_cost import peak_activation_bytes
from qsr_edge.graph.swin_program import EXPONENTIALS, OCTAVE, SwinProgram, run_swin
from qsr_edge.lowering.swin import lower_checkpoint
from qsr_edge.nn.checkpoint import Checkpoint
from qsr_edge.nn.config import EdgeConfig
from qsr_edge.nn.quantsr_t import QuantsrT
from qsr_edge.nn.swin_config import STREAM_BITS, SwinConfig
from qsr_edge.quant.codes import CodeRange
from tests.swin_networks import codes, lowered, random_network

Int = NDArray[Any]
INT8 = CodeRange.signed(8)
STREAM = CodeRange.signed(STREAM_BITS)
NORM_TOLERANCE = 2.0
"""In units of 1/2^15 of the normalized value: rounding of the result, and of its reciprocal."""
MEAN_TOLERANCE = 0.5
"""In stream codes: the mean that is subtracted is a whole code."""
DEPLOYED_PSNR_DB = {2: 27.0, 3: 28.0, 4: 29.0, 8: 44.0}
"""Least agreement of the integer graph with the fake-quantized network, by bits. Both round alike, but multipliers,
tables and layer normalization have their own errors, each of which can move a code across a threshold; a code is the
larger the fewer bits there are. These networks are random and spread such errors; trained ones are measured in
docs/quantsr_t.md."""


class WideOps(NumpyOps):
    """Computes in int64 and sees to it that nothing leaves int32, or int8 where that is promised."""

    def _checked(self, x: Int) -> Int:
        assert x.dtype == np.int64
        assert x.min(initial=0) >= -(2**31)
        assert x.max(initial=0) < 2**31
        return x

    def constant(self, values: Int) -> Int:
        return self._checked(values.astype(np.int64))

    def add(self, a: Int, b: Int) -> Int:
        return self._checked(super().add(a, b))

    def subtract(self, a: Int, b: Int) -> Int:
        return self._checked(super().subtract(a, b))

    def multiply(self, a: Int, b: Int) -> Int:
        return self._checked(super().multiply(a, b))

    def sum_last(self, a: Int) -> Int:
        return self._checked(super().sum_last(a))

    def divide(self, a: Int, b: Int) -> Int:
        assert a.min() >= 0
        assert b.min() > 0
        return super().divide(a, b)

    def matmul(self, a: Int, b: Int) -> Int:
        for operand in (a, b):
            assert operand.min() >= -128
            assert operand.max() <= 127
        return self._checked(super().matmul(a, b))

    def lookup(self, a: Int, table: Int) -> Int:
        assert a.min() >= -128
        assert a.max() <= 127
        assert table.shape == (256,)
        return super().lookup(a, table)

    def transpose(self, a: Int, axes: Sequence[int]) -> Int:
        assert len(axes) <= 5
        return super().transpose(a, axes)


@cache
def program() -> SwinProgram[Int]:
    return SwinProgram(lowered(random_network(4)).transformers[4], WideOps())


def test_square_root_is_exact() -> None:
    roots = np.concatenate([np.arange(23171, 46341), [23170]]).astype(np.int64)
    candidates = np.concatenate([roots**2 - 1, roots**2, roots**2 + 1, [2**29, 2**31 - 1]])
    values = candidates[(candidates >= 2**29) & (candidates < 2**31)].reshape(1, -1, 1)
    got = program().square_root(values)
    np.testing.assert_array_equal(got, np.floor(np.sqrt(values.astype(np.float64))).astype(np.int64))
    assert ((got**2 <= values) & (values < (got + 1) ** 2)).all()


@settings(deadline=None, max_examples=60)
@given(
    channels=st.sampled_from([1, 3, 12, 60, 120]),
    spread=st.sampled_from([1, 2, 30, 1000, 4095]),
    center=st.integers(-4096, 4095),
    seed=st.integers(0, 2**20),
)
def test_layer_normalization_is_that_of_real_numbers(channels: int, spread: int, center: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = np.clip(center + rng.integers(-spread, spread + 1, (1, 20, channels)), STREAM.q_min, STREAM.q_max)
    unit = rescale(np.ones(channels), np.zeros(channels), 2**15 + 2, CodeRange.signed(17))
    got = program().normalized(x.astype(np.int64), IntegerNorm(epsilon=1, output=unit))
    mean = x.mean(-1, keepdims=True)
    deviation = np.sqrt(((x - np.floor(mean + 0.5)) ** 2).sum(-1, keepdims=True) + 1)
    expected = (x - mean) / deviation * 2**15
    assert np.abs(got).max() <= 2**15 + 2
    assert (np.abs(got - expected) <= NORM_TOLERANCE + MEAN_TOLERANCE * 2**15 / deviation).all()


def test_exponentials_are_monotone_and_near() -> None:
    assert (np.diff(EXPONENTIALS.astype(int)) >= 0).all()
    assert EXPONENTIALS[0] == 0
    assert EXPONENTIALS[-1] == 127
    exact = 127 * 2.0 ** (np.arange(-255, 1) / OCTAVE)
    assert np.abs(EXPONENTIALS[1:] - exact[1:]).max() <= 0.5


@settings(deadline=None, max_examples=60)
@given(
    factor=st.floats(1e-9, 1e3),
    sign=st.sampled_from([-1, 1]),
    offset=st.floats(-300, 300),
    bound=st.integers(1, 2**24),
    bits=st.sampled_from([2, 4, 8, 13]),
    seed=st.integers(0, 2**20),
)
def test_rescaling_is_near_and_stays_in_int32(
    factor: float, sign: int, offset: float, bound: int, bits: int, seed: int
) -> None:
    output = CodeRange.signed(bits)
    scale = np.array([sign * factor])
    by = rescale(scale, np.array([offset]), bound, output)
    values = np.random.default_rng(seed).integers(-bound, bound + 1, (1, 50, 1))
    values[0, 0], values[0, 1] = bound, -bound
    got = program().rescaled(values, by)
    expected = np.clip(np.floor(values * scale + offset + 0.5), output.q_min, output.q_max)
    relative = np.abs(by.multipliers / 2.0**by.shifts - scale) * np.minimum(np.abs(values), by.limits)
    assert (np.abs(got - expected) <= 1 + relative).all()
    assert output.q_min <= got.min() <= got.max() <= output.q_max


def test_rescaling_refuses_what_is_not_finite_or_too_large() -> None:
    for factor, offset in ((np.nan, 0.0), (1.0, np.inf), (1.0, 1e12)):
        with pytest.raises(GraphError):
            rescale(np.array([factor]), np.array([offset]), 100, INT8)


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
@pytest.mark.parametrize("kind", ["picture", "noise", "extremes"])
def test_nothing_leaves_int32_and_wide_integers_give_the_same(bits: int, kind: str) -> None:
    network = lowered(random_network(bits))
    rng = np.random.default_rng(bits)
    image = {
        "picture": lambda: (codes(1, 16, 24)[0].numpy().transpose(1, 2, 0) + 128).astype(np.uint8),
        "noise": lambda: rng.integers(0, 256, (16, 24, 3), np.uint8),
        "extremes": lambda: rng.integers(0, 2, (16, 24, 3), np.uint8) * np.uint8(255),
    }[kind]()
    for depth, graph in network.transformers.items():
        np.testing.assert_array_equal(run_swin(graph, image, WideOps()), network.run(depth, image))


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
@pytest.mark.parametrize("scale", [2, 4])
def test_integer_graph_is_near_the_fake_quantized_network(bits: int, scale: int) -> None:
    network = random_network(bits, scale=scale).eval()
    graphs = lowered(network)
    image = codes(1, 24, 32)
    levels = (image[0].numpy().transpose(1, 2, 0) + 128).astype(np.uint8)
    for depth in graphs.depths:
        with torch.no_grad():
            expected = (network(image, depth)[0].numpy().transpose(1, 2, 0) + 128).clip(0, 255)
        error = np.square(graphs.run(depth, levels) - expected).mean()
        assert expected.std() > 5
        assert 10 * np.log10(255**2 / error) > DEPLOYED_PSNR_DB[bits], depth


def test_linear_codes_are_those_of_training() -> None:
    network = random_network(4)
    layer = network.group(0).layer(0).mlp.fc1
    graph = lowered(network).transformers[4]
    linear = graph.groups[0].layers[0].fc1
    assert layer.weight_quantizer is not None
    q_weight, step = layer.weight_quantizer.quantize(layer.weight)
    np.testing.assert_array_equal(linear.weights, q_weight.detach().numpy().T)
    inputs = np.random.default_rng(0).integers(-8, 8, (1, 40, 12))
    steps = {name: tensor.numpy() for name, tensor in network.state_dict().items() if name.endswith("step")}
    name = "layers.0.residual_group.blocks.0.mlp"
    real = inputs @ (q_weight * step).detach().numpy().T * steps[f"{name}.fc1.activation.step"]
    real = (real + layer.bias.detach().numpy()) / steps[f"{name}.hidden.step"]
    got = SwinProgram(graph, NumpyOps()).linear(inputs.astype(np.int32), linear)
    assert (np.abs(got - np.clip(np.floor(real + 0.5), -128, 127)) <= (np.abs(real % 1 - 0.5) < 0.01)).all()


def test_sizes_are_completed_by_reflection() -> None:
    network = lowered(random_network(4))
    image = np.random.default_rng(3).integers(0, 256, (11, 14, 3), np.uint8)
    padded = np.pad(image, ((0, 5), (0, 2), (0, 0)), mode="reflect")
    np.testing.assert_array_equal(network.run(4, image), network.run(4, padded)[:22, :28])
    assert network.run(1, image[:1, :1]).shape == (2, 2, 3)
    floats: Any = image.astype(np.float32)
    with pytest.raises(GraphError, match="uint8"):
        network.run(4, floats)


def test_costs() -> None:
    network = lowered(random_network(4))
    layer = 12 * 36 + 12 * 12 + 2 * 12 * 24
    edges = 9 * (3 * 12 + 12 * 12 + 12 * 12)
    group = 9 * 12 * 12
    for depth, layers, groups in ((1, 1, 1), (4, 4, 2)):
        cost = network.cost(depth)
        assert cost.macs_per_pixel == edges + layers * (layer + 2 * 64 * 12) + groups * group
        assert cost.weight_bytes_ideal == edges + (layers * layer + groups * group) // 2
    assert network.window_px == 8
    assert network.bits == 4
    assert network.scale == 2
    with pytest.raises(LoweringError, match="depth 3"):
        network.cost(3)


def test_peak_of_activations_is_that_of_the_program() -> None:
    stream, image = 4 * 12, 3
    # Scores less their maximum, int32, beside the values, the layer's stream, its group's and the shallow features.
    scores = 4 * 64 * 2
    attention = 2 * scores + 4 * 2 + 4 * stream + image
    assert lowered(random_network(4)).cost(4).peak_activation_bytes_per_pixel == attention
    # With more channels to a head the taps of a group's convolution take more: nine parts, and those put together.
    wide = lowered(random_network(4, blocks=1, groups=1, depths=(1,), channels=60))
    stream = 4 * 60
    assert wide.cost(1).peak_activation_bytes_per_pixel == 2 * 9 * stream + 2 * stream + image
    assert peak_activation_bytes(wide.transformers[1], (16, 16)) == 256 * 20 * stream


def test_lowering_refuses_other_networks() -> None:
    config = SwinConfig(scale=2, channels=12, blocks=2, groups=1, heads=2, depths=(2,), order=(0, 1))
    floats = {name: tensor.numpy() for name, tensor in QuantsrT(config).state_dict().items()}
    with pytest.raises(LoweringError, match="float"):
        lower_checkpoint(Checkpoint(config=config, tensors=floats))
    with pytest.raises(LoweringError, match="quantsr_c_edge"):
        lower_checkpoint(Checkpoint(config=EdgeConfig(scale=2), tensors={}))
