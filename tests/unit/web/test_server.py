"""The server: what it gives, what it refuses, and what its answers say to a browser."""

import gzip
import http.client
import socket
from collections.abc import Iterator
from http import HTTPStatus

import pytest

from qsr_edge.errors import WebError
from qsr_edge.web.policy import HEADERS
from qsr_edge.web.server import BODY_LIMIT_BYTES, Request, Response, WebServer

PAGE = b"<!doctype html><title>page</title>" * 20
FILES = {"index.html": PAGE, "models/a.tflite": b"model", "picture.png": b"\x89PNG", "page.mjs": b"1"}


def echo(request: Request) -> Response:
    if request.body == b"bad":
        raise WebError("records: got bad, expected good; send good")
    return Response(body=f"{request.method} {request.query} ".encode() + request.body, content_type="text/plain")


@pytest.fixture
def server() -> Iterator[WebServer]:
    with WebServer(FILES, routes={"records": echo}) as running:
        yield running


class Answer:
    def __init__(self, server: WebServer, method: str, path: str, body: bytes | None = None, **headers: str):
        connection = http.client.HTTPConnection("127.0.0.1", server.port)
        connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        response = connection.getresponse()
        self.status, self.headers, self.body = response.status, response.headers, response.read()
        connection.close()


def get(server: WebServer, path: str, **headers: str) -> Answer:
    return Answer(server, "GET", f"/{server.token}/{path}", **headers)


@pytest.mark.parametrize(
    ("path", "content", "kind"),
    [
        ("", PAGE, "text/html; charset=utf-8"),
        ("index.html", PAGE, "text/html; charset=utf-8"),
        ("page.mjs", b"1", "text/javascript; charset=utf-8"),
        ("models/a.tflite", b"model", "application/octet-stream"),
        ("picture.png", b"\x89PNG", "image/png"),
        ("page.mjs?v=1", b"1", "text/javascript; charset=utf-8"),
    ],
)
def test_files(server: WebServer, path: str, content: bytes, kind: str) -> None:
    answer = get(server, path)
    assert (answer.status, answer.body, answer.headers["Content-Type"]) == (200, content, kind)
    assert {name: answer.headers[name] for name in HEADERS} == HEADERS


def test_the_page_is_isolated_and_loads_nothing_from_elsewhere(server: WebServer) -> None:
    headers = get(server, "").headers
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert headers["Cross-Origin-Embedder-Policy"] == "require-corp"
    policy = dict(rule.split(" ", 1) for rule in headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == "'self' 'wasm-unsafe-eval'"
    assert policy["connect-src"] == "'self'"
    assert not [rule for rule in policy.values() if "http" in rule or "*" in rule or "unsafe-inline" in rule]


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/index.html",
        "/{wrong}/",
        "/{token}",
        "/{token}/../index.html",
        "/{token}/../../../../etc/passwd",
        "/{token}/%2e%2e/%2e%2e/etc/passwd",
        "/{token}//etc/passwd",
        "/{token}/models",
        "/{token}/models/",
        "/{token}/models/../index.html",
        "/{token}/INDEX.HTML",
        "/{token}/index.html%00",
        "/{token}/server.py",
        "http://127.0.0.1/{wrong}/",
    ],
)
def test_nothing_else_is_there(server: WebServer, path: str) -> None:
    wrong = server.token[:-1] + ("a" if server.token[-1] != "a" else "b")
    answer = Answer(server, "GET", path.format(token=server.token, wrong=wrong))
    assert (answer.status, answer.body) == (404, b"404 Not Found\n")


def test_the_token_is_new_at_every_start(server: WebServer) -> None:
    with WebServer(FILES) as other:
        assert other.token != server.token
        assert len(other.token) >= 22  # 128 bits
        assert Answer(other, "GET", f"/{server.token}/").status == 404


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PROPFIND"])
def test_other_methods(server: WebServer, method: str) -> None:
    assert Answer(server, method, f"/{server.token}/index.html").status == HTTPStatus.NOT_IMPLEMENTED


def test_files_take_no_uploads(server: WebServer) -> None:
    assert Answer(server, "POST", f"/{server.token}/index.html", b"x").status == HTTPStatus.METHOD_NOT_ALLOWED
    assert get(server, "index.html").body == PAGE
    assert Answer(server, "POST", f"/{server.token}/new.html", b"x").status == 404


def test_routes(server: WebServer) -> None:
    path = f"/{server.token}/records"
    assert Answer(server, "POST", f"{path}?a=1", b"line").body == b"POST a=1 line"
    assert Answer(server, "GET", path).body == b"GET  "
    refused = Answer(server, "POST", path, b"bad")
    assert (refused.status, refused.body) == (400, b"records: got bad, expected good; send good")
    assert Answer(server, "POST", "/records", b"line").status == 404


def test_what_is_sent_is_bounded(server: WebServer) -> None:
    path = f"/{server.token}/records"
    for length, status in ((str(BODY_LIMIT_BYTES + 1), 413), ("-1", 411), ("1e3", 411), ("٣", 411)):
        with socket.create_connection(("127.0.0.1", server.port)) as connection:
            connection.sendall(f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n".encode())
            assert connection.makefile("rb").readline().split()[1] == str(status).encode()
    # Of somebody without the token not even that much is read.
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(b"POST /records HTTP/1.1\r\nHost: a\r\nContent-Length: 65537\r\n\r\n")
        assert connection.makefile("rb").readline().split()[1] == b"413"
    chunked = f"POST {path} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(chunked.encode())
        assert connection.makefile("rb").readline().split()[1] == b"411"


def test_one_connection_serves_many_requests(server: WebServer) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    for number in range(3):
        connection.request("POST", f"/{server.token}/records", str(number))
        assert connection.getresponse().read() == f"POST  {number}".encode()
        assert connection.sock is not None
    connection.close()


def test_compression_and_what_the_browser_has_already(server: WebServer) -> None:
    answer = get(server, "", Accept_Encoding="gzip, br")
    assert answer.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(answer.body) == PAGE
    assert get(server, "picture.png", Accept_Encoding="gzip").headers["Content-Encoding"] is None
    again = get(server, "", If_None_Match=answer.headers["ETag"])
    assert (again.status, again.body) == (304, b"")
    assert Answer(server, "HEAD", f"/{server.token}/").headers["Content-Length"] == str(len(PAGE))


def test_addresses() -> None:
    with WebServer(FILES) as local:
        assert local.url == f"http://127.0.0.1:{local.port}/{local.token}/"
        with pytest.raises(WebError, match=rf"port {local.port} cannot be listened on .*; choose another --port"):
            WebServer(FILES, port=local.port)
    with WebServer(FILES, lan=True) as reachable:
        host, _, rest = reachable.url.removeprefix("http://").partition(":")
        assert host != "127.0.0.1" or socket.gethostbyname(socket.gethostname()) == host
        assert rest == f"{reachable.port}/{reachable.token}/"
        assert get(reachable, "").status == 200


def test_a_closed_server_answers_no_more(server: WebServer) -> None:
    with WebServer(FILES) as other:
        port = other.port
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port)).close()
