"""The integer arithmetic of QuantSR-T: each part against real numbers, and all of it within int32."""

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

torch = pytest.importorskip("torch")

from qsr_edge.errors import GraphError, LoweringError
from qsr_edge.graph.cost import UNTILED_HALO_PX, TileGrid
from qsr_edge.graph.integer_ops import NumpyOps
from qsr_edge.graph.swin import STREAM_BITS, IntegerNorm, rescale
from qsr_edge.graph.swin_cost import peak_activation_bytes
from qsr_edge.graph.swin_program import EXPONENTIALS, LARGEST_SCORE, OCTAVE, SwinProgram, run_swin
from qsr_edge.graph.windows import foreign_pairs
from qsr_edge.lowering.network import LoweredNetwork
from qsr_edge.lowering.swin import lower_checkpoint
from qsr_edge.nn.checkpoint import Checkpoint
from qsr_edge.nn.config import EdgeConfig
from qsr_edge.nn.quantsr_t import QuantsrT
from qsr_edge.nn.swin_config import SwinConfig
from qsr_edge.quant.arithmetic import CodeRange
from qsr_edge.runtime.tiler import upscale_tiled
from tests.support.swin_networks import codes, lowered, random_network

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
    return SwinProgram(lowered(random_network(4))[4].swin, WideOps())


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
    for graph in network.values():
        np.testing.assert_array_equal(run_swin(graph.swin, image, WideOps()), graph.run(image))


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
        error = np.square(graphs[depth].run(levels) - expected).mean()
        assert expected.std() > 5
        assert 10 * np.log10(255**2 / error) > DEPLOYED_PSNR_DB[bits], depth


def test_linear_codes_are_those_of_training() -> None:
    network = random_network(4)
    layer = network.group(0).layer(0).mlp.fc1
    graph = lowered(network)[4].swin
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
    np.testing.assert_array_equal(network[4].run(image), network[4].run(padded)[:22, :28])
    assert network[1].run(image[:1, :1]).shape == (2, 2, 3)
    floats: Any = image.astype(np.float32)
    with pytest.raises(GraphError, match="uint8"):
        network[4].run(floats)


def test_costs() -> None:
    network = lowered(random_network(4))
    layer = 12 * 36 + 12 * 12 + 2 * 12 * 24
    edges = 9 * (3 * 12 + 12 * 12 + 12 * 12)
    group = 9 * 12 * 12
    for depth, layers, groups in ((1, 1, 1), (4, 4, 2)):
        cost = network[depth].cost()
        assert cost.macs_per_pixel == edges + layers * (layer + 2 * 64 * 12) + groups * group
        assert cost.weight_bytes_ideal == edges + (layers * layer + groups * group) // 2
    assert network.deepest.window_px == 8
    assert network.deepest.bits == 4
    assert network.deepest.scale == 2
    with pytest.raises(LoweringError, match="depth 3"):
        network[3].cost()


def test_peak_of_activations_is_that_of_the_program() -> None:
    stream, image = 4 * 12, 3
    # Scores, mask and sum, int32, beside the values, the layer's stream, its group's and the shallow features.
    scores, mask = 4 * 64 * 2, 4 * 64
    attention = 2 * scores + mask + 4 * stream + image
    assert lowered(random_network(4))[4].cost().peak_activation_bytes_per_pixel == attention
    # With more channels to a head the taps of a group's convolution take more: nine parts, and those put together.
    wide = lowered(random_network(4, blocks=1, groups=1, depths=(1,), channels=60))
    stream = 4 * 60
    assert wide[1].cost().peak_activation_bytes_per_pixel == 2 * 9 * stream + 2 * stream + image
    assert peak_activation_bytes(wide[1].swin, (16, 16)) == 256 * 20 * stream


# What a network reaches in tiles, by the layers that a depth keeps of its groups: convolutions one pixel each, windows
# to their ends, which of shifted ones lie at half a window.
REACHES_PX = {
    (8, 1): 1 + 7 + 1 + 2,
    (8, 2): 1 + 7 + 4 + 1 + 2,
    (8, 3): 1 + 7 + 4 + 1 + 3 + 1 + 2,
    (8, 4): 1 + 7 + 4 + 1 + 3 + 4 + 1 + 2,
    (4, 4): 1 + 3 + 2 + 1 + 1 + 2 + 1 + 2,
}


@cache
def tiled_network(window_px: int) -> LoweredNetwork:
    return lowered(random_network(8, depths=(1, 2, 3, 4), window_px=window_px))


