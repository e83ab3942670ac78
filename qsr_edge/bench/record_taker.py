"""An agent's lines as records: parsed, handed on in order, with the pictures that they name."""

from collections import deque
from collections.abc import Callable, Iterable

from qsr_edge.bench.device import DeviceLostError, Phase, Sink
from qsr_edge.bench.protocol.decoding import decode_agent_record
from qsr_edge.bench.protocol.job import NAME
from qsr_edge.bench.protocol.records import Damaged, End, Error, Image, Record, Steady, Sustained
from qsr_edge.errors import BenchError, one_line

CLOCK_JUMP_MS = 2000


class RecordTaker:
    """Takes the lines of one part's results file.

    Whatever stops :meth:`hand_on` in between, what was added and not handed on is handed on by the next call.

    Args:
        source: name of the file, for messages.
        sink: takes the records.
        fetch_output: the bytes of a picture by its file name.
        skip: so many lines are known already.
    """

    def __init__(self, source: str, sink: Sink, fetch_output: Callable[[str], bytes], *, skip: int = 0) -> None:
        self._source = source
        self._sink = sink
        self._fetch_output = fetch_output
        self._skip = skip
        self._lines: deque[bytes] = deque()
        self._unfetched: deque[Image] = deque()
        self._clock_ms: int | None = None
        self.end: End | None = None
        self.error = ""
        self.any = False
        self.measured = False

    def add(self, lines: Iterable[bytes]) -> None:
        """Whole lines, without their newlines."""
        self._lines.extend(lines)

    def hand_on(self) -> None:
        """Hand on what was added; a lost connection comes through."""
        self._fetch_outputs()
        while self._lines:
            line = self._lines.popleft()
            self.any = True
            if self._skip:
                self._skip -= 1
                continue
            try:
                record = decode_agent_record(line, self._source)
            except BenchError as error:
                self._sink.fault(Phase.MEASURE, f"a line is left out: {one_line(error, None)}")
                # Kept in the log, so that a part has as many records there as lines here.
                self._sink.record(Damaged(bytes=len(line)))
                continue
            self._check_clock(record)
            self._sink.record(record, line)
            self.measured = self.measured or isinstance(record, Image | Steady | Sustained)
            match record:
                case Image():
                    self._unfetched.append(record)
                    self._fetch_outputs()
                case Error():
                    self.error = record.message or "an error without a message"
                case End():
                    self.end = record
                case _:
                    pass  # only the run's log needs the others

    def _check_clock(self, record: Record) -> None:
        """Tell when the device's date was set: both of its clocks have the same speed otherwise."""
        if record.time_ms is None or record.elapsed_ms is None:
            return
        clock_ms = record.time_ms - record.elapsed_ms
        if self._clock_ms is not None and abs(jump_ms := clock_ms - self._clock_ms) >= CLOCK_JUMP_MS:
            self._sink.fault(
                Phase.MEASURE,
                f"the device's clock jumped by {jump_ms / 1000:+.0f} s; durations are not taken from it",
            )
        self._clock_ms = clock_ms

    def _fetch_outputs(self) -> None:
        while self._unfetched:
            self._fetch(self._unfetched[0])
            self._unfetched.popleft()

    def _fetch(self, record: Image) -> None:
        """Fetch a picture; one that does not come over whole is upscaled again by a later part."""
        name = record.output
        if not NAME.fullmatch(name):
            self._sink.fault(Phase.PULL, f"the app names its output {name[:80]!r}, which is no file name")
            return
        problem = ""
        for _ in range(2):
            try:
                self._sink.output(record, self._fetch_output(name))
                return
            except DeviceLostError:
                raise
            except BenchError as error:
                problem = str(error)
        self._sink.fault(Phase.PULL, problem)
