"""``qsr-edge bench --device browser`` in a real Chromium: a whole run, and what can befall a page in the middle."""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack
from pathlib import Path

import pytest

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytest.importorskip("ai_edge_litert", reason="the extra [tflite] is not installed")

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect

import qsr_edge.bench.browser.device as browser_device
import qsr_edge.bench.browser.exchange as browser_exchange
import qsr_edge.bench.browser.part as browser_part
from qsr_edge.bench.browser.job_files import page_files
from qsr_edge.bench.protocol.job import Effort, Gate
from qsr_edge.bench.protocol.records import Agent, ConditionRecord, Event, Start, Steady, Waiting, of_kind
from qsr_edge.errors import BenchError
from tests.support.browser_runs import BrowserRun
from tests.support.chromium import WAIT_MS
from tests.support.paths import REPOSITORY
from tests.support.waiting import PATIENCE_S, LeapingTime, wait_until

pytestmark = pytest.mark.slow
expect.set_options(timeout=WAIT_MS)

PICTURE = REPOSITORY / "tests" / "images" / "rgb_96x64.png"
SHORT = Effort(queries=8, steady_ms=10, round_ms=5, warm_up_ms=1)
# So long that a page that holds still after three turns has more to do.
LONG = Effort(queries=600, steady_ms=10, round_ms=10, warm_up_ms=1)
# A page that goes to the background after three turns, where it waits, so that what befalls it comes in the middle.
# Chromium cannot be told to hide a tab, so what a page sees of that is put in its way; once, not after a reload.
HOLDS_STILL = """(() => {
  if (sessionStorage.getItem('held')) return;
  let hidden = false;
  let turns = 0;
  Object.defineProperty(document, 'hidden', {get: () => hidden});
  window.setHidden = (value) => {
    hidden = value;
    document.dispatchEvent(new Event('visibilitychange'));
  };
  const held = ({data}) => {
    if (data.kind === 'record' && data.record.kind === 'steady' && ++turns === 3) {
      sessionStorage.setItem('held', 'yes');
      setHidden(true);
    }
  };
  const Plain = window.Worker;
  window.Worker = class extends Plain {
    constructor(...values) {
      super(...values);
      this.addEventListener('message', held);
    }
  };
})();"""
# Its worker could be done by the time that a slow page has told it; it holds still by itself, in the first part.
WORKER = "bench-worker.mjs"
GOES_ON = "    append: (record) => self.postMessage({kind: 'record', record}),\n"
HOLDS_STILL_TOO = """
    append: (record) => {
      self.postMessage({kind: 'record', record});
      self.part = record.part ?? self.part;
      self.turns = (self.turns ?? 0) + (record.kind === 'steady');
      if (record.kind === 'steady' && self.part === 1 && self.turns === 3) {
        setState({hidden: true, condition: state.condition});
      }
    },
"""
DEPTHS = 2
PHONE = {"width": 360, "height": 740}


@pytest.fixture(autouse=True)
def _a_slow_machine_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A browser among many busy processes may say nothing for longer than one on a user's machine."""
    monkeypatch.setattr(browser_part, "SILENT_S", PATIENCE_S)
    monkeypatch.setattr(browser_exchange, "FAREWELL_S", 60.0)


