"""Arm's TOSA reference model computes the golden interpreter's bytes: a proof by a tool that no runtime here shares."""

import ctypes
import re
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tosa_reference_model", reason="the extra [tosa] is not installed")

from qsr_edge.bundle.layout import Pack, Storage
from qsr_edge.conversion.backend import ConvertOptions, ModelMetadata
from qsr_edge.errors import BackendError
from qsr_edge.extras import how_to_install
from qsr_edge.lowering.edge import lower_checkpoint
from qsr_edge.lowering.network import LoweredNetwork
from qsr_edge.nn.checkpoint import read_checkpoint
from qsr_edge.quant.arithmetic import Profile
from qsr_edge.zoo import ZooEntry, zoo_entries
from qsr_edge_converters import installed
from qsr_edge_converters.tosa import BACKEND
from tests.support.graph_builders import random_network, sample_images

METADATA = ModelMetadata(name="network", version="1", author="tests", licence="Apache-2.0", description="random")


def check(network: LoweredNetwork, size: tuple[int, int], folder: Path) -> None:
    files = BACKEND.convert(network, ConvertOptions(input_size_px=size, metadata=METADATA))
    assert [file.depths for file in files] == [(depth,) for depth in network]
    for file in files:
        path = folder / file.name
        path.write_bytes(file.content)
        [depth] = file.depths
        runner = BACKEND.open_model(path, depth=depth)
        for image in sample_images((size,)):
            expected = network[depth].run(image)
            np.testing.assert_array_equal(runner.run(image), expected)


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (17, 5)])
@pytest.mark.parametrize(("bits", "scale", "channels"), [(2, 2, 16), (3, 3, 19), (4, 4, 13), (4, 2, 32)])
def test_the_reference_model_gives_the_golden_bytes(
    tmp_path: Path, bits: int, scale: int, channels: int, size: tuple[int, int]
) -> None:
    check(random_network(bits=bits, scale=scale, channels=channels, depths=(1, 3), seed=bits), size, tmp_path)


def test_convolutions_and_additions_at_the_upscaled_size(tmp_path: Path) -> None:
    check(random_network(bits=3, scale=3, channels=8, depths=(1,), refined=True), (7, 5), tmp_path)


@pytest.mark.parametrize(
    "entry",
    [
        pytest.param(entry, id=entry.name, marks=[] if entry.name == "x2_w4a4" else pytest.mark.slow)
        for entry in zoo_entries()
        if entry.profile == "portable"
    ],
)
def test_the_zoo_gives_the_golden_bytes(tmp_path: Path, entry: ZooEntry) -> None:
    check(lower_checkpoint(read_checkpoint(entry.path)), (24, 40), tmp_path)


def test_what_cannot_be_exact_or_fixed_is_refused(tmp_path: Path) -> None:
    network = random_network(bits=4, scale=2, channels=8, depths=(1,))
    fixed = {"input_size_px": (8, 8), "metadata": METADATA}
    cases = [
        (network, {"metadata": METADATA}, "--input-size"),
        (network, {**fixed, "pack": Pack.SHARED}, "--pack per-depth"),
        (network, {**fixed, "storage": Storage.COMPACT}, "--storage fast"),
        (LoweredNetwork(graphs={}), fixed, "no graph"),
        (
            random_network(bits=8, scale=2, channels=8, depths=(1,), profile=Profile.SCALED),
            fixed,
            "node head: .*portable",
        ),
    ]
    for source, options, message in cases:
        with pytest.raises(BackendError, match=message):
            BACKEND.convert(source, ConvertOptions(**options))


def test_files_and_images_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    network = random_network(bits=4, scale=2, channels=8, depths=(1,))
    [file] = BACKEND.convert(network, ConvertOptions(input_size_px=(8, 6), metadata=METADATA))
    path = tmp_path / file.name
    path.write_bytes(file.content)
    runner = BACKEND.open_model(path, depth=1)
    for image in (np.zeros((8, 6, 3), np.int8), np.zeros((8, 7, 3), np.uint8)):
        with pytest.raises(BackendError, match=r"network-d1\.tosa"):
            runner.run(image)
    path.write_bytes(b"no graph at all")
    with pytest.raises(BackendError, match="no TOSA file"):
        BACKEND.open_model(path, depth=1)
    with pytest.raises(BackendError, match="reference model"):
        BACKEND.open_model(path, depth=1, kernels="xnnpack")
    with pytest.raises(BackendError, match="cannot be read"):
        BACKEND.open_model(tmp_path / "none.tosa", depth=1)


def test_the_standard_streams_stay_ours(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    # The model prints a line at each run; `--json` must stay JSON.
    network = random_network(bits=4, scale=2, channels=8, depths=(1,))
    [file] = BACKEND.convert(network, ConvertOptions(input_size_px=(4, 4), metadata=METADATA))
    (tmp_path / file.name).write_bytes(file.content)
    capfd.readouterr()
    BACKEND.open_model(tmp_path / file.name, depth=1).run(np.zeros((4, 4, 3), np.uint8))
    ctypes.CDLL(None).fflush(None)
    assert tuple(capfd.readouterr()) == ("", "")


def test_a_missing_sdk_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ImportError(f"No module named {name!r}")

    monkeypatch.setattr(installed.importlib, "import_module", missing)
    with pytest.raises(BackendError, match=re.escape(how_to_install("tosa"))):
        BACKEND.check_available()
