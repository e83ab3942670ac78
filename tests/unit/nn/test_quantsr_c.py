import dataclasses
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from qsr_edge.errors import CheckpointError, TrainingError
from qsr_edge.nn.checkpoint import expected_shapes
from qsr_edge.nn.config import EdgeConfig
from qsr_edge.nn.network import make_network
from qsr_edge.nn.quantsr_c import QuantsrC
from qsr_edge.nn.quantsr_c_config import QuantsrCConfig, shortcut_order
from qsr_edge.nn.quantsr_c_edge import QuantsrCEdge
from qsr_edge.quant.arithmetic import Profile
from qsr_edge.training.state import checkpoint_from_network, network_from_checkpoint, warm_start

CONFIG = QuantsrCConfig(scale=2, channels=6, blocks=4, depths=(2, 3, 4), order=(2, 0, 3, 1))


def _network(bits: int | None, scale: int = 2) -> QuantsrC:
    network = make_network(dataclasses.replace(CONFIG, bits=bits, scale=scale))
    assert isinstance(network, QuantsrC)
    return network


def _codes() -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).integers(-128, 128, (2, 3, 14, 11)).astype(np.float32))


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("bits", [None, 2, 4])
def test_a_checkpoint_lists_the_tensors_of_the_network(bits: int | None, scale: int) -> None:
    network = _network(bits, scale)
    shapes = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    assert shapes == expected_shapes(network.config)
    checkpoint = checkpoint_from_network(network, network.state_dict(), {})
    again = network_from_checkpoint(checkpoint)
    codes = _codes()
    if bits:
        network.calibrate(codes)
        again.calibrate(codes)
    with torch.no_grad():
        assert torch.equal(again(codes, 3), network(codes, 3))
        assert network(codes, 3).shape == (2, 3, 14 * scale, 11 * scale)


def test_every_parameter_of_the_quantized_network_learns() -> None:
    network = _network(4)
    network.calibrate(_codes())
    (network(_codes(), 4) - 3.0).abs().mean().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.abs().sum() > 0, name


def test_calibration_of_the_body_starts_near_the_float_network() -> None:
    network = _network(8)
    network.calibrate(_codes())
    reference = _network(None)
    reference.start_from(network.config, network.state_dict())
    with torch.no_grad():
        difference = (network(_codes(), 4) - reference(_codes(), 4)).abs().mean()
    assert 0 < difference < 1.0


def test_a_skipped_block_multiplies_by_its_shortcut() -> None:
    network = _network(None)
    with torch.no_grad():
        before = network(_codes(), 2)
        network.blocks()[1].conv1.weight.mul_(3)  # skipped at depth 2
        assert torch.equal(network(_codes(), 2), before)
        network.blocks()[1].shortcut.mul_(0.5)
        assert not torch.equal(network(_codes(), 2), before)


def test_what_lets_least_pass_by_comes_first() -> None:
    assert shortcut_order([1.0, -0.5, 0.7, 1.2, 0.7]) == (1, 2, 4, 0, 3)
    network = _network(None)
    with torch.no_grad():
        network.blocks()[3].shortcut.fill_(0.9)
    network.normalize_importance(_codes())
    assert network.importance_order() == (3, 0, 1, 2)


def test_a_start_of_another_scale_keeps_all_but_the_upsampler() -> None:
    start, network = _network(None, scale=4), _network(4)
    own = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    warm_start(network, checkpoint_from_network(start, start.state_dict(), {}))
    for name, tensor in network.state_dict().items():
        same = name.startswith(("upsample", "conv_last")) or name.endswith((".step", ".activation.shift"))
        expected = own[name] if same else start.state_dict()[name]
        assert torch.equal(tensor, expected), name


def test_a_start_of_another_kind_or_size_is_refused() -> None:
    network = _network(None)
    edge = QuantsrCEdge(EdgeConfig(scale=2, channels=6, blocks=4, depths=(2, 4), order=(0, 1, 2, 3)))
    with pytest.raises(TrainingError, match="a quantsr_c_edge, the recipe's network a quantsr_c"):
        warm_start(network, checkpoint_from_network(edge, edge.state_dict(), {}))
    wide = QuantsrC(dataclasses.replace(CONFIG, channels=7))
    with pytest.raises(TrainingError, match="7 channels and 4 blocks, the recipe 6 and 4"):
        warm_start(network, checkpoint_from_network(wide, wide.state_dict(), {}))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("channels", 0), ("profile", Profile.PORTABLE), ("signed", (1, 0)), ("signed", (2,) * 8), ("calibrated", 2),
        ("calibrated", 1), ("order", (0, 1)), ("depths", (2, 3)),
    ],
)  # fmt: skip
def test_impossible_configurations_are_refused(field: str, value: Any) -> None:
    with pytest.raises(CheckpointError, match=f"{field} = .* is not possible"):
        dataclasses.replace(CONFIG, **{field: value})
