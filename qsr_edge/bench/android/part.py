"""One part of a run on an Android phone: push, start, follow the results, fetch pictures, whatever comes in between."""

import time
from collections.abc import Callable
from pathlib import PurePosixPath

from qsr_edge.bench.android.adb import AdbDevice, ConnectionLostError, NoSpaceError
from qsr_edge.bench.android.claim import Claim
from qsr_edge.bench.android.device_files import PACKAGE, DeviceFiles, quoted
from qsr_edge.bench.android.growing_file import GrowingFile
from qsr_edge.bench.android.link import Link, RebootedError
from qsr_edge.bench.device import PartEnd, PartPlan, Phase, Sink
from qsr_edge.bench.protocol.condition import Condition
from qsr_edge.bench.protocol.records import ConditionRecord, End
from qsr_edge.bench.record_taker import RecordTaker
from qsr_edge.bench.sink_recorder import SinkRecorder
from qsr_edge.bench.tool import is_full
from qsr_edge.errors import BenchError

ACTIVITY = f"{PACKAGE}/.BenchActivity"
CONDITION_EVERY_S = 10.0
START_S = 60.0
"""For the app to begin its results."""
SILENT_S = 300.0
"""After which an app that writes no record hangs: the protocol has one every 5 s, loading and large pictures aside."""
RESCUE_S = 10.0
"""How long an interrupted run waits for a phone that is gone."""
_PULL_S = 300.0
_POLL_S = 60.0
"""For an answer that may bring what came during a long interruption."""
_FULL_KB = 1024
_NOT_INSTALLED = (
    f"the benchmark app {PACKAGE} is not installed; build it (docs/android.md) and install it: "
    "adb install bench-app-release.apk"
)


class AndroidPart:
    """What of a part has come so far; :meth:`run` measures it, once.

    Args:
        device: the phone.
        plan: of the part.
        sink: takes what comes.
        wait_s: how long the phone is waited for when it is gone.
        poll_s: how often results are asked for.
        read_condition: tells the phone's state.
    """

    def __init__(
        self,
        device: AdbDevice,
        plan: PartPlan,
        sink: Sink,
        *,
        wait_s: float,
        poll_s: float,
        read_condition: Callable[[], Condition],
    ) -> None:
        self._device = device
        self._plan = plan
        self._sink = sink
        self._poll_s = poll_s
        self._read_condition = read_condition
        self._own = SinkRecorder(sink)
        self._link = Link(device, wait_s=wait_s, on_fault=sink.fault, on_status=sink.status)
        self._files = DeviceFiles(self._link, plan.run)
        self._claim = Claim(self._link, plan.run)
        self._results = ResultsReader(self._link, self._files, plan.part, sink)
        self._started = False
        self.lost = False

    def run(self) -> PartEnd:
        """Measure; see :meth:`qsr_edge.bench.device.Device.run_part`."""
        self._link.open()
        self._check_installed()
        try:
            self._claim.check()
            self._link.phase = Phase.PUSH
            job = self._files.push(self._plan, self._sink.status)
            self._condition()
            self._link.phase = Phase.START
            self._start(job)
            self._link.phase = Phase.MEASURE
            end = self._follow()
            self._condition()
            return end
        except RebootedError as error:
            return self._after_reboot(str(error))
        except NoSpaceError as error:
            self._sink.fault(self._link.phase, str(error))
            return PartEnd(complete=False, reason=f"{error}, then go on with --resume")
        except ConnectionLostError as error:
            return self._lost(error)

    def _lost(self, error: ConnectionLostError) -> PartEnd:
        self.lost = True
        return PartEnd(complete=False, reason=f"{error}; go on with --resume once it is there")

    def rescue(self) -> bool:
        """After an interruption: stop the app and fetch what it has measured; whether that could be done."""
        self._sink.status("stopping, and fetching what was measured")
        link = Link(self._device, wait_s=RESCUE_S)
        try:
            Claim(link, self._plan.run).stop_app()
            if self._started:
                self._results.use(link)
                self._results.fetch()
        except BenchError as error:
            self._sink.fault(Phase.MEASURE, f"what came last could not be fetched: {error}")
            return False
        return True

    def _check_installed(self) -> None:
        result = self._link.keep(lambda: self._device.shell(f"pm path {PACKAGE}"))
        if result.code != 0 or not result.out.startswith(b"package:"):
            raise BenchError(f"{self._device.serial}: {_NOT_INSTALLED}")

    def _start(self, job: PurePosixPath) -> None:
        """Start the app on the job; an earlier one is stopped first."""
        results = self._files.results(self._plan.part)
        # Of a start whose answer was lost, the app may run; of earlier parts, nothing must.
        self._claim.take(self._plan.part, PACKAGE)
        self._claim.stop_app()
        self._started = True

        def start() -> None:
            running = self._device.shell(f"pidof {PACKAGE} || ls {quoted(results)}")
            if running.code == 0:
                return
            result = self._device.shell(f"am start -W -n {ACTIVITY} --es job {quoted(job)}", timeout_s=START_S)
            text = " ".join((result.err + result.out.decode(errors="replace")).split())
            if result.code != 0 or "Error" in text:
                raise BenchError(f"{self._device.serial}: the app cannot be started: {text[-200:]}")

        self._sink.status("starting the app")
        self._link.keep(start)

    def _follow(self) -> PartEnd:
        news = told = time.monotonic()
        count = 1
        while True:
            # An app that writes runs: looking for its process costs the phone something.
            running, count = self._results.poll(ask=not count)
            now = time.monotonic()
            if self._results.taken.end is not None:
                return self._ended(self._results.taken.end)
            if count:
                news = now
            elif not running and (self._results.taken.any or now - news > self._start_allowance_s):
                return self._died()
            elif now - news > SILENT_S:
                self._claim.stop_app()
                self._results.fetch()
                reason = f"the app wrote nothing for {SILENT_S:.0f} s and was stopped"
                self._sink.fault(Phase.MEASURE, reason)
                return PartEnd(complete=False, reason=reason, again=self._results.taken.measured)
            if now - told >= CONDITION_EVERY_S:
                told = now
                self._condition()
            time.sleep(self._poll_s)

    @property
    def _start_allowance_s(self) -> float:
        # `am start -W` returns when the activity is drawn; its process is there by then.
        return 5 * self._poll_s

    def _ended(self, end: End) -> PartEnd:
        reason = end.reason or ""
        if is_full(self._results.taken.error):
            self._sink.fault(Phase.MEASURE, f"the phone's storage is full: {self._results.taken.error}")
            reason += "; free some space on the phone, then go on with --resume"
        return PartEnd(complete=end.complete, reason=reason)

    def _died(self) -> PartEnd:
        """The app is gone without its ``end``."""
        free_kb = self._free_kb()
        if free_kb is not None and free_kb < _FULL_KB:
            reason = f"the phone's storage is full ({free_kb} kB are free); free some space, then go on with --resume"
            self._sink.fault(Phase.MEASURE, reason)
            return PartEnd(complete=False, reason=reason)
        reason = self._results.taken.error or "the app was ended by the system or by somebody, or crashed"
        self._sink.fault(Phase.MEASURE, reason)
        if not self._results.taken.measured:
            reason += "; nothing was measured, `adb logcat` may tell why"
        return PartEnd(complete=False, reason=reason, again=self._results.taken.measured)

    def _free_kb(self) -> int | None:
        result = self._link.keep(lambda: self._device.shell("df -k /sdcard"))
        # Filesystem, blocks, used, available, ...; a long name has a line of its own.
        words = result.out.decode(errors="replace").split("\n", 1)[-1].split()
        numbers = [int(word) for word in words if word.isdecimal()]
        return numbers[2] if len(numbers) >= 3 else None

    def _after_reboot(self, reason: str) -> PartEnd:
        if self._started:
            try:
                self._results.fetch()
            except RebootedError:
                reason += ", again"
            except ConnectionLostError as error:
                return self._lost(error)
            if self._results.taken.end is not None:
                return self._ended(self._results.taken.end)
        return PartEnd(complete=False, reason=reason, again=True)

    def _condition(self) -> None:
        """Record the phone's state; without a connection there will be a next time."""
        try:
            condition = self._read_condition()
        except ConnectionLostError:
            return
        self._own.append(ConditionRecord(source="adb", condition=condition))


