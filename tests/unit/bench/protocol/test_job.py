"""Jobs from outside, and durations."""

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qsr_edge.bench.duration import parse_duration_ms
from qsr_edge.bench.gate import above_gate
from qsr_edge.bench.protocol.condition import Condition
from qsr_edge.bench.protocol.job import Done, Gate, Job, JobImage, JobVariant, dump_job, parse_job
from qsr_edge.errors import BenchError

VARIANT = JobVariant(
    label="tiny d1", bundle="/b", depth=1, kernels="xnnpack", threads=1, height_px=24, width_px=40, check_golden=True,
    done=Done(queries=3, steady_us=5, images=("a",)),
)  # fmt: skip
JOB = Job(
    run="r-1",
    part=2,
    results="/r/results-2.jsonl",
    outputs="/r/outputs",
    queries=20,
    steady_ms=20,
    round_ms=5,
    warm_up_ms=5,
    sustained_ms=0,
    gate=Gate(max_temperature_mc=35_000),
    images=(JobImage(name="a", path="/i/a.rgb", height_px=8, width_px=8),),
    variants=(VARIANT,),
)


def test_a_job_comes_back_as_it_was() -> None:
    assert parse_job(dump_job(JOB), "job.json") == JOB


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"protocol": 2}, "protocol 2, expected 1"),
        ({"run": "../x"}, "run = '../x' is not possible"),
        ({"part": 0}, "part = 0"),
        ({"results": "here"}, "results = 'here'"),
        ({"queries": 0}, "queries = 0"),
        ({"queries": "1"}, "got '1', expected int"),
        ({"steady_ms": -1}, "steady_ms = -1"),
        ({"variants": []}, "variants = "),
        ({"images": [{"name": "../a", "path": "/a", "height_px": 8, "width_px": 8}]}, "name = '../a'"),
        ({"gate": {"max_thermal_status": 7}}, "max_thermal_status = 7"),
        ({"surprise": 1}, "the key 'surprise' is not known"),
    ],
)
def test_a_wrong_job_is_named(change: dict[str, Any], message: str) -> None:
    table = json.loads(dump_job(JOB)) | change
    with pytest.raises(BenchError, match=message):
        parse_job(json.dumps(table).encode(), "job.json")


@given(st.integers(0, 10_000), st.integers(0, 255))
def test_a_damaged_job_is_one_error(position: int, value: int) -> None:
    content = bytearray(dump_job(JOB))
    content[position % len(content)] = value
    with contextlib.suppress(BenchError):  # and no other error
        assert parse_job(bytes(content), "job.json").protocol == 1


def test_only_what_is_told_keeps_a_device_waiting() -> None:
    gate = Gate(max_thermal_status=1, max_temperature_mc=35_000)
    assert above_gate(Condition(), gate) is None
    assert above_gate(Condition(thermal_status=1, battery_temperature_mc=35_000), gate) is None
    assert above_gate(Condition(thermal_status=2), gate) == "thermal status 2, expected at most 1"
    assert above_gate(Condition(temperature_mc=35_001), gate) == "35.0 degrees, expected at most 35.0"
    # The battery is what the limit means on a phone, whatever the hottest zone.
    assert above_gate(Condition(temperature_mc=80_000, battery_temperature_mc=30_000), gate) is None


def test_durations() -> None:
    assert [parse_duration_ms(text, "--x") for text in ("250ms", "90s", "30m", "2h")] == [
        250,
        90_000,
        1_800_000,
        7_200_000,
    ]
    for text in ("", "30", "1.5h", "m", "-1s"):
        with pytest.raises(BenchError, match=r"--x .*: expected a duration such as 90s"):
            parse_duration_ms(text, "--x")
