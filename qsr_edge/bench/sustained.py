"""The sustained phase of a variant: what its device told meanwhile, on the phase's own axis, and both by the minute.

Axis: milliseconds since the variant's sustained phase began, earlier parts of the run included.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from qsr_edge.bench.protocol.condition import Condition
from qsr_edge.bench.protocol.records import Agent, ConditionRecord, Record, Sustained
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
    """The number of parts in which a variant's sustained phase was measured."""
    return len({part for part, _ in _sustained(label, records)})


def minutes_of(label: str, records: Sequence[Record]) -> Iterator[Minute]:
    """A variant's sustained records by the minute of their beginning, with the states seen during them."""
    latencies: dict[int, list[int]] = {}
    spans: list[tuple[int, int]] = []  # end of each record, minute
    begins_ms = 0
    for _, record in _sustained(label, records):
        # A resumed part goes on where the last one ended.
        minute = begins_ms // 60_000
        latencies.setdefault(minute, []).extend(record.latencies_us)
        begins_ms = record.since_ms
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
        begin, end = windows.get(part, (last, last))
        last = max(end, record.since_ms)
        windows[part] = begin, last
        if record.elapsed_ms is not None:
            device_offset.setdefault(part, record.elapsed_ms - record.since_ms)
        if record.received_ms is not None:
            # The least: a record comes over late where the cable was pulled, and none before it was written.
            offset = record.received_ms - record.since_ms
            host_offset[part] = min(offset, host_offset.get(part, offset))
    found: list[tuple[int, str, Condition]] = []
    for part, told in _with_parts(records):
        if not isinstance(told, ConditionRecord) or part not in windows:
            continue
        begin, end = windows[part]
        if told.source == "adb":
            if part not in host_offset or told.time_ms is None:
                continue
            at_ms = (told.time_ms if told.received_ms is None else told.received_ms) - host_offset[part]
            if not begin <= at_ms <= end:
                continue
        elif told.variant == label and part in device_offset and told.elapsed_ms is not None:
            at_ms = min(max(begin, told.elapsed_ms - device_offset[part]), end)
        else:
            continue
        found.append((at_ms, told.source, told.condition))
    sensor = _sensor(found)
    states = [
        State(
            at_ms=at_ms,
            thermal_status=condition.thermal_status,
            temperature_mc=_temperatures(condition).get(sensor[1]) if source == sensor[0] else None,
            battery_percent=condition.battery_percent,
        )
        for at_ms, source, condition in found
    ]
    return tuple(sorted(states, key=lambda state: state.at_ms))


def _sensor(found: Sequence[tuple[int, str, Condition]]) -> tuple[str, str]:
    """Source and name of the sensor to show: skin, hottest zone and battery are other places, so one alone."""
    sensors = Counter((source, name) for _, source, condition in found for name in _temperatures(condition))
    return max(sensors, key=lambda each: (sensors[each], each[1] == _ZONE), default=("", ""))


_ZONE, _BATTERY = "zone", "battery"


def _temperatures(condition: Condition) -> dict[str, int]:
    """Temperatures in thousandths of a degree, by the name of the sensor."""
    told = {_ZONE: condition.temperature_mc, _BATTERY: condition.battery_temperature_mc}
    return {name: value for name, value in told.items() if value is not None}


def _sustained(label: str, records: Iterable[Record]) -> Iterator[tuple[int, Sustained]]:
    for part, record in _with_parts(records):
        if isinstance(record, Sustained) and record.variant == label:
            yield part, record


def _with_parts(records: Iterable[Record]) -> Iterator[tuple[int, Record]]:
    """Each record with the number of `agent` records up to it: the device's clock starts anew with each."""
    part = 0
    for record in records:
        part += isinstance(record, Agent)
        yield part, record


def _highest(values: Iterable[int | None]) -> int | None:
    return max((value for value in values if value is not None), default=None)
