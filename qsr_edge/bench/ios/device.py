"""An iPhone as a device, by the same job and records as every other; what differs is how files come and go.

Never run on an iPhone so far; see :mod:`qsr_edge.bench.ios.tools`. Paths of the job are below the app's Documents.
"""

import shutil
import time
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import TypeVar

from qsr_edge.bench.device import PartEnd, PartPlan, Phase, Sink
from qsr_edge.bench.device_kernels import app_kernels
from qsr_edge.bench.ios.tools import IphoneListed, IphoneTool, StorageFullError
from qsr_edge.bench.protocol.condition import Condition
from qsr_edge.bench.protocol.header import DeviceInfo
from qsr_edge.bench.protocol.job import dump_job
from qsr_edge.bench.record_taker import RecordTaker
from qsr_edge.bench.tool import is_full
from qsr_edge.bundle.manifest import MANIFEST_NAME, parse_manifest
from qsr_edge.errors import BenchError
from qsr_edge.files import temporary_folder

Answer = TypeVar("Answer")

KIND = "ios"
POLL_S = 3.0
LOST_S = 600.0
"""How long a phone that was measured may be out of reach: a pulled cable, a reboot that waits for its passcode."""
SILENT_S = 300.0


class IphoneDevice:
    """One iPhone or iPad.

    Args:
        tool: the program that reaches it.
        listed: what the tool says of it.
        poll_s: how often results are asked for.
        lost_s: how long it may be out of reach while it is measured.
    """

    def __init__(
        self, tool: IphoneTool, listed: IphoneListed, *, poll_s: float = POLL_S, lost_s: float = LOST_S
    ) -> None:
        self._tool = tool
        self._listed = listed
        self._poll_s = poll_s
        self._lost_s = lost_s
        # Whether the phone may hold results that were not fetched.
        self._unread = False
        # Whether the app was started since.
        self._was_there = False

    @property
    def id(self) -> str:
        """The UDID."""
        return self._listed.udid

    def describe(self) -> DeviceInfo:
        """What the tool lists; the number of cores is not told."""
        listed = self._listed
        return DeviceInfo(
            kind=KIND,
            id=listed.udid,
            name=listed.model or listed.name,
            processor=listed.product_type or "unknown",
            system=f"iOS {listed.version or '?'}",
            cores=0,
            simulator=False,
            architecture="arm64",
            build=listed.build or None,
        )

    def condition(self) -> Condition:
        """Nothing is told from outside; the app's own records have its thermal state and battery."""
        return Condition()

    def kernel_families(self, target: str) -> tuple[str, ...]:
        """Core ML with all compute units, or on the CPU alone."""
        return app_kernels(target, KIND, f"{self.id}: the iPhone's app")

    def run_part(self, plan: PartPlan, sink: Sink) -> PartEnd:
        """Push everything, start the app, copy its results again and again until they end."""
        with temporary_folder("iphone") as scratch:
            job = _stage(plan, scratch / _folder(plan.run).name)
            sink.status("pushing")
            folder, arguments = scratch / _folder(plan.run).name, ["--job", str(job)]
            results = _Results(plan.run, plan.part, self._taker(plan.run, plan.part, sink, scratch))
            self._patiently(sink, Phase.PUSH, lambda: self._tool.push(self.id, folder))
            pid = self._patiently(sink, Phase.START, lambda: self._tool.launch(self.id, arguments))
            self._unread = self._was_there = True
            try:
                end = self._follow(results, sink, pid, scratch)
            except KeyboardInterrupt:
                try:
                    self._tool.stop(self.id, pid)
                    self._poll(results, scratch)
                    self._unread = False
                except BenchError as error:
                    sink.fault(Phase.MEASURE, f"what came last could not be fetched: {error}")
                raise
            self._unread = False
            return end

    def collect(self, run: str, part: int, received: int, sink: Sink) -> None:
        """Fetch what the part has measured and the log does not have."""
        if part < 1:
            return
        with temporary_folder("iphone") as scratch:
            taker = self._taker(run, part, sink, scratch, skip=received)
            self._unread = True
            self._poll(_Results(run, part, taker), scratch)
            self._unread = False

    def clean(self, run: str) -> None:
        """Have the app remove the run's folder, once all is fetched: no tool can remove one from outside."""
        if self._unread:
            raise BenchError(f"{self.id}: its results and files stay on it; --resume fetches them and cleans up")
        self._tool.launch(self.id, ["--clean", run])

    def _taker(self, run: str, part: int, sink: Sink, scratch: Path, *, skip: int = 0) -> RecordTaker:
        def fetch(name: str) -> bytes:
            target = scratch / "output.rgb"
            if not self._tool.pull(self.id, _folder(run) / "outputs" / name, target):
                raise BenchError(f"{self.id}: the picture {name} cannot be fetched")
            return target.read_bytes()

        return RecordTaker(f"results-{part}.jsonl", sink, fetch, skip=skip)

    def _poll(self, results: "_Results", scratch: Path) -> bool:
        """Hand on whole lines that are new; whether there were any."""
        target = scratch / "results.jsonl"
        path = _folder(results.run) / f"results-{results.part}.jsonl"
        content = target.read_bytes() if self._tool.pull(self.id, path, target) else b""
        begin, whole = results.offset, content.rfind(b"\n") + 1
        if whole > begin:
            results.taker.add(content[begin:whole].splitlines())
            results.offset = whole
        results.taker.hand_on()
        return whole > begin

    def _patiently(self, sink: Sink, phase: Phase, work: Callable[[], Answer]) -> Answer:
        """Do what needs the phone; one that worked before and cannot be reached now is waited for, but not for ever.

        What fails before the first start is rarely mended by waiting: the app is missing, the computer not trusted.
        """
        lost: float | None = None
        while True:
            try:
                return work()
            except BenchError as error:
                if lost is None:
                    lost = time.monotonic()
                    sink.fault(phase, str(error))
                waits = self._was_there and not isinstance(error, StorageFullError)
                if not waits or time.monotonic() - lost >= self._lost_s:
                    raise
                sink.status("waiting for the phone")
                time.sleep(self._poll_s)

    def _follow(self, results: "_Results", sink: Sink, pid: int, scratch: Path) -> PartEnd:
        taker, news = results.taker, time.monotonic()
        while True:
            running = self._patiently(sink, Phase.MEASURE, lambda: self._tool.is_running(self.id, pid))
            any_new = self._poll(results, scratch)
            if taker.end is not None:
                reason = taker.end.reason or ""
                if is_full(taker.error):
                    sink.fault(Phase.MEASURE, f"the phone's storage is full: {taker.error}")
                    reason += "; free some space on the phone, then go on with --resume"
                return PartEnd(complete=taker.end.complete, reason=reason)
            if any_new:
                news = time.monotonic()
            elif not running or time.monotonic() - news > SILENT_S:
                reason = taker.error or "the app was ended by the system or by somebody, or hangs"
                sink.fault(Phase.MEASURE, reason)
                return PartEnd(complete=False, reason=reason, again=taker.measured)
            time.sleep(self._poll_s)


