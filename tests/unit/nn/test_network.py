import numpy as np
import pytest

torch = pytest.importorskip("torch")

from qsr_edge.errors import CheckpointError
from qsr_edge.graph.ir import Conv2d
from qsr_edge.lowering.edge import lower_checkpoint
from qsr_edge.lowering.network import model_name
from qsr_edge.nn.config import EdgeConfig
from qsr_edge.nn.quantsr_c_edge import QuantsrCEdge, requantized_stream
from qsr_edge.quant.arithmetic import IMAGE_ZERO, Profile
from qsr_edge.training.state import checkpoint_from_network

CASES = [
    pytest.param(scale, bits, activation_bits, profile, id=f"x{scale}-w{bits}a{activation_bits or bits}-{profile}")
    for scale in (2, 3, 4)
    for bits, activation_bits, profile in (
        (2, None, "portable"),
        (2, 8, "portable"),
        (3, None, "portable"),
        (4, None, "portable"),
        (4, 8, "portable"),
        (4, None, "scaled"),
        (8, None, "scaled"),
        (8, 8, "scaled"),
    )
]


def _network(
    scale: int,
    bits: int | None,
    profile: str = "portable",
    *,
    activation_bits: int | None = None,
    depth_biases: bool = False,
) -> QuantsrCEdge:
    config = EdgeConfig(
        scale=scale, channels=12, blocks=4, depths=(1, 2, 4), order=(2, 0, 3, 1), bits=bits, profile=Profile(profile),
        activation_bits=activation_bits, depth_biases=depth_biases,
    )  # fmt: skip
    network = QuantsrCEdge(config)
    with torch.no_grad():
        for block in network.blocks(4):
            block.importance.uniform_(0.3, 1.5)
            if block.quant1 is not None and block.quant1.shift is not None:
                block.quant1.shift.normal_(0, 0.05)
    return network


def _codes(image: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(image.astype(np.float32).transpose(2, 0, 1)[None] - IMAGE_ZERO)


@pytest.mark.parametrize("depth_biases", [False, True])
@pytest.mark.parametrize(("scale", "bits", "activation_bits", "profile"), CASES)
def test_evaluation_and_integer_graph_agree_on_every_byte(
    scale: int, bits: int, activation_bits: int | None, profile: str, depth_biases: bool
) -> None:
    network = _network(scale, bits, profile, activation_bits=activation_bits, depth_biases=depth_biases)
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (size, size + 3, 3), np.uint8) for size in (1, 5, 18)]
    network.calibrate(_codes(images[-1]))
    with torch.no_grad():
        network.tail.bias.normal_(0, 0.1)
        if depth_biases:
            network.tail_depth_bias.normal_(0, 0.1)
    lowered = lower_checkpoint(checkpoint_from_network(network, network.state_dict(), {}))
    for depth in (1, 2, 4):
        for image in images:
            with torch.no_grad():
                expected = (network.eval()(_codes(image), depth)[0] + IMAGE_ZERO).numpy().transpose(1, 2, 0)
            assert np.array_equal(expected, np.floor(expected))
            got = lowered[depth].run(image)
            assert np.array_equal(got, expected.astype(np.uint8))
            assert got.std() > 0


@pytest.mark.parametrize("activation_bits", [None, 8])
def test_every_parameter_of_the_quantized_network_learns(activation_bits: int | None) -> None:
    network = _network(2, 4, activation_bits=activation_bits)
    codes = _codes(np.random.default_rng(1).integers(0, 256, (16, 16, 3), np.uint8))
    network.calibrate(codes)
    (network(codes, 4) - 3.0).abs().mean().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.abs().sum() > 0, name


def test_normalizing_importance_keeps_the_function() -> None:
    network = _network(2, None)
    codes = _codes(np.random.default_rng(1).integers(0, 256, (16, 16, 3), np.uint8))
    before = network(codes, 4)
    network.normalize_importance(codes)
    assert torch.allclose(network(codes, 4), before, atol=1e-3)
    importance = [block.importance.item() for block in network.blocks(4)]
    assert network.importance_order() == tuple(sorted(range(4), key=lambda i: -importance[i]))


