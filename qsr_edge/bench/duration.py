"""Durations as people write them: 90s, 30m, 1h."""

import re

from qsr_edge.errors import BenchError

_UNITS_MS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000}
_DURATION = re.compile(r"([0-9]{1,6})(ms|s|m|h)")


def parse_duration_ms(text: str, option: str) -> int:
    """Milliseconds.

    Raises:
        BenchError: naming the option, what was got and what was expected.
    """
    found = _DURATION.fullmatch(text.strip())
    if found is None:
        raise BenchError(f"{option} {text!r}: expected a duration such as 90s, 30m or 1h")
    return int(found[1]) * _UNITS_MS[found[2]]
