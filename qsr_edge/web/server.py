"""A small HTTP server for one site: a fixed set of files in memory, and what a command adds to it.

    with WebServer(files, lan=False, routes={"records": take_records}) as server:
        print(server.url)   # http://127.0.0.1:41234/kq3v...Zg/

What others may rely on:

- ``files`` maps paths below the address to contents: ``index.html``, ``models/net-d2.tflite``. Nothing else can be
  read: no path is ever looked up on the disk.
- Every address begins with a token, new at every start. A request without it gets 404, whatever it asks for; so who
  does not have the address finds nothing, and no other page of the browser can send anything.
- ``routes`` maps further paths to handlers of ``POST`` (and ``GET``, if they want): a handler takes a
  :class:`Request` and returns a :class:`Response`. Each request has its own thread; a handler may wait (a long poll),
  and is asked for no longer than the server runs. A handler's ``WebError`` becomes a 400 with its text.
- Connections stay open between requests (HTTP/1.1), so a page that posts record after record uses one.
- Answers isolate the page (COOP, COEP), which threads need; they do so only where the browser holds the address to be
  secure: https, and http on 127.0.0.1.
- The server goes with the block: it takes no more requests, and waits for no browser.
"""

import gzip
import hashlib
import secrets
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import PurePosixPath
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from qsr_edge import __version__
from qsr_edge.errors import QsrError, WebError
from qsr_edge.web.policy import HEADERS

BODY_LIMIT_BYTES = 64 << 20
"""The most that one request may send: an upscaled picture of 16 megapixels and more, as it is."""
_STRANGERS_LIMIT_BYTES = 1 << 16
"""Of who does not know the token: nobody in the network can fill this machine's memory."""
_TOKEN_BYTES = 16
_IDLE_S = 120
"""How long a connection may say nothing before it is closed; a browser opens another."""
_HTML = "text/html; charset=utf-8"
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": _HTML,
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".md": "text/plain; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".wasm": "application/wasm",
}
_BINARY = "application/octet-stream"
_COMPRESSED_ENDS = (".css", ".html", ".js", ".json", ".md", ".mjs", ".svg", ".tflite", ".txt", ".wasm")
_COMPRESSION_LEVEL = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a browser sent to a route.

    Attributes:
        method: ``GET`` or ``POST``.
        query: what follows ``?`` in the address, as it is.
        body: the content; empty for ``GET``.
    """

    method: str
    query: str
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """A route's answer."""

    body: bytes = b""
    content_type: str = "application/json"
    status: HTTPStatus = HTTPStatus.OK


Handler = Callable[[Request], Response]


@dataclass(slots=True)
class _File:
    content: bytes
    content_type: str
    may_be_compressed: bool
    etag: str = ""
    _compressed: bytes | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.etag = f'"{hashlib.sha256(self.content).hexdigest()[:32]}"'

    def compressed(self) -> bytes:
        """By gzip; made when it is first asked for."""
        with self._lock:
            if self._compressed is None:
                self._compressed = gzip.compress(self.content, _COMPRESSION_LEVEL, mtime=0)
            return self._compressed


class WebServer:
    """Serves a site while its block runs."""

    def __init__(
        self,
        files: Mapping[str, bytes],
        *,
        lan: bool = False,
        port: int = 0,
        routes: Mapping[str, Handler] | None = None,
    ):
        """Bind an address; nothing is answered before the block begins.

        Args:
            files: contents by path; ``index.html`` is also what the bare address shows.
            lan: whether other machines of the network can reach it; else this one alone.
            port: where to listen; 0 for a free one.
            routes: handlers by path.

        Raises:
            WebError: if the port is taken or may not be used.
        """
        self.token = secrets.token_urlsafe(_TOKEN_BYTES)
        self._files = {path: _file(path, content) for path, content in files.items()}
        self._routes = dict(routes or {})
        self._lan = lan
        try:
            self._server = _Server(("0.0.0.0" if lan else "127.0.0.1", port), _handler_class(self))
        except (OSError, OverflowError) as error:
            raise WebError(
                f"port {port} cannot be listened on ({getattr(error, 'strerror', None) or error}); "
                "choose another --port, or leave it out for a free one"
            ) from error
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True)

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        """The address to open, with the token; it ends in a slash."""
        return f"http://{_own_address() if self._lan else '127.0.0.1'}:{self.port}/{self.token}/"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def file(self, path: str) -> _File | None:
        """The file of a path below the token."""
        return self._files.get(path or "index.html")

    def route(self, path: str) -> Handler | None:
        """The handler of a path below the token."""
        return self._routes.get(path)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False  # a browser's idle connection holds nothing up

    def handle_error(self, request: object, client_address: object) -> None:
        """A browser that goes away in the middle is no news; what a handler does wrong was answered before."""


