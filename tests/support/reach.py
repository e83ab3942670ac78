"""Which modules the default tests reach: each must run some of its functions in one, importing it is not enough.

``make test-all`` measures it with coverage, which the plugin below tells of what kind a test is, and then shows this
table. Every module of both packages counts, so every back end does.
"""

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.paths import REPOSITORY

if TYPE_CHECKING:
    from coverage import CoverageData

DEFAULT, SLOW = "default", "slow"
"""Coverage's contexts: what runs in a test of this kind; anything else runs while tests are collected."""
PACKAGES = (REPOSITORY / "qsr_edge", REPOSITORY / "converters" / "qsr_edge_converters")
IN_A_PROCESS_OF_ITS_OWN: dict[str, str] = {}
"""Modules that run in processes which tests start, where nothing is measured; and the tests that start them."""


class Contexts:
    """A plugin of pytest: tells coverage, where it measures, of what kind the test is."""

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        coverage = sys.modules.get("coverage")
        if coverage is not None and (measuring := coverage.Coverage.current()) is not None:
            measuring.switch_context(SLOW if {"slow", "device"} & set(item.keywords) else DEFAULT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """The lines of a function's statements, without those of functions within; none if it only declares itself."""

    name: str
    lines: frozenset[int]


def functions(source: str) -> Iterator[Function]:
    """All functions and methods of a module, and those within them."""

    def lines(node: ast.AST) -> Iterator[int]:
        for child in ast.iter_child_nodes(node):
            if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                if isinstance(child, ast.stmt) and not _is_text(child):
                    yield child.lineno
                yield from lines(child)

    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield Function(name=node.name, lines=frozenset(lines(node)))


def _is_text(statement: ast.stmt) -> bool:
    """A docstring, or the dots of a protocol's method."""
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def modules() -> Iterator[Path]:
    """All modules of the packages, by their paths."""
    for package in PACKAGES:
        yield from sorted(package.rglob("*.py"))


def _executed(data: "CoverageData", path: Path, context: str) -> frozenset[int]:
    data.set_query_contexts([f"^{context}$"])
    return frozenset(data.lines(str(path)) or ())


def main(measured: Path) -> int:
    """Show the table; 1 if a module is reached by no default test."""
    from coverage import CoverageData

    data = CoverageData(str(measured))
    data.read()
    missed = []
    print(f"{'functions':>9} {'default':>8} {'all':>6}")
    for package in sorted({path.parent for path in modules()}):
        counts = [0, 0, 0]
        for path in sorted(package.glob("*.py")):
            declared = [one for one in functions(path.read_text(encoding="utf-8")) if one.lines]
            default = _executed(data, path, DEFAULT)
            every = default | _executed(data, path, SLOW)
            reached = sum(bool(one.lines & default) for one in declared)
            for index, count in enumerate((len(declared), reached, sum(bool(one.lines & every) for one in declared))):
                counts[index] += count
            name = str(path.relative_to(REPOSITORY))
            if declared and not reached and name not in IN_A_PROCESS_OF_ITS_OWN:
                missed.append(name)
        print(f"{counts[0]:9} {counts[1]:8} {counts[2]:6}  {package.relative_to(REPOSITORY)}")
    for name in missed:
        print(f"no default test runs a function of {name}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
