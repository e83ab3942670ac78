"""Folders of runs become typed runs; what is damaged or foreign is named in one line."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qsr_edge.errors import BenchError
from qsr_edge.report.reading import MAX_TEXT, read_run, text
from tests.support.run_folders import GALAXY, PIXEL, Plan, photo, variant, variants, write_run


def rewrite(folder: Path, change: Callable[[list[dict[str, Any]]], None]) -> Path:
    path = folder / "results.jsonl"
    records = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    change(records)
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return folder


def test_a_run(tmp_path: Path) -> None:
    plan = Plan(variants=variants(("tflite", "executorch")), images={"coffee": photo(40, 60)}, rounds=3)
    run = read_run(write_run(tmp_path / "run", plan))
    assert (run.id, run.device.name, run.device.processor, run.header.job.threads) == (
        plan.run,
        "Test Pixel",
        "Test SoC G9",
        1,
    )
    assert run.device.details == (("memory mb", "12288"),)
    assert (run.complete, run.invalid, run.parts, run.images) == (True, (), 1, ("coffee",))
    assert run.header.job.gate is not None
    assert run.header.job.gate.max_temperature_mc == 35_000
    assert [entry.label for entry in run.variants] == [entry["label"] for entry in plan.variants]
    records = [json.loads(line) for line in (tmp_path / "run" / "results.jsonl").read_text().splitlines()]
    for entry in run.variants:
        steady = [r for r in records if r["kind"] == "steady" and r["variant"] == entry.label]
        assert [list(values) for values in entry.rounds_us] == [r["latencies_us"] for r in steady]
        ordered = sorted(value for r in steady for value in r["latencies_us"])
        assert entry.latency is not None
        assert entry.latency.p50_us == ordered[-(-len(ordered) // 2) - 1]
        assert entry.peak_bytes == steady[0]["peak_bytes"]
        [image] = entry.images
        assert image.psnr_db is not None
        assert image.psnr_db > 30
    assert run.variants[0].placement is not None
    assert run.variants[0].placement.fallback == {"DEPTH_TO_SPACE": 1}
    assert run.variants[-1].placement is not None
    assert run.variants[-1].placement.fallback == {}


def timed(kind: str, elapsed_ms: int, received_ms: int | None = None, **values: Any) -> dict[str, Any]:
    """A record whose clocks are given; ``received_ms`` is of what came over from an agent."""
    received = {} if received_ms is None else {"received_ms": received_ms}
    return {"kind": kind, "time_ms": received_ms or elapsed_ms, "elapsed_ms": elapsed_ms, **received, **values}


def test_the_sustained_phase(tmp_path: Path) -> None:
    """States are placed by the clock that they share with the phase's records."""
    folder = write_run(tmp_path / "run", Plan(variants=(variant(depth=2),), rounds=1))

    def change(records: list[dict[str, Any]]) -> None:
        label, end = records[0]["variants"][0]["label"], records.pop()
        state = {"thermal_status": 1, "temperature_mc": 40_000, "battery_percent": 50}
        records += [
            timed("sustained", 160_000, 160_000, variant=label, since_ms=60_000, latencies_us=[500_000] * 120),
            timed("condition", 165_000, 165_000, variant=label, source="agent", condition=state),
            timed("sustained", 220_000, 220_000, variant=label, since_ms=120_000, latencies_us=[1_000_000] * 60),
            end,
        ]

    [entry] = read_run(rewrite(folder, change)).variants
    assert [(minute.minute, minute.latency.count, minute.latency.p50_us) for minute in entry.minutes] == [
        (0, 120, 500_000),
        (1, 60, 1_000_000),
    ]
    assert (entry.minutes[1].thermal_status, entry.minutes[1].temperature_mc) == (1, 40_000)
    [state] = entry.states
    assert (state.at_ms, state.thermal_status, state.temperature_mc, state.battery_percent) == (65_000, 1, 40_000, 50)