def _handler_class(site: WebServer) -> type[BaseHTTPRequestHandler]:
    class Exchange(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        server_version = f"qsr-edge/{__version__}"
        sys_version = ""
        timeout = _IDLE_S

        def do_GET(self) -> None:
            self._answer()

        def do_HEAD(self) -> None:
            self._answer()

        def do_POST(self) -> None:
            self._answer()

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing: the terminal belongs to the command."""

        def _answer(self) -> None:
            address = urlsplit(self.path)
            token, slash, path = address.path.removeprefix("/").partition("/")
            # The bare token, without a slash, would make relative links miss it.
            is_known = slash and secrets.compare_digest(token.encode(), site.token.encode())
            body = self._body(BODY_LIMIT_BYTES if is_known else _STRANGERS_LIMIT_BYTES)
            if body is None:
                return
            if not is_known:
                self._refuse(HTTPStatus.NOT_FOUND)
                return
            handler = site.route(path)
            if handler is not None and self.command != "HEAD":
                self._hand_over(handler, Request(method=self.command, query=address.query, body=body))
                return
            file = site.file(path)
            if file is None:
                self._refuse(HTTPStatus.NOT_FOUND)
            elif self.command == "POST":
                self._refuse(HTTPStatus.METHOD_NOT_ALLOWED)
            else:
                self._send_file(file)

        def _body(self, limit: int) -> bytes | None:
            """What was sent; None if it was refused: more than so many bytes, say, of which none is read."""
            length = self.headers.get("Content-Length", "0" if self.command != "POST" else "")
            if not (length.isascii() and length.isdigit()):
                self._refuse(HTTPStatus.LENGTH_REQUIRED, close=True)
                return None
            if int(length) > limit:
                self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, close=True)
                return None
            body = self.rfile.read(int(length))
            if len(body) < int(length):  # the browser went away
                self.close_connection = True
                return None
            return body

        def _hand_over(self, handler: Handler, request: Request) -> None:
            try:
                response = handler(request)
            except QsrError as error:
                response = Response(
                    body=str(error).encode(), content_type="text/plain; charset=utf-8", status=HTTPStatus.BAD_REQUEST
                )
            self._send(response.status, response.body, {"Content-Type": response.content_type})

        def _send_file(self, file: _File) -> None:
            headers = {"Content-Type": file.content_type, "ETag": file.etag, "Vary": "Accept-Encoding"}
            if self.headers.get("If-None-Match") == file.etag:
                self._send(HTTPStatus.NOT_MODIFIED, b"", headers)
                return
            content = file.content
            if file.may_be_compressed and "gzip" in self.headers.get("Accept-Encoding", ""):
                content = file.compressed()
                headers["Content-Encoding"] = "gzip"
            self._send(HTTPStatus.OK, content, headers)

        def _refuse(self, status: HTTPStatus, *, close: bool = False) -> None:
            # What was not read of the request would be taken for the next one.
            self.close_connection = self.close_connection or close
            self._send(status, f"{status.value} {status.phrase}\n".encode(), {"Content-Type": "text/plain"})

        def _send(self, status: HTTPStatus, body: bytes, headers: Mapping[str, str]) -> None:
            self.send_response(status)
            for name, value in {**HEADERS, **headers}.items():
                self.send_header(name, value)
            if status is not HTTPStatus.NOT_MODIFIED:
                self.send_header("Content-Length", str(len(body)))
            if self.close_connection:
                self.send_header("Connection", "close")
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

    return Exchange


def _file(path: str, content: bytes) -> _File:
    end = PurePosixPath(path).suffix
    return _File(content, _TYPES.get(end, _BINARY), end in _COMPRESSED_ENDS)


def _own_address() -> str:
    """This machine's address in its network: that of the way to the outside, to which nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # RFC 5737: an address of documentation
            return str(probe.getsockname()[0])
        except OSError:
            return socket.gethostbyname(socket.gethostname())
