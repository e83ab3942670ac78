"""Statistics by hand, the agent's procedure with real workers, and workers that die."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qsr_edge.bench import gate
from qsr_edge.bench.host import device, worker_process
from qsr_edge.bench.host.device import HostDevice, host_condition
from qsr_edge.bench.host.measurement import run_job
from qsr_edge.bench.host.worker_process import WorkerProcess
from qsr_edge.bench.protocol.condition import Condition
from qsr_edge.bench.protocol.job import Done, Gate, Job, JobImage, JobVariant, dump_job
from qsr_edge.bench.protocol.log import RunLog, done_of, read_log
from qsr_edge.bench.protocol.records import (
    ConditionRecord,
    End,
    Error,
    Image,
    Start,
    Steady,
    Sustained,
    WarmUp,
    of_kind,
)
from qsr_edge.bench.statistics import percentile, summarize
from qsr_edge.bundle.golden import golden_image, image_sha256
from qsr_edge.bundle.reader import read_bundle
from qsr_edge.errors import BenchError
from qsr_edge.runtime.upscale import load_depth
from tests.support.waiting import PATIENCE_S, SimulatedTime


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


def test_the_host_is_described() -> None:
    info = HostDevice().describe()
    assert info.cores
    assert info.processor
    assert not info.simulator
    assert host_condition().load_milli is not None


def test_a_battery_that_says_more_than_it_can_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "BAT0").mkdir()
    (tmp_path / "BAT0" / "capacity").write_text("104\n")
    monkeypatch.setattr(device, "_POWER", tmp_path)
    assert host_condition().battery_percent == 100


@pytest.fixture
def variant(tiny_bundle: Path) -> JobVariant:
    return JobVariant(
        label="tiny", bundle=str(tiny_bundle), depth=2, kernels="xnnpack", threads=1, height_px=24, width_px=40,
        check_golden=True,
    )  # fmt: skip


@pytest.fixture
def job(variant: JobVariant, tmp_path: Path) -> Job:
    image = golden_image(1, 30, 50)
    (tmp_path / "noise.rgb").write_bytes(image.tobytes())
    return Job(
        run="r",
        part=1,
        results=str(tmp_path / "results.jsonl"),
        outputs=str(tmp_path / "outputs"),
        queries=20,
        steady_ms=1,
        round_ms=2,
        warm_up_ms=2,
        sustained_ms=0,
        images=(JobImage(name="noise", path=str(tmp_path / "noise.rgb"), height_px=30, width_px=50),),
        variants=(variant,),
    )


def measure(job: Job, condition: Condition | None = None) -> bool:
    return run_job(job, RunLog(Path(job.results)), lambda: condition or Condition())


def kinds(folder: Path) -> list[str]:
    return [record.kind for record in read_log(folder)]


def test_a_worker_measures_and_proves_its_bytes(variant: JobVariant) -> None:
    with WorkerProcess(variant) as worker:
        assert worker.load() > 0
        assert "litert" in worker.runtime
        wall, cpu = worker.run(5)
        assert len(wall) == len(cpu) == 5
        assert min(wall) > 0
        assert worker.golden()[1]
        assert 10e6 < worker.peak_bytes() < 1e9
        placement = worker.placement()
        assert placement is not None
        assert placement.delegate == "XNNPACK"
        assert placement.delegated_ops == 13  # the network of two blocks
        assert placement.fallback == {"QUANTIZE": 2}  # at the border between uint8 and int8


def test_a_worker_that_is_stuck_is_given_up(variant: JobVariant, monkeypatch: pytest.MonkeyPatch) -> None:
    with WorkerProcess(variant) as worker:
        worker.load()
        monkeypatch.setattr(worker_process, "ANSWER_S", 0.3)
        kill = worker._process.kill
        # Its end is seen here before the thread that ends it goes on.
        monkeypatch.setattr(worker._process, "kill", lambda: (kill(), time.sleep(0.5)))
        os.kill(worker._process.pid, signal.SIGSTOP)
        with pytest.raises(BenchError, match="tiny: the process that runs it did not answer within 0 s"):
            worker.run(1)


def test_the_last_words_of_a_worker_are_told(variant: JobVariant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "")
    monkeypatch.setattr(worker_process, "WORKER", ("-c", "import sys; sys.exit('out of memory')"))
    with (
        WorkerProcess(variant) as worker,
        pytest.raises(BenchError, match=r"ended \(exit code 1\): out of memory; what was measured"),
    ):
        worker.load()


def test_a_job_from_its_file(job: Job, tmp_path: Path) -> None:
    """The agent as a process: records in the order of the protocol, and pictures of the right bytes."""
    (tmp_path / "job.json").write_bytes(dump_job(job))
    agent = [sys.executable, "-m", "qsr_edge.bench.agent", str(tmp_path / "job.json")]
    subprocess.run(agent, check=True, timeout=PATIENCE_S)
    records = read_log(tmp_path)
    found = [record.kind for record in records]
    assert found[:6] == ["agent", "start", "placement", "warm-up", "image", "condition"]
    assert found[-1] == "end"
    assert [end.complete for end in of_kind(records, End)] == [True]
    assert sum(len(record.latencies_us) for record in of_kind(records, Steady)) >= 20
    assert [record.golden_equal for record in of_kind(records, Start)] == [True]
    [output] = of_kind(records, Image)
    upscaled = np.frombuffer((tmp_path / "outputs" / output.output).read_bytes(), np.uint8).reshape(60, 100, 3)
    expected = load_depth(read_bundle(Path(job.variants[0].bundle)), depth=2).upscale(golden_image(1, 30, 50))
    assert np.array_equal(upscaled, expected)
    assert output.sha256 == image_sha256(expected)


def test_a_job_that_is_none_says_so(tmp_path: Path) -> None:
    (tmp_path / "job.json").write_text("{}")
    agent = [sys.executable, "-m", "qsr_edge.bench.agent", str(tmp_path / "job.json")]
    ended = subprocess.run(agent, capture_output=True, text=True, timeout=PATIENCE_S)
    assert ended.returncode == 1
    assert "protocol None, expected 1" in ended.stderr


def test_what_is_done_is_not_measured_again(job: Job, variant: JobVariant, tmp_path: Path) -> None:
    done = Done(queries=20, steady_us=1000, images=("noise",))
    assert measure(replace(job, variants=(replace(variant, done=done),)))
    assert kinds(tmp_path) == ["agent", "condition", "end"]


def test_sustained_goes_on_where_it_ended(job: Job, variant: JobVariant, tmp_path: Path) -> None:
    done = Done(queries=20, steady_us=1000, sustained_ms=250, images=("noise",))
    assert measure(replace(job, sustained_ms=300, variants=(replace(variant, done=done),)))
    [sustained] = of_kind(read_log(tmp_path), Sustained)
    assert sustained.since_ms >= 300
    assert sustained.latencies_us
    assert next(of_kind(read_log(tmp_path), ConditionRecord)).variant == variant.label


def test_a_warm_up_is_asked_for_in_stretches(job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Asking takes longer than a short inference, and between the two the processor rests."""
    counts = []
    run = WorkerProcess.run

    def run_in_a_millisecond(self: WorkerProcess, count: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
        counts.append(count)
        return (1000,) * count, run(self, count)[1]

    monkeypatch.setattr(WorkerProcess, "run", run_in_a_millisecond)
    assert measure(replace(job, warm_up_ms=200))
    [warm_up] = of_kind(read_log(tmp_path), WarmUp)
    assert warm_up.latencies_us == (1000,) * 200
    # The first inference, one to know how long it takes, and the rest; a round of 2 ms then has two.
    assert counts[:4] == [1, 1, 199, 2]


def test_a_hot_device_is_waited_for_and_then_refused(job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "time", SimulatedTime())
    hot = Condition(thermal_status=2)
    assert not measure(replace(job, gate=Gate(max_wait_ms=12_000)), hot)
    # Looked at at once, after 5, 10 and 12 seconds.
    assert kinds(tmp_path) == ["agent", *["condition", "waiting"] * 3, "condition", "error", "end"]
    [error] = of_kind(read_log(tmp_path), Error)
    assert error.message == (
        "thermal status 2, expected at most 0, after 12 s of waiting; let it cool, or wait longer with --cool-down"
    )


def test_a_worker_that_dies_is_named_and_what_was_measured_is_kept(
    job: Job, variant: JobVariant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns = 0
    run = WorkerProcess.run

    def run_and_die(self: WorkerProcess, count: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
        nonlocal turns
        turns += 1
        if turns == 8:
            os.kill(self._process.pid, signal.SIGKILL)
        return run(self, count)

    monkeypatch.setattr(WorkerProcess, "run", run_and_die)
    long = replace(job, queries=1000)
    assert not measure(long)
    [error] = of_kind(read_log(tmp_path), Error)
    assert "tiny: the process that runs it ended" in error.message
    done = done_of("tiny", read_log(tmp_path))
    assert done.queries < 1000
    assert measure(replace(long, part=2, variants=(replace(variant, done=done),)))
    assert done_of("tiny", read_log(tmp_path)).queries >= 1000


def test_a_model_that_cannot_be_loaded_is_named(job: Job, variant: JobVariant, tmp_path: Path) -> None:
    assert not measure(replace(job, variants=(replace(variant, kernels="cuda"),)))
    error = json.loads((tmp_path / "results.jsonl").read_text().splitlines()[1])
    assert error["kind"] == "error"
    assert "'cuda'" in error["message"]
