"""A run of the bench as the report sees it: its result, and what a reader must know besides.

A run's folder may come from anywhere. Its records were checked when they were read; texts lose control and direction
characters, which could hide or reorder what a reader sees; escaping is left to whoever writes the page.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from qsr_edge.bench.result import RunResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Run(RunResult):
    """A run.

    Attributes:
        folder: where it lies.
        agents: what measured, by name and version.
        images: names, in the run's order.
        parts: how often it was begun.
        errors: of the agent, in the order they came.
        thermal_statuses: all that were seen, ascending.
        power_save: whether the device saved power at any time.
        load: median number of processes that wanted to run, if known.
        low_memory: whether the system ran short of memory at any time.
        cooled: labels of variants whose sustained phase was gone on with in a later part.
    """

    folder: Path
    agents: tuple[str, ...]
    images: tuple[str, ...]
    parts: int
    errors: tuple[str, ...]
    thermal_statuses: tuple[int, ...]
    power_save: bool
    load: float | None
    low_memory: bool
    cooled: tuple[str, ...]

    @property
    def id(self) -> str:
        """The run's name, which its folder and results carry."""
        return self.header.run

    @property
    def title(self) -> str:
        """The device's name, with what it must never be taken without."""
        return self.device.title


def headings(runs: Sequence[Run]) -> tuple[str, ...]:
    """A name for each run: the device's, with the run's id where devices are the same."""
    titles = [run.title for run in runs]
    return tuple(f"{run.title}, {run.id}" if titles.count(run.title) > 1 else run.title for run in runs)
