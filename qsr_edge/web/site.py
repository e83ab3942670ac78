"""The static site of a bundle: page, models, LiteRT.js, a picture. Any web server can host the folder.

``site_files(bundle)`` gives every file by its path, for :class:`qsr_edge.web.server.WebServer` or
:func:`write_site`. ``site.json`` is what the page reads of the bundle.
"""

import json
from collections.abc import Mapping
from importlib import resources
from pathlib import Path

from qsr_edge import __version__
from qsr_edge.assets import demo_photo
from qsr_edge.bundle.manifest import MODEL_CARD_NAME, Manifest
from qsr_edge.bundle.reader import Bundle
from qsr_edge.codec import encode
from qsr_edge.errors import OutputExistsError, WebError
from qsr_edge.files import atomic_write, new_folder
from qsr_edge.web.litert_js import LITERT_JS, litert_js_files
from qsr_edge.web.models import BrowserModel, browser_models
from qsr_edge.web.policy import CONTENT_SECURITY_POLICY, headers_file

SITE_NAME = "site.json"
FORMAT = "qsr-edge-site"
FORMAT_VERSION = 1
DEFAULT_TILE_PX = 192
"""Side of a tile's core in input pixels: a matter of a phone's memory, as is that of ``qsr_edge.runtime.tiler``."""
SAMPLE_NAME = "sample.png"
_LITERT_FOLDER = "litert"
_POLICY_MARK = "{{policy}}"
_NOTICE = f"""This site holds {LITERT_JS} and @litertjs/wasm-utils, Copyright Google LLC, licensed under the Apache
License, Version 2.0 (https://www.apache.org/licenses/LICENSE-2.0). They are as npm has them, but for one line of
litert/index.js that names its loader by a path. The photo is described in sample.txt, the weights in {MODEL_CARD_NAME}.
"""


def site_files(bundle: Bundle, *, tile_px: int = DEFAULT_TILE_PX) -> dict[str, bytes]:
    """Every file of the site, by path.

    Args:
        bundle: an open bundle.
        tile_px: side of a tile's core, in input pixels.

    Raises:
        WebError: if the bundle cannot run in browsers, or LiteRT.js is not in the cache and cannot be fetched.
        BackendError: if the runtime is missing here, or a file of the bundle is damaged.
    """
    if tile_px < 1:
        raise WebError(f"tiles of {tile_px} pixels, expected at least 1")
    models = browser_models(bundle)
    files = {
        **_page_files(),
        **{f"models/{model.name}": model.resizable.content for model in models},
        **{f"{_LITERT_FOLDER}/{path}": content for path, content in litert_js_files().items()},
        SAMPLE_NAME: demo_photo().read_bytes(),
        "sample.txt": demo_photo().with_name("README.md").read_bytes(),
        "NOTICE.txt": _NOTICE.encode(),
        "_headers": headers_file().encode(),
    }
    card = bundle.root / MODEL_CARD_NAME
    if card.is_file():
        files[MODEL_CARD_NAME] = card.read_bytes()
    files[SITE_NAME] = _site_json(bundle.manifest, models, tile_px, sorted({*files, SITE_NAME}))
    return files


def _page_files() -> dict[str, bytes]:
    """Page, style and modules, without what Python wrote beside them."""
    folder = resources.files("qsr_edge.web").joinpath("assets")
    files = {entry.name: entry.read_bytes() for entry in folder.iterdir() if entry.is_file()}
    page = files["index.html"].decode()
    if page.count(_POLICY_MARK) != 1:
        raise WebError(
            f"index.html names its policy {page.count(_POLICY_MARK)} times, expected once; reinstall qsr-edge"
        )
    files["index.html"] = page.replace(_POLICY_MARK, CONTENT_SECURITY_POLICY).encode()
    return files


def _site_json(manifest: Manifest, models: tuple[BrowserModel, ...], tile_px: int, paths: list[str]) -> bytes:
    table = {
        "format": FORMAT,
        "version": FORMAT_VERSION,
        "made_by": f"qsr-edge {__version__}",
        "name": manifest.name,
        "scale": manifest.scale,
        "widths": manifest.widths,
        "licence": manifest.licence,
        "runtime": LITERT_JS,
        "tile_px": tile_px,
        "golden": encode(manifest.golden),
        "models": [model.table(f"models/{model.name}") for model in models],
        "sample": SAMPLE_NAME,
        "card": MODEL_CARD_NAME if MODEL_CARD_NAME in paths else None,
        "files": paths,
    }
    return (json.dumps(table, indent=1, ensure_ascii=False) + "\n").encode()


def write_site(output: Path, files: Mapping[str, bytes], *, force: bool = False) -> None:
    """Write a site's files into a folder that is there whole or not at all.

    Args:
        output: the folder; the one around it must exist.
        files: contents by path, with ``site.json``.
        force: replace a site that is there.

    Raises:
        OutputExistsError: if something is there, and ``force`` is not given or it is not a site and nothing else.
        OSError: if it cannot be written; what was there is still there.
    """
    check_site_output(output, force=force)
    with new_folder(output, replace=force) as folder:
        for path, content in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            atomic_write(folder / path, content)


def check_site_output(output: Path, *, force: bool) -> None:
    """Refuse an output that :func:`write_site` would refuse, before any work is spent on it.

    Raises:
        OutputExistsError: as there.
        WebError: if the folder around it is missing.
    """
    if not output.parent.is_dir():
        raise WebError(f"{output}: there is no folder {output.parent}; make it first")
    if not output.exists():
        return
    if not force:
        raise OutputExistsError(f"{output}: exists already; choose another output, or use --force to replace it")
    known = _paths_of_site(output)
    present = {path.relative_to(output).as_posix() for path in output.rglob("*") if path.is_symlink() or path.is_file()}
    foreign = sorted(present - known)
    if foreign:
        raise OutputExistsError(
            f"{output}: holds {foreign[0]!r}, which is no part of a site, so not even --force replaces it; choose "
            "another output, or move that file away"
        )


def _paths_of_site(output: Path) -> set[str]:
    """What a site that is there says that it holds; nothing if it is none."""
    try:
        table = json.loads((output / SITE_NAME).read_bytes())
    except (OSError, ValueError, RecursionError):
        return set()
    if not isinstance(table, dict) or table.get("format") != FORMAT or not isinstance(table.get("files"), list):
        return set()
    return {path for path in table["files"] if isinstance(path, str)}
