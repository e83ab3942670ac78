"""Python imports this at the start of an agent: its wall clock is off by the seconds that stand in the file named
below.

Monotonic clocks stay as they are, as on a phone whose date is set. libfaketime was tried and is of no use here: it
fails ``time.sleep`` when it leaves the monotonic clock alone.
"""

import os
import time
from pathlib import Path

_OFFSET = Path(os.environ["QSR_EDGE_SIMULATED_CLOCK"])
_true_time_ns = time.time_ns


def _time_ns() -> int:
    return _true_time_ns() + int(_OFFSET.read_text()) * 1_000_000_000


def _time() -> float:
    return _time_ns() / 1e9


time.time_ns = _time_ns
time.time = _time
