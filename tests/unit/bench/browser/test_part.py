"""A part whose taking is interrupted: what was taken is kept once, and the rest comes over."""

import json
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from qsr_edge.bench.browser.claims import Claims
from qsr_edge.bench.browser.exchange import Exchange
from qsr_edge.bench.browser.messages import Answer, Request
from qsr_edge.bench.browser.part import BrowserPart
from qsr_edge.bench.device import PartPlan
from qsr_edge.bench.protocol.job import Effort, JobVariant
from qsr_edge.bench.protocol.records import Record, Steady
from tests.support.scripted_page import TOLD
from tests.support.sinks import ListSink
from tests.support.waiting import PATIENCE_S

VARIANT = JobVariant(label="one", bundle="/b", depth=1, kernels="xnnpack", threads=1, height_px=8, width_px=8,
                     check_golden=True)  # fmt: skip
PLAN = PartPlan(run="r", part=1, effort=Effort(queries=9, steady_ms=0), gate=None, variants=(VARIANT,), images=())


class InterruptedSink(ListSink):
    """Somebody presses Ctrl-C as soon as the second record is kept."""

    def record(self, record: Record, line: bytes | None = None) -> None:
        super().record(record, line)
        if len(self.records) == 2:
            raise KeyboardInterrupt


def test_an_interruption_in_the_middle_of_several_records() -> None:
    exchange = Exchange()

    def ask(name: str, body: bytes, **query: object) -> Answer:
        texts = {"page": "p", **{key: str(value) for key, value in query.items()}}
        return exchange.answer(Request(name=name, query=texts, body=body))

    def send(first: int, *values: int) -> "Future[Answer]":
        lines = [{"kind": "steady", "variant": "one", "latencies_us": [value]} for value in values]
        body = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
        return pool.submit(ask, "records", body, part=1, **{"from": first})

    with ThreadPoolExecutor(2) as pool:
        ask("hello", json.dumps(TOLD).encode())
        exchange.begin(1, {}, {})
        sink = InterruptedSink()
        claims = Claims(plan=PLAN, golden_sha256={"one": "a" * 64})
        part = BrowserPart(exchange, PLAN, claims, sink, wait_s=PATIENCE_S)
        first = send(0, 1, 2, 3)
        with pytest.raises(KeyboardInterrupt):
            part.follow()
        assert first.result(PATIENCE_S).table["have"] == 2
        rescued = pool.submit(part.rescue)
        assert send(2, 3, 4).result(PATIENCE_S).table == {"have": 4, "stop": "interrupted"}
        end = json.dumps({"kind": "end", "complete": False, "reason": "interrupted"}).encode() + b"\n"
        assert ask("records", end, part=1, **{"from": 4}).table["have"] == 5
        rescued.result(PATIENCE_S)
    assert [steady.latencies_us for steady in sink.of(Steady)] == [(1,), (2,), (3,), (4,)]
