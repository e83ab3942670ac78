"""A phone measured by the runtimes' own programs instead of the app: ``benchmark_model``, ``executor_runner``.

They time inferences and no more: no golden output, no pictures, no sustained phase; their input is their own. Each
process loads the model anew. They are started in turns, several times for each variant, so that heat meets all alike.
"""

import contextlib
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from qsr_edge.bench.android.adb import COMMAND_S, AdbDevice, ConnectionLostError, NoSpaceError
from qsr_edge.bench.android.claim import Claim
from qsr_edge.bench.android.device import AndroidDevice
from qsr_edge.bench.android.device_files import DeviceFiles, LocalFile, local_file, quoted
from qsr_edge.bench.android.link import Link, RebootedError
from qsr_edge.bench.android.stock_output import Averages, StockOutput, parse_benchmark_model, parse_executor_runner
from qsr_edge.bench.device import PartEnd, PartPlan, Phase, Sink
from qsr_edge.bench.device_kernels import app_kernels
from qsr_edge.bench.gate import pass_gate
from qsr_edge.bench.protocol import records
from qsr_edge.bench.protocol.condition import Condition
from qsr_edge.bench.protocol.header import DeviceInfo
from qsr_edge.bench.protocol.job import PROTOCOL, Effort, JobVariant
from qsr_edge.bench.sink_recorder import SinkRecorder
from qsr_edge.bundle.manifest import MANIFEST_NAME, DepthEntry, Manifest, parse_manifest
from qsr_edge.errors import BenchError

ROUNDS = 4
"""Processes of each variant, at least."""
MAX_ROUNDS = 40
_LONGEST_ROUND_S = 900
_LOG = "logcat -d -v raw -s ExecuTorch:V"


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One process to be started.

    Attributes:
        program: path on the device.
        model: path on the device.
        weights: path of an external file on the device; None without one.
        variant: what is measured.
        signature: entry point within the model; None if it has one only.
        fixed_size: whether the model takes one size of input only.
        queries: inferences.
        steady_ms: their summed latency, at least, where the program takes that.
        warm_up_ms: before, likewise.
    """

    program: PurePosixPath
    model: PurePosixPath
    weights: PurePosixPath | None
    variant: JobVariant
    signature: str | None
    fixed_size: bool
    queries: int
    steady_ms: int
    warm_up_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StockProgram:
    """How a program is called and read.

    Attributes:
        name: of its file on the device.
        takes_duration: whether it runs for a while rather than a number of times.
        words: command line of a round.
        read: its output.
    """

    name: str
    takes_duration: bool
    words: Callable[[Round], list[str]]
    read: Callable[[str, Round], StockOutput]


def benchmark_model_words(one: Round) -> list[str]:
    """Flags of ``benchmark_model``; tensors are told by their order, the name is free."""
    variant = one.variant
    return [
        str(one.program),
        f"--graph={one.model}",
        f"--num_threads={variant.threads}",
        f"--num_runs={one.queries}",
        f"--min_secs={one.steady_ms / 1000:g}",
        f"--max_secs={_LONGEST_ROUND_S}",
        "--warmup_runs=1",
        f"--warmup_min_secs={one.warm_up_ms / 1000:g}",
        "--input_layer=image",
        f"--input_layer_shape=1,{variant.height_px},{variant.width_px},3",
        f"--use_xnnpack={'true' if variant.kernels == 'xnnpack' else 'false'}",
        *([] if one.signature is None else [f"--signature_to_run_for={one.signature}"]),
    ]


def executor_runner_words(one: Round) -> list[str]:
    """Flags of ``executor_runner``; those that an old one does not know are passed over, and missed when it is read."""
    return [
        str(one.program),
        "--undefok=method_name,input_shapes,cpu_threads,print_output",
        f"--model_path={one.model}",
        *([] if one.weights is None else [f"--data_path={one.weights}"]),
        *([] if one.signature is None else [f"--method_name={one.signature}"]),
        f"--num_executions={one.queries}",
        *([] if _shape(one) is None else [f"--input_shapes={_shape(one)}"]),
        f"--cpu_threads={one.variant.threads}",
        "--print_output=none",
    ]


def _shape(one: Round) -> str | None:
    return None if one.fixed_size else f"1x3x{one.variant.height_px}x{one.variant.width_px}"


BENCHMARK_MODEL = StockProgram(
    name="benchmark_model",
    takes_duration=True,
    words=benchmark_model_words,
    read=lambda text, one: parse_benchmark_model(text),
)
EXECUTOR_RUNNER = StockProgram(
    name="executor_runner",
    takes_duration=False,
    words=executor_runner_words,
    read=lambda text, one: parse_executor_runner(text, method=one.signature, shape=_shape(one)),
)


class StockDevice:
    """A phone and a stock program.

    Args:
        phone: what it runs on.
        program: how it is called.
        binary: the program for the phone's processor, on this machine.
    """

    def __init__(self, phone: AndroidDevice, program: StockProgram, binary: Path) -> None:
        self._phone = phone
        self._program = program
        self._binary = binary

    @property
    def id(self) -> str:
        """The phone's."""
        return self._phone.id

    def describe(self) -> DeviceInfo:
        """The phone."""
        return self._phone.describe()

    def condition(self) -> Condition:
        """The phone's."""
        return self._phone.condition()

    def kernel_families(self, target: str) -> tuple[str, ...]:
        """Those of the program."""
        return app_kernels(target, self._program.name, self._program.name)

    def run_part(self, plan: PartPlan, sink: Sink) -> PartEnd:
        """Measure by processes in turns; pictures and golden outputs are left out."""
        if plan.effort.sustained_ms:
            raise BenchError(f"{self._program.name} has no sustained phase; leave --sustained out, or use the app")
        if not self._binary.is_file():
            raise BenchError(f"--runner-binary {self._binary}: there is no such file")
        part = _StockPart(self._phone, self._program, self._binary, plan, sink)
        try:
            return part.run()
        except KeyboardInterrupt:
            part.stop()
            raise

    def collect(self, run: str, part: int, received: int, sink: Sink) -> None:
        """Nothing is left: the program's output comes over as it ends."""

    def clean(self, run: str) -> None:
        """Remove the run's files, the program among them."""
        self._phone.clean(run)


