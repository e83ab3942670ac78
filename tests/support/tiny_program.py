"""A small network as an ExecuTorch program: converting it takes seconds, so a session's tests share one."""

import pytest

from qsr_edge.conversion.backend import ConvertOptions, ModelFile, ModelMetadata
from qsr_edge.conversion.registry import find_backend
from qsr_edge.lowering.network import LoweredNetwork
from tests.support.graph_builders import random_network


@pytest.fixture(scope="session")
def tiny_network() -> LoweredNetwork:
    """x2, W4A4, 8 channels, one block, in the portable profile."""
    return random_network(bits=4, scale=2, channels=8, depths=(1,))


@pytest.fixture(scope="session")
def tiny_program(tiny_network: LoweredNetwork) -> ModelFile:
    """The network in ExecuTorch's form for images of any size; the session's cache folder knows it as converted here.

    Modules whose tests take this skip where ExecuTorch is not installed.
    """
    metadata = ModelMetadata(name="tiny", version="1", author="tests", licence="CC0-1.0", description="random")
    [file] = find_backend("executorch").convert(tiny_network, ConvertOptions(metadata=metadata))
    assert isinstance(file, ModelFile)
    return file
