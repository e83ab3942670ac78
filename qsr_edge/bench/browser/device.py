"""A browser as a device, by the same job and records as every other; what differs is how files come and go.

This side serves the page at an address with a secret in it, and waits. Whichever browser opens it is the device: what
it tells of itself is what is known of it. Records come by :class:`qsr_edge.bench.browser.exchange.Exchange`.
"""

import json
from collections.abc import Callable, Mapping
from functools import partial
from http import HTTPStatus
from urllib.parse import parse_qsl

from qsr_edge import __version__
from qsr_edge.bench.browser.claims import Claims
from qsr_edge.bench.browser.exchange import Exchange
from qsr_edge.bench.browser.job_files import JobFiles, page_files
from qsr_edge.bench.browser.messages import Request as PageRequest
from qsr_edge.bench.browser.part import BrowserPart
from qsr_edge.bench.browser.told import KIND, Told
from qsr_edge.bench.device import PartEnd, PartPlan, Sink
from qsr_edge.bench.device_kernels import app_kernels
from qsr_edge.bench.discovery import DEFAULT_WAIT_S, Invitation
from qsr_edge.bench.protocol.condition import Condition
from qsr_edge.bench.protocol.header import DeviceInfo
from qsr_edge.codec import encode
from qsr_edge.errors import BenchError
from qsr_edge.web.litert_js import LITERT_JS
from qsr_edge.web.server import Handler, Request, Response, WebServer

_NAMES = ("hello", "next", "records", "output", "leave")
_EXPOSED = (
    "Everybody in this network who has the address can read the bundle and the run's pictures, and send figures, until "
    "this command ends; what is sent travels unencrypted"
)


class BrowserDevice:
    """Whichever browser opens the page.

    Args:
        lan: whether it may be another machine's of the local network.
        port: where it is waited for; 0 for any that is free.
        wait_s: how long it is waited for, at first and whenever it is gone.
        invite: told the address.
    """

    id = KIND

    def __init__(
        self,
        *,
        lan: bool = False,
        port: int = 0,
        wait_s: float = DEFAULT_WAIT_S,
        invite: Callable[[Invitation], None] = lambda invitation: None,
    ) -> None:
        self._lan = lan
        self._port = port
        self._wait_s = wait_s
        self._invite = invite
        self._exchange = Exchange()
        self._files: Mapping[str, bytes] = {}
        self._server: WebServer | None = None

    def describe(self) -> DeviceInfo:
        """What the browser tells of itself; waits for one to come."""
        return self._await_page().device()

    def expect(self, device: DeviceInfo) -> None:
        """Take no other browser than the one that a run was begun in."""
        self._exchange.expect(device)

    def condition(self) -> Condition:
        """As the browser told it when it came; its records have what it is later."""
        return self._await_page().condition

    def kernel_families(self, target: str) -> tuple[str, ...]:
        """Those that LiteRT.js has."""
        return app_kernels(target, KIND, "a browser")

    def run_part(self, plan: PartPlan, sink: Sink) -> PartEnd:
        """Have the page measure, and take what it sends."""
        if plan.gate is not None and plan.gate.max_temperature_mc is not None:
            raise BenchError("no browser tells how hot its device is; leave --start-below out, and let it cool by hand")
        files = JobFiles(plan)
        self._files = files.contents
        sink.status("waiting for the browser; open the address above")
        self._await_page()
        claims = Claims(plan=plan, golden_sha256=files.golden_sha256)
        part = BrowserPart(self._exchange, plan, claims, sink, wait_s=self._wait_s)
        bundles = {path: bundle.table() for path, bundle in files.bundles.items()}
        work = {"job": encode(files.job), "bundles": bundles, "runtime": LITERT_JS, "version": __version__}
        self._exchange.begin(plan.part, work, files.output_bytes)
        try:
            return part.follow()
        except KeyboardInterrupt:
            part.rescue()
            raise
        finally:
            self._exchange.close_part()

    def collect(self, run: str, part: int, received: int, sink: Sink) -> None:
        """Nothing: whatever the page was told to be kept is on disk, and what it had besides is gone with it."""

    def clean(self, run: str) -> None:
        """Tell the page that the run is over; nothing is left in the browser but its cache."""
        if self._server is not None:
            self._exchange.finish("The run is over. This page can be closed.")

    def close(self) -> None:
        """Serve the page no longer."""
        if self._server is not None:
            self._exchange.close()
            self._server.__exit__(None, None, None)
            self._server = None

    def _await_page(self) -> Told:
        if self._server is None:
            routes: dict[str, Handler] = {"file": self._file, **{name: partial(self._answer, name) for name in _NAMES}}
            server = WebServer(page_files(), lan=self._lan, port=self._port, routes=routes)
            self._server = server.__enter__()
            self._invite(Invitation(address=server.url, exposed=_EXPOSED if self._lan else ""))
        address = self._server.url
        told = self._exchange.await_page(self._wait_s)
        if told is None:
            raise BenchError(
                f"no browser came within {self._wait_s:.0f} s; open {address} in one, or wait longer with "
                "--wait-for-device"
            )
        return told

    def _answer(self, name: str, request: Request) -> Response:
        if request.method != "POST":
            return Response(status=HTTPStatus.METHOD_NOT_ALLOWED)
        query = dict(parse_qsl(request.query, keep_blank_values=True))
        answer = self._exchange.answer(PageRequest(name=name, query=query, body=request.body))
        return Response(body=json.dumps(answer.table).encode(), status=answer.status)

    def _file(self, request: Request) -> Response:
        """A model or picture of the part that is measured."""
        content = self._files.get(dict(parse_qsl(request.query)).get("name", ""))
        if content is None:
            return Response(status=HTTPStatus.NOT_FOUND)
        return Response(body=content, content_type="application/octet-stream")
