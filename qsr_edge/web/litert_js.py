"""LiteRT.js from npm, by pinned version and checksum, kept in the cache folder.

Two packages are needed: ``@litertjs/core`` (LiteRT compiled to WebAssembly) and ``@litertjs/wasm-utils`` (its loader).
Their archives are kept as npm names them, below ``litertjs`` in the cache folder, and checked against their sha512
whenever they are read. Without a network they can be put there by hand: ``npm pack`` writes the very same files.

Nothing of an archive is unpacked to the disk, and of its members only those named here are read.
"""

import base64
import hashlib
import http.client
import io
import os
import re
import shutil
import subprocess
import tarfile
import urllib.error
import urllib.request
import zlib
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from qsr_edge.errors import WebError, one_line
from qsr_edge.files import atomic_write, cache_folder

DEFAULT_REGISTRY = "https://registry.npmjs.org"
LITERT_JS = "@litertjs/core 2.5.3"
"""Name and version of what runs the models, for people and records."""
_ARCHIVE_LIMIT_BYTES = 32 << 20
_MEMBER_LIMIT_BYTES = 16 << 20
_TIMEOUT_S = 60
_NPM_TIMEOUT_S = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class NpmPackage:
    """A package of a fixed version.

    Attributes:
        name: without its scope.
        version: of npm.
        integrity: sha512 of the archive in base64, as npm's lock files have it.
    """

    name: str
    version: str
    integrity: str

    @property
    def archive(self) -> str:
        """The archive's file name, as ``npm pack`` gives it."""
        return f"litertjs-{self.name}-{self.version}.tgz"

    @property
    def path(self) -> str:
        """Where a registry has the archive."""
        return f"@litertjs/{self.name}/-/{self.name}-{self.version}.tgz"


CORE = NpmPackage(
    name="core",
    version="2.5.3",
    integrity="PlGmbMOq9WitX7FO0jhbdJw9GthatsyuCQXjTt/wJZo0FLaw48q4tz8IwqgqCIkviYGr9OFDL1kCnN4nzWoyJQ==",
)
WASM_UTILS = NpmPackage(
    name="wasm-utils",
    version="2.5.3",
    integrity="4fJiw6tBQnIs+0jH/OQ16nYOiSl8/+zZnn5h2ul8aTKHi05sVqZW580Tmk78pC2kT39A9OYBVdFawteZ/sI1kQ==",
)

_LOADER_IMPORT = b'from "@litertjs/wasm-utils"'
# Of four builds: without relaxed SIMD, for older browsers; with it; with threads besides. The fourth is for WebNN.
_BUILDS = ("compat_internal", "internal", "threaded_internal")


def litert_js_files() -> dict[str, bytes]:
    """What a site needs of LiteRT.js, by the path below its folder.

    ``index.js`` is the library, an ES module, ``wasm-utils.js`` its loader. Browsers know no packages: in ``index.js``
    the loader's name is replaced by its path, and nothing else is changed. ``wasm/`` has a ``.js`` and a ``.wasm`` of
    each build: ``litert_wasm_internal`` (relaxed SIMD), ``litert_wasm_threaded_internal`` (that and threads) and
    ``litert_wasm_compat_internal`` (neither).

    Raises:
        WebError: if a package is not in the cache and cannot be fetched, or is not the pinned one.
        OSError: if the cache folder cannot be written.
    """
    core = _members(
        CORE, "dist/index.js", *(f"wasm/litert_wasm_{build}.{end}" for build in _BUILDS for end in ("js", "wasm"))
    )
    library = core.pop("dist/index.js")
    if library.count(_LOADER_IMPORT) != 1:
        raise WebError(f"{CORE.archive}: dist/index.js does not import its loader as expected; please report this")
    loader = _members(WASM_UTILS, "dist/index.js")["dist/index.js"]
    return {
        "index.js": library.replace(_LOADER_IMPORT, b'from "./wasm-utils.js"'),
        "wasm-utils.js": loader,
        **core,
    }


