import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.numpy import save_file

from qsr_edge.errors import CheckpointError
from qsr_edge.nn.checkpoint import Checkpoint, expected_shapes, read_checkpoint, write_checkpoint
from qsr_edge.nn.config import EdgeConfig

CONFIG = EdgeConfig(scale=2, channels=4, blocks=2, depths=(1, 2), order=(1, 0), bits=4)


def checkpoint() -> Checkpoint:
    tensors = {name: np.full(shape, 1, np.float32) for name, shape in expected_shapes(CONFIG).items()}
    return Checkpoint(config=CONFIG, tensors=tensors, provenance={"recipe": {"seed": 0}})


def test_round_trip(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "c.safetensors", checkpoint())
    again = read_checkpoint(tmp_path / "c.safetensors")
    assert again.config == CONFIG
    assert again.provenance == {"recipe": {"seed": 0}}
    assert all(np.array_equal(again.tensors[name], array) for name, array in checkpoint().tensors.items())
    assert [path.name for path in tmp_path.iterdir()] == ["c.safetensors"]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_named(tmp_path: Path, bad: float) -> None:
    broken = checkpoint()
    broken.tensors["body.1.conv1.weight"][0, 0, 0, 0] = bad
    with pytest.raises(CheckpointError, match=r"body\.1\.conv1\.weight holds NaN or infinite"):
        write_checkpoint(tmp_path / "c.safetensors", broken)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("stream_step", 0.0, "not positive"),
        ("head.exponent", 1.5, "not an integer"),
        ("tail.exponent", 0.0, "not an integer"),
    ],
)
def test_impossible_values_are_named(tmp_path: Path, name: str, value: float, message: str) -> None:
    broken = checkpoint()
    broken.tensors[name][...] = value
    with pytest.raises(CheckpointError, match=f"{name}.*{message}"):
        write_checkpoint(tmp_path / "c.safetensors", broken)


def test_missing_extra_and_misshapen_tensors_are_named(tmp_path: Path) -> None:
    for change, message in (
        (lambda t: t.pop("tail.bias"), "'tail.bias' is missing"),
        (lambda t: t.update(more=np.zeros(1, np.float32)), "unexpected tensor 'more'"),
        (lambda t: t.update({"head.bias": np.zeros(5, np.float32)}), r"head\.bias is float32 \(5,\)"),
    ):
        broken = checkpoint()
        change(broken.tensors)
        with pytest.raises(CheckpointError, match=message):
            write_checkpoint(tmp_path / "c.safetensors", broken)


def test_foreign_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "c.safetensors"
    save_file({"a": np.zeros(1, np.float32)}, path)
    with pytest.raises(CheckpointError, match="not a qsr-edge checkpoint"):
        read_checkpoint(path)
    metadata = {"format": "qsr-edge-checkpoint", "version": "2", "config": "{}"}
    save_file({"a": np.zeros(1, np.float32)}, path, metadata)
    with pytest.raises(CheckpointError, match="version 2"):
        read_checkpoint(path)
    metadata.update(version="1", config=json.dumps({"architecture": "other"}))
    save_file({"a": np.zeros(1, np.float32)}, path, metadata)
    with pytest.raises(CheckpointError, match="unknown architecture"):
        read_checkpoint(path)
    path.write_bytes(b"")
    with pytest.raises(CheckpointError, match=r"c\.safetensors"):
        read_checkpoint(path)
    for path, message in ((tmp_path / "missing", "No such file"), (tmp_path, "Is a directory")):
        with pytest.raises(CheckpointError, match=message) as caught:
            read_checkpoint(path)
        assert str(path) in str(caught.value)


@pytest.mark.parametrize("key", ["config", "provenance"])
@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[" * 100_000 + "]" * 100_000, "nested too deeply"),
        ('{"a":' * 500 + "1" + "}" * 500, "nested too deeply"),
        ('{"a": ' + "9" * 5000 + "}", "4300 digits"),
        ('{"blocks": NaN}', "not a finite number"),
        ("[]", "is not a table"),
        ('{"a": "\\ud800"}', "surrogates not allowed"),
    ],
)
def test_metadata_that_no_parser_can_walk_is_refused(tmp_path: Path, key: str, text: str, told: str) -> None:
    path = tmp_path / "c.safetensors"
    write_checkpoint(path, checkpoint())
    with safe_open(path, framework="numpy") as file:
        metadata, tensors = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}
    save_file(tensors, path, {**metadata, key: text})
    with pytest.raises(CheckpointError, match=told) as caught:
        read_checkpoint(path)
    assert len(str(caught.value)) < 500


@given(data=st.data())
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_damaged_files_never_raise_anything_else(tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "c.safetensors"
    write_checkpoint(path, checkpoint())
    content = bytearray(path.read_bytes())
    if data.draw(st.booleans()):
        del content[data.draw(st.integers(0, len(content) - 1)) :]
    else:
        # The header: a flipped weight byte is a different but possible weight.
        header = int.from_bytes(content[:8], "little") + 8
        content[data.draw(st.integers(0, header - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    # Whatever the damage: a checkpoint, or the one error that names the file.
    message = str(path)
    try:
        read_checkpoint(path)
    except CheckpointError as error:
        message = str(error)
    assert str(path) in message
