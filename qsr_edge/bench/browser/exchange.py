"""What passes between a page and a run: a job one way, records and pictures the other, each by a POST of its own.

Requests come in threads of the server, the run is in its own. A page sends its records in order and says with which
number it begins; what is known already is passed over, so it may send anything again whose answer it missed. An answer
comes when the records are in the run's log: what was answered is on disk, and what was not, the page still has.

Every request names the page by an id that it made when it was loaded. The last one that came counts.
"""

import queue
import threading
import time
from collections.abc import Mapping
from http import HTTPStatus

from qsr_edge.bench.browser.messages import Answer, Came, Closed, Event, Left, Lines, Receipt, Refused, Request
from qsr_edge.bench.browser.told import LIMIT_BYTES, Told, other_browser, parse_told
from qsr_edge.bench.protocol.header import DeviceInfo
from qsr_edge.errors import BenchError, one_line

RECORDS_LIMIT_BYTES = 8 << 20
"""Of one request; the page sends less at once."""
PART_LIMIT_BYTES = 512 << 20
"""Of all records of a part: hours of a sustained phase."""
NEXT_S = 20.0
"""How long a page that asks for work is kept waiting before it has to ask again."""
COMMIT_S = 60.0
"""How long a page is kept waiting for its records to be on disk, before it has to send them again."""
TOLD_REFUSALS = 20
"""Of each part: a page that goes wrong again and again fills no log."""
FAREWELL_S = 3.0
"""How long a page has to ask for the news that the run has ended."""


class _RefusedError(Exception):
    def __init__(self, status: HTTPStatus, why: str, **more: object) -> None:
        super().__init__(why)
        self.answer = Answer(status=status, table={"why": why, **more})


