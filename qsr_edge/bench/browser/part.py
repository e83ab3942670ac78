"""One part of a run in a browser: hand out the job, take what comes, and know when to wait no longer."""

import time

from qsr_edge.bench.browser.claims import SOURCE, Claims
from qsr_edge.bench.browser.exchange import Exchange
from qsr_edge.bench.browser.messages import Came, Closed, Left, Lines, Refused
from qsr_edge.bench.device import PartEnd, PartPlan, Phase, Sink
from qsr_edge.bench.protocol.records import End
from qsr_edge.bench.record_taker import RecordTaker
from qsr_edge.errors import BenchError, one_line

SILENT_S = 20.0
"""After which a page is missed: it sends something every few seconds, if only that it is there."""
HANGS_S = 300.0
"""After which a page that is there and measures nothing hangs; a page in the background says that it waits."""
RESCUE_S = 10.0
"""How long an interrupted run waits for a page that it does not hear of."""
RESCUE_AT_MOST_S = 60.0
"""And for one that it hears of: the inference that runs has to end, and what was measured to come over."""
_LOOK_S = 1.0


class BrowserPart:
    """What of a part has come so far; :meth:`follow` takes it, once.

    Args:
        exchange: with the page.
        plan: of the part.
        claims: that the page may make.
        sink: takes what comes.
        wait_s: how long a page that is gone is waited for.
    """

    def __init__(self, exchange: Exchange, plan: PartPlan, claims: Claims, sink: Sink, *, wait_s: float) -> None:
        self._exchange = exchange
        self._plan = plan
        self._claims = claims
        self._sink = sink
        self._wait_s = wait_s
        self._taker = RecordTaker(SOURCE, sink, exchange.output)

    def follow(self) -> PartEnd:
        """Take what comes, until the page has ended or is not coming back."""
        gone_s: float | None = None
        news_s = time.monotonic()
        while True:
            event = self._exchange.next(_LOOK_S)
            heard_s, now_s = self._exchange.heard_s(), time.monotonic()
            if gone_s is not None and heard_s > gone_s:
                gone_s = None
                news_s = now_s
                self._sink.status("the page is there again")
            match event:
                case Lines():
                    news_s = now_s
                    if (end := self._take(event)) is not None:
                        return end
                case Came():
                    reason = "the page was loaded anew; what it had not sent yet is measured again"
                    self._sink.fault(Phase.CONNECT, reason)
                    return PartEnd(complete=False, reason=reason, again=True)
                case Left():
                    gone_s = now_s
                    self._sink.fault(Phase.CONNECT, "the page was closed or left")
                case Closed():
                    return PartEnd(complete=False, reason="the browser is waited for no longer; go on with --resume")
                case Refused():
                    self._sink.fault(Phase.MEASURE, f"refused: {event.what}")
                case None if gone_s is not None:
                    if now_s - gone_s >= self._wait_s:
                        reason = f"the browser did not come back within {self._wait_s:.0f} s; go on with --resume"
                        return PartEnd(complete=False, reason=reason)
                    self._sink.status("waiting for the browser; show its page again")
                case None if now_s - heard_s >= SILENT_S:
                    gone_s = heard_s
                    told = f"nothing was heard of the browser for {now_s - heard_s:.0f} s: no network, or it sleeps"
                    self._sink.fault(Phase.CONNECT, told)
                case None if now_s - news_s >= HANGS_S:
                    reason = f"the page is there and measured nothing for {HANGS_S:.0f} s; load it anew, and --resume"
                    self._sink.fault(Phase.MEASURE, reason)
                    return PartEnd(complete=False, reason=reason)
                case None:
                    pass

    def rescue(self) -> None:
        """After an interruption: have the page stop, and take what it has measured."""
        self._sink.status("stopping, and taking what was measured")
        self._exchange.stop("interrupted")
        began_s = time.monotonic()
        while (now_s := time.monotonic()) - began_s < RESCUE_AT_MOST_S:
            if now_s - max(began_s, self._exchange.heard_s()) >= RESCUE_S:
                return
            event = self._exchange.next(_LOOK_S)
            if isinstance(event, Left) or (isinstance(event, Lines) and self._take(event) is not None):
                return

    def _take(self, event: Lines) -> PartEnd | None:
        try:
            # One by one: what stands before a lie is kept.
            for line in event.lines:
                self._claims.check(line)
                # Before it is kept: an interruption then costs a record, and doubles none.
                event.receipt.taken += 1
                self._taker.add([line])
                self._taker.hand_on()
        except BenchError as error:
            reason = f"the browser sent what cannot be: {one_line(error)}"
            event.receipt.refuse(reason)
            self._sink.fault(Phase.MEASURE, reason)
            return PartEnd(complete=False, reason=f"{reason}; load the page anew without extensions, and use --resume")
        finally:
            event.receipt.settle()
        return None if self._taker.end is None else _ended(self._taker.end)


def _ended(end: End) -> PartEnd:
    return PartEnd(complete=end.complete, reason=end.reason or "")
