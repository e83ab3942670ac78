"""Runs of programs that tell averages only, what a log has received, and states told by two sources."""

from qsr_edge.bench.protocol.condition import Condition
from qsr_edge.bench.protocol.header import SCHEMA, DeviceInfo, RunEffort, RunHeader, Variant
from qsr_edge.bench.protocol.log import done_of, received_of
from qsr_edge.bench.protocol.records import (
    Agent,
    Averages,
    ConditionRecord,
    Damaged,
    End,
    Fault,
    Part,
    Record,
    Start,
)
from qsr_edge.bench.result import evaluate_run, result_json
from qsr_edge.bench.table import average_lines, caption, markdown

HEADER = RunHeader(
    schema=SCHEMA,
    run="r1",
    version="0",
    device=DeviceInfo(kind="android", id="X", name="Phone", processor="SoC", system="Android 14", cores=8,
                      simulator=False),
    job=RunEffort(queries=100, steady_ms=0, threads=1),
    variants=tuple(
        Variant(label=label, bundle="/b", name="n", target="t", depth=1, kernels="xnnpack", width_px=40, height_px=24)
        for label in ("a", "b")
    ),
)  # fmt: skip
RECORDS: list[Record] = [
    HEADER,
    Part(part=1),
    Start(variant="a", load_us=700, first_us=9000, golden_equal=None),
    Averages(phase="warm-up", variant="a", count=5, mean_us=90_000),
    Averages(phase="steady", variant="a", count=60, mean_us=4000, min_us=3900, max_us=4800, std_us=9),
    Averages(phase="steady", variant="a", count=40, mean_us=5000, min_us=4100, max_us=6000, std_us=9),
    Start(variant="b", load_us=None, first_us=None, golden_equal=None),
    Averages(phase="steady", variant="b", count=100, mean_us=8000),
    End(complete=True),
]


def test_averages_are_weighted_and_called_so() -> None:
    result = evaluate_run(RECORDS)
    assert result.complete
    assert result.measured == ()
    assert average_lines(result) == [
        "a: mean 4.40 ms (3.90 to 6.00) of 100, first 9.00 ms, load 0.7 ms; averages only",
        "b: mean 8.00 ms of 100; averages only",
    ]
    assert "(100 to 100)" in caption(result)
    assert average_lines(result)[1] in markdown(result)
    averages = result_json(result)["averages"]
    assert isinstance(averages, list)
    assert averages[0]["mean_us"] == 4400
    done = done_of("a", RECORDS)
    assert (done.queries, done.steady_us) == (100, 440_000)


def condition(source: str, temperature_mc: int, received_ms: int | None = None) -> ConditionRecord:
    return ConditionRecord(source=source, condition=Condition(temperature_mc=temperature_mc), received_ms=received_ms)


def test_two_sources_are_not_compared_with_each_other() -> None:
    steady = Averages(phase="steady", variant="a", count=1, mean_us=1)
    # The app tells the hottest zone, adb the skin.
    mixed = [condition("agent", 60_000), condition("adb", 33_000), condition("agent", 61_000), condition("adb", 34_000)]
    assert evaluate_run([*RECORDS[:3], *mixed, steady]).invalid == ()
    hot = [condition("agent", 40_000), condition("adb", 33_000), condition("agent", 61_000)]
    assert evaluate_run([*RECORDS[:3], *hot, steady]).invalid == ("the temperature went from 40 to 61 degrees",)


def test_how_many_records_of_the_last_part_came_over() -> None:
    assert received_of([HEADER]) == (0, 0)
    records = [
        HEADER,
        Part(part=1),
        Agent(received_ms=1),
        End(complete=True, received_ms=1),
        Part(part=2),
        condition("adb", 1, received_ms=1),
        Agent(received_ms=1),
        condition("agent", 1, received_ms=1),
        Damaged(bytes=3, received_ms=1),
        Fault(phase="measure", message="gone"),
        End(complete=False),
    ]
    assert received_of(records) == (2, 3)
