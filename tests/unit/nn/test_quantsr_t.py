"""QuantSR-T against a plain SwinIR, its import, and what training needs of it."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from qsr_edge.errors import CheckpointError
from qsr_edge.graph.windows import foreign_pairs, reflected_indices, relative_position_index
from qsr_edge.nn.quantsr_t import QuantsrT
from qsr_edge.nn.swin_config import SwinConfig
from qsr_edge.nn.swinir_import import read_swinir
from qsr_edge.training.state import checkpoint_from_network, network_from_checkpoint
from tests.support.swinir_oracle import swinir_light

ORACLE_TOLERANCE = 2e-5
"""In units of an image in [0, 1]: float32 sums in another order, over some dozen operations."""
SHAPE: dict[str, Any] = {
    "scale": 2,
    "channels": 12,
    "blocks": 4,
    "groups": 2,
    "heads": 2,
    "depths": (1, 2, 4),
    "order": (2, 0, 3, 1),
}


def config(bits: int | None = None) -> SwinConfig:
    return SwinConfig(**SHAPE, bits=bits)


def official_state(*, light: bool = False) -> dict[str, torch.Tensor]:
    """A state dict of the official layout, buffers included, with weights that all have an effect."""
    shape = SwinConfig(scale=2) if light else config()
    state = {}
    for name, size in shape.tensor_shapes().items():
        if name.endswith("importance"):
            continue
        center = 1.0 if "norm" in name and name.endswith("weight") else 0.0
        state[name] = center + 0.2 * torch.randn(size)
        if name.endswith("relative_position_bias_table"):
            stem = name.removesuffix("relative_position_bias_table")
            state[f"{stem}relative_position_index"] = torch.from_numpy(relative_position_index(8))
            if int(stem.split(".")[4]) % 2:
                mask = np.where(foreign_pairs(64, 64, 8), np.float32(-100), np.float32(0))
                state[f"{stem.removesuffix('attn.')}attn_mask"] = torch.from_numpy(mask)
    return state


@pytest.mark.parametrize("key", ["params", "params_ema", None])
def test_import_computes_what_swinir_computes(tmp_path: Path, key: str | None) -> None:
    state = official_state()
    torch.save({key: state} if key else state, tmp_path / "swinir.pth")
    checkpoint = read_swinir(tmp_path / "swinir.pth")
    network = network_from_checkpoint(checkpoint)
    assert isinstance(network, QuantsrT)
    image = torch.rand(3, 16, 24)
    expected = swinir_light(image, state, scale=2, groups=2, layers=2, heads=2)
    with torch.no_grad():
        got = network.upscaled(image[None], 4)[0]
    assert (got - expected).abs().max() < ORACLE_TOLERANCE
    assert expected.std() > 0.1


def test_import_of_the_published_size(tmp_path: Path) -> None:
    torch.save({"params": official_state(light=True)}, tmp_path / "light.pth")
    checkpoint = read_swinir(tmp_path / "light.pth")
    # Under the names that inspect and model cards know, as for official QuantSR-C files.
    assert checkpoint.provenance == {"imported_from": "light.pth", "state_dict": "params"}
    assert checkpoint.config == SwinConfig(scale=2)
    assert sum(t.size for n, t in checkpoint.tensors.items() if not n.endswith("importance")) == 910_152


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("norm.bias", None),
        ("conv_first.weight", None),
        ("layers.1.residual_group.blocks.0.mlp.fc1.weight", torch.zeros(48, 12)),
        ("layers.0.residual_group.blocks.0.attn.relative_position_index", torch.zeros(64, 64, dtype=torch.int64)),
        ("conv_before_upsample.0.weight", torch.zeros(64, 12, 3, 3)),
    ],
)
def test_import_names_what_is_wrong(tmp_path: Path, name: str, change: torch.Tensor | None) -> None:
    state = official_state()
    if change is None:
        del state[name]
    else:
        state[name] = change
    torch.save(state, tmp_path / "wrong.pth")
    with pytest.raises(CheckpointError, match=name.replace(".", r"\.")):
        read_swinir(tmp_path / "wrong.pth")


@pytest.mark.parametrize("content", [b"", b"not a state dict", b"PK\x03\x04 cut"])
def test_import_refuses_damaged_files(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "damaged.pth"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"damaged\.pth"):
        read_swinir(path)


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_import_refuses_weights_that_are_no_numbers(tmp_path: Path, value: float) -> None:
    state = official_state()
    state["norm.bias"][3] = value
    torch.save(state, tmp_path / "nan.pth")
    with pytest.raises(CheckpointError, match=r"nan\.pth: norm\.bias holds NaN or infinite"):
        read_swinir(tmp_path / "nan.pth")
    torch.save({"norm.bias": torch.ones(3, dtype=torch.complex64)}, tmp_path / "nan.pth")
    with pytest.raises(CheckpointError, match=r"'norm\.bias' is torch\.complex64"):
        read_swinir(tmp_path / "nan.pth")
    torch.save(official_state() | {"conv_first.weight": torch.ones(0, 3, 3, 3)}, tmp_path / "nan.pth")
    with pytest.raises(CheckpointError, match=r"conv_first\.weight has shape \(0, 3, 3, 3\)"):
        read_swinir(tmp_path / "nan.pth")


def test_import_knows_names_of_data_parallel_training(tmp_path: Path) -> None:
    state = official_state()
    torch.save({"params": state}, tmp_path / "plain.pth")
    torch.save({"params": {f"module.{name}": tensor for name, tensor in state.items()}}, tmp_path / "parallel.pth")
    plain, parallel = (read_swinir(tmp_path / f"{name}.pth") for name in ("plain", "parallel"))
    assert plain.config == parallel.config
    assert plain.tensors.keys() == parallel.tensors.keys()
    assert all(np.array_equal(array, parallel.tensors[name]) for name, array in plain.tensors.items())


def test_import_tells_flipped_bytes_or_reads_a_number(tmp_path: Path) -> None:
    path = tmp_path / "swinir.pth"
    state = official_state()
    torch.save({"params": state}, path)
    clean, content = read_swinir(path).config, path.read_bytes()
    rng = np.random.default_rng(0)
    # Half of the flips in the pickle, which is what tells names, shapes and types.
    pickled = content.index(b"data.pkl"), content.index(b"byteorder")
    messages, read = [], 0
    for i in range(160):
        damaged = bytearray(content)
        position = int(rng.integers(*pickled)) if i % 2 else int(rng.integers(len(content)))
        damaged[position] ^= int(rng.integers(1, 256))
        path.write_bytes(damaged)
        try:
            assert read_swinir(path).config == clean
        except CheckpointError as error:
            messages.append(str(error))
        else:
            read += 1
    assert len(messages) > 40
    assert len(messages) + read == 160
    assert all(message.startswith(str(path)) and "\n" not in message for message in messages)


def test_import_executes_nothing(tmp_path: Path) -> None:
    torch.save({"params": Path("would be unpickled")}, tmp_path / "object.pth")
    with pytest.raises(CheckpointError, match="nothing in it was executed"):
        read_swinir(tmp_path / "object.pth")


def test_sizes_are_completed_by_reflection() -> None:
    assert reflected_indices(5, 8).tolist() == [0, 1, 2, 3, 4, 3, 2, 1]
    assert reflected_indices(2, 8).tolist() == [0, 1, 0, 1, 0, 1, 0, 1]
    assert reflected_indices(1, 4).tolist() == [0, 0, 0, 0]
    network = QuantsrT(config())
    codes = torch.randint(-128, 128, (1, 3, 10, 13)).float()
    with torch.no_grad():
        got = network(codes, 4)
        reference = network(torch.nn.functional.pad(codes, (0, 3, 0, 6), mode="reflect"), 4)
    assert got.shape == (1, 3, 20, 26)
    assert torch.equal(got, reference[:, :, :20, :26])


@pytest.mark.parametrize("bits", [None, 2, 3, 4, 8])
def test_gradients_reach_every_parameter(bits: int | None) -> None:
    network = QuantsrT(config(bits))
    codes = torch.randint(-128, 128, (2, 3, 16, 16)).float()
    if bits:
        network.calibrate(codes)
    network(codes, 4).square().mean().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.abs().sum() > 0, name


def test_state_is_what_a_checkpoint_holds() -> None:
    for bits in (None, 4):
        network = QuantsrT(config(bits))
        assert {name: tuple(t.shape) for name, t in network.state_dict().items()} == config(bits).tensor_shapes()
    checkpoint = checkpoint_from_network(network, network.state_dict(), {})
    again = network_from_checkpoint(checkpoint)
    assert all(torch.equal(tensor, again.state_dict()[name]) for name, tensor in network.state_dict().items())


def test_depths_are_nested_and_leave_out_empty_groups() -> None:
    shape = config()
    assert shape.kept_layers(1) == ((), (0,))
    assert shape.kept_layers(2) == ((0,), (0,))
    assert shape.kept_layers(4) == ((0, 1), (0, 1))
    kept = [set(shape.kept_blocks(depth)) for depth in shape.depths]
    assert all(shallow < deep for shallow, deep in itertools.pairwise(kept))
    network = QuantsrT(shape)
    codes = torch.randint(-128, 128, (1, 3, 8, 8)).float()
    network(codes, 1).square().mean().backward()
    untouched = [name for name, p in network.named_parameters() if name.startswith("layers.") and p.grad is None]
    assert any(name.startswith("layers.0.conv") for name in untouched)
    assert not any(name.startswith("layers.1.residual_group.blocks.0") for name in untouched)


def test_layers_are_ordered_by_the_magnitude_of_their_importance() -> None:
    network = QuantsrT(config())
    codes = torch.randint(-128, 128, (1, 3, 16, 16)).float()
    network.normalize_importance(codes)
    assert all(network.group(i).layer(j).importance == 1 for i in range(2) for j in range(2))
    with torch.no_grad():
        for i, value in enumerate((0.5, -2.0, 1.0, 0.1)):
            network.group(i // 2).layer(i % 2).importance.fill_(value)
    assert network.importance_order() == (1, 2, 0, 3)


def test_quantized_sizes_and_profiles_that_cannot_be() -> None:
    for change in (
        {"heads": 5},
        {"groups": 3},
        {"window_px": 7},
        {"channels": 240},
        {"profile": "portable", "bits": 4},
    ):
        with pytest.raises(CheckpointError, match=next(iter(change))):
            SwinConfig(**{**SHAPE, **change})
