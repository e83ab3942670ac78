import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from qsr_edge.errors import ArchitectureError, CheckpointError, QsrError
from qsr_edge.nn.checkpoint import Checkpoint, expected_shapes, read_checkpoint, write_checkpoint
from qsr_edge.nn.config import ArchitectureName, EdgeConfig
from qsr_edge.nn.registry import ARCHITECTURES, Architecture, ArchitectureRegistry, load_attribute


def test_every_name_is_registered_once() -> None:
    assert [architecture.name for architecture in ARCHITECTURES] == list(ArchitectureName)


def test_a_name_registered_twice_is_refused_and_changes_nothing() -> None:
    edge = ARCHITECTURES.find("quantsr_c_edge")
    registry = ArchitectureRegistry((edge,))
    with pytest.raises(ArchitectureError, match="'quantsr_c_edge' is registered already") as error:
        registry.add(edge)
    assert isinstance(error.value, QsrError)
    assert list(registry) == [edge]


@pytest.mark.parametrize("name", ["quantsr_z", "", None, 3, ["quantsr_c_edge"]])
def test_an_unknown_name_lists_the_known_ones(name: object) -> None:
    with pytest.raises(CheckpointError, match=r"unknown architecture .*; known are quantsr_c_edge"):
        ARCHITECTURES.find(name)


@pytest.mark.parametrize("architecture", list(ARCHITECTURES), ids=lambda architecture: architecture.name)
def test_networks_and_lowerings_are_where_the_list_says(architecture: Architecture) -> None:
    pytest.importorskip("torch")
    from qsr_edge.nn.network import SuperResolutionNetwork

    assert issubclass(load_attribute(architecture.network), SuperResolutionNetwork)
    assert callable(load_attribute(architecture.lowering))


def test_the_list_needs_no_torch() -> None:
    code = "import sys, qsr_edge.nn.registry, qsr_edge.lowering.checkpoint; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False"]


def test_a_checkpoint_tells_its_architecture(tmp_path: Path) -> None:
    config = EdgeConfig(scale=2, channels=4, blocks=1, depths=(1,), order=(0,), bits=4)
    tensors = {name: np.ones(shape, np.float32) for name, shape in expected_shapes(config).items()}
    write_checkpoint(tmp_path / "a.safetensors", Checkpoint(config=config, tensors=tensors))
    found = read_checkpoint(tmp_path / "a.safetensors").config
    assert found == config
    assert found.architecture is ArchitectureName.QUANTSR_C_EDGE
