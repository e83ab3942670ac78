"""The page of `qsr-edge report` in a real Chromium: it renders, asks for nothing, and works by mouse and keyboard."""

import base64
import io
import re
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

pytest.importorskip("jinja2", reason="the extra [report] is not installed")
pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

from playwright.sync_api import Browser, ConsoleMessage, Page, Route, expect

from qsr_edge.report.page import render_page
from qsr_edge.report.reading import read_run
from qsr_edge.report.regression import compare
from tests.support.chromium import WAIT_MS
from tests.support.run_folders import GALAXY, SIMULATOR, Plan, photo, variants, write_run
from tests.support.waiting import PATIENCE_S

DESKTOP, PHONE = {"width": 1200, "height": 900}, {"width": 390, "height": 844}
# Of canvas pixels: a different picture differs in far more, resampling of the divider's shadow in fewer.
CHANGED_SHARE = 0.01
# The page decodes pictures in the background; no wait is for a time, all are for what is to be seen.
# `Page.wait_for_function` cannot wait: from the second look on it evaluates in the page, whose policy forbids that.
expect.set_options(timeout=WAIT_MS)


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs with all that a page can hold: pictures, a hot sustained phase, a baseline, a simulator's caveats."""
    folder = tmp_path_factory.mktemp("report")
    entries = variants(("tflite", "executorch"), (2, 4))
    pictures = {"coffee": photo(120, 180), "wide": photo(100, 200)}
    hot = Plan(device=GALAXY, variants=entries, images=pictures, rounds=4, sustained_minutes=3, hot=True)
    simulated = Plan(device=SIMULATOR, run="simulated", rounds=4, complete=False, speed=1.2)
    runs = [read_run(write_run(folder / str(i), plan)) for i, plan in enumerate((hot, simulated))]
    path = folder / "report.html"
    path.write_text(render_page(runs, [compare(runs[1], runs[0])]), encoding="utf-8")
    return path