class _StockPart:
    def __init__(self, phone: AndroidDevice, program: StockProgram, binary: Path, plan: PartPlan, sink: Sink) -> None:
        self._phone = phone
        self._device: AdbDevice = phone.adb
        self._program = program
        self._binary = binary
        self._plan = plan
        self._sink = sink
        self._own = SinkRecorder(sink)
        self._link = Link(phone.adb, wait_s=phone.wait_s, on_fault=sink.fault, on_status=sink.status)
        self._files = DeviceFiles(self._link, plan.run)
        self._claim = Claim(self._link, plan.run)
        # What ran before the phone was this run's may be another's.
        self._claimed = False
        self._path = self._files.folder / program.name
        self._manifests = {variant.bundle: _manifest(Path(variant.bundle)) for variant in plan.variants}
        self._queries = {variant.label: variant.done.queries for variant in plan.variants}
        self._steady_us = {variant.label: variant.done.steady_us for variant in plan.variants}
        self._rounds = dict.fromkeys(self._queries, 0)
        self._typical_us: dict[str, int] = {}

    def run(self) -> PartEnd:
        self._link.open()
        try:
            self._claim.check()
            self._link.phase = Phase.PUSH
            self._push()
            self._own.append(
                records.Agent(protocol=PROTOCOL, run=self._plan.run, part=self._plan.part, agent=self._program.name)
            )
            self._link.phase = Phase.MEASURE
            self._measure()
        except RebootedError as error:
            return PartEnd(complete=False, reason=str(error), again=True)
        except NoSpaceError as error:
            self._sink.fault(self._link.phase, str(error))
            return PartEnd(complete=False, reason=f"{error}, then go on with --resume")
        except ConnectionLostError as error:
            return PartEnd(complete=False, reason=f"{error}; go on with --resume once it is there")
        self._own.append(records.End(complete=True))
        return PartEnd(complete=True)

    def stop(self) -> None:
        """End a process that was left behind, as far as the phone is there."""
        if not self._claimed:
            return
        with contextlib.suppress(BenchError):
            pids = self._device.shell(f"pidof {self._program.name}").out.decode(errors="replace").split()
            if pids and all(pid.isdecimal() for pid in pids):
                self._device.shell(f"kill -9 {' '.join(pids)}")

    def _push(self) -> None:
        placed: dict[PurePosixPath, LocalFile] = {self._path: local_file(self._binary)}
        for variant in self._plan.variants:
            model = Path(variant.bundle, self._entry(variant).file)
            placed[self._model(variant)] = local_file(model)
            if model.with_suffix(".ptd").is_file():
                placed[self._model(variant).with_suffix(".ptd")] = local_file(model.with_suffix(".ptd"))
        self._files.fill_cache(placed.values(), self._sink.status)
        self._files.place(placed)
        self._link.keep(lambda: self._device.run(f"chmod 755 {quoted(self._path)}"))

    def _model(self, variant: JobVariant) -> PurePosixPath:
        index = list(self._manifests).index(variant.bundle)
        return self._files.folder / f"bundle-{index}" / self._entry(variant).file

    def _entry(self, variant: JobVariant) -> DepthEntry:
        return self._manifests[variant.bundle].depth_entry(variant.depth)

    def _measure(self) -> None:
        self._pass_gate()
        waiting = [variant for variant in self._plan.variants if not self._is_done(variant)]
        while waiting:
            for variant in list(waiting):
                self._condition()
                self._run_round(variant)
                if self._is_done(variant):
                    waiting.remove(variant)
                    if self._rounds[variant.label] >= MAX_ROUNDS:
                        told = f"{variant.label}: {MAX_ROUNDS} processes measured less than the effort asked for"
                        self._sink.fault(Phase.MEASURE, told)
        self._condition()

    def _is_done(self, variant: JobVariant) -> bool:
        label, effort = variant.label, self._plan.effort
        if self._rounds[label] >= MAX_ROUNDS:
            return True
        return effort.has_steady(self._queries[label], self._steady_us[label])

    def _run_round(self, variant: JobVariant) -> None:
        label, manifest = variant.label, self._manifests[variant.bundle]
        entry = manifest.depth_entry(variant.depth)
        model = self._model(variant)
        one = Round(
            program=self._path,
            model=model,
            weights=model.with_suffix(".ptd")
            if Path(variant.bundle, entry.file).with_suffix(".ptd").is_file()
            else None,
            variant=variant,
            signature=entry.signature,
            fixed_size=manifest.input_size_px is not None,
            queries=self._next_queries(label),
            steady_ms=-(-self._plan.effort.steady_ms // ROUNDS),
            warm_up_ms=self._plan.effort.warm_up_ms,
        )
        self._sink.status(f"{self._program.name}: {label}, process {self._rounds[label] + 1}")
        command = " ".join(shlex.quote(word) for word in self._program.words(one))
        self._claim.take(self._plan.part, self._program.name)
        self._claimed = True
        output = self._link.keep(lambda: self._start(command, one))
        if not self._rounds[label]:
            self._own.append(
                records.Start(variant=label, load_us=output.load_us, first_us=output.first_us, golden_equal=None)
            )
            if output.placement is not None:
                left = output.placement.left_ops
                self._own.append(
                    records.Placement(
                        variant=label,
                        delegate=output.placement.delegate,
                        delegated_ops=output.placement.delegated_ops,
                        fallback={"unnamed": left} if left else {},
                        source=self._program.name,
                    )
                )
        self._rounds[label] += 1
        if output.warm_up is not None:
            self._averages(label, "warm-up", output.warm_up)
        # A result needs all of them; what has not is no more than an average.
        if output.latencies_us and output.load_us is not None and output.first_us is not None:
            self._own.append(
                records.Steady(variant=label, latencies_us=output.latencies_us, peak_bytes=output.peak_bytes)
            )
            self._queries[label] += len(output.latencies_us)
            self._steady_us[label] += sum(output.latencies_us)
        else:
            self._averages(label, "steady", output.steady, output.peak_bytes)
            self._queries[label] += output.steady.count
            self._steady_us[label] += output.steady.count * output.steady.mean_us
        self._typical_us[label] = max(1, output.steady.mean_us)

    def _next_queries(self, label: str) -> int:
        effort: Effort = self._plan.effort
        # One more: a program's first inference is none of the steady ones.
        queries = 1 + -(-effort.queries // ROUNDS)
        typical_us = self._typical_us.get(label)
        if not self._program.takes_duration and typical_us is not None:
            queries = max(queries, 1 + round(1000 * effort.steady_ms / ROUNDS / typical_us))
        return queries

    def _start(self, command: str, one: Round) -> StockOutput:
        # What a lost connection left running would be timed along.
        self.stop()
        result = self._device.shell(command, timeout_s=2 * _LONGEST_ROUND_S + COMMAND_S)
        text = result.err + result.out.decode(errors="replace")
        if result.code in (126, 127):
            raise BenchError(
                f"{self._device.serial}: {self._program.name} cannot be run there ({text.strip()[-120:]}); "
                "--runner-binary must be built for the phone's processor"
            )
        if result.code == 0 and self._program.name == EXECUTOR_RUNNER.name and str(one.model) not in text:
            # Built for Android, ExecuTorch writes to the system's log.
            log = self._device.shell(_LOG).out.decode(errors="replace")
            text += log[max(0, log.rfind(f"Model file {one.model}")) :]
        if result.code != 0:
            raise BenchError(f"{self._program.name} failed with {result.code}: {' '.join(text.split())[-200:]}")
        return self._program.read(text, one)

    def _averages(self, label: str, phase: str, averages: Averages, peak_bytes: int | None = None) -> None:
        self._own.append(
            records.Averages(
                variant=label,
                phase=phase,
                count=averages.count,
                mean_us=averages.mean_us,
                min_us=averages.min_us,
                max_us=averages.max_us,
                std_us=averages.std_us,
                peak_bytes=peak_bytes,
            )
        )

    def _pass_gate(self) -> None:
        pass_gate(self._plan.gate, lambda: self._link.keep(self._phone.condition), self._own.append)

    def _condition(self) -> None:
        condition = self._link.keep(self._phone.condition)
        self._own.append(records.ConditionRecord(source="adb", condition=condition))


def _manifest(bundle: Path) -> Manifest:
    path = bundle / MANIFEST_NAME
    return parse_manifest(path.read_bytes(), str(path))