class Exchange:
    """Between the pages of one address and one run."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._sending = threading.Lock()
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._expected: DeviceInfo | None = None
        self._page = ""
        self._told: Told | None = None
        self._is_here = False
        self._heard_s = time.monotonic()
        self._part = 0
        self._is_open = False
        self._work: Mapping[str, object] = {}
        self._have = 0
        self._bytes = 0
        self._pending: Receipt | None = None
        self._refusals = 0
        self._sizes: Mapping[str, int] = {}
        self._outputs: dict[str, bytes] = {}
        self._asked_for = ""
        self._stop = ""
        self._end: str | None = None
        self._is_told_of_end = False
        self._is_closed = False

    # The run's side.

    def expect(self, device: DeviceInfo) -> None:
        """Take no other browser than this one from now on."""
        with self._changed:
            self._expected = device
            if self._told is not None and other_browser(device, self._told.device()) is not None:
                self._page, self._told, self._is_here = "", None, False

    def await_page(self, wait_s: float) -> Told | None:
        """What the page that is here told of itself, as soon as one is; None if none came in time."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_here or self._is_closed, wait_s)
            return self._told if self._is_here else None

    def begin(self, part: int, work: Mapping[str, object], sizes: Mapping[str, int]) -> None:
        """Have the page measure.

        Args:
            part: of the run, from 1.
            work: JSON values: the job of docs/device-protocol.md, and what the page needs besides.
            sizes: bytes of each output that it may send, by its name.
        """
        with self._changed:
            self._part, self._work, self._sizes, self._is_open = part, work, sizes, True
            self._have, self._bytes, self._refusals, self._stop, self._asked_for = 0, 0, 0, "", ""
            self._pending = None
            self._outputs.clear()
            while not self._events.empty():
                self._drop(self._events.get())
            if self._is_closed:
                self._events.put(Closed())
            self._heard_s = time.monotonic()
            self._changed.notify_all()

    def next(self, wait_s: float) -> Event | None:
        """What came next; None if nothing did. Whoever gets lines settles or refuses their receipt."""
        try:
            return self._events.get(timeout=wait_s)
        except queue.Empty:
            return None

    def output(self, name: str) -> bytes:
        """An output that came, to be had again until another one is asked for; raises ``BenchError`` if it did not."""
        with self._changed:
            if self._asked_for != name:
                self._outputs.pop(self._asked_for, None)
                self._asked_for = name
            content = self._outputs.get(name)
        if content is None:
            raise BenchError(f"the browser names an output {name[:80]!r} that it has not sent")
        return content

    def heard_s(self) -> float:
        """When the page was last heard of, by the monotonic clock."""
        with self._changed:
            return self._heard_s

    def stop(self, reason: str) -> None:
        """Ask the page to end the part, and to send again what was not taken.

        Whoever was interrupted may have lost what :meth:`next` gave him.
        """
        with self._changed:
            self._stop = reason
            while not self._events.empty():
                self._events.get()
            if self._pending is not None:
                self._pending.settle()

    def close_part(self) -> None:
        """Take nothing more of the part."""
        with self._changed:
            self._is_open = False
            if self._pending is not None and not self._pending.is_settled(0):
                self._pending.refuse("the part is over")
            self._changed.notify_all()
        while (event := self.next(0)) is not None:
            self._drop(event)

    def finish(self, text: str) -> None:
        """Tell the page that nothing more is to be done, if it asks soon."""
        with self._changed:
            self._end = text
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._is_told_of_end or not self._is_here, FAREWELL_S)

    def close(self) -> None:
        """Wait for no page any more, and let the run know."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        self._events.put(Closed())

    def _drop(self, event: Event) -> None:
        if isinstance(event, Lines):
            event.receipt.refuse("the part is over")

    # The page's side.

    def answer(self, request: Request) -> Answer:
        """Answer one request; to be called in any thread."""
        try:
            match request.name:
                case "hello":
                    return self._hello(request)
                case "next":
                    return self._next(request)
                case "records":
                    return self._records(request)
                case "output":
                    return self._output(request)
                case "leave":
                    return self._leave(request)
                case _:
                    raise _RefusedError(HTTPStatus.NOT_FOUND, "there is no such thing to ask for")
        except _RefusedError as refused:
            return refused.answer

    def _hello(self, request: Request) -> Answer:
        page = request.query.get("page", "")
        content = self._body(request, LIMIT_BYTES)
        try:
            if not page:
                raise BenchError("a page without an id")
            told = parse_told(content)
            here = told.device()
        except BenchError as error:
            self._tell(one_line(error))
            raise _RefusedError(HTTPStatus.BAD_REQUEST, one_line(error)) from error
        with self._changed:
            other = None if self._expected is None else other_browser(self._expected, here)
            if other is not None:
                self._tell(other)
                raise _RefusedError(HTTPStatus.FORBIDDEN, other)
            if page != self._page:
                self._page, self._told = page, told
                # What the page before it was asked for is no work for this one: a part begins with all that is done.
                self._is_open = False
                self._events.put(Came())
            self._is_here = True
            self._heard_s = time.monotonic()
            self._changed.notify_all()
        return Answer()

    def _next(self, request: Request) -> Answer:
        """Work for a page that has none: a part later than the one that it had."""
        self._body(request, 0)
        had = _number(request, "part")
        with self._changed:
            self._check_page(request)
            self._changed.wait_for(
                lambda: (
                    self._end is not None
                    or (self._is_open and self._part > had)
                    or self._page != request.query.get("page")
                ),
                NEXT_S,
            )
            self._check_page(request)
            if self._end is not None:
                self._is_told_of_end = True
                self._changed.notify_all()
                return Answer(table={"do": "end", "text": self._end})
            if self._is_open and self._part > had:
                return Answer(table={"do": "measure", **self._work})
            return Answer(table={"do": "wait"})

    def _records(self, request: Request) -> Answer:
        content = self._body(request, RECORDS_LIMIT_BYTES)
        first = _number(request, "from")
        with self._sending:
            with self._changed:
                self._check_part(request)
            # A page that missed an answer sends again what may be on its way to the disk still.
            self._settle()
            with self._changed:
                self._check_part(request)
                if content and not content.endswith(b"\n"):
                    raise _RefusedError(HTTPStatus.BAD_REQUEST, "the last record is cut")
                if first > self._have:
                    raise _RefusedError(HTTPStatus.CONFLICT, "records are missing", have=self._have)
                new = tuple(content.split(b"\n")[:-1][self._have - first :])
                self._bytes += sum(map(len, new))
                if self._bytes > PART_LIMIT_BYTES:
                    why = f"records of more than {PART_LIMIT_BYTES >> 20} MiB in one part"
                    self._tell(why)
                    raise _RefusedError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, why)
                if new:
                    self._pending = Receipt()
                    self._events.put(Lines(lines=new, receipt=self._pending))
            self._settle()
            with self._changed:
                return Answer(table={"have": self._have, "stop": self._stop})

    def _settle(self) -> None:
        """Wait for the records that came last, and count them once they are kept."""
        receipt = self._pending
        if receipt is None:
            return
        if not receipt.is_settled(COMMIT_S):
            raise _RefusedError(HTTPStatus.SERVICE_UNAVAILABLE, "the records are not on disk yet; send them again")
        if receipt.refusal:
            raise _RefusedError(HTTPStatus.GONE, receipt.refusal)
        with self._changed:
            # Unless another part has begun meanwhile.
            if self._pending is receipt:
                self._pending = None
                self._have += receipt.taken

    def _tell(self, what: str) -> None:
        self._refusals += 1
        if self._refusals <= TOLD_REFUSALS:
            self._events.put(Refused(what=what))

    def _output(self, request: Request) -> Answer:
        name = request.query.get("name", "")
        with self._changed:
            self._check_part(request)
            expected = self._sizes.get(name)
        if expected is None or len(request.body) != expected:
            due = "which nobody asked for" if expected is None else f"expected {expected}"
            why = f"the browser sent {len(request.body)} bytes as the output {one_line(name, 80)!r}, {due}"
            self._tell(why)
            over = expected is None or len(request.body) > expected
            raise _RefusedError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE if over else HTTPStatus.BAD_REQUEST, why)
        content = request.body
        with self._changed:
            self._check_part(request)
            self._outputs[name] = content
        return Answer()

    def _leave(self, request: Request) -> Answer:
        self._body(request, 0)
        with self._changed:
            if request.query.get("page") == self._page:
                self._is_here = False
                self._events.put(Left())
                self._changed.notify_all()
        return Answer()

    def _body(self, request: Request, limit: int) -> bytes:
        if len(request.body) > limit:
            why = f"{request.name} of {len(request.body)} bytes, expected at most {limit}"
            self._tell(f"the browser sent {why}")
            raise _RefusedError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, why)
        return request.body

    def _check_page(self, request: Request) -> None:
        """See that the request is of the last page that came; it is here, then, even if it had said farewell."""
        if not self._page or request.query.get("page") != self._page:
            raise _RefusedError(HTTPStatus.GONE, "another page was opened at this address, and took over")
        self._heard_s = time.monotonic()
        self._is_here = True

    def _check_part(self, request: Request) -> None:
        self._check_page(request)
        if not self._is_open or _number(request, "part") != self._part:
            raise _RefusedError(HTTPStatus.GONE, "the part is over")


def _number(request: Request, name: str) -> int:
    text = request.query.get(name, "")
    if not (text.isascii() and text.isdecimal() and len(text) <= 9):
        raise _RefusedError(HTTPStatus.BAD_REQUEST, f"{name} = {one_line(text, 20)!r} is no number")
    return int(text)
