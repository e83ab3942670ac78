"""From a run's folder to a ``Run``."""

import statistics
import unicodedata
from collections.abc import Sequence
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from qsr_edge.bench.protocol.log import RESULTS_NAME, read_log
from qsr_edge.bench.protocol.records import Agent, ConditionRecord, Error, Event, Part, Quality, Record, of_kind
from qsr_edge.bench.result import RunResult, evaluate_run
from qsr_edge.bench.sustained import sustained_parts
from qsr_edge.errors import BenchError
from qsr_edge.report.run import Run

T = TypeVar("T")
MAX_TEXT = 200
_NO_TEXT = frozenset({"picture", "bundle"})
"""Paths, which must stay what they are."""


def read_run(folder: Path) -> Run:
    """Read a run's folder, complete or not.

    Raises:
        BenchError: naming the file and the record, if it is no run, of another schema, or damaged.
    """
    folder = Path(folder)
    records = read_log(folder)
    try:
        records = tuple(cleaned(record) for record in records)
        result = evaluate_run(records)
    except BenchError as error:
        raise BenchError(f"{folder / RESULTS_NAME}: {error}") from error
    conditions = [told.condition for told in of_kind(records, ConditionRecord)]
    loads = [state.load_milli for state in conditions if state.load_milli is not None]
    events = list(of_kind(records, Event))
    statuses = {state.thermal_status for state in conditions} | {event.thermal_status for event in events}
    images = [image.name for image in result.header.images] + [each.image for each in of_kind(records, Quality)]
    known: dict[str, Any] = {entry.name: getattr(result, entry.name) for entry in fields(RunResult)}
    return Run(
        **known,
        folder=folder,
        agents=tuple(dict.fromkeys(_agent(agent) for agent in of_kind(records, Agent))),
        images=tuple(dict.fromkeys(images)),
        parts=max(1, len(list(of_kind(records, Part)))),
        errors=tuple(dict.fromkeys(error.message for error in of_kind(records, Error))),
        thermal_statuses=tuple(sorted(status for status in statuses if status is not None)),
        load=statistics.median(loads) / 1000 if loads else None,
        power_save=any(state.power_save for state in conditions),
        low_memory=any(event.event == "low-memory" for event in events),
        cooled=_cooled(result, records),
    )


def _agent(agent: Agent) -> str:
    return " on ".join(name for name in (agent.agent, agent.runtime) if name)


def _cooled(result: RunResult, records: Sequence[Record]) -> tuple[str, ...]:
    return tuple(variant.label for variant in result.variants if sustained_parts(variant.label, records) > 1)


def text(value: object) -> str:
    """A text from a run as one short line without control, direction or unassigned characters."""
    line = " ".join(str(value).split())
    kept = "".join(char for char in line if unicodedata.category(char)[0] != "C")
    return kept if len(kept) <= MAX_TEXT else f"{kept[:MAX_TEXT]}…"


def cleaned(record: T) -> T:
    """A record with every text in it fit to be shown; one of nothing but odd characters becomes a question mark."""
    values = {entry.name: getattr(record, entry.name) for entry in fields(record)}  # type: ignore[arg-type]
    clean = {name: value if name in _NO_TEXT else _clean(value) for name, value in values.items()}
    changed = {name: value for name, value in clean.items() if value is not values[name]}
    return replace(record, **changed) if changed else record  # type: ignore[type-var]


def _clean(value: Any) -> Any:
    """What is fit already comes back as the very same object."""
    if isinstance(value, str):
        fit = text(value) or ("?" if value else "")
        return value if fit == value else fit
    if isinstance(value, dict):
        return {_clean(key): _clean(entry) for key, entry in value.items()}
    if isinstance(value, tuple):
        if not value or isinstance(value[0], int):
            return value  # latencies
        entries = tuple(_clean(entry) for entry in value)
        return value if all(new is old for new, old in zip(entries, value, strict=True)) else entries
    return cleaned(value) if is_dataclass(value) and not isinstance(value, type) else value
