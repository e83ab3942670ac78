"""The static site: what is in it, that it is the bundle's, and what is never replaced."""

import hashlib
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("ai_edge_litert", reason="the extra [tflite] is not installed")

from qsr_edge.bundle.reader import open_bundle, read_bundle
from qsr_edge.conversion.resizable import MakesResizable, ResizableModel
from qsr_edge.errors import OutputExistsError, WebError
from qsr_edge.web import models
from qsr_edge.web.models import browser_models
from qsr_edge.web.policy import CONTENT_SECURITY_POLICY
from qsr_edge.web.site import site_files, write_site


@pytest.fixture(scope="module")
def files(tiny_bundle: Path, litert_js_archives: Path) -> dict[str, bytes]:
    with open_bundle(tiny_bundle) as bundle:
        return site_files(bundle)


def test_everything_the_page_asks_for_is_there(files: dict[str, bytes]) -> None:
    """Links, scripts, styles, imports: all relative, so that any folder of any host will do, and all present."""
    asked = set()
    for path, content in files.items():
        if path.startswith("litert/wasm/") or not path.endswith((".html", ".mjs", ".js")):
            continue
        text = content.decode()
        found = re.findall(r"""(?:href|src)="([^"#]+)"|from ['"]([^'"]+)['"]|import\(['"]([^'"]+)['"]\)""", text)
        found += re.findall(r"""new Worker\(['"]([^'"]+)['"]\)|fetch\(['"]([^'"]+)['"]\)""", text)
        folder = Path(path).parent
        asked |= {(folder / name).as_posix() for groups in found for name in groups if name}
    assert asked >= {"page.css", "page.mjs", "worker.js", "site.json", "litert/index.js", "litert/wasm-utils.js"}
    assert asked <= set(files)


def test_nothing_is_loaded_from_elsewhere(files: dict[str, bytes]) -> None:
    own = {
        path: text.decode() for path, text in files.items() if path.endswith((".html", ".mjs", ".css", ".js", ".svg"))
    }
    for path, text in own.items():
        if not path.startswith("litert/"):
            assert re.findall(r"https?://[^\s'\"`)]+", text.replace("http://www.w3.org/2000/svg", "")) == [], path
    assert CONTENT_SECURITY_POLICY in own["index.html"]
    assert re.search(r"\sstyle=|\son\w+=|<script>|<style", own["index.html"]) is None  # the policy forbids them
    assert CONTENT_SECURITY_POLICY in files["_headers"].decode()


def test_it_tells_the_bundle(files: dict[str, bytes], tiny_bundle: Path) -> None:
    site, manifest = json.loads(files["site.json"]), read_bundle(tiny_bundle).manifest
    assert site["files"] == sorted(files)
    assert (site["name"], site["scale"], site["widths"]) == ("tiny", 2, "W4A4")
    assert [model["depth"] for model in site["models"]] == [entry.depth for entry in manifest.depths]
    for model, entry in zip(site["models"], manifest.depths, strict=True):
        assert model["golden_sha256"] == entry.golden_sha256
        assert model["halo_px"] == entry.halo_px
        assert hashlib.sha256(files[model["file"]]).hexdigest() == model["sha256"]
    assert files["MODEL_CARD.md"] == (tiny_bundle / "MODEL_CARD.md").read_bytes()
    assert b"Apache" in files["NOTICE.txt"]


def test_a_bundle_of_a_fixed_size_and_a_zip(tiny_fixed_bundle: Path) -> None:
    with open_bundle(tiny_fixed_bundle) as bundle:
        assert [model.resizable.size_px for model in browser_models(bundle)] == [(24, 40)] * 2


def test_a_model_that_computes_something_else_is_refused(tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = read_bundle(tiny_bundle)
    backend = models.find_backend("tflite")
    assert isinstance(backend, MakesResizable)

    class Wrong:
        name, capabilities, open_model = backend.name, backend.capabilities, backend.open_model

        def resizable(self, path: Path, depth: int, size_px: tuple[int, int]) -> ResizableModel:
            made = backend.resizable(path, depth, size_px)
            weights = bytearray(made.content)
            position = made.content.index(next(b for b in _constants(path) if len(b) > 64))
            weights[position] ^= 0x40
            return ResizableModel(content=bytes(weights), size_px=size_px, places=made.places)

    monkeypatch.setattr(models, "find_backend", lambda name: Wrong())
    with pytest.raises(WebError, match="depth 1, rewritten for the browser, does not compute its golden output"):
        browser_models(bundle)


def _constants(path: Path) -> list[bytes]:
    from qsr_edge_converters.tflite.reading import read_model_file

    return [tensor.content.tobytes() for tensor in read_model_file(path).subgraphs[0].tensors if tensor.content.size]


def test_what_browsers_cannot_run_is_refused(tiny_bundle: Path) -> None:
    bundle = read_bundle(tiny_bundle)
    other = replace(bundle, manifest=replace(bundle.manifest, target="tosa"))
    with pytest.raises(WebError, match="runs bundles for tosa here; convert with --target tflite"):
        browser_models(other)


def test_a_folder_is_written_whole_and_only_sites_are_replaced(files: dict[str, bytes], tmp_path: Path) -> None:
    output = tmp_path / "site"
    write_site(output, files)
    written = {path.relative_to(output).as_posix(): path.read_bytes() for path in output.rglob("*") if path.is_file()}
    assert written == files
    with pytest.raises(OutputExistsError, match="use --force"):
        write_site(output, files)
    write_site(output, files, force=True)
    (output / "mine.txt").write_text("keep")
    with pytest.raises(OutputExistsError, match=r"holds 'mine\.txt', which is no part of a site"):
        write_site(output, files, force=True)
    assert (output / "mine.txt").read_text() == "keep"
    other = tmp_path / "other"
    other.mkdir()
    (other / "site.json").write_text('{"format": "something else", "files": ["site.json"]}')
    with pytest.raises(OutputExistsError, match="no part of a site"):
        write_site(other, files, force=True)
    with pytest.raises(WebError, match="there is no folder"):
        write_site(tmp_path / "none" / "site", files)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other", "site"]
