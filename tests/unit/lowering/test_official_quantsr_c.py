"""Official files: what is imported computes what the official code computes, and what is wrong with a file is named."""

from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from safetensors.torch import save_file

from qsr_edge.errors import CheckpointError, QsrWarning
from qsr_edge.lowering.official_quantsr_c import (
    RELEASED_NAME,
    RELEASED_ORDER,
    OrderSource,
    bits_of_name,
    import_official,
    is_official,
)
from qsr_edge.nn.checkpoint import read_checkpoint, write_checkpoint
from qsr_edge.nn.quantsr_c import QuantsrC
from qsr_edge.nn.quantsr_c_config import QuantsrCConfig
from qsr_edge.training.calibration import quantsr_c_network
from tests.support.official_quantsr_c import StateDict, official_forward, official_state

# Of values up to about 1: float32 sums of some hundred products in another order.
FLOAT_ROUNDING = 2e-6

Change = Callable[[StateDict], dict[str, object]]


def imported(state: StateDict, path: Path, **options: Any) -> QuantsrC:
    torch.save({"params": OrderedDict(state)}, path)
    return quantsr_c_network(import_official(path, **options).checkpoint)


@pytest.mark.parametrize("negative", [False, True], ids=["released", "negative"])
@pytest.mark.parametrize(("scale", "bits"), [(2, 2), (3, 3), (4, 4), (2, 8)])
def test_the_network_computes_what_the_official_code_computes(
    tmp_path: Path, scale: int, bits: int, negative: bool
) -> None:
    state = official_state(scale=scale, bits=bits, seed=bits, negative=negative)
    network = imported(state, tmp_path / f"c_{bits}bit.pth")
    config = network.config
    assert (config.scale, config.bits, config.channels, config.blocks) == (scale, bits, 8, 4)
    assert config.depths == (2, 3, 4)
    image = torch.rand(2, 3, 17, 12)
    spread = official_forward(state, image, bits, set()).std()
    for depth in config.depths:
        skipped = set(range(4)) - set(config.order[:depth])
        expected = official_forward(state, image, bits, skipped)
        with torch.no_grad():
            got = network.upscale(image, depth)
        difference = (got - expected).abs().max().item()
        assert difference <= FLOAT_ROUNDING * max(1.0, expected.abs().max().item()), difference
        assert spread > 0.05
    assert not torch.equal(
        official_forward(state, image, bits, set()), official_forward(state, image, bits, {config.order[-1]})
    )


def test_levels_and_the_official_image_are_one_thing(tmp_path: Path) -> None:
    state = official_state(scale=2, bits=4)
    network = imported(state, tmp_path / "c_4bit.pth")
    levels = torch.randint(0, 256, (1, 3, 9, 7)).float()
    with torch.no_grad():
        got = network(levels - 128, 4)
    assert torch.allclose(got, official_forward(state, levels / 255, 4, set()) * 255 - 128, atol=1e-3)


@pytest.mark.parametrize("layout", ["params", "params_ema", "bare", "module", "both", "safetensors", "tagged"])
def test_every_layout_of_a_file_is_read(tmp_path: Path, layout: str) -> None:
    state = official_state(scale=4, bits=3)
    path = tmp_path / "net_w3a3.pth"
    other = official_state(scale=4, bits=3, seed=1)
    match layout:
        case "bare":
            torch.save(state, path)
        case "module":
            torch.save({"params": {f"module.{name}": tensor for name, tensor in state.items()}}, path)
        case "both":  # as BasicSR's tests read it
            torch.save({"params_ema": other, "params": state}, path)
        case "safetensors" | "tagged":
            path = path.with_suffix(".safetensors")
            save_file(state, path, {"format": "pt"} if layout == "tagged" else None)
        case _:
            torch.save({layout: state}, path)
    assert is_official(path)
    found = import_official(path)
    assert found.checkpoint.config.bits == 3
    assert found.key == {"params_ema": "params_ema", "bare": "", "safetensors": "", "tagged": ""}.get(layout, "params")
    assert np.array_equal(found.checkpoint.tensors["conv_first.weight"], state["conv_first.weight"].numpy())
    assert np.array_equal(found.checkpoint.tensors["upsample.1.bias"], state["upsample.2.bias"].numpy())
    write_checkpoint(tmp_path / "ours.safetensors", found.checkpoint)
    again = read_checkpoint(tmp_path / "ours.safetensors")
    assert not is_official(tmp_path / "ours.safetensors")
    assert again.config == found.checkpoint.config
    assert again.provenance == found.checkpoint.provenance


