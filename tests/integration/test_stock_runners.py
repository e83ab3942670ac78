"""Stock benchmark programs on the simulated phone: stand-ins that print what the real ones do are pushed, started and
read by the real adb. No figure of theirs is one."""

import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from qsr_edge.bench import gate
from qsr_edge.bench.android import stock as stock_module
from qsr_edge.bench.android.device import AndroidDevice
from qsr_edge.bench.android.stock import BENCHMARK_MODEL, EXECUTOR_RUNNER, StockDevice, StockProgram
from qsr_edge.bench.device import PartPlan, Phase
from qsr_edge.bench.protocol.job import Effort, Gate, JobVariant
from qsr_edge.bench.protocol.records import Averages, ConditionRecord, Placement, Start, Steady, Waiting
from qsr_edge.errors import BenchError
from tests.support.phone_simulator.phone import Phone
from tests.support.sinks import ListSink
from tests.support.waiting import SimulatedTime

BENCHMARK_MODEL_STAND_IN = """
import os, sys
flags = dict(word.removeprefix("--").split("=", 1) for word in sys.argv[1:])
assert os.path.getsize(flags["graph"]) > 0 and flags["input_layer_shape"] == "1,24,40,3"
runs, mean = int(flags["num_runs"]), 2000 if "-d2." in flags["graph"] else 1000
print("INFO: STARTING!")
print("VERBOSE: Replacing 7 out of 9 node(s) with delegate (TfLiteXNNPackDelegate) node, yielding 1 partitions.")
print(f"INFO: count=3 first={2 * mean} curr={mean} min={mean} max={2 * mean} avg={mean} std=9")
print(f"INFO: count={runs} first={mean} curr={mean} min={mean - 9} max={mean + 9} avg={mean} std=4")
print(f"INFO: Inference timings in us: Init: 700, First inference: {2 * mean}, "
      f"Warmup (avg): {mean}, Inference (avg): {mean}")
"""
EXECUTOR_RUNNER_STAND_IN = """
import os, sys
flags = dict(word.removeprefix("--").split("=", 1) for word in sys.argv[1:])
assert os.path.getsize(flags["model_path"]) > 0
runs = int(flags["num_executions"])
def log(text):
    print(f"I 00:00:00.000412 executorch:executor_runner.cpp:1] {text}", file=sys.stderr)
log(f"Model file {flags['model_path']} is loaded.")
log(f"Using method {flags.get('method_name', 'forward')}")
log("Model loaded in 0.700000 ms.")
log(f"Inputs resized to {flags['input_shapes']}")
for index in range(runs):
    log(f"Iteration {index + 1} of {runs}: {2 if index else 4}.000000 ms")
log(f"Model executed successfully {runs} time(s) in {2 * runs + 2}.000000 ms.")
"""


def part(bundle: Path, effort: Effort, gate: Gate | None = None) -> PartPlan:
    variants = tuple(
        JobVariant(
            label=f"tiny d{depth}",
            bundle=str(bundle),
            depth=depth,
            kernels="xnnpack",
            threads=1,
            height_px=24,
            width_px=40,
            check_golden=True,
        )
        for depth in (1, 2)
    )
    return PartPlan(run="r1", part=1, effort=effort, gate=gate, variants=variants, images=())


@pytest.fixture
def stock(
    phone: Callable[..., Phone], android: Callable[..., AndroidDevice], tmp_path: Path
) -> Callable[[StockProgram, str], tuple[Phone, StockDevice]]:
    def make(program: StockProgram, stand_in: str) -> tuple[Phone, StockDevice]:
        one = phone()
        one.binaries[program.name] = (sys.executable, "-c", stand_in)
        binary = tmp_path / "android_aarch64_binary"
        binary.write_bytes(b"\x7fELF" + bytes(5000))
        return one, StockDevice(android(one), program, binary)

    return make


def test_benchmark_model(stock: Callable[[StockProgram, str], tuple[Phone, StockDevice]], tiny_bundle: Path) -> None:
    one, device = stock(BENCHMARK_MODEL, BENCHMARK_MODEL_STAND_IN)
    sink = ListSink()
    assert device.run_part(part(tiny_bundle, Effort(queries=100, steady_ms=100)), sink).complete
    assert sink.faults == []
    assert [record.variant for record in sink.of(Start)] == ["tiny d1", "tiny d2"]
    assert sink.of(Start)[0].load_us == 700
    assert sink.of(Start)[1].first_us == 4000
    assert sink.of(Start)[0].golden_equal is None
    assert sink.of(Placement)[0].delegated_ops == 7
    assert sink.of(Placement)[0].fallback == {"unnamed": 2}
    steady = [record for record in sink.of(Averages) if record.phase == "steady"]
    # In turns, until both have 100 queries and 100 ms.
    assert [record.variant for record in steady] == ["tiny d1", "tiny d2"] * 4
    totals = Counter[str]()
    for record in steady:
        totals[record.variant] += record.count
    assert all(total >= 100 for total in totals.values())
    assert {record.mean_us for record in steady if record.variant == "tiny d2"} == {2000}
    assert len(sink.of(ConditionRecord)) == len(steady) + 1
    assert [sink.kinds[0], sink.kinds[-1]] == ["agent", "end"]
    device.clean("r1")
    assert not one.storage.host_path("/data/local/tmp/qsr-edge").exists()


