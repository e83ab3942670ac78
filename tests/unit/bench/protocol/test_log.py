"""The log under every kind of cut, and what its records amount to."""

import json
from pathlib import Path
from typing import Any

import pytest

from qsr_edge.bench.protocol.job import Done
from qsr_edge.bench.protocol.log import RESULTS_NAME, RunLog, done_of, read_log
from qsr_edge.bench.result import evaluate_run, result_json
from qsr_edge.bench.sustained import Minute
from qsr_edge.bench.table import caption, depth_ratios, markdown
from qsr_edge.errors import BenchError

HEADER: dict[str, Any] = {
    "schema": 2,
    "run": "r",
    "device": {"name": "n", "processor": "p", "cores": 2, "system": "s"},
    "job": {"queries": 4, "steady_ms": 0, "threads": 1},
    "variants": [
        {"label": "a", "depth": 1, "bundle": "b", "kernels": "k", "width_px": 4, "height_px": 2},
        {"label": "b", "depth": 2, "bundle": "b", "kernels": "k", "width_px": 4, "height_px": 2},
    ],
}


def open_log(folder: Path) -> RunLog:
    return RunLog(folder / RESULTS_NAME)


def write(folder: Path) -> None:
    log = open_log(folder)
    log.append("run", **HEADER)
    log.append("part", part=1, reason="first")
    log.append("condition", condition={"temperature_mc": 90_000, "thermal_status": 3})  # waiting to cool: no matter
    for label in "ab":
        log.append("start", variant=label, load_us=100, first_us=50, golden_equal=True)
    log.append("condition", condition={"temperature_mc": 40_000, "plugged_in": True})
    log.append("steady", variant="a", latencies_us=[10, 20, 30], cpu_us=[9, 9, 9], peak_bytes=1000)
    log.append("steady", variant="a", latencies_us=[40], cpu_us=[9], peak_bytes=2000)


def test_a_run_is_evaluated_as_far_as_it_went(tmp_path: Path) -> None:
    write(tmp_path)
    result = evaluate_run(read_log(tmp_path))
    [only] = result.variants
    assert (only.label, only.latency.count, only.latency.max_us, only.peak_bytes) == ("a", 4, 40, 2000)
    assert not result.complete
    assert result.invalid == ()
    assert done_of("a", read_log(tmp_path)) == Done(queries=4, steady_us=100)
    log = open_log(tmp_path)
    log.append("condition", condition={"temperature_mc": 60_000, "plugged_in": False})
    log.append("steady", variant="b", latencies_us=[25])
    log.receive({"kind": "end", "time_ms": 1, "elapsed_ms": 1, "complete": True})
    assert not evaluate_run(read_log(tmp_path)).complete  # an agent's end is a part's
    log.append("end", complete=True)
    result = evaluate_run(read_log(tmp_path))
    assert result.complete
    assert result.invalid == ("the temperature went from 40 to 60 degrees", "the power source changed")
    assert result.variants[1].cpu is None
    assert result.variants[1].peak_bytes is None
    assert "INVALID: the power source changed" in caption(result)
    assert depth_ratios(result) == "d2 : d1 as 1.25 : 1.00"
    assert markdown(result).splitlines()[3].startswith("| b | 0.03 |")
    assert json.dumps(result_json(result), allow_nan=False)


def test_one_start_with_other_bytes_is_enough(tmp_path: Path) -> None:
    write(tmp_path)
    log = open_log(tmp_path)
    for answer in (False, None):
        log.append("start", variant="a", load_us=1, first_us=1, golden_equal=answer)
    assert evaluate_run(read_log(tmp_path)).variants[0].golden_equal is False


def test_a_simulator_and_faults_are_in_the_caption(tmp_path: Path) -> None:
    log = open_log(tmp_path)
    log.append("run", **{**HEADER, "device": {**HEADER["device"], "simulator": True}})
    log.append("fault", phase="measure", message="the cable was pulled")
    shown = caption(evaluate_run(read_log(tmp_path)))
    assert "no figure here is a phone's" in shown
    assert "survived: measure: the cable was pulled" in shown
    assert "input 4x2;" in shown
    other = [HEADER["variants"][0], {**HEADER["variants"][1], "width_px": 8}]
    assert "input 4x2 and 8x2;" in caption(evaluate_run([{"kind": "run", **HEADER, "variants": other}]))


def test_the_sustained_phase_by_the_minute(tmp_path: Path) -> None:
    write(tmp_path)
    log = open_log(tmp_path)

    def sustained(since_ms: int, latency_us: int, received_ms: int) -> None:
        log.write({"kind": "sustained", "variant": "a", "since_ms": since_ms, "latencies_us": [latency_us] * 2,
                   "time_ms": 0, "elapsed_ms": received_ms, "received_ms": received_ms})  # fmt: skip

    def condition(received_ms: int, **values: int | bool) -> None:
        log.write({"kind": "condition", "variant": "a", "condition": values, "time_ms": 0,
                   "elapsed_ms": received_ms, "received_ms": received_ms})  # fmt: skip

    condition(1_000, thermal_status=0, temperature_mc=30_000, current_ua=-500_000, voltage_mv=4000)
    sustained(30_000, 100, 30_000)
    sustained(61_000, 110, 61_000)
    condition(61_500, thermal_status=2, temperature_mc=41_000, current_ua=-1_500_000, voltage_mv=4000)
    condition(62_000, thermal_status=1, current_ua=-1_000_000, voltage_mv=4000, plugged_in=True)
    sustained(90_000, 140, 90_000)
    [result] = evaluate_run(read_log(tmp_path)).variants
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


def test_a_cut_at_any_byte_loses_one_line_at_most(tmp_path: Path) -> None:
    write(tmp_path)
    path = tmp_path / RESULTS_NAME
    whole = path.read_bytes()
    for cut in range(len(whole)):
        path.write_bytes(whole[:cut])
        kept = whole[:cut].count(b"\n")
        assert len(read_log(tmp_path)) == kept
        open_log(tmp_path).append("end", complete=False)
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
    with pytest.raises(BenchError, match="no header"):
        evaluate_run(())
    path.write_text(whole.replace('"schema": 2', '"schema": 1'))
    with pytest.raises(BenchError, match="the form 1, this release reads 2"):
        evaluate_run(read_log(tmp_path))
    path.write_text(whole.replace('"latencies_us": [10, 20, 30]', '"latencies_us": 7'))
    with pytest.raises(BenchError, match="the run is damaged"):
        evaluate_run(read_log(tmp_path))
