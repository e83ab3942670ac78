"""The exchange between a page and a run, call by call: what is hard to bring about by requests."""

import json

import pytest

import qsr_edge.bench.browser.exchange as exchange_module
from qsr_edge.bench.browser.exchange import TOLD_REFUSALS, Exchange
from qsr_edge.bench.browser.messages import Answer, Came, Left, Lines, Refused, Request
from qsr_edge.bench.browser.told import parse_told
from tests.support.scripted_page import TOLD

LINE = b'{"kind": "waiting"}\n'


def ask(exchange: Exchange, name: str, body: bytes = b"", /, page: str = "p1", **query: object) -> Answer:
    texts = {key: str(value) for key, value in query.items()}
    return exchange.answer(Request(name=name, query={"page": page, **texts}, body=body))


def hello(exchange: Exchange, page: str = "p1", **told: object) -> Answer:
    return ask(exchange, "hello", json.dumps({**TOLD, **told}).encode(), page=page)


def send(exchange: Exchange, body: bytes = LINE, first: int = 0, part: int = 1) -> Answer:
    return ask(exchange, "records", body, part=part, **{"from": first})


@pytest.fixture
def begun() -> Exchange:
    exchange = Exchange()
    assert hello(exchange).status == 200
    exchange.begin(1, {"job": {}}, {"a.rgb": 3})
    return exchange


def test_records_that_are_slow_to_the_disk_count_once(begun: Exchange, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page has to send them again, and does: they were on their way."""
    monkeypatch.setattr(exchange_module, "COMMIT_S", 0.0)
    assert send(begun).status == 503
    event = begun.next(0)
    assert isinstance(event, Lines)
    assert send(begun).status == 503
    event.receipt.taken = 1
    event.receipt.settle()
    assert send(begun).table == {"have": 1, "stop": ""}
    assert begun.next(0) is None
    # What the run could not keep, the page is told of.
    assert send(begun, first=1).status == 503
    event = begun.next(0)
    assert isinstance(event, Lines)
    event.receipt.refuse("the disk is full")
    refused = send(begun, first=1)
    assert (refused.status, refused.table["why"]) == (410, "the disk is full")


def test_what_an_interrupted_run_lost_is_sent_again(begun: Exchange, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C may come between the record's arrival and its taking: whoever waited for it does not have it."""
    monkeypatch.setattr(exchange_module, "COMMIT_S", 0.0)
    assert send(begun, LINE + LINE).status == 503
    event = begun.next(0)
    assert isinstance(event, Lines)
    event.receipt.taken = 1
    begun.stop("interrupted")
    assert send(begun, LINE + LINE).status == 503  # on their way again, the second one alone
    event = begun.next(0)
    assert isinstance(event, Lines)
    assert len(event.lines) == 1
    event.receipt.taken = 1
    event.receipt.settle()
    assert send(begun, LINE + LINE).table == {"have": 2, "stop": "interrupted"}


def test_records_that_nobody_takes_any_more_are_refused(begun: Exchange, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange_module, "COMMIT_S", 0.0)
    assert send(begun).status == 503
    begun.close_part()
    assert send(begun).status == 410
    begun.begin(2, {"job": {}}, {})
    assert send(begun, body=b"", part=2).table == {"have": 0, "stop": ""}


def test_a_browser_that_came_in_between_is_sent_away() -> None:
    """The run's header names the first one; before that was settled, another one opened the address."""
    exchange = Exchange()
    hello(exchange, "p1")
    device = parse_told(json.dumps(TOLD).encode()).device()
    hello(exchange, "p2", cores=16)
    exchange.expect(device)
    assert exchange.await_page(0) is None
    assert ask(exchange, "next", page="p2", part=0).status == 410
    assert hello(exchange, "p3", cores=16).status == 403
    assert hello(exchange, "p4").status == 200
    assert exchange.await_page(0) is not None


def test_a_page_that_leaves_and_is_there_again(begun: Exchange) -> None:
    ask(begun, "leave", page="another")
    assert begun.next(0) is None
    ask(begun, "leave")
    assert isinstance(begun.next(0), Left)
    assert begun.await_page(0) is None
    # From the cache of pages that were left, say.
    assert send(begun, body=b"").status == 200
    assert begun.await_page(0) is not None
    hello(begun, "p2")
    assert isinstance(begun.next(0), Came)
    assert send(begun, body=b"").status == 410


def test_what_is_refused_again_and_again_is_told_so_often(begun: Exchange) -> None:
    for _ in range(2 * TOLD_REFUSALS):
        assert ask(begun, "output", b"abcd", part=1, name="a.rgb").status == 413
    told = []
    while (event := begun.next(0)) is not None:
        told.append(event)
    assert len(told) == TOLD_REFUSALS
    assert all(isinstance(event, Refused) for event in told)


def test_a_part_has_a_limit(begun: Exchange, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange_module, "PART_LIMIT_BYTES", 10)
    assert send(begun).status == 413


def test_a_request_to_end_and_the_news_of_the_end(begun: Exchange, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange_module, "NEXT_S", 0.0)
    monkeypatch.setattr(exchange_module, "FAREWELL_S", 0.0)
    assert ask(begun, "next", part=1).table == {"do": "wait"}
    assert ask(begun, "next", part=0).table == {"do": "measure", "job": {}}
    begun.stop("interrupted")
    assert send(begun, body=b"").table["stop"] == "interrupted"
    begun.finish("over")
    assert ask(begun, "next", part=1).table == {"do": "end", "text": "over"}
