"""LiteRT.js from a registry, one on this machine: pinned, checked, kept; and what is said when it is not there."""

import base64
import hashlib
import io
import os
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from qsr_edge.errors import WebError
from qsr_edge.web import litert_js
from qsr_edge.web.litert_js import CORE, DEFAULT_REGISTRY, NpmPackage, archive, litert_js_files, registry


class Registry:
    """A registry that has some files, and says which were asked for."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.asked: list[str] = []
        outer = self

        class Answer(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked.append(self.path)
                content = outer.files.get(self.path)
                self.send_response(404 if content is None else 200)
                self.end_headers()
                self.wfile.write(content or b"")

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        self.address = f"http://127.0.0.1:{self.server.server_address[1]}/npm"


def tarball(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as opened:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            opened.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def package_of(content: bytes) -> NpmPackage:
    integrity = base64.b64encode(hashlib.sha512(content).digest()).decode()
    return NpmPackage(name="core", version="9.9.9", integrity=integrity)


@pytest.fixture
def npm(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Registry]:
    served = Registry()
    thread = threading.Thread(target=served.server.serve_forever, args=(0.02,))
    thread.start()
    monkeypatch.setenv("npm_config_registry", served.address + "/")
    monkeypatch.setenv("QSR_EDGE_CACHE", str(tmp_path / "cache"))
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    yield served
    served.server.shutdown()
    served.server.server_close()
    thread.join()


def test_it_is_fetched_once_and_kept(npm: Registry, tmp_path: Path) -> None:
    content = tarball(**{"package/a.js": b"1"})
    package = package_of(content)
    npm.files["/npm/@litertjs/core/-/core-9.9.9.tgz"] = content
    assert archive(package) == archive(package) == content
    assert npm.asked == ["/npm/@litertjs/core/-/core-9.9.9.tgz"]
    assert (tmp_path / "cache/litertjs/litertjs-core-9.9.9.tgz").read_bytes() == content


def test_a_damaged_copy_is_fetched_anew(npm: Registry, tmp_path: Path) -> None:
    content = tarball(**{"package/a.js": b"1"})
    npm.files["/npm/@litertjs/core/-/core-9.9.9.tgz"] = content
    kept = tmp_path / "cache/litertjs/litertjs-core-9.9.9.tgz"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(content[:-1])
    assert archive(package_of(content)) == content
    assert kept.read_bytes() == content


def test_another_file_is_refused_and_not_kept(npm: Registry, tmp_path: Path) -> None:
    npm.files["/npm/@litertjs/core/-/core-9.9.9.tgz"] = tarball(**{"package/a.js": b"altered"})
    with pytest.raises(WebError, match=r"sha512 is not that of core 9\.9\.9, so it was altered.*nothing was kept"):
        archive(package_of(b"the true one"))
    assert not list(tmp_path.rglob("*.tgz*"))


@pytest.mark.parametrize("gone", ["missing", "offline"])
def test_offline_it_says_what_to_do(npm: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gone: str) -> None:
    if gone == "offline":
        monkeypatch.setenv("npm_config_registry", "http://127.0.0.1:9")
    with pytest.raises(WebError) as raised:
        litert_js_files()
    assert f"run 'npm pack @litertjs/core@{CORE.version}' and copy {CORE.archive} to {tmp_path}/cache" in str(
        raised.value
    )
    assert "\n" not in str(raised.value)


def test_only_an_http_registry_is_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("QSR_EDGE_CACHE", str(tmp_path))
    monkeypatch.setenv("npm_config_registry", f"file://{tmp_path}")
    with pytest.raises(WebError, match="not an http address"):
        litert_js_files()


def test_the_archive_is_read_without_trust(npm: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    """A link, a folder and a file of another name are passed over; a cut archive is told."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as opened:
        link = tarfile.TarInfo("package/dist/index.js")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        opened.addfile(link)
    for content, message in (
        (buffer.getvalue(), "index.js is not in it"),
        (buffer.getvalue()[:60], "cannot be unpacked"),
    ):
        package = package_of(content)
        monkeypatch.setattr(litert_js, "CORE", package)
        npm.files["/npm/@litertjs/core/-/core-9.9.9.tgz"] = content
        with pytest.raises(WebError, match=message):
            litert_js_files()


def test_the_registry_of_npm_is_honoured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.lower().startswith("npm_config")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    assert registry() == DEFAULT_REGISTRY
    (tmp_path / ".npmrc").write_text("# registry = http://no/\nregistry=https://mirror.example/npm/\n")
    assert registry() == "https://mirror.example/npm"
    npm = tmp_path / "npm"
    npm.write_text("#!/bin/sh\necho https://told.example/$1/$2/$3\n")
    npm.chmod(0o755)
    assert registry() == "https://told.example/config/get/registry"
    npm.write_text("#!/bin/sh\nexit 1\n")
    assert registry() == "https://mirror.example/npm"
    monkeypatch.setenv("NPM_CONFIG_REGISTRY", "https://first.example")
    assert registry() == "https://first.example"


def test_the_real_one(litert_js_archives: Path) -> None:
    files = litert_js_files()
    assert b'from "./wasm-utils.js"' in files["index.js"]
    assert files["wasm/litert_wasm_internal.wasm"].startswith(b"\0asm")
    assert len(files) == 8
    # The policy of the page forbids both.
    assert not [path for path, content in files.items() if b"new Function(" in content or b"eval(" in content]
