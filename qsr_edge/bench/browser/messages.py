"""What a page asks and is answered, and what the run learns of it."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A POST of the page.

    Attributes:
        name: ``hello``, ``next``, ``records``, ``output`` or ``leave``.
        query: of the address.
        body: what was sent.
    """

    name: str
    query: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a request is answered: a status, and a table for JSON."""

    status: HTTPStatus = HTTPStatus.OK
    table: Mapping[str, object] = field(default_factory=dict)


class Receipt:
    """Of records that wait to be written; see :meth:`Exchange.next`.

    Attributes:
        taken: how many of them the page need not send again.
        refusal: why the rest are not kept, and the part is over; empty if they may be sent again.
    """

    def __init__(self) -> None:
        self.taken = 0
        self.refusal = ""
        self._settled = threading.Event()

    def settle(self) -> None:
        """No more of them are taken: all, or those that came before an interruption."""
        self._settled.set()

    def refuse(self, why: str) -> None:
        """No more of them are kept, and the part is over."""
        self.refusal = why
        self._settled.set()

    def is_settled(self, wait_s: float) -> bool:
        """Whether it is known what became of them, within so many seconds."""
        return self._settled.wait(wait_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Came:
    """A page was loaded, the first one or another one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """The page was closed, or is loaded anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lines:
    """Records, a line each, without newlines."""

    lines: tuple[bytes, ...]
    receipt: Receipt


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """Something that no page of ours sends was refused; one line."""

    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed:
    """No page is waited for any more."""


Event = Came | Left | Lines | Refused | Closed