@pytest.mark.parametrize(("window_px", "depth"), REACHES_PX)
def test_what_lies_beyond_an_edge_reaches_as_far_as_the_halo(window_px: int, depth: int) -> None:
    network = tiled_network(window_px)
    reach_px, edge_px = REACHES_PX[window_px, depth], 2 * window_px
    image = np.random.default_rng(depth).integers(0, 256, (40, 48, 3), np.uint8)
    noise = np.random.default_rng(9).integers(0, 256, image.shape, np.uint8)
    # All four edges, each by an image that is another one beyond it.
    for axis in (0, 1):
        for backwards in (False, True):
            side = np.moveaxis(image.copy(), axis, 0)
            beyond = slice(side.shape[0] - edge_px, None) if backwards else slice(0, edge_px)
            side[beyond] = np.moveaxis(noise, axis, 0)[beyond]
            changed = network[depth].run(image) != network[depth].run(np.moveaxis(side, 0, axis))
            lines = np.nonzero(np.moveaxis(changed, axis, 0).any((1, 2)))[0] // 2
            reached = side.shape[0] - edge_px - lines.min() if backwards else lines.max() + 1 - edge_px
            assert reached == reach_px, (axis, backwards)
    grid = network[depth].cost().grid
    assert grid == TileGrid(step_px=window_px, halo_px=-(-reach_px * 2 // window_px) * window_px // 2)
    assert network[depth].cost().halo_px == UNTILED_HALO_PX


@pytest.mark.parametrize(
    ("window_px", "depth", "size_px"),
    [
        pytest.param(*case, size_px, marks=[] if case == (8, 4) or size_px == (61, 75) else pytest.mark.slow)
        for case in REACHES_PX
        for size_px in ((61, 75), (64, 87))
    ],
)
def test_tiles_equal_the_whole_image(window_px: int, depth: int, size_px: tuple[int, int]) -> None:
    network = tiled_network(window_px)
    grid = network[depth].cost().grid
    assert grid is not None
    image = np.random.default_rng(depth).integers(0, 256, (*size_px, 3), np.uint8)
    sizes = []

    def run(window: NDArray[np.uint8]) -> NDArray[np.uint8]:
        sizes.append(window.shape[:2])
        return network[depth].run(window)

    whole = network[depth].run(image)
    window = (grid.least_px, grid.least_px + window_px)
    tiled = upscale_tiled(run, image, scale=2, halo_px=grid.halo_px, grid_px=grid.step_px, window_px=window)
    np.testing.assert_array_equal(tiled, whole)
    assert set(sizes) == {window}
    assert len(sizes) >= 4
    less_px = grid.halo_px - window_px // 2
    seams = upscale_tiled(run, image, scale=2, halo_px=less_px, grid_px=grid.step_px, window_px=window)
    assert (seams != whole).any()


def test_the_halo_of_the_papers_size() -> None:
    full = lowered(random_network(4, blocks=24, groups=4, depths=(6, 12, 24)))
    halos = [grid.halo_px for grid in (graph.cost().grid for graph in full.values()) if grid]
    assert halos == [32, 56, 104]


@pytest.mark.parametrize("size_px", [(8, 8), (8, 24), (24, 16)])
def test_masks_separate_what_only_the_shift_has_brought_together(size_px: tuple[int, int]) -> None:
    height, width = size_px
    # SwinIR's own way: number the regions, shift, partition, compare.
    regions = np.zeros(size_px, np.int64)
    for i, rows in enumerate((slice(0, -8), slice(-8, -4), slice(-4, None))):
        for j, columns in enumerate((slice(0, -8), slice(-8, -4), slice(-4, None))):
            regions[rows, columns] = 3 * i + j
    windows = regions.reshape(height // 8, 8, width // 8, 8).transpose(0, 2, 1, 3).reshape(-1, 64)
    foreign = windows[:, :, None] != windows[:, None, :]
    np.testing.assert_array_equal(foreign_pairs(*size_px, 8), foreign)
    masks = program().masks(size_px)
    assert masks.shape == (len(windows), 1, 64, 64)
    np.testing.assert_array_equal(masks[:, 0] < 0, foreign)
    # Whatever the scores, a masked pixel's is less than the largest by all that the table of exponentials knows.
    assert masks[masks < 0].max() <= -(2 * LARGEST_SCORE) - len(EXPONENTIALS)


def test_scores_that_a_mask_could_not_close_out_are_refused() -> None:
    network = random_network(4)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.endswith(("query.step", "key.step")):
                parameter.fill_(0.35)
    largest = [
        (group.layers[0].attention.multiplier * 6 * 128**2 + int(np.abs(group.layers[0].attention.bias).max()))
        >> group.layers[0].attention.shift
        for group in lowered(network)[4].swin.groups
    ]
    assert LARGEST_SCORE // 4 < max(largest) <= LARGEST_SCORE
    with torch.no_grad():
        network.group(0).layer(0).attn.query.step.fill_(0.5)
    with pytest.raises(LoweringError, match=r"attn: scores of .* octaves do not fit; train anew"):
        lowered(network)


def test_lowering_refuses_other_networks() -> None:
    config = SwinConfig(scale=2, channels=12, blocks=2, groups=1, heads=2, depths=(2,), order=(0, 1))
    floats = {name: tensor.numpy() for name, tensor in QuantsrT(config).state_dict().items()}
    with pytest.raises(LoweringError, match="float"):
        lower_checkpoint(Checkpoint(config=config, tensors=floats))
    with pytest.raises(LoweringError, match="quantsr_c_edge"):
        lower_checkpoint(Checkpoint(config=EdgeConfig(scale=2), tensors={}))
