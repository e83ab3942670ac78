"""ONNX Runtime at every level of optimization and onnx's reference evaluator give the golden interpreter's bytes."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("onnxruntime", reason="the extra [onnx] is not installed")
pytest.importorskip("onnx", reason="the extra [onnx] is not installed")

from qsr_edge.bundle.layout import Pack, Storage
from qsr_edge.conversion.backend import ConvertOptions, ModelMetadata
from qsr_edge.lowering.checkpoint import lower_checkpoint
from qsr_edge.lowering.network import LoweredNetwork
from qsr_edge.nn.checkpoint import read_checkpoint
from qsr_edge.quant.arithmetic import Profile
from qsr_edge.zoo import ZooEntry, zoo_entries
from qsr_edge_converters.onnx import BACKEND
from tests.support.graph_builders import random_network, sample_images

Images = list[NDArray[np.uint8]]
METADATA = ModelMetadata(name="network", version="1", author="tests", licence="Apache-2.0", description="random")
IMAGES = sample_images(((1, 1), (1, 7), (17, 5)))
SMALL_IMAGES = sample_images(((1, 1), (3, 5)))
SCALED_SHARE = 0.02
"""Most bytes that may differ where float32 is rounded elsewhere than in the golden multiplication."""
DEFAULT = BACKEND.kernel_families()[0]


def differing(
    network: LoweredNetwork, folder: Path, options: ConvertOptions, images: Images = IMAGES
) -> dict[str, int]:
    """Bytes that differ from the golden interpreter's, by family of kernels, over all depths and images."""
    counts = dict.fromkeys(BACKEND.kernel_families(), 0)
    models = BACKEND.convert(network, options)
    for file in models:
        (folder / file.name).write_bytes(file.content)
    assert [file.depths for file in models if file.depths] == [(depth,) for depth in network.depths]
    for file in models:
        for depth in file.depths:
            expected = [network[depth].run(image) for image in images]
            for kernels in counts:
                runner = BACKEND.open_model(folder / file.name, depth=depth, kernels=kernels)
                for image, golden in zip(images, expected, strict=True):
                    upscaled = runner.run(image)
                    assert upscaled.shape == golden.shape
                    counts[kernels] += int(np.count_nonzero(upscaled != golden))
    return counts


@pytest.mark.parametrize("storage", Storage)
@pytest.mark.parametrize("pack", [Pack.PER_DEPTH, Pack.SHARED])
@pytest.mark.parametrize(("bits", "scale", "channels"), [(2, 2, 16), (2, 4, 8), (3, 3, 19), (4, 2, 32), (4, 4, 13)])
def test_every_level_gives_the_golden_bytes(
    tmp_path: Path, bits: int, scale: int, channels: int, storage: Storage, pack: Pack
) -> None:
    network = random_network(bits=bits, scale=scale, channels=channels, depths=(1, 3), seed=bits * scale)
    counts = differing(network, tmp_path, ConvertOptions(storage=storage, pack=pack, metadata=METADATA))
    assert not any(counts.values()), counts


@pytest.mark.parametrize("storage", Storage)
def test_the_flavour_for_npus_gives_them_too(tmp_path: Path, storage: Storage) -> None:
    network = random_network(bits=4, scale=2, channels=32, depths=(1, 3))
    counts = differing(network, tmp_path, ConvertOptions(storage=storage, flavor="npu", metadata=METADATA))
    assert not any(counts.values()), counts


def test_convolutions_and_additions_at_the_upscaled_size(tmp_path: Path) -> None:
    network = random_network(bits=3, scale=3, channels=8, depths=(1,), refined=True)
    counts = differing(network, tmp_path, ConvertOptions(metadata=METADATA))
    assert not any(counts.values()), counts


def test_the_scaled_profile_is_exact_where_it_is_fused_and_nearly_so_elsewhere(tmp_path: Path) -> None:
    network = random_network(bits=8, scale=2, channels=16, depths=(2,), profile=Profile.SCALED)
    counts = differing(network, tmp_path, ConvertOptions(metadata=METADATA))
    fused = [DEFAULT, "cpu-extended"]
    assert [counts[kernels] for kernels in fused] == [0, 0]
    total = sum(golden.size for golden in (network[2].run(image) for image in IMAGES))
    assert max(counts.values()) < SCALED_SHARE * total


@pytest.mark.parametrize(
    "entry",
    [
        pytest.param(entry, id=entry.name, marks=[] if entry.name == "x2_w4a4" else pytest.mark.slow)
        for entry in zoo_entries()
        if entry.profile == "portable"
    ],
)
def test_the_zoo_gives_the_golden_bytes(tmp_path: Path, entry: ZooEntry) -> None:
    network = lower_checkpoint(read_checkpoint(entry.path))
    counts = differing(network, tmp_path, ConvertOptions(metadata=METADATA), SMALL_IMAGES)
    assert not any(counts.values()), counts
