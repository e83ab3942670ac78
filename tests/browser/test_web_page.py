"""The page of `qsr-edge web` in a real Chromium: a photo in, Python's bytes out, by mouse and keyboard."""

import functools
import io
import json
import re
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytest.importorskip("ai_edge_litert", reason="the extra [tflite] is not installed")

from playwright.sync_api import Browser, BrowserContext, Page, expect

from qsr_edge.bundle.reader import open_bundle
from qsr_edge.data.picture import Picture
from qsr_edge.runtime.upscale import load_depth
from qsr_edge.web.server import WebServer
from qsr_edge.web.site import site_files, write_site
from tests.support.chromium import WAIT_MS

DESKTOP, PHONE = {"width": 1100, "height": 900}, {"width": 360, "height": 740}
TILE_PX = 16


@pytest.fixture(scope="module")
def files(tiny_bundle: Path, litert_js_archives: Path) -> dict[str, bytes]:
    with open_bundle(tiny_bundle) as bundle:
        made = site_files(bundle, tile_px=TILE_PX)
    # The tiny network was measured on nothing.
    site = json.loads(made["site.json"])
    site["models"][0]["psnr_db"] = {"Set5": 37.4, "Set14": 33}
    return {**made, "site.json": json.dumps(site).encode()}


@pytest.fixture(scope="module")
def server(files: dict[str, bytes]) -> Iterator[WebServer]:
    with WebServer(files) as running:
        yield running


class Visit:
    """The page, with everything that it complained of or asked of anybody else."""

    def __init__(self, browser: Browser, url: str, viewport: dict[str, int] = DESKTOP, scheme: str = "light"):
        self.complaints: list[str] = []
        self.foreign: list[str] = []
        self.context: BrowserContext = browser.new_context(viewport=viewport, color_scheme=scheme)
        self.context.set_default_timeout(WAIT_MS)
        self.page: Page = self.context.new_page()
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.context.on("request", lambda request: self._note(request.url, url))
        self.page.goto(url)
        expect(self.page.locator("#prove")).to_be_enabled(timeout=WAIT_MS)

    def _note(self, asked: str, url: str) -> None:
        if not asked.startswith((url, f"blob:{url[: url.index('/', 7)]}")):
            self.foreign.append(asked)

    def choose(self, name: str, content: bytes) -> None:
        self.page.set_input_files("#file", {"name": name, "mimeType": "image/png", "buffer": content})
        expect(self.page.locator("#upscale")).to_be_enabled(timeout=WAIT_MS)

    def depth(self, depth: int) -> None:
        self.page.locator(f"input[name=depth][value='{depth}']").check()

    def upscaled(self) -> NDArray[np.uint8]:
        """Press the button, wait, download: (rH, rW, 3)."""
        self.page.locator("#upscale").click()
        expect(self.page.locator("#status")).to_have_text(re.compile("^Done"), timeout=WAIT_MS)
        with self.page.expect_download() as download:
            self.page.locator("#download").click()
        assert download.value.suggested_filename.endswith("_x2.png")
        with Image.open(download.value.path()) as image:
            return np.asarray(image)


@pytest.fixture
def visit(chromium: Browser, server: WebServer) -> Iterator[Visit]:
    opened = Visit(chromium, server.url)
    yield opened
    opened.context.close()
    assert (opened.complaints, opened.foreign) == ([], [])


def photo(height: int, width: int, *, grey: bool = False) -> NDArray[np.uint8]:
    image = np.random.randint(0, 256, (height, width, 3)).astype(np.uint8)
    return np.repeat(image[:, :, :1], 3, axis=2) if grey else image


