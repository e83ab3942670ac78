"""Every kind of record comes back as it was; the protocol's nulls are written; what is no record is refused."""

import json
from dataclasses import fields

import pytest

from qsr_edge.bench.protocol.condition import Condition
from qsr_edge.bench.protocol.decoding import (
    KINDS,
    decode_agent_record,
    decode_record,
    encode_line,
    encode_record,
)
from qsr_edge.bench.protocol.header import DeviceInfo, HeaderImage, RecordedQuality, RunEffort, RunHeader, Variant
from qsr_edge.bench.protocol.job import Gate
from qsr_edge.bench.protocol.records import (
    Agent,
    Averages,
    ConditionRecord,
    Damaged,
    End,
    Error,
    Event,
    Fault,
    Image,
    Part,
    Placement,
    Quality,
    Record,
    Start,
    Steady,
    Sustained,
    Waiting,
    WarmUp,
)
from qsr_edge.errors import BenchError

CONDITION = Condition(
    thermal_status=1,
    headroom_milli=700,
    temperature_mc=41_000,
    battery_temperature_mc=30_000,
    battery_percent=55.5,
    plugged_in=False,
    power_save=True,
    current_ua=-400_000,
    voltage_mv=4000,
    load_milli=1500,
    cpu_khz=(1_800_000, 2_400_000),
)
HEADER = RunHeader(
    schema=2,
    run="r",
    version="1",
    runner="benchmark_model",
    device=DeviceInfo(
        kind="android",
        id="X",
        name="Phone",
        processor="SoC",
        system="Android 14",
        cores=8,
        simulator=True,
        architecture="arm64-v8a",
        build="AP1A",
        more=(("memory_mb", "12288"),),
    ),
    job=RunEffort(
        queries=1,
        steady_ms=2,
        sustained_ms=3,
        round_ms=4,
        warm_up_ms=5,
        threads=6,
        gate=Gate(max_thermal_status=1, max_temperature_mc=35_000),
    ),
    variants=(
        Variant(
            label="a",
            bundle="/b",
            bundle_sha256="00",
            name="n",
            target="tflite",
            depth=2,
            kernels="xnnpack",
            runtime="LiteRT",
            bits=4,
            scale=2,
            height_px=180,
            width_px=320,
            check_golden=True,
            model_bytes=7,
            macs_per_pixel=9,
            quality=(RecordedQuality(dataset="Set5", psnr_db=36.5, ssim=0.95, images=5),),
        ),
    ),
    images=(HeaderImage(name="coffee", height_px=3, width_px=4),),
)
CLOCKS = {"time_ms": 1, "elapsed_ms": 2, "received_ms": 3}
RECORDS: tuple[Record, ...] = (
    HEADER,
    Part(**CLOCKS, part=1, reason="first"),
    Agent(**CLOCKS, protocol=1, run="r", part=1, agent="a 1", runtime="LiteRT 2"),
    Waiting(**CLOCKS, reason="hot"),
    ConditionRecord(**CLOCKS, source="agent", variant="a", condition=CONDITION),
    Start(**CLOCKS, variant="a", load_us=1, first_us=2, golden_equal=True, golden_sha256="00", runtime="LiteRT"),
    Placement(**CLOCKS, variant="a", delegate="XNNPACK", delegated_ops=3, fallback={"ADD": 1}, source="runtime"),
    WarmUp(**CLOCKS, variant="a", latencies_us=(1, 2)),
    Image(**CLOCKS, variant="a", image="coffee", sha256="00", output="0-coffee.rgb", latency_us=4),
    Steady(**CLOCKS, variant="a", latencies_us=(1, 2), cpu_us=(1, 1), peak_bytes=5),
    Averages(**CLOCKS, variant="a", phase="steady", count=1, mean_us=2, min_us=1, max_us=3, std_us=1, peak_bytes=4),
    Sustained(**CLOCKS, variant="a", since_ms=5000, latencies_us=(9,)),
    Quality(**CLOCKS, variant="a", image="coffee", psnr_db=30.25, ssim=0.5, equal=True, picture="images/coffee/0.png"),
    Event(**CLOCKS, event="thermal", thermal_status=3),
    Error(**CLOCKS, message="m", variant="a"),
    Damaged(**CLOCKS, bytes=9),
    Fault(**CLOCKS, phase="measure", message="m"),
    End(**CLOCKS, complete=False, reason="r"),
)


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.kind)
def test_a_record_comes_back_as_it_was(record: Record) -> None:
    line = encode_line(record)
    assert line.endswith(b"}\n")
    assert decode_record(line[:-1], "r") == record
    # With every field told, so that none can be forgotten on either way.
    clocks = () if record is HEADER else tuple(CLOCKS)
    assert all(getattr(record, entry.name) is not None for entry in fields(record) if entry.name in clocks)
    told = [entry.name for entry in fields(record) if entry.name not in CLOCKS]
    assert all(getattr(record, name) is not None for name in told)