def test_states_of_a_phase_that_was_gone_on_with(tmp_path: Path) -> None:
    """Each part's clock begins anew; what adb told is placed by this machine's clock."""
    folder = write_run(tmp_path / "run", Plan(variants=(variant(depth=2),), rounds=1))

    def change(records: list[dict[str, Any]]) -> None:
        label, end = records[0]["variants"][0]["label"], records.pop()
        values = [60_000_000]
        records += [
            timed("condition", 100_000, 1_000_000, variant=label, condition={"temperature_mc": 30_000}),
            timed("sustained", 160_000, 1_060_000, variant=label, since_ms=60_000, latencies_us=values),
            timed("agent", 0, 5_050_000, part=2),
            timed("condition", 5_000, 5_060_000, variant=label, condition={"temperature_mc": 31_000}),
            timed("sustained", 65_000, 5_120_000, variant=label, since_ms=120_000, latencies_us=values),
            timed("condition", 5_090_000, source="adb", condition={"temperature_mc": 32_000, "thermal_status": 1}),
            timed("condition", 9_000_000, source="adb", condition={"temperature_mc": 99_000}),
            end,
        ]

    [entry] = read_run(rewrite(folder, change)).variants
    # adb may read another sensor, so its temperature is not on the agent's line.
    assert [(state.at_ms, state.temperature_mc, state.thermal_status) for state in entry.states] == [
        (0, 30_000, None),
        (60_000, 31_000, None),
        (90_000, None, 1),
    ]


def test_energy_is_told_on_battery_alone(tmp_path: Path) -> None:
    """0.9 A at 3.9 V, for as long as an inference takes."""
    plan = Plan(variants=(variant(depth=2),), rounds=1, sustained_minutes=1, noise=0.0)
    [entry] = read_run(write_run(tmp_path / "battery", plan)).variants
    assert entry.energy_mj == pytest.approx(0.9 * 3.9 * entry.minutes[0].latency.p50_us / 1000, rel=0.05)
    plan = Plan(variants=plan.variants, sustained_minutes=1, on_mains=True)
    [entry] = read_run(write_run(tmp_path / "mains", plan)).variants
    assert entry.energy_mj is None


def test_what_is_not_told_is_not_known(tmp_path: Path) -> None:
    def change(records: list[dict[str, Any]]) -> None:
        for key in ("processor", "cores", "id"):
            del records[0]["device"][key]
        for key in ("model_bytes", "macs_per_pixel", "quality", "bits"):
            del records[0]["variants"][0][key]
        records[0]["job"] = {}
        records[:] = [r for r in records if r["kind"] not in ("placement", "condition")]

    run = read_run(rewrite(write_run(tmp_path / "run", Plan(memory=False, rounds=1)), change))
    entry = run.variants[0]
    assert (entry.peak_bytes, entry.cpu_us, entry.model_bytes, entry.bits, entry.placement) == (None,) * 5
    assert (run.header.job.gate, run.header.job.queries, run.device.cores, run.device.processor) == (
        None,
        None,
        None,
        "",
    )


