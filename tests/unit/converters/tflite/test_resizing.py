"""Files whose input size can be set: the very bytes that a conversion for that size writes, whatever they came from."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("ai_edge_litert", reason="the extra [tflite] is not installed")

from qsr_edge.bundle.layout import Pack, Storage
from qsr_edge.bundle.reader import read_bundle
from qsr_edge.conversion.backend import ConvertOptions, ModelFile, ModelMetadata
from qsr_edge.conversion.registry import find_backend
from qsr_edge.conversion.resizable import MakesResizable, ResizableModel
from qsr_edge.errors import BackendError
from qsr_edge.lowering.checkpoint import lower_checkpoint
from qsr_edge.lowering.network import LoweredNetwork
from qsr_edge.nn.checkpoint import read_checkpoint

SIZE = (24, 40)
METADATA = ModelMetadata(name="tiny", version="1", author="tests", licence="CC0-1.0", description="random")


@pytest.fixture(scope="module")
def network(tiny_checkpoint: Path) -> LoweredNetwork:
    return lower_checkpoint(read_checkpoint(tiny_checkpoint))


def written(network: LoweredNetwork, folder: Path, **options: object) -> dict[int, Path]:
    """The files of a conversion, by depth."""
    paths = {}
    for model in find_backend("tflite").convert(network, ConvertOptions(metadata=METADATA, **options)):
        assert isinstance(model, ModelFile)
        (folder / model.name).write_bytes(model.content)
        paths |= dict.fromkeys(model.depths, folder / model.name)
    return paths


def resizable(path: Path, depth: int, size: tuple[int, int] = SIZE) -> ResizableModel:
    backend = find_backend("tflite")
    assert isinstance(backend, MakesResizable)
    return backend.resizable(path, depth, size)


@pytest.mark.parametrize("storage", Storage)
def test_it_is_what_a_conversion_for_the_size_writes(network: LoweredNetwork, tmp_path: Path, storage: Storage) -> None:
    (tmp_path / "fixed").mkdir()
    fixed = written(network, tmp_path / "fixed", input_size_px=SIZE, storage=storage)
    for depth, path in written(network, tmp_path, storage=storage).items():
        expected = fixed[depth].read_bytes()
        assert resizable(path, depth).content == expected
        assert resizable(fixed[depth], depth, (7, 1)).sized(*SIZE) == expected


def test_one_depth_of_a_shared_file(network: LoweredNetwork, tmp_path: Path) -> None:
    paths = written(network, tmp_path, pack=Pack.SHARED)
    assert len(set(paths.values())) == 1
    sizes = {depth: len(resizable(path, depth).content) for depth, path in paths.items()}
    assert sizes[1] < sizes[2] < paths[1].stat().st_size + 1000


@pytest.mark.parametrize("size", [(1, 1), (5, 3), (1, 129), (200, 64)])
def test_every_size_computes_what_the_file_for_any_size_does(
    tiny_bundle: Path, tmp_path: Path, size: tuple[int, int]
) -> None:
    bundle, backend = read_bundle(tiny_bundle), find_backend("tflite")
    image = np.random.randint(0, 256, (*size, 3)).astype(np.uint8)
    sized = tmp_path / "sized.tflite"
    sized.write_bytes(resizable(bundle.model_path(2), 2).sized(*size))
    expected = backend.open_model(bundle.model_path(2), depth=2).run(image)
    assert np.array_equal(backend.open_model(sized, depth=2).run(image), expected)


def test_what_cannot_be_is_refused(tiny_bundle: Path) -> None:
    path = read_bundle(tiny_bundle).model_path(2)
    with pytest.raises(BackendError, match="holds no depth 5"):
        resizable(path, 5)
    with pytest.raises(BackendError, match="input size is 3x0"):
        resizable(path, 2).sized(0, 3)
