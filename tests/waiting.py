"""Waiting for what another process or thread does: for a condition, never for a time."""

import time
from collections.abc import Callable

PATIENCE_S = 300.0
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
