"""Heat beside the latencies of a sustained phase, whoever told it, and however late records came over."""

from typing import Any

from qsr_edge.bench.protocol.condition import Condition
from qsr_edge.bench.protocol.records import Agent, ConditionRecord, Sustained
from qsr_edge.bench.sustained import minutes_of, states_of


def sustained(since_ms: int, *, received_ms: int) -> Sustained:
    """A record whose phase began at 10 s of the device's clock."""
    return Sustained(variant="a", since_ms=since_ms, latencies_us=(1000,), time_ms=0, elapsed_ms=10_000 + since_ms,
                     received_ms=received_ms)  # fmt: skip


def told_by_adb(time_ms: int, **values: Any) -> ConditionRecord:
    return ConditionRecord(source="adb", time_ms=time_ms, elapsed_ms=7, received_ms=time_ms,
                           condition=Condition(**values))  # fmt: skip


def told_by_agent(since_ms: int, *, received_ms: int, **values: Any) -> ConditionRecord:
    return ConditionRecord(source="agent", variant="a", time_ms=0, elapsed_ms=10_000 + since_ms,
                           received_ms=received_ms, condition=Condition(**values))  # fmt: skip


AGENT = Agent(time_ms=0, elapsed_ms=0, received_ms=990_000)


def test_heat_that_adb_alone_tells_stands_by_its_minute() -> None:
    records = [
        AGENT,
        told_by_adb(995_000, thermal_status=6, temperature_mc=99_000),  # before the phase
        sustained(30_000, received_ms=1_030_000),
        told_by_adb(1_035_000, thermal_status=1, temperature_mc=38_000),
        sustained(60_000, received_ms=1_060_000),
        told_by_adb(1_085_000, thermal_status=2, temperature_mc=41_000),
        told_by_adb(1_095_000, thermal_status=3, temperature_mc=40_000),
        sustained(120_000, received_ms=1_120_000),
        told_by_adb(1_125_000, thermal_status=5, temperature_mc=98_000),  # after it
    ]
    assert [(one.minute, one.thermal_status, one.temperature_mc) for one in minutes_of("a", records)] == [
        (0, 1, 38_000),
        (1, 3, 41_000),
    ]
    assert [state.at_ms for state in states_of("a", records)] == [35_000, 85_000, 95_000]


def test_records_that_came_over_late_are_of_the_minute_they_were_written_in() -> None:
    """A cable that was pulled in the second minute: the agent's records came over all at once."""
    late = 1_200_000
    records = [
        AGENT,
        told_by_agent(0, received_ms=1_000_000, thermal_status=0),
        sustained(60_000, received_ms=1_060_000),
        told_by_agent(60_000, received_ms=late, thermal_status=2),
        sustained(120_000, received_ms=late),
        told_by_agent(120_000, received_ms=late, thermal_status=3),
        sustained(180_000, received_ms=late),
        told_by_agent(180_000, received_ms=late, thermal_status=4),
    ]
    # The end of one minute is the beginning of the next: it belongs to what was measured before it.
    assert [(one.minute, one.thermal_status) for one in minutes_of("a", records)] == [(0, 2), (1, 3), (2, 4)]


def test_the_first_record_may_be_the_late_one() -> None:
    """adb's conditions are placed by the record that came over soonest after it was written."""
    records = [
        AGENT,
        sustained(30_000, received_ms=1_065_000),
        sustained(60_000, received_ms=1_065_000),
        told_by_adb(1_070_000, thermal_status=1),
        sustained(120_000, received_ms=1_120_000),
    ]
    assert [(state.at_ms, state.thermal_status) for state in states_of("a", records)] == [(70_000, 1)]


def test_a_minute_shows_one_sensor_and_every_status() -> None:
    """The agent's zone and adb's skin are other places; the status is the system's, whoever tells it."""
    records = [
        AGENT,
        told_by_agent(0, received_ms=1_000_000, temperature_mc=60_000),
        told_by_adb(1_010_000, thermal_status=1, temperature_mc=38_000),
        told_by_agent(20_000, received_ms=1_020_000, temperature_mc=62_000, battery_temperature_mc=90_000),
        sustained(60_000, received_ms=1_060_000),
        told_by_adb(1_070_000, thermal_status=2, temperature_mc=99_000),
        sustained(70_000, received_ms=1_070_000),
    ]
    assert [(one.thermal_status, one.temperature_mc) for one in minutes_of("a", records)] == [(1, 62_000), (2, None)]
