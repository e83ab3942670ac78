"""Order statistics of latencies, without interpolation: every figure is one that was measured."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencySummary:
    """Latencies of a variant, in microseconds.

    Attributes:
        count: of measurements.
        min_us: the shortest.
        p50_us: the median.
        p90_us: nine of ten took no longer.
        p99_us: 99 of 100 took no longer.
        max_us: the longest.
    """

    count: int
    min_us: int
    p50_us: int
    p90_us: int
    p99_us: int
    max_us: int


def percentile(ordered: Sequence[int], percent: int) -> int:
    """The smallest value that at least ``percent`` of 100 do not exceed (nearest rank).

    Args:
        ordered: ascending, not empty.
        percent: 1 to 100.
    """
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]


def summarize(latencies_us: Sequence[int]) -> LatencySummary:
    """The summary of at least one latency."""
    ordered = sorted(latencies_us)
    return LatencySummary(
        count=len(ordered),
        min_us=ordered[0],
        p50_us=percentile(ordered, 50),
        p90_us=percentile(ordered, 90),
        p99_us=percentile(ordered, 99),
        max_us=ordered[-1],
    )
