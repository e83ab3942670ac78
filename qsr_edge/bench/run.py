"""A run from its first part to its last: asks the device, keeps what it finds, and begins anew where that helps."""

import hashlib
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from qsr_edge.bench.device import ComesByItself, Device, PartPlan, Phase
from qsr_edge.bench.host.device import HostDevice
from qsr_edge.bench.interruption import Interruption
from qsr_edge.bench.plan import IMAGES_FOLDER, OpenRun, open_run, runs_here, share_done
from qsr_edge.bench.protocol.fields import MAX_MESSAGE
from qsr_edge.bench.protocol.job import Done, Effort
from qsr_edge.bench.protocol.log import RESULTS_NAME, RunLog, done_of, read_log, received_of, run_header
from qsr_edge.bench.protocol.records import (
    Damaged,
    End,
    Fault,
    Image,
    Part,
    Quality,
    Record,
    Start,
    Steady,
    Sustained,
    Waiting,
    WarmUp,
    of_kind,
)
from qsr_edge.bench.result import evaluate_run
from qsr_edge.data.images import write_picture
from qsr_edge.data.picture import Picture
from qsr_edge.errors import BenchError, QsrError, one_line
from qsr_edge.files import hold_file, temporary_folder
from qsr_edge.metrics.quality import psnr_y, ssim_y
from qsr_edge.runtime.upscale import load_depth

MAX_FRUITLESS_PARTS = 3
"""So many parts in a row that measured nothing end a run: whatever is wrong does not pass by itself."""
_SHOW_EVERY_S = 1.0
Progress = Callable[[float, str], None]


