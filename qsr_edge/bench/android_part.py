"""One part of a run on an Android phone: push, start, follow the results, fetch pictures, whatever comes in between."""

import time
from collections import deque
from collections.abc import Callable
from pathlib import PurePosixPath

from qsr_edge.bench.adb import AdbDevice, ConnectionLostError, NoSpaceError, is_full
from qsr_edge.bench.condition import Condition
from qsr_edge.bench.device import PartEnd, PartPlan, Phase, Sink
from qsr_edge.bench.device_files import PACKAGE, DeviceFiles, quoted
from qsr_edge.bench.growing_file import GrowingFile
from qsr_edge.bench.job import NAME
from qsr_edge.bench.link import Link, RebootedError
from qsr_edge.bench.log import Record, parse_record
from qsr_edge.errors import BenchError

ACTIVITY = f"{PACKAGE}/.BenchActivity"
CONDITION_EVERY_S = 10.0
START_S = 60.0
"""For the app to begin its results."""
SILENT_S = 300.0
"""After which an app that writes no record hangs: the protocol has one every 5 s, loading and large pictures aside."""
CLOCK_JUMP_MS = 2000
RESCUE_S = 10.0
"""How long an interrupted run waits for a phone that is gone."""
_PULL_S = 300.0
_FULL_KB = 1024
_MEASURED = ("image", "steady", "sustained")
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
        self._began = time.monotonic()
        self._link = Link(device, wait_s=wait_s, on_fault=sink.fault, on_status=sink.status)
        self._files = DeviceFiles(self._link, plan.run)
        self._results = ResultsReader(self._link, self._files, plan.part, sink)
        self._started = False
        self.lost = False

    def run(self) -> PartEnd:
        """Measure; see :meth:`qsr_edge.bench.device.Device.run_part`."""
        self._link.open()
        self._check_installed()
        try:
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
            link.keep(lambda: self._device.run(f"am force-stop {PACKAGE}"))
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
        self._link.keep(lambda: self._device.run(f"am force-stop {PACKAGE}"))
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
        while True:
            running, count = self._results.poll()
            now = time.monotonic()
            if self._results.end is not None:
                return self._ended(self._results.end)
            if count:
                news = now
            elif not running and (self._results.any or now - news > self._start_allowance_s):
                return self._died()
            elif now - news > SILENT_S:
                self._link.keep(lambda: self._device.run(f"am force-stop {PACKAGE}"))
                self._results.fetch()
                reason = f"the app wrote nothing for {SILENT_S:.0f} s and was stopped"
                self._sink.fault(Phase.MEASURE, reason)
                return PartEnd(complete=False, reason=reason, again=self._results.measured)
            if now - told >= CONDITION_EVERY_S:
                told = now
                self._condition()
            time.sleep(self._poll_s)

    @property
    def _start_allowance_s(self) -> float:
        # `am start -W` returns when the activity is drawn; its process is there by then.
        return 5 * self._poll_s

    def _ended(self, end: Record) -> PartEnd:
        reason = str(end.get("reason", ""))
        if is_full(self._results.error):
            self._sink.fault(Phase.MEASURE, f"the phone's storage is full: {self._results.error}")
            reason += "; free some space on the phone, then go on with --resume"
        return PartEnd(complete=end.get("complete") is True, reason=reason)

    def _died(self) -> PartEnd:
        """The app is gone without its ``end``."""
        free_kb = self._free_kb()
        if free_kb is not None and free_kb < _FULL_KB:
            reason = f"the phone's storage is full ({free_kb} kB are free); free some space, then go on with --resume"
            self._sink.fault(Phase.MEASURE, reason)
            return PartEnd(complete=False, reason=reason)
        reason = self._results.error or "the app was ended by the system or by somebody, or crashed"
        self._sink.fault(Phase.MEASURE, reason)
        if not self._results.measured:
            reason += "; nothing was measured, `adb logcat` may tell why"
        return PartEnd(complete=False, reason=reason, again=self._results.measured)

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
            if self._results.end is not None:
                return self._ended(self._results.end)
        return PartEnd(complete=False, reason=reason, again=True)

    def _condition(self) -> None:
        """Record the phone's state; without a connection there will be a next time."""
        try:
            condition = self._read_condition()
        except ConnectionLostError:
            return
        self._sink.record(
            {
                "kind": "condition",
                "time_ms": round(1000 * time.time()),
                "elapsed_ms": round(1000 * (time.monotonic() - self._began)),
                "source": "adb",
                "condition": condition.as_json(),
            }
        )


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
        self._skip = skip
        self._file = GrowingFile(str(files.results(part)))
        self._pending: deque[bytes] = deque()
        self._unpulled: deque[Record] = deque()
        self._clock_ms: int | None = None
        self.end: Record | None = None
        self.error = ""
        self.any = False
        self.measured = False

    def use(self, link: Link) -> None:
        """Go on over another connection."""
        self._link = link

    def poll(self) -> tuple[bool, int]:
        """Hand on what is new: whether the app runs (before that was read), and how many records came."""
        self._pull_outputs()
        self._hand_pending()
        command = f"pidof {PACKAGE} || echo -; {self._file.command}"
        result = self._link.keep(lambda: self._link.device.shell(command))
        pid, _, answer = result.out.partition(b"\n")
        lines, fault = self._file.take(answer)
        if fault is not None:
            self._sink.fault(Phase.MEASURE, fault)
        self._pending.extend(lines)
        count = len(lines)
        self._hand_pending()
        return pid.strip() != b"-", count

    def fetch(self) -> None:
        """Hand on all that is there, once nothing is written any more; errors as :meth:`Link.keep`."""
        while self.poll()[1]:
            pass

    def _hand_pending(self) -> None:
        while self._pending:
            line = self._pending.popleft()
            self.any = True
            if self._skip:
                self._skip -= 1
                continue
            try:
                record = parse_record(line, self._file.path)
            except BenchError:
                self._sink.fault(Phase.MEASURE, f"{self._file.path}: a line is damaged and left out")
                # Kept in the log so that lines and records of a part stay as many.
                self._sink.record({"kind": "damaged", "bytes": len(line)})
                continue
            self._check_clock(record)
            self._sink.record(record)
            self.measured = self.measured or record["kind"] in _MEASURED
            match record["kind"]:
                case "image":
                    self._unpulled.append(record)
                    self._pull_outputs()
                case "error":
                    self.error = str(record.get("message", "an error without a message"))
                case "end":
                    self.end = record

    def _check_clock(self, record: Record) -> None:
        """Tell when the phone's date was set: both of its clocks have the same speed otherwise."""
        time_ms, elapsed_ms = record.get("time_ms"), record.get("elapsed_ms")
        if not (isinstance(time_ms, int) and isinstance(elapsed_ms, int)):
            return
        clock_ms = time_ms - elapsed_ms
        if self._clock_ms is not None and abs(jump_ms := clock_ms - self._clock_ms) >= CLOCK_JUMP_MS:
            self._sink.fault(
                Phase.MEASURE,
                f"the phone's clock jumped by {jump_ms / 1000:+.0f} s; durations are not taken from it",
            )
        self._clock_ms = clock_ms

    def _pull_outputs(self) -> None:
        """Fetch the pictures that were told of; a lost connection or a reboot leaves them for the next try."""
        before, self._link.phase = self._link.phase, Phase.PULL
        try:
            while self._unpulled:
                self._pull(self._unpulled[0])
                self._unpulled.popleft()
        finally:
            self._link.phase = before

    def _pull(self, record: Record) -> None:
        """Fetch a picture; one that does not come over whole is upscaled again by a later part."""
        name = record.get("output")
        if not (isinstance(name, str) and NAME.fullmatch(name)):
            self._sink.fault(Phase.PULL, f"the app names its output {str(name)[:80]!r}, which is no file name")
            return
        path = self._files.outputs / name
        device = self._link.device
        problem = ""
        for _ in range(2):
            try:
                content = self._link.keep(lambda: device.run(f"cat {quoted(path)}", timeout_s=_PULL_S))
                self._sink.output(record, content)
            except (ConnectionLostError, RebootedError):
                raise
            except BenchError as error:
                problem = str(error)
            else:
                self._link.keep(lambda: device.shell(f"rm -f {quoted(path)}"))
                return
        self._sink.fault(Phase.PULL, problem)
