"""CPU seconds of each test: unlike times on a clock they hardly depend on what else the machine does.

``pytest --cpu-seconds 10`` lists the ten tests that took most of them, and holds the default run against its budget.
"""

import os
from dataclasses import dataclass

import pytest

WALL_BUDGET_S = 240
"""What `make test` may take on two cores that have nothing else to do."""
CPU_BUDGET_S = 2 * (WALL_BUDGET_S - 30)
"""That of its tests on both cores together, without half a minute in which the workers start and collect."""

_BEGAN = pytest.StashKey[float]()
_PROPERTY = "cpu_s"


def add_cpu_option(parser: pytest.Parser) -> None:
    """The option that :class:`CpuTimes` reads."""
    parser.addoption(
        "--cpu-seconds", type=int, default=0, metavar="N", help="show the N tests that took most CPU seconds"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Taken:
    test: str
    cpu_s: float
    default: bool


class CpuTimes:
    """A plugin of pytest: it measures in the process that runs a test, and tells in the one that reports."""

    def __init__(self, config: pytest.Config) -> None:
        self._shown: int = config.getoption("cpu_seconds")
        self._taken: list[_Taken] = []

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        item.stash[_BEGAN] = _cpu_s()

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> None:
        item.user_properties.append((_PROPERTY, round(_cpu_s() - item.stash[_BEGAN], 3)))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "teardown":
            for name, value in report.user_properties:
                if name == _PROPERTY and isinstance(value, float):
                    default = not {"slow", "device", "swift"} & set(report.keywords)
                    self._taken.append(_Taken(test=report.nodeid, cpu_s=value, default=default))

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if not self._shown:
            return
        terminalreporter.section("CPU seconds")
        for default, name in ((True, "default"), (False, "slow")):
            taken = sorted((one for one in self._taken if one.default is default), key=lambda one: -one.cpu_s)
            if not taken:
                continue
            total_s = sum(one.cpu_s for one in taken)
            budget = f" of {CPU_BUDGET_S} at most" if default else ""
            over = ": TOO MUCH, see CONTRIBUTING" if default and total_s > CPU_BUDGET_S else ""
            terminalreporter.line(f"{len(taken)} {name} tests: {total_s:.0f} s{budget}{over}")
            for one in taken[: self._shown]:
                terminalreporter.line(f"{one.cpu_s:8.1f} s  {one.test}")


def _cpu_s() -> float:
    """Of this process and of those that it has started and seen the end of."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system