def measure_run(folder: Path, device: Device, on_progress: Progress = lambda share, text: None) -> None:
    """Measure what a run's header asks for and its log does not have yet.

    Args:
        folder: of the run; its log begins with the header.
        device: the one that the header names.
        on_progress: called with the share that is done, 0 to 1, and what is being done.

    Raises:
        BenchError: if the run could not be completed; what was measured is in the log.
        KeyboardInterrupt: likewise.
    """
    header = run_header(read_log(folder))
    with ExitStack() as stack:
        interruption = stack.enter_context(Interruption())
        stack.enter_context(_alone(folder))
        records = list(read_log(folder))
        log = RunLog(folder / RESULTS_NAME)
        scratch = stack.enter_context(temporary_folder("run"))
        run = open_run(header, folder, scratch, stack)
        if evaluate_run(records).complete:
            # Nothing is left to be measured; something may be left to be removed.
            device.clean(run.run)
            return
        if isinstance(device, ComesByItself):
            device.expect(header.device)
        check_bytes = not isinstance(device, HostDevice)
        sink = _RunSink(run, folder, log, records, on_progress, interruption, check_bytes=check_bytes)
        sink.show()
        try:
            _measure_parts(run, device, sink)
        except BaseException as error:
            _clean(device, run.run, sink)
            log.append(End(complete=False, reason=_reason(error)))
            raise
        _clean(device, run.run, sink)
        log.append(End(complete=True))


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Refuse a folder that another process measures into."""
    busy = BenchError(f"{folder}: another qsr-edge bench measures into it now; wait for its end, or end it by Ctrl-C")
    with (folder / RESULTS_NAME).open("rb+") as file, hold_file(file, busy):
        yield


def _measure_parts(run: OpenRun, device: Device, sink: "_RunSink") -> None:
    last, received = received_of(sink.records)
    if last:
        device.collect(run.run, last, received, sink)
    fruitless, reason = 0, "first"
    while fruitless < MAX_FRUITLESS_PARTS:
        part = 1 + max((begun.part for begun in of_kind(sink.records, Part)), default=0)
        if part > 1 and reason == "first":
            reason = "resumed"
        sink.append(Part(part=part, reason=one_line(reason, MAX_MESSAGE)))
        before, known = sink.measured, len(sink.records)
        end = device.run_part(
            PartPlan(
                run=run.run,
                part=part,
                effort=run.effort,
                gate=run.gate,
                variants=tuple(replace(v, done=done_of(v.label, sink.records)) for v in run.variants),
                images=run.images,
            ),
            sink,
        )
        missing = _missing(run, sink.records, known)
        if end.complete and not missing:
            return
        if end.complete:
            end = replace(end, again=True, reason=missing)
        reason = end.reason or "the agent ended early"
        if not end.again:
            raise BenchError(reason)
        fruitless = 0 if sink.measured > before else fruitless + 1
    raise BenchError(f"{MAX_FRUITLESS_PARTS} starts in a row measured nothing, the last one: {reason}")


def _reason(error: BaseException) -> str:
    """Why a run ended early, in a line for people."""
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    told = one_line(error, MAX_MESSAGE) if isinstance(error, QsrError | OSError) else ""
    return told or type(error).__name__


def _missing(run: OpenRun, records: Sequence[Record], known: int) -> str:
    """What the device has measured and did not bring over whole, for a later part to measure again; empty for nothing.

    Args:
        run: that is measured.
        records: all of it.
        known: so many of them are older than the part that has ended.
    """
    made = {(each.variant, each.image) for each in of_kind(records, Image)}
    judged = {(each.variant, each.image) for each in of_kind(records, Quality)}
    if pictures := len(made - judged):
        return f"{pictures} of the pictures did not come over whole"
    damaged = sum(1 for _ in of_kind(records[known:], Damaged))
    if damaged and any(_is_short(done_of(variant.label, records), run.effort) for variant in run.variants):
        return f"{damaged} of the lines did not come over whole, and with them inferences that were asked for"
    return ""


def _is_short(done: Done, effort: Effort) -> bool:
    return not effort.has_steady(done.queries, done.steady_us) or done.sustained_ms < effort.sustained_ms


def _clean(device: Device, run: str, sink: "_RunSink") -> None:
    try:
        device.clean(run)
    except (QsrError, OSError) as error:
        sink.fault(Phase.CLEAN, one_line(error, MAX_MESSAGE))


class _RunSink:
    """Writes what a device finds, at once, and judges the pictures."""

    def __init__(
        self,
        run: OpenRun,
        folder: Path,
        log: RunLog,
        records: list[Record],
        on_progress: Progress,
        interruption: Interruption,
        *,
        check_bytes: bool,
    ):
        self.records = records
        self.measured = 0
        self._run = run
        self._folder = folder
        self._log = log
        self._on_progress = on_progress
        self._interruption = interruption
        self._check_bytes = check_bytes
        self._shown = float("-inf")
        self._expected: dict[tuple[str, int, str], NDArray[np.uint8] | None] = {}

    def append(self, record: Record) -> None:
        self._log.append(record)
        self.records.append(record)

    def record(self, record: Record, line: bytes | None = None) -> None:
        self._log.receive(record, line)
        self.records.append(record)
        if isinstance(record, Steady | Sustained):
            self.measured += 1
        self.show(_describe(record))
        self._interruption.check()

    def output(self, record: Image, content: bytes) -> None:
        label, name = record.variant, record.image
        if hashlib.sha256(content).hexdigest() != record.sha256:
            raise BenchError(f"{label}: {name} arrived with another sha256 than the device computed; check the cable")
        if name not in self._run.inputs or label not in self._run.bundles:
            raise BenchError(f"the device upscaled {name!r} by {label!r}, which nobody asked for; update its app")
        original = self._run.originals[name]
        if len(content) != original.size:
            raise BenchError(f"{label}: {name} has {len(content)} bytes, expected {original.size}")
        upscaled = np.frombuffer(content, np.uint8).reshape(original.shape)
        index = [variant.label for variant in self._run.variants].index(label)
        picture = Path(IMAGES_FOLDER) / name / f"{index}.png"
        with self._interruption.deferred():
            write_picture(self._folder / picture, Picture(rgb=upscaled, alpha=None, grey=False), overwrite=True)
            psnr_db = psnr_y(upscaled, original, border_px=self._run.scale)
            quality = Quality(
                variant=label,
                image=name,
                picture=picture.as_posix(),
                ssim=ssim_y(upscaled, original, border_px=self._run.scale),
                psnr_db=psnr_db if math.isfinite(psnr_db) else None,  # JSON has no infinity
                equal=self._equal(label, name, upscaled),
            )
        self.append(quality)
        self.measured += 1

    def fault(self, phase: Phase, message: str) -> None:
        self.append(Fault(phase=phase.value, message=one_line(message, MAX_MESSAGE)))
        self.show(message)

    def status(self, text: str) -> None:
        self.show(text)
        self._interruption.check()

    def show(self, text: str | None = None) -> None:
        # Summing up a long run takes a moment, which the measurement should not lose too often.
        if time.monotonic() - self._shown >= _SHOW_EVERY_S:
            self._shown = time.monotonic()
            self._on_progress(share_done(self._run, self.records), text or "starting")

    def _equal(self, label: str, name: str, upscaled: NDArray[np.uint8]) -> bool | None:
        """Whether this machine computes the same bytes from the same bundle."""
        variant = next(variant for variant in self._run.variants if variant.label == label)
        if not (self._check_bytes and variant.check_golden):
            return None
        key = (variant.bundle, variant.depth, name)
        if key not in self._expected:
            bundle = self._run.bundles[label]
            self._expected[key] = (
                load_depth(bundle, depth=variant.depth).upscale(self._run.inputs[name])
                if runs_here(bundle.manifest.target)
                else None
            )
        expected = self._expected[key]
        return None if expected is None else bool(np.array_equal(expected, upscaled))


def _describe(record: Record) -> str | None:
    match record:
        case Waiting():
            return f"waiting: {record.reason}"
        case Start() | WarmUp() | Image():
            return f"starting {record.variant}"
        case Steady():
            return "measuring in turns"
        case Sustained():
            return f"sustained: {record.variant}, {record.since_ms // 60_000} min"
        case _:
            return None
