"""The Python examples of docs/python.md, docs/architecture.md and docs/formats.md run as they are printed."""

import importlib.util
import re
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest
from PIL import Image

from qsr_edge import zoo
from qsr_edge.bundle.reader import read_bundle
from qsr_edge.conversion.backend import ConvertOptions, ModelFile, ModelMetadata
from qsr_edge.conversion.convert import Conversion
from qsr_edge.conversion.registry import find_backend
from tests.support.graph_builders import random_network
from tests.support.paths import PHOTO, REPOSITORY

RUNTIMES = MappingProxyType(
    {
        "LiteRT": ("tflite", "ai_edge_litert"),
        "ExecuTorch": ("executorch", "executorch"),
        "ONNX Runtime": ("onnx", "onnx"),
    }
)
SUFFIXES = MappingProxyType({"tflite": ".tflite", "executorch": ".pte", "onnx": ".onnx"})


def python_blocks(text: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)


def small_photo(path: Path) -> None:
    with Image.open(PHOTO) as image:
        image.resize((60, 40)).save(path)


def test_the_python_interface(
    tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("ai_edge_litert", reason="the extra [tflite] is not installed")
    # Under the name of the documented network, but converted in a second.
    monkeypatch.setattr(zoo, "_paths", lambda: {"x2_w4a4": tiny_checkpoint})
    monkeypatch.setenv("QSR_EDGE_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    small_photo(tmp_path / "photo.jpg")
    (tmp_path / "pictures").mkdir()
    small_photo(tmp_path / "pictures" / "a.png")
    names: dict[str, object] = {}
    blocks = python_blocks((REPOSITORY / "docs" / "python.md").read_text(encoding="utf-8"))
    for block in blocks:
        exec(compile(block, "docs/python.md", "exec"), names)
    assert len(blocks) == 7
    out = capsys.readouterr().out
    assert "(120, 80) 8" in out
    assert out.splitlines()[-1].startswith("no bundled checkpoint is called 'x9_w4a4'")
    for written in ("photo_x2.png", "photo_pillow.png", "out_1.png"):
        with Image.open(tmp_path / written) as image:
            assert image.size == (120, 80)


def test_one_conversion_step_by_step(
    tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("ai_edge_litert", reason="the extra [tflite] is not installed")
    monkeypatch.setattr(zoo, "_paths", lambda: {"x2_w4a4": tiny_checkpoint})
    monkeypatch.chdir(tmp_path)
    (block,) = python_blocks((REPOSITORY / "docs" / "architecture.md").read_text(encoding="utf-8"))
    names: dict[str, object] = {}
    exec(compile(block, "docs/architecture.md", "exec"), names)
    conversion = names["conversion"]
    assert isinstance(conversion, Conversion)
    assert {result.depth for result in conversion.parity} == {1, 2}
    assert {result.mismatching_bytes for result in conversion.parity} == {0}
    assert capsys.readouterr().out.count("ParityEntry(") == len(conversion.parity)
    assert read_bundle(tmp_path / "x2-app").manifest == conversion.manifest


@pytest.mark.filterwarnings("ignore:This API is experimental:DeprecationWarning")
@pytest.mark.parametrize(
    "section", [pytest.param(name, marks=pytest.mark.slow) if name == "ExecuTorch" else name for name in RUNTIMES]
)
def test_a_model_without_our_libraries(section: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target, package = RUNTIMES[section]
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"the extra [{target}] is not installed")
    network = random_network(bits=4, scale=2, channels=8, depths=(2,))
    metadata = ModelMetadata(name="model", version="1", author="tests", licence="CC0-1.0", description="random")
    (model,) = find_backend(target).convert(network, ConvertOptions(metadata=metadata))
    assert isinstance(model, ModelFile)
    (tmp_path / f"model{SUFFIXES[target]}").write_bytes(model.content)
    small_photo(tmp_path / "photo.png")
    monkeypatch.chdir(tmp_path)
    text = (REPOSITORY / "docs" / "formats.md").read_text(encoding="utf-8")
    (block,) = python_blocks(text.split(f"\n## {section}\n")[1].split("\n## ")[0])
    names: dict[str, object] = {}
    exec(compile(block, "docs/formats.md", "exec"), names)
    np.testing.assert_array_equal(names["upscaled"], network[2].run(np.asarray(names["image"])))
