"""What is shipped: both packages with their data and nothing else, in a wheel built from the source archive."""

import os
import subprocess
import sys
import tarfile
from email.message import Message
from email.parser import Parser
from pathlib import Path
from zipfile import ZipFile

import pytest

import qsr_edge
from tests.support.paths import REPOSITORY

PACKAGES = {"qsr_edge": REPOSITORY / "qsr_edge", "qsr_edge_converters": REPOSITORY / "converters/qsr_edge_converters"}
DATA_SUFFIXES = {
    ".csv",
    ".toml",
    ".safetensors",
    ".json",
    ".md",
    ".jpg",
    ".png",
    ".typed",
    ".j2",
    ".css",
    ".js",
    ".mjs",
    ".html",
    ".svg",
}
# A light install is a promise of the README; the bundled checkpoints (nearly 9 MB) and the photo are its largest parts.
MAX_WHEEL_BYTES = 9 << 20


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the source archive and the wheel that was built from it."""
    folder = tmp_path_factory.mktemp("dist")
    done = subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, REPOSITORY],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="module")
def wheel(dist: Path) -> Path:
    (found,) = dist.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def names(wheel: Path) -> set[str]:
    with ZipFile(wheel) as archive:
        return set(archive.namelist())


@pytest.fixture(scope="module")
def metadata(wheel: Path) -> Message:
    with ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return Parser().parsestr(archive.read(name).decode())


def test_top_level_is_the_two_packages(names: set[str]) -> None:
    top = {name.partition("/")[0] for name in names}
    assert top == {"qsr_edge", "qsr_edge_converters", f"qsr_edge-{qsr_edge.__version__}.dist-info"}


@pytest.mark.parametrize("package", PACKAGES)
def test_every_module_and_data_file_is_shipped(names: set[str], package: str) -> None:
    root = PACKAGES[package]
    expected = {
        f"{package}/{path.relative_to(root).as_posix()}"
        for path in root.rglob("*")
        if path.suffix in DATA_SUFFIXES | {".py"} or path.name == "py.typed"
    }
    assert f"{package}/py.typed" in expected
    assert {name for name in names if name.startswith(f"{package}/")} == expected


def test_bundled_data(names: set[str]) -> None:
    assert "qsr_edge/assets/coffee.png" in names
    assert any(name.endswith(".safetensors") for name in names)
    assert any(name.startswith("qsr_edge/recipe/") and name.endswith(".toml") for name in names)


def test_no_tests_and_no_leftovers(names: set[str]) -> None:
    assert not [name for name in names if "/tests/" in name or name.endswith((".pyc", ".pt", ".pth", ".orig"))]


def test_wheel_is_small(wheel: Path) -> None:
    assert wheel.stat().st_size < MAX_WHEEL_BYTES


def test_metadata(wheel: Path, metadata: Message) -> None:
    assert wheel.name == f"qsr_edge-{qsr_edge.__version__}-py3-none-any.whl"
    assert metadata["Version"] == qsr_edge.__version__
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["Requires-Python"] == ">=3.11"
    assert set(metadata.get_all("Provides-Extra", [])) == {
        "all", "coreml", "dev", "executorch", "heif", "onnx", "qnn", "report", "simulate", "tflite", "tosa", "train",
        "web",
    }  # fmt: skip


def test_a_plain_install_needs_no_sdk(metadata: Message) -> None:
    base = [line for line in metadata.get_all("Requires-Dist", []) if "extra ==" not in line]
    assert {line.partition("<")[0].partition(">")[0] for line in base} == {
        "click",
        "isal",
        "jsonschema",
        "numpy",
        "pillow",
        "platformdirs",
        "rich",
        "safetensors",
        "tifffile",
    }


def test_licence_and_entry_points(wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        info = f"qsr_edge-{qsr_edge.__version__}.dist-info"
        assert archive.read(f"{info}/licenses/LICENSE") == (REPOSITORY / "LICENSE").read_bytes()
        points = archive.read(f"{info}/entry_points.txt").decode()
    assert "qsr-edge = qsr_edge.cli.main:main" in points
    assert "tflite = qsr_edge_converters.tflite:BACKEND" in points


def test_an_unpacked_wheel_runs(wheel: Path, tmp_path: Path) -> None:
    with ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    code = "import qsr_edge, qsr_edge_converters; print(qsr_edge.__file__, qsr_edge_converters.__file__, sep='\\n')"
    done = subprocess.run(
        [sys.executable, "-P", "-c", code],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert all(Path(line).is_relative_to(tmp_path) for line in done.stdout.splitlines())


def test_source_archive(dist: Path) -> None:
    (sdist,) = dist.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        inside = {name.partition("/")[2] for name in archive.getnames()}
    assert {"LICENSE", "README.md", "pyproject.toml", "Makefile", "tests/conftest.py", "qsr_edge/__init__.py"} <= inside
    assert "converters/qsr_edge_converters/py.typed" in inside