class Visit:
    """A page with everything that it complained of or asked for."""

    def __init__(self, browser: Browser, file: Path, viewport: dict[str, int], scheme: str = "light"):
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.context = browser.new_context(viewport=viewport, color_scheme=scheme, reduced_motion="reduce")
        self.context.set_default_timeout(WAIT_MS)
        self.context.route("**/*", self._route)
        self.page: Page = self.context.new_page()
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.goto(file.as_uri())
        if self.page.locator("#viewer").count():
            expect(self.page.locator("#viewer-readout")).not_to_be_empty()

    def _route(self, route: Route) -> None:
        url = route.request.url
        if url.startswith(("file:", "data:")):
            route.continue_()
        else:
            self.requests.append(url)
            route.abort()

    def _console(self, message: ConsoleMessage) -> None:
        self.complaints.append(f"{message.type}: {message.text}")

    def canvas(self) -> NDArray[np.uint8]:
        """(H, W, 3) pixels of the picture viewer."""
        with Image.open(io.BytesIO(self.page.locator("#viewer-canvas").screenshot())) as image:
            return np.asarray(image.convert("RGB"))

    def canvas_after(self, before: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The picture viewer's pixels as soon as they are no longer `before`."""
        deadline = time.monotonic() + PATIENCE_S
        while not changed(before, after := self.canvas()):
            assert time.monotonic() < deadline, "the picture stayed as it was"
            self.page.wait_for_timeout(20)
        return after

    def colour(self, css: str) -> list[int]:
        """A computed colour of the body as numbers."""
        value = self.page.evaluate("name => getComputedStyle(document.body)[name]", css)
        return [int(part) for part in value.removeprefix("rgb(").removesuffix(")").split(",")]


@pytest.fixture
def visit(chromium: Browser, page_file: Path) -> Iterator[Visit]:
    opened = Visit(chromium, page_file, DESKTOP)
    yield opened
    opened.context.close()
    assert opened.complaints == []
    assert opened.requests == []


def changed(before: NDArray[np.uint8], after: NDArray[np.uint8]) -> bool:
    return before.shape != after.shape or float((before != after).any(axis=2).mean()) > CHANGED_SHARE


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_renders_without_complaint_or_request(
    chromium: Browser, page_file: Path, viewport: dict[str, int], scheme: str
) -> None:
    opened = Visit(chromium, page_file, viewport, scheme)
    page = opened.page
    assert page.locator("h1").inner_text() == "Test Galaxy and Stand-in phone (simulator)"
    assert "No figure here is a phone's" in page.locator("#summary").inner_text()
    charts = page.locator("svg.chart:visible")
    assert charts.count() == 2 + 1 + 2 + 12  # quality, ratios, distributions, timelines; of two widths one is seen
    for i in range(charts.count()):
        box = charts.nth(i).bounding_box()
        assert box is not None
        assert box["width"] > 200
        assert box["height"] > 60
    background, ink = sum(opened.colour("backgroundColor")), sum(opened.colour("color"))
    assert (background > ink) == (scheme == "light")
    width = page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
    assert width[0] <= width[1], "the page scrolls sideways"
    opened.context.close()
    assert (opened.complaints, opened.requests) == ([], [])


def test_the_theme_button(visit: Visit) -> None:
    button = visit.page.locator("#theme")
    assert button.inner_text() == "Dark theme"
    light = sum(visit.colour("backgroundColor"))
    button.focus()
    visit.page.keyboard.press("Enter")
    assert button.inner_text() == "Light theme"
    assert sum(visit.colour("backgroundColor")) < light / 4
    button.click()
    assert sum(visit.colour("backgroundColor")) == light


def test_the_divider_by_keyboard(visit: Visit) -> None:
    page = visit.page
    before = visit.canvas()
    slider = page.locator("#viewer-position")
    slider.focus()
    for _ in range(20):
        page.keyboard.press("ArrowLeft")
    assert slider.input_value() == "30"
    assert slider.get_attribute("aria-valuetext") == "30 % input, bicubic, 70 % 2\u2011bit tflite, depth 8"
    after = visit.canvas()
    width = before.shape[1]
    # The strip between the old and the new place shows the other picture, what lies outside is as it was.
    assert changed(before[:, int(0.33 * width) : int(0.47 * width)], after[:, int(0.33 * width) : int(0.47 * width)])
    assert np.array_equal(before[:, int(0.55 * width) :], after[:, int(0.55 * width) :])
    page.keyboard.press("End")
    only_left = visit.canvas()
    page.keyboard.press("Home")
    assert changed(only_left, visit.canvas())


def test_the_divider_by_mouse(visit: Visit) -> None:
    page = visit.page
    stage = page.locator("#viewer-stage")
    stage.scroll_into_view_if_needed()
    box = stage.bounding_box()
    assert box is not None
    before = visit.canvas()
    y = box["y"] + 40
    page.mouse.move(box["x"] + box["width"] / 2, y)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.8 * box["width"], y, steps=5)
    page.mouse.up()
    assert page.locator("#viewer-position").input_value() == "80"
    assert changed(before, visit.canvas())
    page.mouse.move(box["x"] + 0.2 * box["width"], y)  # the button is up: nothing follows
    assert page.locator("#viewer-position").input_value() == "80"


def test_choosing_image_variant_and_view(visit: Visit) -> None:
    page = visit.page
    readout = page.locator("#viewer-readout")

    def choose(name: str, label: str) -> None:
        before = visit.canvas()
        page.select_option(f"#viewer-{name}", label=label)
        visit.canvas_after(before)

    told = readout.inner_text()
    choose("right", "2\u2011bit tflite, depth 2")
    expect(readout).not_to_have_text(told)
    choose("left", "original")
    assert "original" in page.locator("#viewer-left-name").inner_text()
    choose("mode", "difference")
    assert page.locator("#viewer-position").is_disabled()
    choose("gain", "×32")
    choose("mode", "slider")
    choose("image", "wide")
    assert page.locator("#viewer-note").inner_text().startswith("The whole image, 200×100")
    page.select_option("#viewer-left", label="original")
    page.select_option("#viewer-right", label="original")
    expect(readout).to_have_text(re.compile("^Both pictures are equal"))


def decoded(uri: str | None) -> NDArray[np.uint8]:
    assert uri is not None
    with Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))) as image:
        return np.asarray(image.convert("RGB"))