@pytest.mark.parametrize("position", [16.2, 24.4, 31.2, 31.5, 31.9])
def test_block_requantization_passes_gradients_at_every_ratio(position: float) -> None:
    network = _network(2, 4)
    quantizer = network.blocks(4)[0].quant1
    assert quantizer is not None
    stream = torch.arange(-60, 60, dtype=torch.float32).reshape(1, 12, 1, 10)
    with torch.no_grad():
        quantizer.step.fill_(1.0)
    stream_step = torch.tensor(position / 256, requires_grad=True)
    requantized_stream(quantizer, stream, stream_step, quantizer.step.detach()).sum().backward()
    assert stream_step.grad is not None
    assert stream_step.grad.abs() > 0


@pytest.mark.parametrize("importance", [-2.0, 0.0])
def test_normalizing_keeps_the_function_of_a_negative_or_idle_branch(importance: float) -> None:
    network = _network(2, None)
    with torch.no_grad():
        network.blocks(4)[1].importance.fill_(importance)
    codes = _codes(np.random.default_rng(1).integers(0, 256, (16, 16, 3), np.uint8))
    before = network(codes, 4)
    network.normalize_importance(codes)
    assert torch.allclose(network(codes, 4), before, atol=1e-3)


def test_a_channel_of_tiny_weights_still_lowers() -> None:
    network = _network(2, 4)
    with torch.no_grad():
        network.head.weight[0] *= 1e-3
        network.head.bias[0] = 0.3
    network.calibrate(_codes(np.random.default_rng(1).integers(0, 256, (16, 16, 3), np.uint8)))
    assert lower_checkpoint(checkpoint_from_network(network, network.state_dict(), {}))


def test_depths_are_nested() -> None:
    config = _network(2, None).config
    kept = [set(config.kept_blocks(depth)) for depth in config.depths]
    assert kept == [{2}, {0, 2}, {0, 1, 2, 3}]
    with pytest.raises(CheckpointError, match="depth 3 is not offered; this network has 1, 2, 4"):
        config.kept_blocks(3)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("scale", 5),
        ("bits", 5),
        ("activation_bits", 4),
        ("depths", (2, 1, 4)),
        ("depths", (1, 2)),
        ("order", (0, 0, 1, 2)),
        ("channels", 0),
    ],
)
def test_impossible_configurations_are_refused(field: str, value: object) -> None:
    good: dict[str, object] = {
        "scale": 2,
        "channels": 12,
        "blocks": 4,
        "depths": (1, 4),
        "order": (0, 1, 2, 3),
        "bits": 4,
    }
    with pytest.raises(CheckpointError, match=field):
        EdgeConfig(**{**good, field: value})


def test_a_float_network_has_no_activation_bits() -> None:
    with pytest.raises(CheckpointError, match="activation_bits = 8 is not possible"):
        EdgeConfig(scale=2, activation_bits=8)


def test_eight_bit_activations_need_no_requantization() -> None:
    names = {}
    for activation_bits in (None, 8):
        network = _network(2, 4, activation_bits=activation_bits)
        lowered = lower_checkpoint(checkpoint_from_network(network, network.state_dict(), {}))
        names[activation_bits] = {node.name for node in lowered[4].graph.nodes}
        assert {lowered[4].cost().macs_per_pixel} == {
            sum(lowered[4].constants[n.weights].size for n in lowered[4].graph.nodes if isinstance(n, Conv2d))
        }
    assert names[None] - names[8] == {f"body.{i}.quant1" for i in range(4)}
    assert names[8] < names[None]


@pytest.mark.parametrize(
    ("bits", "activation_bits", "widths"), [(4, None, "w4a4"), (4, 8, "w4a8"), (None, None, "fp32")]
)
def test_widths_are_named_as_the_files_are(bits: int | None, activation_bits: int | None, widths: str) -> None:
    config = EdgeConfig(scale=2, bits=bits, activation_bits=activation_bits)
    assert config.widths == widths
    assert model_name(config) == f"qsr-edge-x2-{widths}"


@pytest.mark.parametrize(
    ("channels", "blocks", "size"), [(16, 4, "nano"), (32, 8, "edge"), (48, 14, "plus"), (32, 4, None)]
)
def test_sizes_have_names(channels: int, blocks: int, size: str | None) -> None:
    order = tuple(range(blocks))
    assert EdgeConfig(scale=2, channels=channels, blocks=blocks, depths=(blocks,), order=order).size == size


def test_eight_bits_cannot_be_portable() -> None:
    with pytest.raises(CheckpointError, match="guard bit"):
        EdgeConfig(scale=2, bits=8)
