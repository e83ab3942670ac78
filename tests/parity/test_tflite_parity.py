"""The promise of the portable profile: every LiteRT kernel computes the golden interpreter's bytes."""

import subprocess
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from qsr_edge.bundle.layout import Pack, Storage
from qsr_edge.conversion.backend import ConvertOptions, ModelMetadata
from qsr_edge.graph.ir import ConstantId, Constants, Conv2d, DepthToSpace, Graph, QuantizeInput, Shift, Tensor, TensorId
from qsr_edge.lowering.network import LoweredNetwork, convolutional_network
from qsr_edge.quant.arithmetic import CodeRange, Profile
from qsr_edge_converters.tflite import BACKEND, inspect_model
from tests.support.graph_builders import random_network, sample_images
from tests.support.paths import RUN_MODELS
from tests.support.waiting import PATIENCE_S

pytest.importorskip("ai_edge_litert", reason="the extra [tflite] is not installed")

METADATA = ModelMetadata(name="shared", version="1", author="tests", licence="Apache-2.0", description="random")
SIZES = ((1, 1), (1, 7), (17, 5), (32, 24))
DEPTHS = (1, 3)
IMAGES = sample_images(SIZES)


def golden(network: LoweredNetwork) -> dict[int, list[NDArray[np.uint8]]]:
    return {depth: [graph.run(image) for image in IMAGES] for depth, graph in network.items()}


def write(network: LoweredNetwork, folder: Path, options: ConvertOptions) -> list[tuple[Path, tuple[int, ...]]]:
    written = []
    for file in BACKEND.convert(network, options):
        path = folder / file.name
        path.write_bytes(file.content)
        written.append((path, file.depths))
    return written


@pytest.mark.parametrize("storage", Storage)
@pytest.mark.parametrize("pack", [Pack.PER_DEPTH, Pack.SHARED])
@pytest.mark.parametrize(
    ("bits", "scale", "channels"), [(2, 2, 16), (2, 4, 8), (3, 2, 19), (3, 3, 16), (4, 2, 32), (4, 4, 13)]
)
def test_every_kernel_gives_the_golden_bytes(
    tmp_path: Path, bits: int, scale: int, channels: int, storage: Storage, pack: Pack
) -> None:
    network = random_network(bits=bits, scale=scale, channels=channels, depths=DEPTHS, seed=bits * scale)
    expected = golden(network)
    compared = 0
    for path, depths in write(network, tmp_path, ConvertOptions(storage=storage, pack=pack, metadata=METADATA)):
        assert inspect_model(path).integer_only
        for depth in depths:
            for kernels in BACKEND.kernel_families():
                runner = BACKEND.open_model(path, depth=depth, kernels=kernels)
                for image, result in zip(IMAGES, expected[depth], strict=True):
                    np.testing.assert_array_equal(runner.run(image), result, err_msg=f"{path.name} {depth} {kernels}")
                    compared += 1
    assert compared == len(DEPTHS) * len(BACKEND.kernel_families()) * len(IMAGES)


@pytest.mark.parametrize("storage", Storage)
def test_fixed_size_and_threads(tmp_path: Path, storage: Storage) -> None:
    network = random_network(bits=4, scale=2, channels=16, depths=DEPTHS)
    expected = golden(network)
    for size, index in (((17, 5), 4), ((32, 24), 7)):
        options = ConvertOptions(storage=storage, pack=Pack.SHARED, input_size_px=size, metadata=METADATA)
        [(path, depths)] = write(network, tmp_path, options)
        for depth in depths:
            for kernels in BACKEND.kernel_families():
                runner = BACKEND.open_model(path, depth=depth, kernels=kernels, threads=2)
                np.testing.assert_array_equal(runner.run(IMAGES[index]), expected[depth][index])


@pytest.mark.parametrize("storage", Storage)
def test_convolutions_and_additions_at_the_upscaled_size(tmp_path: Path, storage: Storage) -> None:
    network = random_network(bits=3, scale=3, channels=8, depths=(1,), refined=True)
    expected = golden(network)
    [(path, _)] = write(network, tmp_path, ConvertOptions(storage=storage, metadata=METADATA))
    for kernels in BACKEND.kernel_families():
        runner = BACKEND.open_model(path, depth=1, kernels=kernels)
        for image, result in zip(IMAGES, expected[1], strict=True):
            np.testing.assert_array_equal(runner.run(image), result, err_msg=kernels)


