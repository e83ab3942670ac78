"""Versions that several files name are the same in all of them."""

import re
import tomllib

import pytest
from packaging.requirements import Requirement

from tests.support.paths import REPOSITORY

FILES = ("Makefile", "noxfile.py", "docs/installing.md", "README.md", "CONTRIBUTING.md", "docs/reproduce.md")
EXTRAS = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["optional-dependencies"]


@pytest.mark.parametrize(("package", "files"), [("torch", 3), ("tosa-tools", 2)])
def test_a_pin_is_one_version_and_within_the_extras_ranges(package: str, files: int) -> None:
    texts = {name: (REPOSITORY / name).read_text() for name in FILES}
    found = {name: re.findall(rf"\b{package}==([\d.]+\d)", text) for name, text in texts.items()}
    assert sum(map(bool, found.values())) >= files
    [version] = {version for versions in found.values() for version in versions}
    ranges = [
        requirement.specifier
        for extra in EXTRAS.values()
        for requirement in map(Requirement, extra)
        if requirement.name == package
    ]
    assert ranges
    assert all(one.contains(version) for one in ranges)
