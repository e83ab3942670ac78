"""Statistics by hand, the log under every kind of cut, and workers that die."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qsr_edge.bench import protocol
from qsr_edge.bench.host import Variant, WorkerProcess, describe_host, host_condition
from qsr_edge.bench.protocol import Effort, RunLog, already_done, evaluate_run, measure, read_log
from qsr_edge.bench.statistics import percentile, summarize
from qsr_edge.errors import BenchError

HEADER: dict[str, Any] = {"variants": [{"label": "a"}, {"label": "b"}]}


def test_percentiles_are_measured_values() -> None:
    values = list(range(1, 101))
    assert [percentile(values, percent) for percent in (1, 50, 90, 99, 100)] == [1, 50, 90, 99, 100]
    assert [percentile([7], percent) for percent in (1, 50, 99)] == [7, 7, 7]
    summary = summarize([5, 1, 4, 2, 3])
    assert (summary.count, summary.min_us, summary.p50_us, summary.p90_us, summary.max_us) == (5, 1, 3, 5, 5)


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=200), st.integers(1, 100))
def test_a_percentile_covers_its_share(values: list[int], percent: int) -> None:
    found = percentile(sorted(values), percent)
    assert found in values
    assert 100 * sum(value <= found for value in values) >= percent * len(values)
    assert 100 * sum(value < found for value in values) < percent * len(values)


def records(folder: Path) -> None:
    log = RunLog(folder)
    log.append("run", **HEADER)
    for label in "ab":
        log.append("start", variant=label, load_us=100, first_us=50, golden_equal=True)
    log.append("condition", condition={"temperature_mc": 40_000, "plugged_in": True})
    log.append("steady", variant="a", latencies_us=[10, 20, 30], cpu_us=[9, 9, 9], peak_bytes=1000)
    log.append("steady", variant="a", latencies_us=[40], cpu_us=[9], peak_bytes=2000)


def test_a_run_is_evaluated_as_far_as_it_went(tmp_path: Path) -> None:
    records(tmp_path)
    result = evaluate_run(read_log(tmp_path))
    [only] = result.variants
    assert (only.label, only.latency.count, only.latency.max_us, only.peak_bytes) == ("a", 4, 40, 2000)
    assert not result.complete
    assert result.invalid == ()
    assert already_done(read_log(tmp_path)) == {"a": (4, pytest.approx(1e-4))}
    log = RunLog(tmp_path)
    log.append("condition", condition={"temperature_mc": 60_000, "plugged_in": False})
    log.append("end", complete=True)
    result = evaluate_run(read_log(tmp_path))
    assert result.complete
    assert result.invalid == ("the temperature went from 40 to 60 degrees", "the power source changed")


def test_a_cut_at_any_byte_loses_one_line_at_most(tmp_path: Path) -> None:
    records(tmp_path)
    path = tmp_path / protocol.RESULTS_NAME
    whole = path.read_bytes()
    for cut in range(len(whole)):
        path.write_bytes(whole[:cut])
        kept = whole[:cut].count(b"\n")
        assert len(read_log(tmp_path)) == kept
        RunLog(tmp_path).append("end", complete=False)
        assert len(read_log(tmp_path)) == kept + 1
        json.loads(path.read_text().splitlines()[-1])


def test_damage_within_a_log_is_named(tmp_path: Path) -> None:
    records(tmp_path)
    path = tmp_path / protocol.RESULTS_NAME
    path.write_text(path.read_text().replace('"kind": "condition"', '"kind": condition'))
    with pytest.raises(BenchError, match=r"results\.jsonl:4: damaged"):
        read_log(tmp_path)
    with pytest.raises(BenchError, match="is no run"):
        read_log(tmp_path / "nowhere")
    with pytest.raises(BenchError, match="no header"):
        evaluate_run(())


def test_the_host_is_described() -> None:
    device = describe_host()
    assert device["cores"] >= 1
    assert device["processor"]
    assert "load_milli" in host_condition()


@pytest.fixture
def variant(tiny_bundle: Path) -> Variant:
    return Variant(bundle=tiny_bundle, label="tiny", depth=2, kernels="xnnpack", threads=1, size_px=(24, 40))


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "ROUND_S", 0.002)
    monkeypatch.setattr(protocol, "WARM_UP_S", 0.002)


def test_a_worker_measures_and_proves_its_bytes(variant: Variant) -> None:
    with WorkerProcess(variant) as worker:
        assert worker.load() > 0
        wall, cpu = worker.run(5)
        assert len(wall) == len(cpu) == 5
        assert min(wall) > 0
        assert worker.golden_equal()
        assert 10e6 < worker.peak_bytes() < 1e9


def test_a_worker_that_dies_is_named_and_what_was_measured_is_kept(
    variant: Variant, tmp_path: Path, hasty: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = RunLog(tmp_path)
    log.append("run", variants=[{"label": "tiny"}])
    turns = 0
    run = WorkerProcess.run

    def run_and_die(self: WorkerProcess, count: int) -> tuple[list[int], list[int]]:
        nonlocal turns
        turns += 1
        if turns == 8:
            os.kill(self._process.pid, signal.SIGKILL)
        return run(self, count)

    monkeypatch.setattr(WorkerProcess, "run", run_and_die)
    effort = Effort(queries=1000, seconds=0.0)
    with pytest.raises(BenchError, match=r"tiny: the process that runs it ended .* --resume"):
        measure([variant], effort, log, byte_exact={"tiny": True}, done={})
    done = already_done(read_log(tmp_path))
    queries = done.get("tiny", (0, 0.0))[0]
    measure([variant], effort, log, byte_exact={"tiny": True}, done=done)
    log.append("end", complete=True)
    result = evaluate_run(read_log(tmp_path))
    assert result.variants[0].latency.count >= 1000 > queries
    assert result.variants[0].golden_equal


def test_a_model_that_cannot_be_loaded_is_named(variant: Variant, tmp_path: Path) -> None:
    from dataclasses import replace

    with pytest.raises(BenchError, match=r"tiny: .*'cuda'"):
        measure([replace(variant, kernels="cuda")], Effort(queries=1, seconds=0.0), RunLog(tmp_path),
                byte_exact={"tiny": True}, done={})  # fmt: skip