def png(image: NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()


def native(bundle_path: Path, image: NDArray[np.uint8], depth: int) -> NDArray[np.uint8]:
    with open_bundle(bundle_path) as bundle:
        return load_depth(bundle, depth=depth).upscale_picture(Picture(rgb=image, alpha=None, grey=False)).rgb


def test_a_photo_in_tiles_gives_python_s_bytes_and_the_proof_holds(visit: Visit, tiny_bundle: Path) -> None:
    image = photo(37, 59)
    visit.choose("my photo.png", png(image))
    visit.depth(1)
    assert np.array_equal(visit.upscaled(), native(tiny_bundle, image, 1))
    page = visit.page
    shallow, deep = page.locator("#depths small").all_inner_texts()
    assert shallow.endswith(" % of the work, 37.40 dB on Set5")
    assert deep == "the most work"
    assert int(page.locator("#progress").get_attribute("max") or 0) > 4
    shown = page.evaluate("Array.from(document.getElementById('after').getContext('2d').getImageData(5, 7, 1, 1).data)")
    assert shown[:3] == native(tiny_bundle, image, 1)[7, 5].tolist()
    page.locator("#prove").click()
    expect(page.locator("#proof-status")).to_have_text(re.compile("^Equal at every depth"), timeout=WAIT_MS)
    assert page.locator("#proof-rows .equal").count() == 2
    assert page.locator("#error").inner_text() == ""


@pytest.mark.parametrize("fault", ["damaged", "missing", "different"])
def test_a_site_that_is_not_whole_says_so(
    chromium: Browser, files: dict[str, bytes], fault: str, tiny_bundle: Path
) -> None:
    path = "models/tiny-d2.tflite"
    changed = dict(files)
    if fault == "missing":
        del changed[path]
    elif fault == "damaged":
        changed[path] = files[path][:-1] + b"\xff"
    else:  # the golden digest of another network: the models run, and the proof must fail
        changed["site.json"] = re.sub(rb'"golden_sha256": "..', b'"golden_sha256": "zz', files["site.json"])
    with WebServer(changed) as running:
        opened = Visit(chromium, running.url)
        page = opened.page
        page.locator("#prove").click()
        if fault == "different":
            expected = page.locator("#proof-status"), re.compile("^2 of 2 depths differ: this browser does not compute")
        elif fault == "missing":
            expected = page.locator("#error"), re.compile(f"^{path}: the server answered 404")
        else:
            expected = page.locator("#error"), re.compile(f"^{path}: sha256 is .* damaged or replaced")
        expect(expected[0]).to_have_text(expected[1], timeout=WAIT_MS)
        expect(page.locator("#prove")).to_be_enabled(timeout=WAIT_MS)
        opened.context.close()


@pytest.mark.slow
def test_grey_stays_grey_and_what_is_no_picture_is_told(visit: Visit, tiny_bundle: Path) -> None:
    image = photo(20, 33, grey=True)
    visit.choose("grey.png", png(image))
    made = visit.upscaled()
    assert np.array_equal(made, native(tiny_bundle, image, 2))
    assert (made == made[:, :, :1]).all()
    visit.choose("broken.png", png(image)[:40])
    visit.page.locator("#upscale").click()
    expect(visit.page.locator("#error")).to_have_text(
        re.compile("^this browser cannot read the picture"), timeout=WAIT_MS
    )
    # One pixel is a picture; and what failed before does not stay on the page.
    visit.choose("pixel.png", png(photo(1, 1)))
    assert visit.upscaled().shape == (2, 2, 3)
    assert visit.page.locator("#error").inner_text() == ""


@pytest.mark.slow
def test_cancelling_and_beginning_anew(visit: Visit, tiny_bundle: Path) -> None:
    visit.choose("large.png", png(photo(600, 600)))
    visit.page.locator("#upscale").click()
    expect(visit.page.locator("#tiles")).to_have_text(re.compile("^[1-9][0-9]* of 1[0-9]{3} tiles"), timeout=WAIT_MS)
    visit.page.locator("#cancel").click()
    expect(visit.page.locator("#status")).to_have_text("Cancelled.", timeout=WAIT_MS)
    image = photo(30, 20)
    visit.choose("small.png", png(image))
    assert np.array_equal(visit.upscaled(), native(tiny_bundle, image, 2))
    visit.page.select_option("#threads", "1")
    assert np.array_equal(visit.upscaled(), native(tiny_bundle, image, 2))
    expect(visit.page.locator("#facts")).to_contain_text("plain build, one thread")


@pytest.mark.slow
def test_from_a_folder_of_a_plain_host_it_works_with_one_thread(
    chromium: Browser, files: dict[str, bytes], tmp_path: Path, tiny_bundle: Path
) -> None:
    """A host that sends none of our headers: the policy stands in the page, and threads are not to be had."""
    (tmp_path / "deep").mkdir()
    write_site(tmp_path / "deep" / "site", files)

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

    host = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(tmp_path)))
    thread = threading.Thread(target=host.serve_forever, args=(0.05,))
    thread.start()
    try:
        opened = Visit(chromium, f"http://127.0.0.1:{host.server_address[1]}/deep/site/")
        words = re.compile("^One: the page is not isolated")
        expect(opened.page.locator("#threads-hint")).to_have_text(words, timeout=WAIT_MS)
        image = photo(21, 34)
        opened.choose("photo.png", png(image))
        assert np.array_equal(opened.upscaled(), native(tiny_bundle, image, 2))
        opened.context.close()
        assert (opened.complaints, opened.foreign) == ([], [])
    finally:
        host.shutdown()
        host.server_close()
        thread.join()


