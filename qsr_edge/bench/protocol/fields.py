"""Types of the fields of records: what a value may be besides its JSON type, and the check of it.

A run's folder and an agent's results come from outside. A figure out of its range is refused where the record is made,
so that whoever reads a record need not ask again.
"""

import re
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Protocol, get_args, get_origin, get_type_hints

from qsr_edge.errors import BenchError, one_line

MAX_LATENCY_US = 1 << 40
"""Twelve days: what is longer is no latency."""
MAX_MESSAGE = 2000
"""Letters of a message that is written; what is read may have twice as many."""
MAX_COUNT = (1 << 53) - 1
"""What every reader of JSON holds exactly."""


class Rule(Protocol):
    """What a field's value must keep."""

    def holds(self, value: Any) -> bool:
        """Whether the value, of the field's type, keeps it."""
        ...


@dataclass(frozen=True, slots=True)
class Within:
    """A number, or each of a list or table, that is no less than one other and no more than another."""

    low: float
    high: float

    def holds(self, value: float | tuple[float, ...] | dict[str, float]) -> bool:
        """As :meth:`Rule.holds`."""
        numbers = value.values() if isinstance(value, dict) else value if isinstance(value, tuple) else (value,)
        return not numbers or (self.low <= min(numbers) and max(numbers) <= self.high)

    def __str__(self) -> str:
        """For messages."""
        return f"{self.low:.16g} to {self.high:.16g}"


@dataclass(frozen=True, slots=True)
class Sized:
    """A text, list or table of so many letters or entries."""

    low: int
    high: int

    def holds(self, value: str | tuple[object, ...] | dict[str, object]) -> bool:
        """As :meth:`Rule.holds`."""
        return self.low <= len(value) <= self.high

    def __str__(self) -> str:
        """For messages."""
        return f"{self.low} to {self.high} letters or entries"


@dataclass(frozen=True, slots=True)
class Matching:
    """A text of a certain form."""

    pattern: str

    def holds(self, value: str) -> bool:
        """As :meth:`Rule.holds`."""
        return re.fullmatch(self.pattern, value) is not None

    def __str__(self) -> str:
        """For messages."""
        return f"a text that matches {self.pattern}"


Count = Annotated[int, Within(0, MAX_COUNT)]
Signed = Annotated[int, Within(-MAX_COUNT, MAX_COUNT)]
Side = Annotated[int, Within(1, 1_000_000)]
Status = Annotated[int, Within(0, 6)]
Percent = Annotated[float, Within(0, 100)]
Decibel = Annotated[float, Within(-1000, 1000)]
Text = Annotated[str, Sized(0, 4096)]
Name = Annotated[str, Sized(1, 400)]
PictureName = Annotated[str, Matching(r"[A-Za-z0-9._-]{1,200}")]
Latencies = Annotated[tuple[int, ...], Within(0, MAX_LATENCY_US)]
"""Microseconds of inferences, in their order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """A record that refuses, with :class:`~qsr_edge.errors.BenchError`, what its fields' types do not allow."""

    def __post_init__(self) -> None:
        """Check every field that has rules; None is what is not known, and keeps all of them."""
        kind: Any = type(self)
        for name, rule in _rules(kind):
            value = getattr(self, name)
            if value is not None and not rule.holds(value):
                raise BenchError(f"{name}: got {one_line(repr(value), 60)}, expected {rule}")


@cache
def _rules(kind: Any) -> tuple[tuple[str, Rule], ...]:
    found = []
    for name, hint in get_type_hints(kind, include_extras=True).items():
        for part in (hint, *get_args(hint)):
            if get_origin(part) is Annotated:
                found += [(name, rule) for rule in part.__metadata__]
    return tuple(found)