@pytest.mark.parametrize(
    ("name", "bits"),
    [
        ("QuantSR_C_x4_4bit.pth", 4), ("QuantSR_C_x2_2-bit.pth", 2), ("c_W3A3.pth", 3), ("c_x4_8_bit.pth", 8),
        ("c_x4.pth", None), ("c_w2a4.pth", None), ("orbit.pth", None),
    ],
)  # fmt: skip
def test_the_bit_width_that_a_name_tells(name: str, bits: int | None) -> None:
    assert bits_of_name(name) == bits


def test_bits_that_nothing_tells_are_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "network.pth"
    torch.save({"params": official_state(scale=2, bits=4)}, path)
    with pytest.raises(CheckpointError, match=r"network\.pth: its name does not tell the bit width; give --bits"):
        import_official(path)
    with pytest.raises(CheckpointError, match="5 is no bit width of ours"):
        import_official(path, bits=5)
    assert import_official(path, bits=4).checkpoint.config.bits == 4
    named = path.rename(tmp_path / "network_4bit.pth")
    assert import_official(named, bits=4).checkpoint.config.bits == 4
    with pytest.warns(QsrWarning, match=r"network_4bit\.pth: its name tells 4 bits, --bits 3 was given"):
        assert import_official(named, bits=3).checkpoint.config.bits == 3


def test_the_order_of_blocks_is_given_released_or_by_shortcut(tmp_path: Path) -> None:
    state = official_state(scale=4, bits=4, channels=2, blocks=32)
    for i in range(32):
        state[f"body.{i}.learnable_shortcut"] = torch.tensor([(-1.0) ** i * (1 + ((7 * i) % 32) / 100)])
    path = tmp_path / f"{RELEASED_NAME}.pth"
    torch.save({"params": state}, path)
    released = import_official(path)
    assert (released.checkpoint.config.order, released.order_source) == (RELEASED_ORDER, OrderSource.RELEASED)
    assert released.checkpoint.config.depths == (9, 17, 32)
    assert released.checkpoint.config.kept_blocks(9) == tuple(sorted((31, 30, 29, 8, 27, 13, 28, 15, 7)))
    own = tmp_path / "mine_4bit.pth"
    torch.save({"params": state}, own)
    found = import_official(own)
    assert found.order_source is OrderSource.SHORTCUT
    assert found.checkpoint.config.order == tuple(sorted(range(32), key=lambda i: (7 * i) % 32))
    assert found.checkpoint.provenance["block_order_from"] == "magnitude of shortcuts"
    given = tuple(range(31, -1, -1))
    assert import_official(own, block_order=given).checkpoint.config.order == given
    for wrong, told in (
        ((0, 1), "2 blocks, expected"),
        ((*range(31), 30), "32 blocks, 30 more than once, expected"),
        ((5, 5, *range(30), 2, 2), "34 blocks, 2, 5 more than once, expected"),
    ):
        with pytest.raises(CheckpointError, match=f"names {told} each of 0 to 31 once"):
            import_official(own, block_order=wrong)


def _without(name: str) -> Change:
    return lambda state: {key: tensor for key, tensor in state.items() if key != name}


def _with(name: str, tensor: object) -> Change:
    return lambda state: {**state, name: tensor}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_without("body.1.conv2.ActOurs.alpha"), r"'body\.1\.conv2\.ActOurs\.alpha' is missing"),
        (_without("conv_first.weight"), r"'conv_first\.weight' is missing"),
        (_without("upsample.0.weight"), r"'upsample\.0\.weight' is missing"),
        (_without("upsample.2.bias"), r"'upsample\.2\.bias' is missing"),
        (_without("conv_last.bias"), r"'conv_last\.bias' is missing"),
        (_without("body.3.learnable_shortcut"), r"'body\.3\.learnable_shortcut' is missing"),
        (_with("body.1.conv1.scale", torch.ones(1)), r"unexpected tensor 'body\.1\.conv1\.scale'"),
        (_with("upsample.4.weight", torch.ones(1)), r"unexpected tensor 'upsample\.4\.weight'"),
        (_with("body.1.conv1.weight", torch.ones(8, 8, 1, 1)), r"body\.1\.conv1\.weight .*\(8, 8, 1, 1\), expected"),
        (_with("conv_first.weight", torch.ones(8)), "expected 4 dimensions"),
        (_with("conv_first.weight", torch.ones(0, 3, 3, 3)), r"conv_first\.weight .*\(0, 3, 3, 3\), expected weights"),
        (_with("upsample.0.weight", torch.ones(8, 8, 3, 3)), r"upsample\.0\.weight has the shape \(8, 8, 3, 3\)"),
        (_with("conv_after_body.bias", torch.full((8,), torch.nan)), r"conv_after_body\.bias holds NaN"),
        (_with("body.0.conv1.alpha", torch.zeros(1)), r"body\.0\.conv1\.alpha is 0, expected a positive step size"),
        (_with("body.0.conv1.ActOurs.init_state", torch.zeros(1)), "never trained"),
        (_with("body.0.conv1.ActOurs.signed", torch.full((1,), 2.0)), "expected 0 or 1"),
        (_with("body.0.conv1.bias", "no tensor"), r"'body\.0\.conv1\.bias' is a str, expected a tensor"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_state_dict_is_named(tmp_path: Path, change: Change, message: str) -> None:
    path = tmp_path / "c_4bit.pth"
    torch.save({"params": change(official_state(scale=4, bits=4))}, path)
    with pytest.raises(CheckpointError, match=message) as error:
        import_official(path)
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)


