"""ExecuTorch computes the golden interpreter's bytes, and so LiteRT's."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("executorch", reason="the extra [executorch] is not installed")

from qsr_edge.bundle.layout import Pack
from qsr_edge.conversion.backend import ConvertOptions, ModelFile, ModelMetadata, TellsPlacement
from qsr_edge.errors import BackendError
from qsr_edge.graph.verify import GUARD_BITS
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
        pytest.param(2, 2, 16, PORTABLE, marks=pytest.mark.slow),
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


@pytest.mark.parametrize(
    ("pack", "size_px"), [(Pack.SHARED, (17, 5)), pytest.param(Pack.EXTERNAL, None, marks=pytest.mark.slow)]
)
def test_depths_share_weights(tmp_path: Path, pack: Pack, size_px: tuple[int, int] | None) -> None:
    network = random_network(bits=4, scale=2, channels=8, depths=(1, 2))
    files = BACKEND.convert(network, ConvertOptions(pack=pack, input_size_px=size_px, metadata=METADATA))
    assert [file.name for file in files] == ["network.pte"] + ["network.ptd"] * (pack is Pack.EXTERNAL)
    images = [image for image in IMAGES if size_px in (None, image.shape[:2])]
    assert len(images) >= 2
    check(network, write(files, tmp_path), images)
    for depth, graph in network.items():
        runner = BACKEND.open_model(tmp_path / "network.pte", depth=depth)
        assert isinstance(runner, TellsPlacement)
        placement = runner.placement()
        assert placement is not None
        assert placement.delegated_ops == len(graph.graph.nodes) - 1  # all but the image's way in
        assert all("xor" in name or "dim_order" in name for name in placement.fallback)
    # A block's weights lie in the file as they are, with their guard bits: once, though two depths have the first.
    blocks = {key: array for key, array in network[2].constants.items() if key.startswith("b") and "weights" in key}
    holder = files[-1].content
    assert len(blocks) == 6
    assert {key: holder.count((array << GUARD_BITS).tobytes()) for key, array in blocks.items()} == dict.fromkeys(
        blocks, 1
    )
    if pack is Pack.EXTERNAL:
        (tmp_path / "network.ptd").unlink()
        with pytest.raises(BackendError, match=r"its weights lie in network\.ptd, which is not beside it"):
            BACKEND.open_model(tmp_path / "network.pte", depth=1)


def test_threads_change_nothing(tmp_path: Path, tiny_network: LoweredNetwork, tiny_program: ModelFile) -> None:
    check(tiny_network, write((tiny_program,), tmp_path), list(IMAGES), threads=2)


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
