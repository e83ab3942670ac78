"""How long each depth takes: a table from the bench, corrected by what is observed. Integers only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from qsr_edge.errors import PolicyError

MIN_RATIO_MILLI = 10
MAX_RATIO_MILLI = 100_000
MAX_US_PER_MEGAPIXEL = 1_000_000_000
MAX_PIXELS = 1 << 27
ESTIMATED_MACS_PER_US = 200_000
"""Speed that the estimate assumes: LiteRT needs 0.54 s per megapixel with 152,068 MACs per pixel on one x86-64 core
(README), which is 280,000 MACs per microsecond; a phone's core is assumed to be somewhat slower. The observed ratio
corrects it."""
TRACKER_WINDOW = 5
"""Ratios that the tracker keeps: a median of five ignores two outliers, such as a garbage collection."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyEntry:
    """Latency of a depth: microseconds per 1,000,000 pixels of the input."""

    depth: int
    us_per_megapixel: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyTable:
    """Latency of every depth.

    Attributes:
        source: where it comes from, for people.
        entries: by depth, ascending; a deeper one is no faster.
    """

    source: str
    entries: tuple[LatencyEntry, ...]

    def __post_init__(self) -> None:
        """Refuse what can be no table.

        Raises:
            PolicyError: naming the value, what was got and what was expected.
        """
        depths = self.depths
        if not depths or list(depths) != sorted(set(depths)):
            raise PolicyError(f"latency table: depths are {depths}, expected ascending and each once")
        values = [entry.us_per_megapixel for entry in self.entries]
        if values != sorted(values) or not 1 <= values[0] <= values[-1] <= MAX_US_PER_MEGAPIXEL:
            raise PolicyError(
                f"latency table: {values} us per megapixel, expected ascending, 1 to {MAX_US_PER_MEGAPIXEL}"
            )

    @property
    def depths(self) -> tuple[int, ...]:
        """Every depth, ascending."""
        return tuple(entry.depth for entry in self.entries)

    def us_per_megapixel(self, depth: int) -> int:
        """The latency measured at a depth of the table, in microseconds per megapixel; KeyError for another depth."""
        return {entry.depth: entry.us_per_megapixel for entry in self.entries}[depth]


def ceil_div(dividend: int, divisor: int) -> int:
    """``dividend / divisor`` rounded up; dividend >= 0, divisor > 0."""
    return (dividend + divisor - 1) // divisor


def predicted_us(table: LatencyTable, depth: int, pixels: int, ratio_milli: int) -> int:
    """Microseconds that a depth will take for a frame of so many input pixels; both divisions round up.

    ``ratio_milli``: what it takes in thousandths of what the table says.
    """
    return ceil_div(ceil_div(table.us_per_megapixel(depth) * pixels, 1_000_000) * ratio_milli, 1000)


def estimated_table(macs_per_pixel: Mapping[int, int]) -> LatencyTable:
    """A table for a bundle that was measured nowhere, from the multiply-accumulates of each depth."""
    return LatencyTable(
        source=f"estimated: {ESTIMATED_MACS_PER_US} MACs per microsecond",
        entries=tuple(
            LatencyEntry(depth=depth, us_per_megapixel=max(1, ceil_div(macs * 1_000_000, ESTIMATED_MACS_PER_US)))
            for depth, macs in sorted(macs_per_pixel.items())
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyTracker:
    """The last observed ratios, and the depth that they end with.

    Attributes:
        depth: of the last observation; None before the first.
        ratios_milli: observed latency over the table's in thousandths, the oldest first.
    """

    depth: int | None = None
    ratios_milli: tuple[int, ...] = ()

    @property
    def ratio_milli(self) -> int | None:
        """The median of what is kept, the lower of the middle two; None if nothing is."""
        return sorted(self.ratios_milli)[(len(self.ratios_milli) - 1) // 2] if self.ratios_milli else None


def observe(
    tracker: LatencyTracker, table: LatencyTable, *, depth: int, pixels: int, latency_us: int
) -> LatencyTracker:
    """A tracker that has seen one more frame.

    The first frame at a depth is not counted: a runtime plans its memory then.

    Args:
        tracker: what was seen before.
        table: of the bundle.
        depth: that ran.
        pixels: of the input, 1 to 2^27.
        latency_us: that it took, 0 to 2^40.
    """
    if depth != tracker.depth:
        return LatencyTracker(depth=depth, ratios_milli=tracker.ratios_milli)
    expected = max(1, ceil_div(table.us_per_megapixel(depth) * pixels, 1_000_000))
    ratio = min(max(ceil_div(latency_us * 1000, expected), MIN_RATIO_MILLI), MAX_RATIO_MILLI)
    kept: Sequence[int] = (*tracker.ratios_milli, ratio)[-TRACKER_WINDOW:]
    return LatencyTracker(depth=depth, ratios_milli=tuple(kept))