class _Results:
    """What was handed on of a part's results file."""

    def __init__(self, run: str, part: int, taker: RecordTaker) -> None:
        self.run = run
        self.part = part
        self.taker = taker
        self.offset = 0


def _folder(run: str) -> PurePosixPath:
    return PurePosixPath(f"qsr-edge-{run}")


def _stage(plan: PartPlan, folder: Path) -> PurePosixPath:
    """Lay out on this machine what the app's Documents are to hold; the job's path there."""
    there = PurePosixPath("/") / _folder(plan.run)
    bundles: dict[str, str] = {}
    for variant in plan.variants:
        if variant.bundle not in bundles:
            name = f"bundle-{len(bundles)}"
            bundles[variant.bundle] = str(there / name)
            manifest = parse_manifest(Path(variant.bundle, MANIFEST_NAME).read_bytes(), variant.bundle)
            for path in (MANIFEST_NAME, *(entry.path for entry in manifest.files)):
                (folder / name / path).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(Path(variant.bundle, path), folder / name / path)
    images: dict[str, str] = {}
    for index, image in enumerate(plan.images):
        (folder / "images").mkdir(exist_ok=True)
        shutil.copyfile(image.path, folder / "images" / f"{index}.rgb")
        images[image.name] = str(there / "images" / f"{index}.rgb")
    job = plan.job(
        bundles=bundles,
        images=images,
        results=str(there / f"results-{plan.part}.jsonl"),
        outputs=str(there / "outputs"),
    )
    (folder / f"job-{plan.part}.json").write_bytes(dump_job(job))
    return there / f"job-{plan.part}.json"