def test_the_difference_is_the_difference(visit: Visit) -> None:
    """Amplified 8 times and clipped, pixel for pixel; the figures are those of the pictures."""
    page = visit.page
    readout = page.locator("#viewer-readout")
    page.select_option("#viewer-mode", "difference")
    page.select_option("#viewer-zoom", "1")
    told = readout.inner_text()
    page.select_option("#viewer-right", label="original")
    expect(readout).not_to_have_text(told)
    bicubic, original = (
        decoded(page.locator(f'img[alt^="coffee: {name}"]').get_attribute("src")).astype(int)
        for name in ("input, bicubic", "original")
    )
    difference = np.abs(bicubic - original)
    share = 100 * (difference.max(axis=2) == 0).mean()
    assert readout.inner_text() == (
        f"Difference in this view: mean {difference.mean():.2f} of 255, largest {difference.max()}; "
        f"{share:.1f} % of pixels are equal."
    )
    shown = decoded(page.evaluate("document.getElementById('viewer-canvas').toDataURL()"))
    expected = np.minimum(8 * difference, 255)
    height, width = expected.shape[:2]
    top, left = ((outer - inner) // 2 for outer, inner in zip(shown.shape[:2], (height, width), strict=True))
    # The stage may have an odd size: the picture then begins at either side of half a pixel.
    places = [shown[y : y + height, x : x + width] for y in (top, top + 1) for x in (left, left + 1)]
    assert any(np.array_equal(place, expected) for place in places)


def test_zooming_and_moving_by_keyboard(visit: Visit) -> None:
    page = visit.page
    page.locator("#viewer-stage").focus()
    fit = visit.canvas()
    for _ in range(4):
        page.keyboard.press("+")
    assert page.locator("#viewer-zoom").input_value() == "8"
    zoomed = visit.canvas()
    assert changed(fit, zoomed)
    page.keyboard.press("ArrowRight")
    moved = visit.canvas()
    assert changed(zoomed, moved)
    page.keyboard.press("ArrowLeft")
    assert np.array_equal(visit.canvas(), zoomed)
    for _ in range(4):
        page.keyboard.press("-")
    assert page.locator("#viewer-zoom").input_value() == "fit"


def test_everything_is_reached_by_the_tab_key(visit: Visit) -> None:
    page = visit.page
    reached = []
    while True:
        page.keyboard.press("Tab")
        tag, name, outline = page.evaluate(
            "[document.activeElement].map(e => [e.tagName, e.id || e.className, getComputedStyle(e).outlineStyle])[0]"
        )
        if tag == "BODY":
            break
        reached.append(name)
        assert outline != "none", (tag, name)  # what has the focus shows it
    parts = ("image", "left", "right", "mode", "zoom", "stage", "position")
    wanted = ["skip", "theme", *(f"viewer-{part}" for part in parts)]
    assert [name for name in reached if name in wanted] == wanted
    assert "scroll" in reached


def test_without_scripts_every_picture_is_there(chromium: Browser, page_file: Path) -> None:
    context = chromium.new_context(viewport=PHONE, java_script_enabled=False)
    context.set_default_timeout(WAIT_MS)
    page = context.new_page()
    page.goto(page_file.as_uri())
    assert page.locator("#viewer").is_hidden()
    assert page.locator("noscript").inner_text().startswith("The slider needs JavaScript")
    page.locator("#all-pictures summary").click()
    assert page.locator("#all-pictures img:visible").count() == page.locator("#all-pictures img").count() > 8
    context.close()


def test_print(visit: Visit) -> None:
    visit.page.emulate_media(media="print", color_scheme="dark")
    assert min(visit.colour("backgroundColor")) == 255
    assert visit.page.locator("nav").is_hidden()
    assert visit.page.locator("svg.chart:visible").count() > 10
    pdf = visit.page.pdf(format="A4")
    assert pdf.startswith(b"%PDF")


@pytest.mark.slow
@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(chromium: Browser, page_file: Path, viewport: dict[str, int], scheme: str) -> None:
    """WCAG 2.2 A and AA and axe's best practices: names, roles, contrast, order of headings, landmarks."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
    opened = Visit(chromium, page_file, viewport, scheme)
    for details in opened.page.locator("details").all():
        details.evaluate("node => { node.open = true; }")
    # The page's policy forbids foreign scripts; axe comes in by the debugger, which is above it.
    found = axe.Axe().run(opened.page)
    opened.context.close()
    assert found.response["passes"], "axe did not run"
    violations = found.response["violations"]
    assert [(entry["id"], [node["html"][:200] for node in entry["nodes"]]) for entry in violations] == []