def _members(package: NpmPackage, *names: str) -> dict[str, bytes]:
    """Files of a package by their paths in it."""
    found: dict[str, bytes] = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(archive(package)), mode="r:gz") as opened:
            for member in opened:
                name = member.name.removeprefix("package/")
                if name not in names or not member.isfile() or member.size > _MEMBER_LIMIT_BYTES:
                    continue
                file = opened.extractfile(member)
                if file is not None:
                    found[name] = file.read()
    except (tarfile.TarError, zlib.error, EOFError, OSError) as error:
        raise WebError(f"{package.archive}: cannot be unpacked ({one_line(error)}); please report this") from error
    missing = [name for name in names if name not in found]
    if missing:
        raise WebError(f"{package.archive}: {missing[0]} is not in it; please report this")
    return found


def archive(package: NpmPackage) -> bytes:
    """The archive of a package, from the cache folder or, the first time, from the registry.

    Raises:
        WebError: if it is not in the cache and cannot be fetched, or the registry sends something else.
        OSError: if the cache folder cannot be written.
    """
    kept = cache_folder() / "litertjs" / package.archive
    if kept.is_file():
        content = kept.read_bytes()
        if _is_whole(content, package):
            return content
    content = _fetched(package, kept)
    kept.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(kept, content)
    return content


def _is_whole(content: bytes, package: NpmPackage) -> bool:
    return base64.b64encode(hashlib.sha512(content).digest()).decode() == package.integrity


def _fetched(package: NpmPackage, kept: Path) -> bytes:
    address = f"{registry()}/{package.path}"
    by_hand = (
        f"connect to the network and try again; or, where there is one, run 'npm pack @litertjs/{package.name}@"
        f"{package.version}' and copy {package.archive} to {kept.parent}"
    )
    if urlsplit(address).scheme not in ("http", "https"):
        raise WebError(f"{address}: the npm registry is not an http address; set npm_config_registry, or {by_hand}")
    try:
        # Proxies are taken from the environment, as npm takes them.
        with urllib.request.urlopen(address, timeout=_TIMEOUT_S) as response:
            content: bytes = response.read(_ARCHIVE_LIMIT_BYTES + 1)
    except (OSError, ValueError, http.client.HTTPException) as error:
        if isinstance(error, urllib.error.HTTPError):
            error.close()  # it is the response, too
        raise WebError(f"{address}: LiteRT.js cannot be fetched ({one_line(error)}); {by_hand}") from error
    if not _is_whole(content, package):
        raise WebError(
            f"{address}: the sha512 is not that of {package.name} {package.version}, so it was altered on its way, or "
            f"the registry has another file; nothing was kept. Check the registry, or {by_hand}"
        )
    return content


def registry() -> str:
    """Address of the npm registry, without a slash at its end: as the user's npm is set, or npm's own default.

    Asked in this order: the variable ``npm_config_registry``, npm itself where it is installed, the line ``registry``
    of the user's ``.npmrc``.
    """
    # npm takes its variables in any case of letters.
    variables = {name.lower(): value for name, value in os.environ.items()}
    found = variables.get("npm_config_registry") or _told_by_npm() or _told_by_npmrc(variables)
    return (found or DEFAULT_REGISTRY).strip().rstrip("/")


def _told_by_npm() -> str | None:
    npm = shutil.which("npm")
    if npm is None:
        return None
    try:
        command = [npm, "config", "get", "registry"]
        told = subprocess.run(
            command, capture_output=True, text=True, check=True, timeout=_NPM_TIMEOUT_S
        ).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None  # a broken npm decides nothing; what it would have read is read here
    return told if urlsplit(told).scheme else None


def _told_by_npmrc(variables: dict[str, str]) -> str | None:
    path = Path(variables.get("npm_config_userconfig") or Path.home() / ".npmrc")
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    found = re.findall(r"^\s*registry\s*=\s*(\S+)\s*$", text, re.MULTILINE)
    return found[-1].strip("\"'") if found else None
