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
_BENCH, _ONNX = "tests/unit/bench/host/test_bench.py", "tests/unit/converters/onnx/test_models.py"
IN_A_PROCESS_OF_ITS_OWN = {
    "converters/qsr_edge_converters/onnx/htp_worker.py": (
        # Slow alone: Qualcomm's emulator is not among what default tests need.
        "tests/parity/test_onnx_htp.py::test_eight_bit_activations_and_weights_stored_as_int4"
    ),
    "converters/qsr_edge_converters/onnx/profile_worker.py": (
        f"{_ONNX}::test_compact_weights_are_unpacked_when_a_model_is_loaded"
    ),
    "qsr_edge/bench/agent.py": f"{_BENCH}::test_a_job_from_its_file",
    "qsr_edge/bench/host/worker.py": f"{_BENCH}::test_a_worker_measures_and_proves_its_bytes",
}
"""Modules that run in processes which tests start, where nothing is measured; and a test that starts each."""


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


def _is_there(test: str) -> bool:
    """Whether a test that is named so exists."""
    path, _, name = test.partition("::")
    file = REPOSITORY / path
    return file.is_file() and f"def {name}(" in file.read_text(encoding="utf-8")


def main(measured: Path) -> int:
    """Show the table; 1 if a module is reached by no default test, or the test that starts one is gone."""
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
    gone = [test for test in IN_A_PROCESS_OF_ITS_OWN.values() if not _is_there(test)]
    for test in gone:
        print(f"there is no {test}; correct IN_A_PROCESS_OF_ITS_OWN in {Path(__file__).name}")
    return 1 if missed or gone else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
