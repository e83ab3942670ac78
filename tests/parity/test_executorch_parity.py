"""ExecuTorch computes the golden interpreter's bytes, and so LiteRT's."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("executorch", reason="the extra [executorch] is not installed")

from qsr_edge.bundle.layout import Pack
from qsr_edge.conversion.backend import ConvertOptions, ModelFile, ModelMetadata, TellsPlacement
from qsr_edge.errors import BackendError
from qsr_edge.lowering.edge import lower_checkpoint
from qsr_edge.lowering.network import LoweredNetwork
from qsr_edge.nn.checkpoint import read_checkpoint
from qsr_edge.quant.arithmetic import Profile
from qsr_edge.zoo import ZooEntry, zoo_entries
from qsr_edge_converters import tflite
from qsr_edge_converters.executorch import BACKEND, inspect_pte
from tests.support.graph_builders import random_network, sample_images

METADATA = ModelMetadata(name="network", version="1", author="tests", licence="Apache-2.0", description="random")
SIZES = ((1, 1), (1, 7), (17, 5), (32, 24))
IMAGES = sample_images(SIZES)
SCALED, PORTABLE = Profile.SCALED, Profile.PORTABLE


def write(files: tuple[ModelFile, ...], folder: Path) -> dict[int, Path]:
    for file in files:
        (folder / file.name).write_bytes(file.content)
    return {depth: folder / file.name for file in files for depth in file.depths}


def check(network: LoweredNetwork, paths: dict[int, Path], images: list[np.ndarray], threads: int = 1) -> None:
    for depth, graph in network.items():
        assert inspect_pte(paths[depth]).first_float is None
        runner = BACKEND.open_model(paths[depth], depth=depth, threads=threads)
        for image in images:
            expected = graph.run(image)
            np.testing.assert_array_equal(runner.run(image), expected, err_msg=f"{paths[depth].name} {depth}")


@pytest.mark.parametrize(
    ("bits", "scale", "channels", "profile"),
    [
        (2, 2, 16, PORTABLE),
        pytest.param(3, 3, 19, PORTABLE, marks=pytest.mark.slow),
        pytest.param(4, 4, 13, PORTABLE, marks=pytest.mark.slow),
        (4, 2, 32, SCALED),
        pytest.param(8, 2, 16, SCALED, marks=pytest.mark.slow),
    ],
)
def test_every_profile_and_width_gives_the_golden_bytes(
    tmp_path: Path, bits: int, scale: int, channels: int, profile: Profile
) -> None:
    network = random_network(bits=bits, scale=scale, channels=channels, depths=(1,), seed=bits, profile=profile)
    paths = write(BACKEND.convert(network, ConvertOptions(metadata=METADATA)), tmp_path)
    check(network, paths, list(IMAGES))


@cache
def nested() -> tuple[LoweredNetwork, int]:
    """A network of two depths, and the size of the file that holds the deeper one alone."""
    network = random_network(bits=4, scale=2, channels=16, depths=(1, 2))
    deeper = LoweredNetwork(graphs={2: network[2]})
    [alone] = BACKEND.convert(deeper, ConvertOptions(metadata=METADATA))
    return network, len(alone.content)


@pytest.mark.parametrize("pack", [Pack.SHARED, pytest.param(Pack.EXTERNAL, marks=pytest.mark.slow)])
def test_depths_share_weights(tmp_path: Path, pack: Pack) -> None:
    network, alone_bytes = nested()
    files = BACKEND.convert(network, ConvertOptions(pack=pack, metadata=METADATA))
    assert [file.name for file in files] == ["network.pte"] + ["network.ptd"] * (pack is Pack.EXTERNAL)
    check(network, write(files, tmp_path), list(IMAGES))
    for depth, graph in network.items():
        runner = BACKEND.open_model(tmp_path / "network.pte", depth=depth)
        assert isinstance(runner, TellsPlacement)
        placement = runner.placement()
        assert placement is not None
        assert placement.delegated_ops == len(graph.graph.nodes) - 1  # all but the image's way in
        assert all("xor" in name or "dim_order" in name for name in placement.fallback)
    weights = sum(array.nbytes for key, array in network[2].constants.items() if key.endswith("weights"))
    both = sum(len(file.content) for file in files)
    assert both < alone_bytes + weights
    if pack is Pack.EXTERNAL:
        assert len(files[1].content) > weights
        (tmp_path / "network.ptd").unlink()
        with pytest.raises(BackendError, match=r"its weights lie in network\.ptd, which is not beside it"):
            BACKEND.open_model(tmp_path / "network.pte", depth=1)


def test_a_fixed_size_and_threads(tmp_path: Path) -> None:
    network = random_network(bits=4, scale=2, channels=16, depths=(1,))
    options = ConvertOptions(input_size_px=(17, 5), metadata=METADATA)
    paths = write(BACKEND.convert(network, options), tmp_path)
    check(network, paths, [image for image in IMAGES if image.shape[:2] == (17, 5)], threads=2)


@pytest.mark.slow
@pytest.mark.parametrize("entry", [e for e in zoo_entries() if e.bits], ids=lambda entry: entry.name)
def test_the_zoo_gives_the_same_bytes_in_both_runtimes(entry: ZooEntry, tmp_path: Path, photo: Path) -> None:
    from qsr_edge.data.images import read_picture

    network = lower_checkpoint(read_checkpoint(entry.path))
    images = [*IMAGES, np.ascontiguousarray(read_picture(photo).rgb[:96, :128])]
    paths = write(BACKEND.convert(network, ConvertOptions(pack=Pack.SHARED, metadata=METADATA)), tmp_path)
    check(network, paths, images)
    lite = write(tflite.BACKEND.convert(network, ConvertOptions(pack=Pack.SHARED, metadata=METADATA)), tmp_path)
    for depth in network:
        ours, theirs = (
            BACKEND.open_model(paths[depth], depth=depth),
            tflite.BACKEND.open_model(lite[depth], depth=depth),
        )
        for image in images:
            np.testing.assert_array_equal(ours.run(image), theirs.run(image))