def test_files_that_hold_no_state_dict_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "c_4bit.pth"
    torch.save({"params": official_state(scale=2, bits=4)}, path)
    content = path.read_bytes()
    for broken in (b"", b"no file of torch", content[: len(content) // 2], content[:100]):
        path.write_bytes(broken)
        with pytest.raises(CheckpointError, match=r"not a torch file of tensors|more than tensors, or is damaged"):
            import_official(path)
    for value in ([1, 2], {"params": [1]}, torch.ones(1)):
        torch.save(value, path)
        with pytest.raises(CheckpointError, match="expected a table of tensors"):
            import_official(path)
    torch.save({"params": {"epoch": 3}}, path)
    with pytest.raises(CheckpointError, match="'epoch' is a int, expected a tensor"):
        import_official(path)
    with pytest.raises(CheckpointError, match="cannot be read"):
        import_official(tmp_path / "none_4bit.pth")
    (tmp_path / "x.safetensors").write_bytes(b"nothing")
    assert not is_official(tmp_path / "x.safetensors")


class _Opens:
    """What a malicious file would hold: unpickling it writes a file."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self) -> tuple[Callable[[Path], None], tuple[Path]]:
        return Path.touch, (self.path,)


def test_nothing_in_a_file_is_executed(tmp_path: Path) -> None:
    path, trace = tmp_path / "c_4bit.pth", tmp_path / "executed"
    torch.save({"params": {"conv_first.weight": _Opens(trace)}}, path)
    with pytest.raises(CheckpointError, match=r"holds more than tensors.*nothing in it was executed") as error:
        import_official(path)
    assert not trace.exists()
    assert "weights_only" not in str(error.value)
    assert "can still be loaded" not in str(error.value)


def test_flipped_bytes_are_told_or_change_a_number(tmp_path: Path) -> None:
    path = tmp_path / "c_4bit.pth"
    torch.save({"params": official_state(scale=2, bits=4, channels=2, blocks=1)}, path)
    content = bytearray(path.read_bytes())
    rng = np.random.default_rng(0)
    messages, read = [], 0
    pickled = content.index(b"data.pkl"), content.index(b"byteorder")
    for i in range(60):
        damaged = bytearray(content)
        position = int(rng.integers(*pickled)) if i % 2 else int(rng.integers(len(damaged)))
        damaged[position] ^= int(rng.integers(1, 256))
        path.write_bytes(damaged)
        try:
            found = import_official(path).checkpoint
        except CheckpointError as error:
            messages.append(str(error))
        else:
            assert isinstance(found.config, QuantsrCConfig)
            assert found.config.channels == 2
            read += 1
    assert len(messages) > 5
    assert len(messages) + read == 60
    assert all(message.startswith(str(path)) and "\n" not in message for message in messages)


@pytest.mark.parametrize(
    ("name", "value"),
    [("body.1.conv1.alpha", 0.0), ("body.0.conv2.ActOurs.alpha", float("nan")), ("body.2.conv1.init_state", 0.0)],
)
def test_an_average_without_step_sizes_is_told_apart_from_a_damaged_file(
    tmp_path: Path, name: str, value: float
) -> None:
    state = {**official_state(scale=2, bits=4, seed=4), name: torch.full((1,), value)}
    path = tmp_path / "c_4bit.pth"
    torch.save({"params_ema": state}, path)
    with pytest.raises(
        CheckpointError, match=rf"holds only params_ema.*{name} was never set.*give the file that holds"
    ):
        import_official(path)
    torch.save({"params": state}, path)
    with pytest.raises(CheckpointError, match=f"{name} "):
        import_official(path)
    torch.save({"params_ema": official_state(scale=2, bits=4, seed=4)}, path)
    assert import_official(path).key == "params_ema"
