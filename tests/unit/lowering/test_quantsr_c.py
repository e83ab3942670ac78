"""The integer graph of a ``quantsr_c`` network against the network: body, padding, residual stream, and tiles."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from qsr_edge.graph.integer_graph import IntegerGraph
from qsr_edge.graph.ir import Constants

torch = pytest.importorskip("torch")

from qsr_edge.errors import LoweringError
from qsr_edge.graph.interpreter import run_nodes
from qsr_edge.graph.ir import Add, Conv2d, DepthToSpace, TensorId
from qsr_edge.lowering.checkpoint import lower_checkpoint
from qsr_edge.lowering.network import LoweredNetwork
from qsr_edge.lowering.official_quantsr_c import import_official
from qsr_edge.nn.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from qsr_edge.nn.quantsr_c_config import QuantsrCConfig, nested_depths
from qsr_edge.runtime.tiler import upscale_tiled
from qsr_edge.training.calibration import Stage, as_codes, calibrate, quantsr_c_network, stage_images
from tests.support.official_quantsr_c import official_state
from tests.support.quantsr_c_networks import calibrated_network, noise

CASES = [
    pytest.param(scale, bits, negative, id=f"x{scale}-w{bits}a{bits}{'-negative' * negative}")
    for scale, bits, negative in ((2, 2, False), (3, 3, True), (4, 4, False), (2, 4, True), (2, 8, False))
]
BODY_LEVELS = {2: 1.0, 3: 0.6, 4: 0.5, 8: 0.01}
"""Mean difference in levels that the body in integers may make, by bits: biases are rounded to the accumulator's unit,
and a code that falls to the other side of a half moves what follows. Random networks amplify that."""
WHOLE_LEVELS = 2.5
"""The same for the whole network in integers: 8-bit roundings of random features that span a thousand levels."""


@pytest.mark.parametrize(("scale", "bits", "negative"), CASES)
def test_the_integer_graph_is_near_the_network_at_every_depth(scale: int, bits: int, negative: bool) -> None:
    checkpoint = calibrated_network(scale=scale, bits=bits, negative=negative)
    network = quantsr_c_network(checkpoint)
    image = noise((18, 22))[0]
    for depth in network.config.depths:
        found = stage_images(network, checkpoint, image, depth)
        assert list(found) == list(Stage)
        trained = found[Stage.TRAINED].astype(np.int16)
        assert trained.shape == (18 * scale, 22 * scale, 3)
        assert trained.std() > 20
        body = np.abs(found[Stage.BODY] - trained).mean()
        whole = np.abs(found[Stage.WHOLE] - trained).mean()
        assert body <= BODY_LEVELS[bits], body
        assert whole <= WHOLE_LEVELS, whole
        assert np.array_equal(found[Stage.WHOLE], lower_checkpoint(checkpoint)[depth].run(image))


def _constants(checkpoint: Checkpoint) -> Constants:
    return lower_checkpoint(checkpoint).deepest.constants


def test_the_body_computes_the_codes_of_training() -> None:
    """Given the same input codes, a block's convolutions give the codes that the float arithmetic gives."""
    checkpoint = calibrated_network(scale=2, bits=4, negative=True)
    network, lowered = quantsr_c_network(checkpoint), lower_checkpoint(checkpoint)
    graph = lowered[4].graph
    rng = np.random.default_rng(1)
    nodes = {node.name: node for node in graph.nodes}
    floors = [name for name in nodes if name.endswith(".floor")]
    assert "body.2.floor" in floors  # its second convolution reads signed codes
    for i, block in enumerate(network.blocks()):
        first, second = block.conv1.activation, block.conv2.activation
        assert first is not None
        assert second is not None
        codes = rng.integers(first.code_range.q_min, first.code_range.q_max, (13, 11, 8), endpoint=True)
        conv1, conv2 = nodes[f"body.{i}.conv1"], nodes[f"body.{i}.conv2"]
        assert isinstance(conv1, Conv2d)
        assert isinstance(conv2, Conv2d)
        inner = [node for node in graph.nodes if node.name in (f"body.{i}.conv1", f"body.{i}.floor")]
        got = run_nodes(graph, lowered[4].constants, inner, {conv1.input: codes.astype(np.float32)}, conv2.input)
        with torch.no_grad():
            x = torch.from_numpy(codes.astype(np.float32).transpose(2, 0, 1)[None]) * first.step
            weight = block.conv1.weight_quantizer(block.conv1.weight)
            values = torch.relu(torch.nn.functional.conv2d(x, weight, block.conv1.bias, padding=1))
            expected, _ = second.quantize(values)
        different = got != expected[0].numpy().transpose(1, 2, 0)
        # A bias rounded to the accumulator's unit moves the values next to a half, by one code.
        assert different.mean() < 0.02
        assert np.abs(got - expected[0].numpy().transpose(1, 2, 0)).max() <= 1
        assert got.std() > 0.5


def test_padding_is_the_mean_of_the_image() -> None:
    """A constant image of the mean's colour, rounded, makes a head without a border: what is padded looks the same."""
    checkpoint = calibrated_network(scale=2, bits=4)
    lowered = lower_checkpoint(checkpoint)
    graph = lowered[4].graph
    levels = np.rint(np.array([0.4488, 0.4371, 0.4040]) * 255).astype(np.uint8)
    image = np.broadcast_to(levels, (6, 7, 3))
    nodes = [node for node in graph.nodes[1:] if node.name in ("centre", "head")]
    codes = run_nodes(
        graph,
        lowered[4].constants,
        nodes,
        {graph.nodes[0].output: image.astype(np.float32) - 128},
        TensorId("head"),
    )
    assert (codes == codes[:1, :1]).all()
    border = quantsr_c_network(checkpoint).head(as_codes(image) / 255 + 128 / 255)
    # The network itself sees the rounding of the mean at the border: half a level at most.
    assert (border - border[:, :, 3:4, 3:4]).abs().max() < 1.5