def test_an_effort_that_is_not_reached_is_told(
    stock: Callable[[StockProgram, str], tuple[Phone, StockDevice]], tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stock_module, "MAX_ROUNDS", 1)
    _, device = stock(BENCHMARK_MODEL, BENCHMARK_MODEL_STAND_IN)
    sink = ListSink()
    assert device.run_part(part(tiny_bundle, Effort(queries=10**6, steady_ms=100)), sink).complete
    assert [phase for phase, _ in sink.faults] == [Phase.MEASURE] * 2
    assert "tiny d1: 1 processes measured less than the effort" in sink.faults[0][1]


def test_executor_runner_tells_every_latency(
    stock: Callable[[StockProgram, str], tuple[Phone, StockDevice]], tiny_bundle: Path
) -> None:
    _, device = stock(EXECUTOR_RUNNER, EXECUTOR_RUNNER_STAND_IN)
    sink = ListSink()
    assert device.run_part(part(tiny_bundle, Effort(queries=40, steady_ms=200)), sink).complete
    assert sink.of(Averages) == []
    assert [record.first_us for record in sink.of(Start)] == [4000, 4000]
    for label in ("tiny d1", "tiny d2"):
        latencies = [value for one in sink.of(Steady) if one.variant == label for value in one.latencies_us]
        assert len(latencies) >= 40
        assert set(latencies) == {2000}
        assert sum(latencies) >= 200_000


def test_a_lost_connection_starts_the_process_again(
    stock: Callable[[StockProgram, str], tuple[Phone, StockDevice]], tiny_bundle: Path
) -> None:
    one, device = stock(BENCHMARK_MODEL, BENCHMARK_MODEL_STAND_IN)
    one.on_command("/benchmark_model --graph", one.cut_connections)
    sink = ListSink()
    assert device.run_part(part(tiny_bundle, Effort(queries=8, steady_ms=0)), sink).complete
    assert [phase for phase, _ in sink.faults] == [Phase.MEASURE]
    assert len(sink.of(Start)) == 2


@pytest.mark.parametrize(
    ("stand_in", "words"),
    [
        ("print('ERROR: Failed to mmap model m.tflite')", "ran no inference.*Failed to mmap"),
        ("import sys; sys.exit('cannot locate symbol')", "failed with 1: cannot locate symbol"),
        ("print('WARNING: unrecognized commandline flag: --signature_to_run_for=d1')", "too old"),
    ],
)
def test_a_program_that_fails_says_why(
    stock: Callable[[StockProgram, str], tuple[Phone, StockDevice]], tiny_bundle: Path, stand_in: str, words: str
) -> None:
    one, device = stock(BENCHMARK_MODEL, stand_in)
    with pytest.raises(BenchError, match=words):
        device.run_part(part(tiny_bundle, Effort(queries=8, steady_ms=0)), ListSink())
    # A program for another processor.
    one.binaries.clear()
    with pytest.raises(BenchError, match="must be built for the phone's processor"):
        device.run_part(part(tiny_bundle, Effort(queries=8, steady_ms=0)), ListSink())


def test_what_stock_programs_cannot_do(
    stock: Callable[[StockProgram, str], tuple[Phone, StockDevice]], tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, device = stock(BENCHMARK_MODEL, BENCHMARK_MODEL_STAND_IN)
    with pytest.raises(BenchError, match="no sustained phase"):
        device.run_part(part(tiny_bundle, Effort(queries=8, steady_ms=0, sustained_ms=1000)), ListSink())
    with pytest.raises(BenchError, match="runs no coreml bundles; convert for tflite"):
        device.kernel_families("coreml")
    one.thermal.status = 3
    monkeypatch.setattr(gate, "time", SimulatedTime())
    sink = ListSink()
    with pytest.raises(BenchError, match="thermal status 3, expected at most 0, after 12 s"):
        device.run_part(part(tiny_bundle, Effort(queries=8, steady_ms=0), Gate(max_wait_ms=12_000)), sink)
    # Looked at at once, after 5, 10 and 12 seconds.
    assert len(sink.of(Waiting)) == 3
