"""Runs of programs that tell averages only, what a log has received, and states told by two sources."""

from typing import Any

from qsr_edge.bench.protocol.log import done_of, received_of
from qsr_edge.bench.result import SCHEMA, evaluate_run, result_json
from qsr_edge.bench.table import average_lines, caption, markdown

HEADER: dict[str, Any] = {
    "kind": "run",
    "schema": SCHEMA,
    "run": "r1",
    "device": {"kind": "android", "id": "X", "name": "Phone", "processor": "SoC", "system": "Android 14", "cores": 8},
    "job": {"queries": 100, "steady_ms": 0, "threads": 1},
    "variants": [
        {"label": label, "bundle": "/b", "depth": 1, "kernels": "xnnpack", "width_px": 40, "height_px": 24}
        for label in ("a", "b")
    ],
    "images": [],
}


def averages(label: str, count: int, mean_us: int, **more: Any) -> dict[str, Any]:
    return {"kind": "averages", "phase": "steady", "variant": label, "count": count, "mean_us": mean_us, **more}


RECORDS: list[dict[str, Any]] = [
    HEADER,
    {"kind": "part", "part": 1},
    {"kind": "start", "variant": "a", "load_us": 700, "first_us": 9000, "golden_equal": None},
    {**averages("a", 5, 90_000), "phase": "warm-up"},
    averages("a", 60, 4000, min_us=3900, max_us=4800, std_us=9),
    averages("a", 40, 5000, min_us=4100, max_us=6000, std_us=9),
    {"kind": "start", "variant": "b", "load_us": None, "first_us": None, "golden_equal": None},
    averages("b", 100, 8000),
    {"kind": "end", "complete": True},
]


def test_averages_are_weighted_and_called_so() -> None:
    result = evaluate_run(RECORDS)
    assert result.complete
    assert result.variants == ()
    assert average_lines(result) == [
        "a: mean 4.40 ms (3.90 to 6.00) of 100, first 9.00 ms, load 0.7 ms; averages only",
        "b: mean 8.00 ms of 100; averages only",
    ]
    assert "(100 to 100)" in caption(result)
    assert average_lines(result)[1] in markdown(result)
    assert result_json(result)["averages"][0]["mean_us"] == 4400
    done = done_of("a", RECORDS)
    assert (done.queries, done.steady_us) == (100, 440_000)


def condition(source: str, temperature_mc: int) -> dict[str, Any]:
    return {"kind": "condition", "source": source, "condition": {"temperature_mc": temperature_mc}}


def test_two_sources_are_not_compared_with_each_other() -> None:
    steady = averages("a", 1, 1)
    # The app tells the hottest zone, adb the skin.
    mixed = [condition("agent", 60_000), condition("adb", 33_000), condition("agent", 61_000), condition("adb", 34_000)]
    assert evaluate_run([*RECORDS[:3], *mixed, steady]).invalid == ()
    hot = [condition("agent", 40_000), condition("adb", 33_000), condition("agent", 61_000)]
    assert evaluate_run([*RECORDS[:3], *hot, steady]).invalid == ("the temperature went from 40 to 61 degrees",)


def test_how_many_records_of_the_last_part_came_over() -> None:
    assert received_of([HEADER]) == (0, 0)
    came = {"received_ms": 1}
    records = [
        HEADER,
        {"kind": "part", "part": 1},
        {"kind": "agent", **came},
        {"kind": "end", **came},
        {"kind": "part", "part": 2},
        {**condition("adb", 1), **came},
        {"kind": "agent", **came},
        {**condition("agent", 1), **came},
        {"kind": "damaged", "bytes": 3, **came},
        {"kind": "fault", "phase": "measure", "message": "gone"},
        {"kind": "end", "complete": False},
    ]
    assert received_of(records) == (2, 3)
