"""How to install an extra: the words name what it brings, and hold in a clone, with a wheel and under pipx."""

import re
import sys
import tomllib
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from qsr_edge import extras
from qsr_edge.conversion.registry import registered_backends
from qsr_edge.extras import how_to_install
from tests.support.paths import REPOSITORY

EXTRAS: dict[str, list[str]] = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"][
    "optional-dependencies"
]
DECLARED = [
    "click<9,>=8.1.8",
    "jinja2>=3.1.6; extra == 'report'",
    "jinja2>=3.1.6; extra == 'all'",
    "torch<3,>=2.13; extra == 'train'",
    "lmdb<4,>=1.6; extra == 'train'",
    "torchao<0.19; extra == 'other'",
]


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """An environment in which qsr-edge declares ``DECLARED``, with its pip on the path."""
    folder = tmp_path / "environment"
    (folder / "bin").mkdir(parents=True)
    pip = folder / "bin" / "pip"
    pip.touch(mode=0o755)
    monkeypatch.setattr(sys, "prefix", str(folder))
    monkeypatch.setattr(sys, "executable", str(folder / "bin" / "python"))
    monkeypatch.setenv("PATH", str(folder / "bin"))
    monkeypatch.setattr(extras, "requires", lambda name: DECLARED)
    monkeypatch.setattr(extras, "find_spec", lambda name: object())
    return folder


def test_the_packages_of_the_extra_are_named(environment: Path) -> None:
    assert how_to_install("report") == "install it with: pip install 'jinja2>=3.1.6'"
    assert how_to_install("train") == "install it with: pip install 'torch<3,>=2.13' 'lmdb<4,>=1.6'"


def test_pip_is_this_environments_own(environment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (environment / "bin" / "pip").rename(tmp_path / "pip")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert how_to_install("report") == f"install it with: {environment}/bin/python -m pip install 'jinja2>=3.1.6'"


def test_pipx_installs_into_what_it_made(environment: Path) -> None:
    (environment / "pipx_metadata.json").write_text("{}")
    assert how_to_install("report") == "install it with: pipx inject environment 'jinja2>=3.1.6'"


def test_a_clone_that_was_never_installed_is(environment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> list[str]:
        raise PackageNotFoundError(name)

    expected = f"install it with: pip install -e '{REPOSITORY}[report]'"
    monkeypatch.setattr(extras, "requires", missing)
    assert how_to_install("report") == expected
    # Installed before it had the extra.
    monkeypatch.setattr(extras, "requires", lambda name: DECLARED[:1])
    assert how_to_install("report") == expected


def test_cuda_comes_as_no_surprise(environment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    for platform, told in (("linux", True), ("darwin", False)):
        monkeypatch.setattr(sys, "platform", platform)
        assert ("CUDA" in how_to_install("train")) == told
        # torchao is not torch.
        assert "CUDA" not in how_to_install("report") + how_to_install("other")


def test_every_extra_that_a_message_names_is_declared() -> None:
    named = {
        match[1]
        for package in (REPOSITORY / "qsr_edge", REPOSITORY / "converters")
        for path in package.rglob("*.py")
        for match in re.finditer(r"how_to_install\([\"'](\w+)[\"']\)", path.read_text())
    }
    assert named >= {"train", "heif"}
    assert named | {backend.name for backend in registered_backends()} <= set(EXTRAS)


def test_no_message_asks_an_index_for_this_package() -> None:
    for package in (REPOSITORY / "qsr_edge", REPOSITORY / "converters"):
        for path in package.rglob("*.py"):
            if path.name != "extras.py":
                assert not re.search(r"\binstall .?qsr-edge", path.read_text()), path