class Visit(BrowserRun):
    """A run that a Chromium visits.

    Attributes:
        complaints: of the page's console, and requests to elsewhere.
        files: of the page, as the next server gives them.
    """

    def __init__(self, bundle: Path, folder: Path, browser: Browser) -> None:
        super().__init__(bundle, folder)
        self._browser = browser
        self._contexts: list[BrowserContext] = []
        self.complaints: list[str] = []
        self.files = page_files()

    def close(self) -> None:
        for context in self._contexts:
            context.close()
        super().close()

    def page(self) -> Page:
        """A tab of a browser that has visited nothing."""
        context = self._browser.new_context(viewport=PHONE)
        context.set_default_timeout(WAIT_MS)
        self._contexts.append(context)
        opened = context.new_page()
        opened.on("console", lambda message: self.complaints.append(message.text))
        opened.on("pageerror", lambda error: self.complaints.append(str(error)))
        opened.on("request", lambda request: self._check(request.url))
        return opened

    def _check(self, url: str) -> None:
        if not url.startswith((self.address, "data:")):
            self.complaints.append(url)

    def begin(
        self, effort: Effort, *, images: tuple[Path, ...] = (), gate: Gate | None = None
    ) -> "tuple[Page, Future[None]]":
        """A page that is about to be asked to measure, and the run."""
        described = self.describe(effort, images=images, gate=gate)
        page = self.page()
        page.goto(self.address)
        described.result(PATIENCE_S)
        return page, self.measure()

    def begin_and_hold(self, *, images: tuple[Path, ...] = ()) -> "tuple[Page, Future[None]]":
        """A page in the middle of a long run, that holds still until it is shown by ``setHidden(false)``."""
        script = self.files[WORKER].decode()
        assert GOES_ON in script
        self.files[WORKER] = script.replace(GOES_ON, HOLDS_STILL_TOO).encode()
        described = self.describe(LONG, images=images)
        page = self.page()
        page.add_init_script(HOLDS_STILL)
        page.goto(self.address)
        described.result(PATIENCE_S)
        done = self.measure()
        wait_until(lambda: done.done() or any(of_kind(self.records(), Waiting)))
        assert not done.done()
        return page, done

    def check_measured(self, effort: Effort) -> None:
        """All that was asked for is there, with the right bytes, and nothing twice."""
        result = self.result()
        assert result.complete, self.faults()
        assert len(result.variants) == DEPTHS
        for variant in result.variants:
            assert variant.golden_equal
            assert variant.latency is not None
            assert variant.latency.count >= effort.queries


@pytest.fixture
def visit(
    chromium: Browser,
    tiny_bundle: Path,
    litert_js_archives: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Callable[[], Visit]]:
    with ExitStack() as stack:

        def make() -> Visit:
            one = Visit(tiny_bundle, tmp_path / "run", chromium)
            monkeypatch.setattr(browser_device, "page_files", lambda: one.files)
            stack.callback(one.close)
            return one

        yield make


def test_a_whole_run(visit: Callable[[], Visit]) -> None:
    run = visit()
    page, done = run.begin(
        Effort(queries=8, steady_ms=10, round_ms=5, warm_up_ms=1, sustained_ms=50), images=(PICTURE,), gate=Gate()
    )
    expect(page.locator("body")).to_have_attribute("data-state", "ended")
    done.result(PATIENCE_S)
    run.check_measured(SHORT)
    result = run.result()
    assert [[(image.image, image.equal) for image in each.images] for each in result.variants] == [
        [("rgb_96x64", True)],
        [("rgb_96x64", True)],
    ]
    assert all(variant.minutes[0].latency.count >= 1 for variant in result.variants)
    assert result.invalid == ()
    # An isolated page has a fine clock, and says so.
    assert result.device.name.endswith(" on Linux (browser)")
    assert result.device.timer_us is not None
    assert result.device.timer_us < 100
    assert dict(result.device.more)["isolated"] == "yes"
    [agent] = of_kind(run.records(), Agent)
    assert agent.runtime is not None
    assert agent.runtime.startswith("@litertjs/core ")
    assert {start.runtime for start in of_kind(run.records(), Start)} == {f"{agent.runtime}, plain build"}
    assert any(told.variant for told in of_kind(run.records(), ConditionRecord))
    assert run.faults() == []
    assert Axe().run(page).violations_count == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    assert run.complaints == []


def test_a_reload_in_the_middle(visit: Callable[[], Visit]) -> None:
    run = visit()
    page, done = run.begin_and_hold()
    page.reload()
    expect(page.locator("body")).to_have_attribute("data-state", "ended")
    done.result(PATIENCE_S)
    run.check_measured(LONG)
    assert run.parts() == [1, 2]
    assert any("the page was loaded anew" in fault for fault in run.faults())


def test_a_lost_network(visit: Callable[[], Visit], monkeypatch: pytest.MonkeyPatch) -> None:
    """It measures on meanwhile, and what it found comes over once the network is back: nothing is measured twice."""
    monkeypatch.setattr(browser_part, "SILENT_S", 0.5)
    run = visit()
    page, done = run.begin_and_hold()
    page.context.set_offline(True)
    page.evaluate("setHidden(false)")
    body = page.locator("body")
    expect(body).to_have_attribute("data-connected", "false")
    expect(page.get_by_role("alert")).to_contain_text("measuring goes on")
    expect(page.get_by_role("status")).to_have_text("Measured. Sending the rest …")
    wait_until(lambda: any("nothing was heard" in fault for fault in run.faults()))
    assert not done.done()
    page.context.set_offline(False)
    expect(body).to_have_attribute("data-state", "ended")
    done.result(PATIENCE_S)
    run.check_measured(LONG)
    assert run.parts() == [1]