@pytest.mark.slow
def test_the_policy_holds(visit: Visit) -> None:
    """What the page could be made to do by a foreign script, it may not."""
    told = visit.page.evaluate(
        """async () => {
          const refused = new Set();
          const three = new Promise((resolve) => {
            document.addEventListener('securitypolicyviolation', (event) => {
              if (refused.add(event.effectiveDirective).size === 3) resolve();
            });
          });
          await fetch('https://example.org/').catch(() => {});
          const script = Object.assign(document.createElement('script'), {textContent: 'self.bad = 1'});
          document.body.append(script, Object.assign(new Image(), {src: 'https://example.org/a.png'}));
          await three;
          return [[...refused].sort(), self.bad ?? null, self.crossOriginIsolated];
        }"""
    )
    assert told == [["connect-src", "img-src", "script-src-elem"], None, True]
    # Chromium tells on the console what it refused; one that was refused is no request that left.
    assert all("Content Security Policy" in complaint for complaint in visit.complaints)
    visit.complaints.clear()
    visit.foreign.clear()


@pytest.mark.slow
def test_the_divider_by_keyboard_and_by_touch(visit: Visit) -> None:
    page = visit.page
    visit.choose("photo.png", png(photo(24, 40)))
    visit.upscaled()
    slider, after = page.locator("#position"), page.locator("#after")
    cut = "node => getComputedStyle(node).clipPath"
    middle = after.evaluate(cut)
    slider.focus()
    page.keyboard.press("Home")
    assert slider.get_attribute("aria-valuetext") == "0 % before, 100 % after"
    assert after.evaluate(cut) != middle
    page.locator("#stage").scroll_into_view_if_needed()
    handle = page.locator("#divider").bounding_box()
    stage = page.locator("#stage").bounding_box()
    assert handle is not None
    assert stage is not None
    page.mouse.move(handle["x"] + 22, handle["y"] + 30)
    page.mouse.down()
    page.mouse.move(stage["x"] + 0.25 * stage["width"], handle["y"] + 30, steps=4)
    page.mouse.up()
    assert slider.input_value() == "25"
    page.select_option("#zoom", "3")
    assert page.locator("#pictures").evaluate("node => node.offsetWidth") == 240


@pytest.mark.slow
def test_everything_is_reached_by_the_tab_key(visit: Visit) -> None:
    page = visit.page
    visit.choose("photo.png", png(photo(10, 12)))
    visit.upscaled()
    page.locator(".skip").focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Shift+Tab")  # by key, so that the focus is shown
    reached: list[str] = []
    while True:
        tag, name, outline = page.evaluate(
            """[document.activeElement].map(
              e => [e.tagName, e.id || e.name || e.className, getComputedStyle(e).outlineStyle]
            )[0]"""
        )
        if tag == "BODY" or name in reached:
            break
        reached.append(name)
        assert outline != "none" or name == "file", (tag, name)  # the button of the file shows it
        page.keyboard.press("Tab")
    wanted = ["skip", "file", "sample", "depth", "threads", "upscale", "stage", "position", "zoom", "download", "prove"]
    assert [name for name in reached if name in wanted] == wanted


@pytest.mark.slow
@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_and_nothing_scrolls_sideways(
    chromium: Browser, server: WebServer, viewport: dict[str, int], scheme: str
) -> None:
    """WCAG 2.2 A and AA and axe's best practices, before and after there is a result."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
    opened = Visit(chromium, server.url, viewport, scheme)
    page = opened.page

    def violations() -> list[tuple[str, list[str]]]:
        width = page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
        assert width[0] <= width[1], "the page scrolls sideways"
        found = axe.Axe().run(page)
        assert found.response["passes"], "axe did not run"
        return [
            (entry["id"], [node["html"][:200] for node in entry["nodes"]]) for entry in found.response["violations"]
        ]

    before = violations()
    opened.choose("photo.png", png(photo(20, 30)))
    opened.upscaled()
    page.locator("#prove").click()
    expect(page.locator("#proof-status")).to_have_text(re.compile("^Equal"), timeout=WAIT_MS)
    after = violations()
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    opened.context.close()
    assert (before, after, opened.complaints) == ([], [], [])
    assert (background == "rgb(251, 251, 249)") == (scheme == "light")
