"""The sustained phase of a variant: what its device told meanwhile, on the phase's own axis, and both by the minute.

Axis: milliseconds since the variant's sustained phase began, earlier parts of the run included.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from qsr_edge.bench.protocol.log import Record
from qsr_edge.bench.statistics import LatencySummary, summarize


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """The device's state at a moment of a variant's sustained phase; None is unknown."""

    at_ms: int
    thermal_status: int | None
    temperature_mc: int | None
    battery_percent: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Minute:
    """One minute of a sustained phase.

    Attributes:
        minute: 0 for the first.
        latency: of the inferences that ended in it, to the resolution of a record (5 s or so).
        thermal_status: the highest seen in it; None if the device does not tell.
        temperature_mc: the highest seen in it, of the one sensor that told most in the phase.
    """

    minute: int
    latency: LatencySummary
    thermal_status: int | None
    temperature_mc: int | None


def sustained_parts(label: str, records: Sequence[Record]) -> int:
    """In how many parts a variant's sustained phase was measured."""
    return len({part for part, _ in _sustained(label, records)})


def minutes_of(label: str, records: Sequence[Record]) -> Iterator[Minute]:
    """A variant's sustained records by the minute of their beginning, with the states seen during them."""
    latencies: dict[int, list[int]] = {}
    spans: list[tuple[int, int]] = []  # end of each record, minute
    begins_ms = 0
    for _, record in _sustained(label, records):
        # A resumed part goes on where the last one ended.
        minute = begins_ms // 60_000
        latencies.setdefault(minute, []).extend(record["latencies_us"])
        begins_ms = record["since_ms"]
        spans.append((begins_ms, minute))
    states: dict[int, list[State]] = {}
    for state in states_of(label, records):
        minute = next((minute for end_ms, minute in spans if state.at_ms <= end_ms), max(latencies, default=0))
        states.setdefault(minute, []).append(state)
    for minute, values in sorted(latencies.items()):
        if values:
            seen = states.get(minute, [])
            yield Minute(
                minute=minute,
                latency=summarize(values),
                thermal_status=_highest(state.thermal_status for state in seen),
                temperature_mc=_highest(state.temperature_mc for state in seen),
            )


def states_of(label: str, records: Sequence[Record]) -> tuple[State, ...]:
    """The device's states in a variant's sustained phase, by time.

    The agent's conditions share its monotonic clock with the phase's records. What adb told in between has the clock of
    this machine, which stamped those records too. Records that name neither clock have no place on the axis.
    """
    device_offset: dict[int, int] = {}
    host_offset: dict[int, int] = {}
    windows: dict[int, tuple[int, int]] = {}
    last = 0
    for part, record in _sustained(label, records):
        since_ms = int(record["since_ms"])
        begin, end = windows.get(part, (last, last))
        last = max(end, since_ms)
        windows[part] = begin, last
        if "elapsed_ms" in record:
            device_offset.setdefault(part, int(record["elapsed_ms"]) - since_ms)
        if "received_ms" in record:
            # The least: a record comes over late where the cable was pulled, and none before it was written.
            offset = int(record["received_ms"]) - since_ms
            host_offset[part] = min(offset, host_offset.get(part, offset))
    found: list[tuple[int, str, Mapping[str, Any]]] = []
    for part, record in _with_parts(records):
        if record["kind"] != "condition" or part not in windows:
            continue
        begin, end = windows[part]
        source = record.get("source", "")
        if source == "adb":
            if part not in host_offset or "time_ms" not in record:
                continue
            at_ms = int(record.get("received_ms", record["time_ms"])) - host_offset[part]
            if not begin <= at_ms <= end:
                continue
        elif record.get("variant") == label and part in device_offset and "elapsed_ms" in record:
            at_ms = min(max(begin, int(record["elapsed_ms"]) - device_offset[part]), end)
        else:
            continue
        found.append((at_ms, source, record["condition"]))
    sensor = _sensor(found)
    states = [
        State(
            at_ms=at_ms,
            thermal_status=_int(condition.get("thermal_status")),
            temperature_mc=_int(condition.get(sensor[1])) if source == sensor[0] else None,
            battery_percent=condition.get("battery_percent"),
        )
        for at_ms, source, condition in found
    ]
    return tuple(sorted(states, key=lambda state: state.at_ms))


def _sensor(found: Sequence[tuple[int, str, Mapping[str, Any]]]) -> tuple[str, str]:
    """Source and key of the temperatures to show: skin, hottest zone and battery are other places, so of one alone."""
    sensors = Counter(
        (source, key)
        for _, source, condition in found
        for key in ("temperature_mc", "battery_temperature_mc")
        if key in condition
    )
    return max(sensors, key=lambda each: (sensors[each], each[1] == "temperature_mc"), default=("", ""))


def _sustained(label: str, records: Iterable[Record]) -> Iterator[tuple[int, Record]]:
    for part, record in _with_parts(records):
        if record["kind"] == "sustained" and record.get("variant") == label:
            yield part, record


def _with_parts(records: Iterable[Record]) -> Iterator[tuple[int, Record]]:
    """Each record with the number of `agent` records up to it: the device's clock starts anew with each."""
    part = 0
    for record in records:
        part += record["kind"] == "agent"
        yield part, record


def _int(value: float | None) -> int | None:
    # JSON Schema counts 2.0 as an integer.
    return None if value is None else int(value)


def _highest(values: Iterable[int | None]) -> int | None:
    return max((value for value in values if value is not None), default=None)