class ResultsReader:
    """Hands a part's records on, with the pictures they name.

    Args:
        link: to the phone.
        files: of the run.
        part: of the run.
        sink: takes the records.
        skip: so many records are known already.
    """

    def __init__(self, link: Link, files: DeviceFiles, part: int, sink: Sink, *, skip: int = 0) -> None:
        self._link = link
        self._files = files
        self._sink = sink
        self._file = GrowingFile(str(files.results(part)))
        self.taken = RecordTaker(self._file.path, sink, self._fetch_output, skip=skip)

    def use(self, link: Link) -> None:
        """Go on over another connection."""
        self._link = link

    def poll(self, *, ask: bool = False) -> tuple[bool, int]:
        """Hand on what is new.

        Args:
            ask: whether to look for the app's process, too.

        Returns:
            Whether the app ran before its file was read (True without asking), and how many records came.
        """
        self.taken.hand_on()
        who = f"pidof {PACKAGE} || echo -" if ask else "echo 0"
        command = f"{who}; {self._file.command}"
        result = self._link.keep(lambda: self._link.device.shell(command, timeout_s=_POLL_S))
        pid, _, answer = result.out.partition(b"\n")
        lines, fault = self._file.take(answer)
        if fault is not None:
            self._sink.fault(Phase.MEASURE, fault)
        self.taken.add(lines)
        self.taken.hand_on()
        return pid.strip() != b"-", len(lines)

    def fetch(self) -> None:
        """Hand on all that is there, once nothing is written any more; errors as :meth:`Link.keep`."""
        while self.poll()[1]:
            pass

    def _fetch_output(self, name: str) -> bytes:
        path, device = self._files.outputs / name, self._link.device
        before, self._link.phase = self._link.phase, Phase.PULL
        try:
            return self._link.keep(lambda: device.run(f"cat {quoted(path)}", timeout_s=_PULL_S))
        finally:
            self._link.phase = before
