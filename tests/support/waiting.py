"""Waiting for what another process or thread does: for a condition, never for a time; and a clock of a test's own."""

import time
from collections.abc import Callable

PATIENCE_S = 600.0
"""How long a wait may take before it has failed; only a defect takes that long, on the slowest machine too."""
_POLL_S = 0.02


def wait_until(condition: Callable[[], object], tell: Callable[[], object] = lambda: "waited in vain") -> None:
    """Return once the condition holds.

    Args:
        condition: asked again and again.
        tell: gives what a failure says.

    Raises:
        AssertionError: when it did not hold within :data:`PATIENCE_S`.
    """
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, tell()
        time.sleep(_POLL_S)


class SimulatedTime:
    """Stands in for the module ``time`` of what waits: its clocks go on by its own sleep alone."""

    def __init__(self) -> None:
        self._now_s = 1_000.0

    def monotonic(self) -> float:
        return self._now_s

    def time(self) -> float:
        return self._now_s

    def sleep(self, seconds: float) -> None:
        self._now_s += seconds


class LeapingTime:
    """Stands in for the module ``time`` of what waits: the real clock, and what a test has leapt ahead."""

    def __init__(self) -> None:
        self._ahead_s = 0.0

    def leap(self, seconds: float) -> None:
        self._ahead_s += seconds

    def monotonic(self) -> float:
        return time.monotonic() + self._ahead_s