class _Counting:
    def __init__(self, graph: IntegerGraph):
        self.graph = graph
        self.calls = 0

    def __call__(self, window: NDArray[np.uint8]) -> NDArray[np.uint8]:
        self.calls += 1
        return self.graph.run(window)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_tiles_have_no_seams(scale: int) -> None:
    lowered = lower_checkpoint(calibrated_network(scale=scale, bits=4))
    image = noise((41, 53))[0]
    # Two convolutions for each block; head, conv_after_body, and 1 + 1/2, 1 + 1/3 or 1 + 1/2 + 1/4 after it: up to 4.
    for depth, halo in ((2, 8), (4, 12)):
        graph = lowered[depth]
        cost = graph.cost()
        assert cost.halo_px == halo
        whole = graph.run(image)
        run = _Counting(graph)
        tiled = upscale_tiled(run, image, scale=scale, halo_px=cost.halo_px, tile_px=9)
        assert run.calls > 4
        assert np.array_equal(tiled, whole)


def test_nodes_are_those_of_the_network() -> None:
    lowered = lower_checkpoint(calibrated_network(scale=4, bits=4))
    counts = {
        depth: [sum(isinstance(node, kind) for node in graph.graph.nodes) for kind in (Add, DepthToSpace)]
        for depth, graph in lowered.items()
    }
    assert counts == {depth: [depth + 1, 2] for depth in (2, 3, 4)}
    assert {g.graph.tensors_by_id()[g.graph.output].upscale for g in lowered.values()} == {4}


def test_a_checkpoint_survives_its_file(tmp_path: Path) -> None:
    checkpoint = calibrated_network(scale=4, bits=4, negative=True)
    write_checkpoint(tmp_path / "c.safetensors", checkpoint)
    again = read_checkpoint(tmp_path / "c.safetensors")
    assert again.config == checkpoint.config
    assert isinstance(again.config, QuantsrCConfig)
    assert again.config.signed != ()
    first, second = (
        {key: array.tobytes() for key, array in lower_checkpoint(c).deepest.constants.items()}
        for c in (checkpoint, again)
    )
    assert first == second


def _changed(checkpoint: Checkpoint, **changes: Any) -> Checkpoint:
    return dataclasses.replace(checkpoint, **changes)


def test_what_cannot_be_lowered_is_refused() -> None:
    checkpoint = calibrated_network(scale=2, bits=4)
    assert isinstance(checkpoint.config, QuantsrCConfig)
    config = dataclasses.replace(checkpoint.config, calibrated=0)
    with pytest.raises(LoweringError, match="--calibration DIR"):
        lower_checkpoint(_changed(checkpoint, config=config))
    with pytest.raises(LoweringError, match="float checkpoint"):
        lower_checkpoint(_changed(checkpoint, config=dataclasses.replace(config, bits=None)))
    closed = {**checkpoint.tensors, "body.2.shortcut": np.zeros((), np.float32)}
    with pytest.raises(LoweringError, match=r"body\.2: its shortcut is 0"):
        lower_checkpoint(_changed(checkpoint, tensors=closed))
    tiny = {**checkpoint.tensors, "body.2.conv2.weight_quantizer.step": np.float32(1e-12)}
    with pytest.raises(LoweringError, match=r"body\.2\.conv2: bias .* do not fit int32"):
        lower_checkpoint(_changed(checkpoint, tensors=tiny))


def test_silent_channels_are_lowered_and_stay_silent(tmp_path: Path) -> None:
    state = official_state(scale=2, bits=4)
    for name in ("conv_first", *(f"body.{i}.conv2" for i in range(4)), "conv_after_body"):
        state[f"{name}.weight"][0] = 0
        state[f"{name}.bias"][0] = 0
    state["conv_after_body.bias"][0] = 3.0
    state["upsample.0.weight"][4:8] = 0  # all four positions of channel 1, nothing but a bias
    state["upsample.0.bias"][4:8] = 50.0
    torch.save({"params": state}, tmp_path / "c_4bit.pth")
    checkpoint = calibrate(import_official(tmp_path / "c_4bit.pth").checkpoint, noise((20, 24)))
    found = stage_images(quantsr_c_network(checkpoint), checkpoint, noise((18, 22))[0], 4)
    trained = found[Stage.TRAINED].astype(np.int16)
    assert np.abs(found[Stage.WHOLE] - trained).mean() <= WHOLE_LEVELS
    multipliers = [array for key, array in _constants(checkpoint).items() if key.endswith("multipliers")]
    # What XNNPACK requantizes by.
    assert all((array >= 2.0**-32).all() and (array < 256).all() for array in multipliers)


def test_depths_of_the_official_versions() -> None:
    assert nested_depths(32) == (9, 17, 32)
    assert nested_depths(16) == (5, 9, 16)
    assert nested_depths(1) == (1,)
    assert isinstance(lower_checkpoint(calibrated_network(scale=2, bits=4)), LoweredNetwork)
