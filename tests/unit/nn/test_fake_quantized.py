import pytest

torch = pytest.importorskip("torch")

from qsr_edge.nn.config import EdgeConfig
from qsr_edge.nn.fake_quantized import FakeQuantizedEdge, QuantizerName
from qsr_edge.nn.quantsr_c_edge import QuantsrCEdge

CONFIG = EdgeConfig(scale=2, channels=8, blocks=3, depths=(1, 3), order=(2, 0, 1))
EIGHT_BIT_TOLERANCE = 1.0
"""Levels of 255; with random weights the body's residual is worth tens of levels."""


def _networks(name: QuantizerName, bits: int) -> tuple[QuantsrCEdge, FakeQuantizedEdge, torch.Tensor]:
    torch.manual_seed(0)
    reference = QuantsrCEdge(CONFIG)
    network = FakeQuantizedEdge(CONFIG, name, bits)
    network.load_state_dict(reference.state_dict(), strict=False)
    codes = torch.randint(-128, 128, (2, 3, 12, 12)).float()
    network.calibrate(codes)
    return reference, network, codes


@pytest.mark.parametrize("name", QuantizerName)
def test_eight_bits_are_close_to_the_float_network_and_two_are_not(name: QuantizerName) -> None:
    for depth in CONFIG.depths:
        errors = []
        for bits in (8, 2):
            reference, network, codes = _networks(name, bits)
            with torch.no_grad():
                errors.append((network(codes, depth) - reference(codes, depth)).abs().mean().item())
        assert errors[0] < EIGHT_BIT_TOLERANCE
        assert errors[1] > 3 * errors[0]


@pytest.mark.parametrize("name", QuantizerName)
def test_every_trained_parameter_gets_a_gradient(name: QuantizerName) -> None:
    _, network, codes = _networks(name, 2)
    (network(codes, 3) - 3.0).abs().mean().backward()
    for parameter_name, parameter in network.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None, parameter_name
            assert torch.isfinite(parameter.grad).all(), parameter_name
            assert parameter.grad.abs().sum() > 0, parameter_name