@pytest.mark.parametrize("bits", [4, 8])
def test_scaled_profile_is_xnnpacks_arithmetic(tmp_path: Path, bits: int) -> None:
    network = random_network(bits=bits, scale=2, channels=32, depths=DEPTHS, profile=Profile.SCALED)
    expected = golden(network)
    [(path, depths)] = write(network, tmp_path, ConvertOptions(pack=Pack.SHARED, metadata=METADATA))
    for depth in depths:
        runner = BACKEND.open_model(path, depth=depth, kernels="xnnpack")
        for image, result in zip(IMAGES, expected[depth], strict=True):
            np.testing.assert_array_equal(runner.run(image), result)


def tie_network(shift: int, *, weight_bits: int) -> LoweredNetwork:
    """Output channels that copy an input channel, with a bias that puts 256 consecutive accumulators around a tie."""
    rng = np.random.default_rng(shift)
    outputs, inputs = 48, 3
    weights = np.zeros((outputs, 3, 3, inputs), np.int8)
    weights[np.arange(outputs), 1, 1, np.arange(outputs) % inputs] = 1
    if weight_bits == 4:
        weights[0, 0, 0, 0] = 7  # leaves no room for a guard bit in INT4
    ties = (rng.integers(-129, 130, outputs) << shift) + (1 << shift >> 1)
    ids = image, codes, upscaled = TensorId("image"), TensorId("codes"), TensorId("upscaled")
    graph = Graph(
        name="ties",
        scale=4,
        depth=1,
        bits=4,
        profile=Profile.PORTABLE,
        tensors=tuple(
            Tensor(id=key, channels=channels, range=CodeRange.signed(8), upscale=upscale)
            for key, channels, upscale in zip(ids, (inputs, outputs, 3), (1, 1, 4), strict=True)
        ),
        nodes=(
            QuantizeInput(name="quantize", output=image),
            Conv2d(
                name="conv",
                input=image,
                output=codes,
                weights=ConstantId("weights"),
                bias=ConstantId("bias"),
                weight_bits=weight_bits,
                requantization=Shift(shifts=ConstantId("shifts")),
            ),
            DepthToSpace(name="shuffle", input=codes, output=upscaled, block=4),
        ),
        output=upscaled,
    )
    constants = {
        ConstantId("weights"): weights,
        ConstantId("bias"): ties.astype(np.int32),
        ConstantId("shifts"): np.full(outputs, shift, np.int32),
    }
    return convolutional_network({1: graph}, Constants(constants))


@pytest.mark.parametrize("storage", Storage)
@pytest.mark.parametrize("weight_bits", [3, 4])
@pytest.mark.parametrize("shift", range(1, 14))
def test_around_ties(tmp_path: Path, shift: int, weight_bits: int, storage: Storage) -> None:
    network = tie_network(shift, weight_bits=weight_bits)
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, axis=2)
    expected = network[1].run(levels)
    [(path, _)] = write(network, tmp_path, ConvertOptions(storage=storage, metadata=METADATA))
    assert ("int4" in inspect_model(path).subgraphs[0].tensor_types) == (storage is Storage.COMPACT)
    for kernels in BACKEND.kernel_families():
        result = BACKEND.open_model(path, depth=1, kernels=kernels).run(levels)
        np.testing.assert_array_equal(result, expected, err_msg=kernels)


def test_tflite_runtime_2_14_gives_the_golden_bytes(tmp_path: Path, tflite_runtime_python: Path) -> None:
    networks = {
        f"{bits}-{scale}": random_network(bits=bits, scale=scale, channels=16, depths=DEPTHS, seed=bits)
        for bits, scale in ((2, 2), (3, 4), (4, 2), (4, 4))
    }
    for name, network in networks.items():
        for storage in Storage:
            options = ConvertOptions(storage=storage, pack=Pack.SHARED, metadata=METADATA)
            [(path, _)] = write(network, tmp_path, options)
            path.rename(tmp_path / f"{name}-{storage.value}.tflite")
    np.savez(tmp_path / "images.npz", **{str(i): image for i, image in enumerate(IMAGES)})
    run = subprocess.run(
        [tflite_runtime_python, RUN_MODELS, tmp_path], capture_output=True, text=True, timeout=PATIENCE_S
    )
    assert run.returncode == 0, run.stderr[-2000:]
    outputs = np.load(tmp_path / "outputs.npz")
    families = {key.split("|")[2] for key in outputs.files}
    assert families == {"default", "builtin", "reference"}
    assert len(outputs.files) == len(networks) * len(Storage) * len(DEPTHS) * len(families) * len(IMAGES)
    expected = {name: golden(network) for name, network in networks.items()}
    for key in outputs.files:
        model, signature, _, image = key.split("|")
        result = expected[model.rpartition("-")[0]][int(signature.removeprefix("d"))][int(image)]
        np.testing.assert_array_equal(outputs[key], result, err_msg=key)
