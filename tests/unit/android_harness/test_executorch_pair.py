"""The ExecuTorch that writes programs and the library that apps read them with are of one release, and say so alike."""

import importlib.util
import re
import tomllib
from pathlib import Path

import pytest

from tests.support.paths import ANDROID_HARNESS, REPOSITORY

SOURCES = [
    ANDROID_HARNESS / "runtime-executorch/src/main/kotlin/io/qsredge/executorch/ExecuTorchBackend.kt",
    ANDROID_HARNESS / "runtime-core/src/main/kotlin/io/qsredge/core/ProgramFile.kt",
]


def told(name: str) -> str:
    """A constant of the Kotlin code."""
    text = "".join(path.read_text() for path in SOURCES)
    [found] = re.findall(rf'^private const val {name} = "?([\w.]+?)L?"?$', text, re.MULTILINE)
    return found


def test_the_library_is_of_the_release_that_writes() -> None:
    catalog = tomllib.loads((ANDROID_HARNESS / "gradle" / "versions.toml").read_text())
    library = catalog["versions"]["executorch"]
    assert library == told("LIBRARY")
    extras = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    [writes] = [entry for entry in extras["executorch"] if entry.startswith("executorch")]
    # ExecuTorch promises that a release reads the programs of the one before, not those of the next.
    assert writes.startswith(f"executorch>={library},<")
    major, minor, _ = map(int, library.split("."))
    assert writes.endswith(f"<{major}.{minor + 1}")


def test_the_back_end_expects_the_schema_that_is_written() -> None:
    spec = importlib.util.find_spec("executorch")
    if spec is None:
        pytest.skip("the extra [executorch] is not installed")
    [folder] = map(Path, spec.submodule_search_locations or ())
    schema = (folder / "exir" / "_serialize" / "program.fbs").read_text()
    assert re.search(r'^file_identifier "(\w+)";', schema, re.MULTILINE)[1] == told("IDENTIFIER")
    version = re.search(
        r"^EXECUTORCH_SCHEMA_VERSION = (\d+)", (folder / "exir" / "version.py").read_text(), re.MULTILINE
    )
    assert version[1] == told("SCHEMA_VERSION")
    # The Kotlin code looks for the version in the first field of the root table.
    assert re.search(r"^table Program \{\s*(?://.*\s*)*version: uint;", schema, re.MULTILINE)
