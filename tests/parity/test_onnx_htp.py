"""Qualcomm's HTP back end, emulated, takes whole networks and gives the golden interpreter's bytes."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnxruntime_qnn", reason="run `make htp-env`; Linux x86-64 with glibc 2.35 or newer")

import onnx

from qsr_edge.bundle.layout import Storage
from qsr_edge.conversion.backend import ConvertOptions, ModelMetadata
from qsr_edge.errors import BackendError
from qsr_edge.lowering.checkpoint import lower_checkpoint
from qsr_edge.lowering.network import LoweredNetwork, convolutional_network
from qsr_edge.nn.checkpoint import read_checkpoint
from qsr_edge.quant.arithmetic import CodeRange
from qsr_edge.zoo import find_checkpoint
from qsr_edge_converters.onnx import BACKEND
from tests.support.graph_builders import random_network, sample_images

pytestmark = pytest.mark.slow
METADATA = ModelMetadata(name="network", version="1", author="tests", licence="Apache-2.0", description="random")


def check(
    network: LoweredNetwork,
    folder: Path,
    sizes: tuple[tuple[int, int], ...],
    storage: Storage,
    kernels: str = "htp",
    flavor: str | None = None,
) -> None:
    for file in BACKEND.convert(network, ConvertOptions(metadata=METADATA, storage=storage, flavor=flavor)):
        path = folder / file.name
        path.write_bytes(file.content)
        [depth] = file.depths
        runner = BACKEND.open_model(path, depth=depth, kernels=kernels)
        for image in sample_images(sizes):
            np.testing.assert_array_equal(runner.run(image), network[depth].run(image))
        placement = runner.placement()
        assert not placement.fallback
        assert placement.delegated_ops > len(network[depth].graph.nodes)


def with_wide_activations(network: LoweredNetwork) -> LoweredNetwork:
    """The same networks without a range of fewer than 256 codes."""
    graphs = {}
    for depth, whole in network.items():
        wide = tuple(
            dataclasses.replace(tensor, range=CodeRange.unsigned(8) if tensor.range.q_min == 0 else CodeRange.signed(8))
            for tensor in whole.graph.tensors
        )
        graphs[depth] = dataclasses.replace(whole.graph, tensors=wide)
    return convolutional_network(graphs, network.deepest.constants)


@pytest.mark.parametrize("bits", [2, 3, 4])
def test_bundled_networks_with_narrow_codes(tmp_path: Path, bits: int) -> None:
    network = lower_checkpoint(read_checkpoint(find_checkpoint(scale=2, bits=bits)))
    deepest = network.depths[-1]
    only = dataclasses.replace(network, graphs={deepest: network.deepest})
    check(only, tmp_path, ((24, 40),), Storage.FAST)


@pytest.mark.parametrize(("bits", "activation_bits"), [(4, 8), (4, 4)])
def test_newer_npus_with_two_guard_bits(tmp_path: Path, bits: int, activation_bits: int) -> None:
    network = lower_checkpoint(read_checkpoint(find_checkpoint(scale=2, bits=bits, activation_bits=activation_bits)))
    least = network.depths[0]
    only = dataclasses.replace(network, graphs={least: network[least]})
    check(only, tmp_path, ((24, 40),), Storage.FAST, "htp-v73", "npu")
    # If this one passes, the emulator has mended its biases: the flavour `npu` can go, and what docs/npu.md says of it.
    with pytest.raises(AssertionError, match="Mismatched elements"):
        check(only, tmp_path, ((24, 40),), Storage.FAST, "htp-v73", "qdq")


def test_eight_bit_activations_and_weights_stored_as_int4(tmp_path: Path) -> None:
    network = with_wide_activations(random_network(bits=4, scale=4, channels=32, depths=(1,)))
    check(network, tmp_path, ((1, 1), (7, 5)), Storage.COMPACT)


def test_a_node_that_it_does_not_take_is_an_error(tmp_path: Path) -> None:
    network = random_network(bits=4, scale=2, channels=8, depths=(1,))
    [file] = BACKEND.convert(network, ConvertOptions(metadata=METADATA))
    model = onnx.load_model_from_string(file.content)
    # A determinant is nothing that an NPU computes.
    last = model.graph.node[-1]
    last.output[0] = "before"
    model.graph.node.extend([
        onnx.helper.make_node("Cast", ["before"], ["real"], name="cast", to=onnx.TensorProto.DOUBLE),
        onnx.helper.make_node("Cast", ["real"], ["upscaled"], name="back", to=onnx.TensorProto.UINT8),
    ])  # fmt: skip
    path = tmp_path / file.name
    onnx.save(model, path)
    runner = BACKEND.open_model(path, depth=1, kernels="htp")
    with pytest.raises(BackendError, match="HTP back end does not take it at 6x4"):
        runner.run(np.zeros((4, 6, 3), np.uint8))


def test_an_image_of_another_kind_is_refused_before_anything_is_compiled(tmp_path: Path) -> None:
    [file] = BACKEND.convert(
        random_network(bits=4, scale=2, channels=8, depths=(1,)), ConvertOptions(metadata=METADATA)
    )
    path = tmp_path / file.name
    path.write_bytes(file.content)
    runner = BACKEND.open_model(path, depth=1, kernels="htp")
    with pytest.raises(BackendError, match="expected uint8"):
        runner.run(np.zeros((4, 6), np.uint8))
    assert runner.placement() is None