def test_every_kind_is_tried() -> None:
    assert [record.kind for record in RECORDS] == list(KINDS)


def test_what_else_a_device_tells_stands_beside_the_rest() -> None:
    device = encode_record(HEADER)["device"]
    assert isinstance(device, dict)
    assert device["memory_mb"] == "12288"
    assert "more" not in device
    assert HEADER.device.details == (("architecture", "arm64-v8a"), ("build", "AP1A"), ("memory mb", "12288"))


def test_nulls_of_the_protocol_are_written_and_others_left_out() -> None:
    start = Start(variant="a", load_us=None, first_us=None, golden_equal=None)
    assert encode_record(start) == {
        "kind": "start", "variant": "a", "load_us": None, "first_us": None, "golden_equal": None, "golden_sha256": None,
    }  # fmt: skip
    assert encode_record(Quality(variant="a", image="b")) == {
        "kind": "quality", "variant": "a", "image": "b", "equal": None,
    }  # fmt: skip
    assert encode_record(Steady(variant="a", latencies_us=())) == {"kind": "steady", "variant": "a", "latencies_us": []}


def test_whole_numbers_may_have_a_point() -> None:
    """As in JSON Schema, 2.0 is an integer."""
    record = decode_record(b'{"kind": "sustained", "variant": "a", "since_ms": 5000.0, "latencies_us": [1, 2.0]}', "r")
    assert record == Sustained(variant="a", since_ms=5000, latencies_us=(1, 2))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"kind": "condition", "condition": {"thermal_status": 7}}, "condition: condition: thermal_status: got 7"),
        ({"kind": "condition", "condition": {"battery_percent": 101}}, "battery_percent: got 101.0, expected 0 to 100"),
        ({"kind": "condition", "condition": {"cpu_khz": [1, -1]}}, r"cpu_khz: got \(1, -1\), expected 0 to"),
        ({"kind": "event", "event": ""}, "event: got '', expected 1 to 400 letters"),
        ({"kind": "error", "message": "x" * 5000}, "message: got .*expected 0 to 4096 letters"),
        ({"kind": "averages", "variant": "a", "phase": "steady", "count": 0, "mean_us": 1}, "count: got 0, expected 1"),
        ({"kind": "placement", "variant": "a", "delegate": "", "delegated_ops": 1, "fallback": {"ADD": -1}},
         "fallback: got {'ADD': -1}, expected 0 to"),
        ({"kind": "steady", "variant": "a", "latencies_us": [1 << 41]}, "latencies_us: got"),
        ({"kind": "steady", "variant": "a", "latencies_us": [True]}, r"latencies_us\[0\]: got True, expected int"),
        ({"kind": "end"}, "end: missing complete"),
        ({"kind": 7}, "no record"),
        ([], "no record"),
    ],
    ids=str,
)  # fmt: skip
def test_what_is_no_record_is_named(values: object, words: str) -> None:
    with pytest.raises(BenchError, match=f"^r: damaged .*{words}.*; delete that line, or measure anew$"):
        decode_record(json.dumps(values).encode(), "r")


def test_a_run_takes_from_itself_what_it_takes_from_no_agent() -> None:
    for record in (Part(part=1), Fault(phase="pull", message="m"), Damaged(bytes=1), HEADER):
        with pytest.raises(BenchError, match="is the run's own, no agent's"):
            decode_agent_record(encode_line(record), "r")
    with pytest.raises(BenchError, match="has the source adb"):
        decode_agent_record(encode_line(ConditionRecord(source="adb", condition=CONDITION)), "r")
    end = End(complete=True)
    assert decode_agent_record(encode_line(end), "r") == end