@pytest.mark.parametrize(
    ("golden", "expected"), [((True, True), True), ((True, False), False), ((None, False), False), ((True, None), None)]
)
def test_golden_bytes_over_parts(tmp_path: Path, golden: tuple[bool | None, ...], expected: bool | None) -> None:
    def change(records: list[dict[str, Any]]) -> None:
        [start] = [r for r in records if r["kind"] == "start"]
        start["golden_equal"] = golden[0]
        records.insert(-1, {**start, "golden_equal": golden[1], "load_us": 1})

    folder = rewrite(write_run(tmp_path / "run", Plan(variants=(variant(),), rounds=1)), change)
    [entry] = read_run(folder).variants
    assert entry.golden_equal is expected
    assert entry.load_us != 1  # the first start was the cold one


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: r.pop(0), "does not begin with a run record"),
        (lambda r: r.clear(), "does not begin with a run record"),
        (lambda r: r[0].update(schema=1), "results.jsonl:1: has schema 1, expected 2; measure anew with this release"),
        (lambda r: r[0].update(schema={"a": "b"}), "has schema {'a': 'b'}, expected 2"),
        (lambda r: r[0].pop("device"), "results.jsonl:1: damaged (run: missing device)"),
        (lambda r: r[0].pop("version"), "run: missing version"),
        (lambda r: r[0]["device"].update(simulator="no"), "run: device.simulator: got 'no', expected true or false"),
        (lambda r: r[0]["variants"][0].update(depth=-1), "run: variants[0]: depth: got -1, expected 0 to"),
        (lambda r: r[0]["variants"].append(r[0]["variants"][0]), "labels of variants are not unique"),
        (lambda r: r[0].update(variants=[]), "run: variants: got ()"),
        (lambda r: r[-2].update(latencies_us=[1, "2"]), "steady: latencies_us[1]: got '2', expected int"),
        (lambda r: r[-2].update(latencies_us=[-1]), "steady: latencies_us: got (-1,), expected 0 to"),
        (lambda r: r[-2].update(latencies_us=[True]), "latencies_us[0]: got True, expected int"),
        (lambda r: r[-2].update(cpu_us=[1.5]), "cpu_us[0]: got 1.5, expected int"),
        (lambda r: r[-2].update(latencies_us=7), "steady: latencies_us: got 7, expected a list"),
        (lambda r: r.append({"kind": "quality", "variant": "a", "image": "b", "psnr_db": math.nan}), "NaN is not a"),
        (lambda r: r.append({"kind": "quality", "variant": "a", "image": "../b"}), "image: got '../b', expected a"),
    ],
)  # fmt: skip
def test_damage_is_named_in_one_line(tmp_path: Path, change: Callable[[Any], Any], message: str) -> None:
    folder = rewrite(write_run(tmp_path / "run", Plan(variants=(variant(),), rounds=1)), change)
    with pytest.raises(BenchError) as caught:
        read_run(folder)
    assert message in str(caught.value)
    assert str(folder / "results.jsonl") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_no_run(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "missing"):
        with pytest.raises(BenchError, match="is no run"):
            read_run(folder)


def test_unknown_kinds_and_keys_are_ignored(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", Plan(rounds=1, device=GALAXY))
    before = read_run(folder)
    after = read_run(rewrite(folder, lambda r: r.insert(2, {"kind": "moon phase", "variant": 3, "latencies_us": "x"})))
    assert after == before


def assert_one_line_or_a_run(folder: Path) -> None:
    """Any other exception comes through and fails the test."""
    message = None
    try:
        assert read_run(folder).variants
    except BenchError as error:
        message = str(error)
    assert message is None or ("\n" not in message and "results.jsonl" in message)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_damage_ends_in_one_line_or_a_run(tmp_path: Path, data: st.DataObject) -> None:
    """Bytes of a small run are flipped or cut; no other exception comes out."""
    folder = tmp_path / "fuzzed"
    path = write_run(folder, Plan(variants=(variant(),), rounds=1, round_ms=60, sustained_minutes=0)) / "results.jsonl"
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(bytes(content[: data.draw(st.integers(0, len(content)))] if data.draw(st.booleans()) else content))
    assert_one_line_or_a_run(folder)


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_value_of_another_type_ends_in_one_line_or_a_run(tmp_path: Path, data: st.DataObject) -> None:
    folder = write_run(tmp_path / "typed", Plan(variants=(variant(),), rounds=1, round_ms=60, sustained_minutes=0))
    strange = data.draw(st.sampled_from([None, -1, 1e308, 10**30, "x", "", [], {}, [None], True, {"a": [1]}]))

    def change(records: list[dict[str, Any]]) -> None:
        place: Any = data.draw(st.sampled_from(records))
        while True:
            keys = list(place) if isinstance(place, dict) else list(range(len(place)))
            if not keys:
                return
            key = data.draw(st.sampled_from(keys))
            if isinstance(place[key], dict | list) and place[key] and data.draw(st.booleans()):
                place = place[key]
                continue
            place[key] = strange
            return

    assert_one_line_or_a_run(rewrite(folder, change))


def test_texts_are_one_short_line_without_tricks() -> None:
    assert text("a\u202eb\x00c\n d\ue000") == "abc d"
    assert text("x" * 1000) == "x" * MAX_TEXT + "…"
    assert text("größer 4×, 日本語") == "größer 4×, 日本語"
    assert PIXEL["name"] == text(PIXEL["name"])