def test_a_closed_tab_and_the_run_gone_on_with(visit: Callable[[], Visit], monkeypatch: pytest.MonkeyPatch) -> None:
    clock = LeapingTime()
    monkeypatch.setattr(browser_part, "time", clock)
    run = visit()
    page, done = run.begin_and_hold()
    page.close()
    # Its farewell may come or not, sooner or later.
    wait_until(lambda: done.done() or clock.leap(PATIENCE_S))
    with pytest.raises(BenchError, match=f"did not come back within {PATIENCE_S:.0f} s; go on with --resume"):
        done.result(PATIENCE_S)
    run.close()
    monkeypatch.undo()
    before = len(list(of_kind(run.records(), Steady)))
    assert before >= 3
    assert not run.result().complete

    later = visit()
    done = later.measure()
    page = later.page()
    page.goto(later.address)
    expect(page.locator("body")).to_have_attribute("data-state", "ended")
    done.result(PATIENCE_S)
    later.check_measured(LONG)
    assert later.parts() == [1, 2]


def test_a_page_in_the_background_waits_and_the_run_is_marked(visit: Callable[[], Visit]) -> None:
    run = visit()
    page, done = run.begin_and_hold()
    page.evaluate("setHidden(false)")
    expect(page.locator("body")).to_have_attribute("data-state", "ended")
    done.result(PATIENCE_S)
    run.check_measured(LONG)
    assert [event.event for event in of_kind(run.records(), Event)] == ["paused", "resumed"]
    assert run.result().invalid == ("the app or page was in the background for a while",)
    # While it waited nothing was measured.
    kinds = [record.kind for record in run.records()]
    first, last = (index for index, kind in enumerate(kinds) if kind == "event")
    assert set(kinds[first + 1 : last]) == {"waiting"}


def test_a_browser_that_lies(visit: Callable[[], Visit]) -> None:
    """A browser whose page was tampered with: a latency below nothing is no record, and the run ends by saying so."""
    run = visit()
    described = run.describe(LONG)
    page = run.page()

    def tamper(route: Route) -> None:
        lines = [json.loads(line) for line in (route.request.post_data or "").splitlines()]
        for line in lines:
            if line["kind"] == "steady":
                line["latencies_us"][0] = -5
        route.continue_(post_data="".join(f"{json.dumps(line)}\n" for line in lines))

    page.context.route("**/records?*", tamper)
    page.goto(run.address)
    described.result(PATIENCE_S)
    done = run.measure()
    expect(page.locator("body")).to_have_attribute("data-state", "ended")
    with pytest.raises(BenchError, match=r"the browser sent what cannot be: .*latencies_us"):
        done.result(PATIENCE_S)
    assert not run.result().complete
    assert all(variant.golden_equal for variant in run.result().variants)  # what came before is kept


def test_strangers_and_too_large_uploads(visit: Callable[[], Visit]) -> None:
    run = visit()
    page, done = run.begin_and_hold(images=(PICTURE,))
    stranger = run.page()
    root, _, _ = run.address.rstrip("/").rpartition("/")
    answer = stranger.goto(f"{root}/{'x' * 22}/")
    assert answer is not None
    assert answer.status == 404
    upload = """async ([page, bytes]) => {
      const body = new Uint8Array(bytes);
      const query = new URLSearchParams({page, part: 1, name: '0-rgb_96x64.rgb'});
      return (await fetch(`output?${query}`, {method: 'POST', body})).status;
    }"""
    # Of the page itself, as a defect of it would be, and of another one at the same address.
    own = run.device._exchange._page
    assert page.evaluate(upload, [own, 10_000_000]) == 413
    assert page.evaluate(upload, ["other", 10]) == 410
    page.evaluate("setHidden(false)")
    expect(page.locator("body")).to_have_attribute("data-state", "ended")
    done.result(PATIENCE_S)
    run.check_measured(LONG)
    assert any("sent 10000000 bytes as the output '0-rgb_96x64.rgb'" in fault for fault in run.faults())
