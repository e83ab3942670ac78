"""The log under every kind of cut, and what its records amount to."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from qsr_edge.bench.protocol.condition import Condition
from qsr_edge.bench.protocol.header import DeviceInfo, RunEffort, RunHeader, Variant
from qsr_edge.bench.protocol.job import Done
from qsr_edge.bench.protocol.log import RESULTS_NAME, RunLog, done_of, read_log
from qsr_edge.bench.protocol.records import ConditionRecord, End, Fault, Part, Start, Steady, Sustained, Unknown
from qsr_edge.bench.result import VariantResult, evaluate_run, result_json
from qsr_edge.bench.statistics import LatencySummary
from qsr_edge.bench.sustained import Minute
from qsr_edge.bench.table import caption, depth_ratios, markdown
from qsr_edge.errors import BenchError

A = Variant(label="a", name="n", target="t", depth=1, bundle="b", kernels="k", width_px=4, height_px=2)
HEADER = RunHeader(
    schema=2,
    run="r",
    version="0",
    device=DeviceInfo(kind="host", name="n", processor="p", cores=2, system="s", simulator=False),
    job=RunEffort(queries=4, steady_ms=0, threads=1),
    variants=(A, replace(A, label="b", depth=2)),
)


def open_log(folder: Path) -> RunLog:
    return RunLog(folder / RESULTS_NAME)


def write(folder: Path) -> None:
    log = open_log(folder)
    log.append(HEADER)
    log.append(Part(part=1, reason="first"))
    # Waiting to cool: no matter.
    log.append(ConditionRecord(condition=Condition(temperature_mc=90_000, thermal_status=3)))
    for label in "ab":
        log.append(Start(variant=label, load_us=100, first_us=50, golden_equal=True))
    log.append(ConditionRecord(condition=Condition(temperature_mc=40_000, plugged_in=True)))
    log.append(Steady(variant="a", latencies_us=(10, 20, 30), cpu_us=(9, 9, 9), peak_bytes=1000))
    log.append(Steady(variant="a", latencies_us=(40,), cpu_us=(9,), peak_bytes=2000))


def latency(variant: VariantResult) -> LatencySummary:
    assert variant.latency is not None
    return variant.latency


def test_a_run_is_evaluated_as_far_as_it_went(tmp_path: Path) -> None:
    write(tmp_path)
    result = evaluate_run(read_log(tmp_path))
    [only] = result.measured
    assert (only.label, latency(only).count, latency(only).max_us, only.peak_bytes) == ("a", 4, 40, 2000)
    assert [variant.label for variant in result.variants] == ["a", "b"]
    assert not result.complete
    assert result.invalid == ()
    assert done_of("a", read_log(tmp_path)) == Done(queries=4, steady_us=100)
    log = open_log(tmp_path)
    log.append(ConditionRecord(condition=Condition(temperature_mc=60_000, plugged_in=False)))
    log.append(Steady(variant="b", latencies_us=(25,)))
    log.receive(End(time_ms=1, elapsed_ms=1, complete=True))
    assert not evaluate_run(read_log(tmp_path)).complete  # an agent's end is a part's
    log.append(End(complete=True))
    result = evaluate_run(read_log(tmp_path))
    assert result.complete
    assert result.invalid == ("the temperature went from 40 to 60 degrees", "the power source changed")
    assert result.measured[1].cpu is None
    assert result.measured[1].peak_bytes is None
    assert "INVALID: the power source changed" in caption(result)
    assert depth_ratios(result) == "d2 : d1 as 1.25 : 1.00"
    assert markdown(result).splitlines()[3].startswith("| b | 0.03 |")
    assert json.dumps(result_json(result), allow_nan=False)


def test_a_run_that_goes_on_is_not_complete(tmp_path: Path) -> None:
    write(tmp_path)
    log = open_log(tmp_path)
    log.append(End(complete=False, reason="interrupted"))
    assert evaluate_run(read_log(tmp_path)).reason == "interrupted"
    log.append(End(complete=True))
    log.append(Part(part=2, reason="resumed"))
    assert not evaluate_run(read_log(tmp_path)).complete


def test_one_start_with_other_bytes_is_enough(tmp_path: Path) -> None:
    write(tmp_path)
    log = open_log(tmp_path)
    for answer in (False, None):
        log.append(Start(variant="a", load_us=1, first_us=1, golden_equal=answer))
    assert evaluate_run(read_log(tmp_path)).variants[0].golden_equal is False


def test_a_simulator_and_faults_are_in_the_caption(tmp_path: Path) -> None:
    log = open_log(tmp_path)
    log.append(replace(HEADER, device=replace(HEADER.device, simulator=True)))
    log.append(Fault(phase="measure", message="the cable was pulled"))
    shown = caption(evaluate_run(read_log(tmp_path)))
    assert "no figure here is a phone's" in shown
    assert "survived: measure: the cable was pulled" in shown
    assert "input 4x2;" in shown
    other = replace(HEADER, variants=(A, replace(A, label="b", width_px=8)))
    assert "input 4x2 and 8x2;" in caption(evaluate_run([other]))


def test_the_sustained_phase_by_the_minute(tmp_path: Path) -> None:
    write(tmp_path)
    log = open_log(tmp_path)

    def sustained(since_ms: int, latency_us: int, received_ms: int) -> None:
        log.write(Sustained(variant="a", since_ms=since_ms, latencies_us=(latency_us,) * 2, time_ms=0,
                            elapsed_ms=received_ms, received_ms=received_ms))  # fmt: skip

    def condition(received_ms: int, state: Condition) -> None:
        log.write(ConditionRecord(variant="a", condition=state, time_ms=0, elapsed_ms=received_ms,
                                  received_ms=received_ms))  # fmt: skip

    condition(1_000, Condition(thermal_status=0, temperature_mc=30_000, current_ua=-500_000, voltage_mv=4000))
    sustained(30_000, 100, 30_000)
    sustained(61_000, 110, 61_000)
    condition(61_500, Condition(thermal_status=2, temperature_mc=41_000, current_ua=-1_500_000, voltage_mv=4000))
    condition(62_000, Condition(thermal_status=1, current_ua=-1_000_000, voltage_mv=4000, plugged_in=True))
    sustained(90_000, 140, 90_000)
    [result] = evaluate_run(read_log(tmp_path)).measured
    assert [(minute.minute, minute.latency.p50_us, minute.latency.count) for minute in result.minutes] == [
        (0, 100, 4),
        (1, 140, 2),
    ]
    first, second = result.minutes
    assert isinstance(first, Minute)
    assert (first.thermal_status, first.temperature_mc) == (0, 30_000)
    assert (second.thermal_status, second.temperature_mc) == (2, 41_000)
    # 2 W and 6 W while discharging, 117 us an inference.
    assert result.energy_uj == pytest.approx(4_000_000 * (350 / 3) / 1e6, abs=1)
    assert done_of("a", read_log(tmp_path)).sustained_ms == 90_000


def test_what_an_agent_said_is_kept_as_it_said_it(tmp_path: Path) -> None:
    """Keys and kinds of later releases stay in the log, for those that know them."""
    line = b'{"kind":"moon phase","phase":{"lit":0.5},"latencies_us":"x","time_ms":7}'
    log = open_log(tmp_path)
    log.receive(Unknown(called="moon phase"), line)
    [text] = log.path.read_text().splitlines()
    assert json.loads(text) == {**json.loads(line), "received_ms": json.loads(text)["received_ms"]}
    [record] = read_log(tmp_path)
    assert isinstance(record, Unknown)
    assert record.called == "moon phase"
    assert record.received_ms is not None


def test_a_cut_at_any_byte_loses_one_line_at_most(tmp_path: Path) -> None:
    write(tmp_path)
    path = tmp_path / RESULTS_NAME
    whole = path.read_bytes()
    for cut in range(len(whole)):
        path.write_bytes(whole[:cut])
        kept = whole[:cut].count(b"\n")
        assert len(read_log(tmp_path)) == kept
        open_log(tmp_path).append(End(complete=False))
        assert len(read_log(tmp_path)) == kept + 1
        json.loads(path.read_text().splitlines()[-1])


def test_damage_is_named(tmp_path: Path) -> None:
    write(tmp_path)
    path = tmp_path / RESULTS_NAME
    whole = path.read_text()
    path.write_text(whole.replace('"kind": "condition"', '"kind": condition'))
    with pytest.raises(BenchError, match=r"results\.jsonl:3: damaged"):
        read_log(tmp_path)
    with pytest.raises(BenchError, match="is no run"):
        read_log(tmp_path / "nowhere")
    with pytest.raises(BenchError, match="does not begin with a run record"):
        evaluate_run(())
    for change, words in {
        ('"schema": 2', '"schema": 1'): r"results\.jsonl:1: has schema 1, expected 2; measure anew with this release$",
        ('"latencies_us": [10, 20, 30]', '"latencies_us": 7'): r"results\.jsonl:7: .*steady: latencies_us: got 7",
        (
            '"load_us": 100',
            '"load_us": -1',
        ): r"results\.jsonl:4: .*start: load_us: got -1, expected 0",
    }.items():
        path.write_text(whole.replace(*change))
        with pytest.raises(BenchError, match=words):
            read_log(tmp_path)
