"""``--device browser`` against a page that a test drives by HTTP: what is kept, refused, waited for and gone on with.

The server, the run, the bundle and the runtime are real; the browser is a stand-in (`tests/support/scripted_page.py`).
Real ones are in `tests/browser/test_bench_page.py`.
"""

import json
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

import qsr_edge.bench.browser.device as browser_device
import qsr_edge.bench.browser.part as browser_part
import qsr_edge.cli.bench as bench_command
from qsr_edge.bench.browser.device import BrowserDevice
from qsr_edge.bench.browser.exchange import RECORDS_LIMIT_BYTES
from qsr_edge.bench.devices import find_devices
from qsr_edge.bench.discovery import DeviceOptions, Invitation
from qsr_edge.bench.protocol.job import Effort, Gate
from qsr_edge.bench.protocol.log import RESULTS_NAME, read_log, run_header
from qsr_edge.bench.protocol.records import Steady, of_kind
from qsr_edge.bench.result import evaluate_run
from qsr_edge.errors import BenchError
from tests.conftest import CliResult
from tests.support.browser_runs import BrowserRun
from tests.support.paths import REPOSITORY
from tests.support.scripted_page import LATENCY_US, ScriptedPage
from tests.support.waiting import PATIENCE_S, LeapingTime, wait_until

PICTURE = REPOSITORY / "tests" / "images" / "rgb_96x64.png"
QUERIES = 6
EFFORT = Effort(queries=QUERIES, steady_ms=0, round_ms=5, warm_up_ms=0)


@pytest.fixture(autouse=True)
def _without_a_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """A scripted page loads none, so LiteRT.js need not be fetched."""
    monkeypatch.setattr(browser_device, "page_files", dict)


class Visited(BrowserRun):
    """A run that a scripted page visits."""

    def page(self, name: str = "page-1") -> ScriptedPage:
        """A load of the page; it has not said hello yet."""
        return ScriptedPage(self.address, self.bundle, name)

    def begin(self, *, gate: Gate | None = None, images: tuple[Path, ...] = ()) -> ScriptedPage:
        """A new run; the page that came is what it is of."""
        described = self.describe(EFFORT, gate=gate, images=images)
        page = self.page()
        assert page.hello() == (200, {})
        described.result(PATIENCE_S)
        return page


@pytest.fixture
def visited(tiny_bundle: Path, tmp_path: Path) -> Iterator[Callable[[], Visited]]:
    with ExitStack() as stack:

        def make() -> Visited:
            one = Visited(tiny_bundle, tmp_path / "run")
            stack.callback(one.close)
            return one

        yield make


def test_a_run_is_kept_whole(visited: Callable[[], Visited]) -> None:
    run = visited()
    page = run.begin(images=(PICTURE,))
    done = run.measure()
    page.await_work()
    page.measure(QUERIES)
    assert "over" in page.await_end()
    done.result(PATIENCE_S)
    result = run.result()
    assert result.complete
    assert (result.device.kind, result.device.timer_us) == ("browser", 1000)
    for variant in result.variants:
        assert variant.golden_equal
        assert variant.latency is not None
        assert (variant.latency.count, variant.latency.p50_us) == (QUERIES, LATENCY_US)
        assert [(image.image, image.equal) for image in variant.images] == [("rgb_96x64", True)]
    assert run.faults() == []
    # Nothing but the run's own files is there.
    names = {path.relative_to(run.folder).as_posix() for path in run.folder.rglob("*") if path.is_file()}
    pictures = {f"images/rgb_96x64/{name}.png" for name in ("0", "1", "input", "original")}
    assert names == {RESULTS_NAME, *pictures}


def test_records_count_once_however_often_they_come(visited: Callable[[], Visited]) -> None:
    """An answer that is lost on its way is as good as none: the page sends again what it begins with, and more."""
    run = visited()
    page = run.begin()
    done = run.measure()
    page.await_work()
    records = [page.agent(), page.start(0), page.start(1), page.steady(0, QUERIES)]
    assert page.send(*records[:2])[1]["have"] == 2
    assert page.send(*records[:3], first=0)[1]["have"] == 3
    assert page.send(*records[1:2], first=1)[1]["have"] == 3
    status, answer = page.send(page.steady(0, 1), first=9)
    assert (status, answer["have"]) == (409, 3)
    assert page.send(first=3)[1]["have"] == 3  # that it is still there
    # Two at the same time, as when the page gave up waiting for the first one's answer.
    with ThreadPoolExecutor(2) as pool:
        both = [pool.submit(page.post, "records", json.dumps(records[3]).encode() + b"\n", part=1, **{"from": 3})
                for _ in range(2)]  # fmt: skip
        assert [one.result(PATIENCE_S)[1]["have"] for one in both] == [4, 4]
    page.sent = 4
    assert page.send(page.steady(1, QUERIES), {"kind": "end", "complete": True})[0] == 200
    page.await_end()
    done.result(PATIENCE_S)
    assert [len(steady.latencies_us) for steady in of_kind(read_log(run.folder), Steady)] == [QUERIES, QUERIES]
    assert run.result().complete


def test_a_page_that_is_loaded_anew_goes_on(visited: Callable[[], Visited]) -> None:
    run = visited()
    page = run.begin(images=(PICTURE,))
    done = run.measure()
    page.await_work()
    name, content, record = page.picture(0, 0)
    assert page.send(page.agent(), page.start(0))[0] == 200
    assert page.post("output", content, part=1, name=name)[0] == 200
    assert page.send(record, page.start(1), page.steady(0, 4))[0] == 200
    assert page.post("leave")[0] == 200
    again = run.page("page-2")
    assert again.hello()[0] == 200
    job = again.await_work()["job"]
    assert job["part"] == 2
    assert [variant["done"]["queries"] for variant in job["variants"]] == [4, 0]
    assert [variant["done"]["images"] for variant in job["variants"]] == [["rgb_96x64"], []]
    # The old page has nothing to say any more.
    status, answer = page.send(page.steady(0, 100))
    assert (status, answer["why"][:12]) == (410, "another page")
    again.measure(QUERIES)
    again.await_end()
    done.result(PATIENCE_S)
    assert run.result().complete
    assert run.parts() == [1, 2]
    assert any("loaded anew" in fault for fault in run.faults())


def test_a_browser_that_does_not_come_back_leaves_what_it_measured(
    visited: Callable[[], Visited], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A closed tab says so, a lost network does not; both end the part, and --resume goes on in the same browser."""
    clock = LeapingTime()
    monkeypatch.setattr(browser_part, "time", clock)
    run = visited()
    page = run.begin()
    done = run.measure()
    page.await_work()
    assert page.send(page.agent(), page.start(0), page.start(1), page.steady(0, 4))[0] == 200
    clock.leap(2 * PATIENCE_S)
    with pytest.raises(BenchError, match=f"did not come back within {PATIENCE_S:.0f} s; go on with --resume"):
        done.result(PATIENCE_S)
    run.device.close()
    assert any("nothing was heard of the browser" in fault for fault in run.faults())
    assert not run.result().complete

    later = visited()
    done = later.measure()
    other = later.page("page-other")
    status, answer = other.hello(cores=64)
    assert (status, answer["why"][:35]) == (403, "this run was begun in another brows")
    page = later.page("page-2")
    assert page.hello()[0] == 200
    page.await_work()
    assert page.part == 2
    page.measure(QUERIES)
    page.await_end()
    done.result(PATIENCE_S)
    assert later.result().complete


def test_nobody_who_lacks_the_secret_gets_or_sends_anything(visited: Callable[[], Visited]) -> None:
    run = visited()
    page = run.begin()
    done = run.measure()
    page.await_work()
    stranger = run.page("page-1")
    stranger._path = "/wrong-token/"
    for name in ("hello", "next", "records", "output", "leave"):
        assert stranger.post(name, part=1, **{"from": 0, "name": "0-x.rgb"}) == (404, {})
    assert stranger.get("file?name=%2Fbundle-0%2Ftiny-d1.tflite")[0] == 404
    for path in ("file?name=%2Fetc%2Fpasswd", "file?name=..%2F..%2Fresults.jsonl", "file", "../results.jsonl"):
        assert page.get(path)[0] == 404, path
    assert page.get("hello")[0] == 405
    page.measure(QUERIES)
    page.await_end()
    done.result(PATIENCE_S)


def test_what_is_too_large_is_refused_and_told(visited: Callable[[], Visited]) -> None:
    run = visited()
    page = run.begin(images=(PICTURE,))
    done = run.measure()
    page.await_work()
    name, content, record = page.picture(0, 0)
    for sent, query, status in (
        (content + b"x", {"name": name}, 413),
        (content[:-1], {"name": name}, 400),
        (content, {"name": "9-rgb_96x64.rgb"}, 413),
        (content, {"name": "../../0.rgb"}, 413),
    ):
        assert page.post("output", sent, part=1, **query)[0] == status, query
    assert page.post("records", b" " * (RECORDS_LIMIT_BYTES + 1), part=1, **{"from": 0})[0] == 413
    assert page.post("hello", b" " * 100_000)[0] == 413
    assert page.post("records", b"cut", part=1, **{"from": 0})[0] == 400
    assert page.post("records", b"", part=1, **{"from": "x"})[0] == 400
    assert page.post("anything")[0] == 404
    # A picture of other bytes than its record says is upscaled again, as everywhere.
    assert page.send(page.agent(), page.start(0), page.start(1))[0] == 200
    assert page.post("output", bytes(len(content)), part=1, name=name)[0] == 200
    assert page.send(record, page.steady(0, QUERIES), page.steady(1, QUERIES))[0] == 200
    assert page.send({"kind": "end", "complete": True})[0] == 200
    page.await_work()
    assert page.part == 2
    page.measure(QUERIES)
    page.await_end()
    done.result(PATIENCE_S)
    assert run.result().complete
    told = "\n".join(run.faults())
    too_large = f"sent {len(content) + 1} bytes as the output"
    for words in (too_large, "which nobody asked for", "records of", "another sha256"):
        assert words in told


@pytest.mark.parametrize(
    ("lie", "words"),
    [
        (b'{"kind": "steady"', "damaged"),
        ({"kind": "start", "variant": "tiny d1 xnnpack", "load_us": 1, "first_us": 1, "golden_equal": True,
          "golden_sha256": "b" * 64}, "but its sha256 is"),
    ],
)  # fmt: skip
def test_a_browser_that_lies_ends_the_run_by_saying_so(
    visited: Callable[[], Visited], lie: dict[str, object] | bytes, words: str
) -> None:
    run = visited()
    page = run.begin()
    done = run.measure()
    page.await_work()
    assert page.send(page.agent(), page.start(0), page.start(1), page.steady(0, 4))[0] == 200
    status, answer = page.send(lie)
    assert status == 410
    assert words in answer["why"]
    page.await_end()
    with pytest.raises(BenchError, match="the browser sent what cannot be: .*" + words):
        done.result(PATIENCE_S)
    result = run.result()
    assert not result.complete
    assert result.variants[0].latency is not None
    assert result.variants[0].latency.count == 4  # what came before is kept


def test_ctrl_c_keeps_what_was_measured(
    usual_signals: None, litert_js_archives: Path, tiny_bundle: Path, tmp_path: Path
) -> None:
    """The page is asked to stop, what it has is taken, and the command ends as interrupted."""
    folder = tmp_path / "run"
    command = [sys.executable, "-m", "qsr_edge", "bench", "--device", "browser", "--bundle", str(tiny_bundle),
               "--no-images", "-o", str(folder)]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    with process.stderr as messages:
        address = messages.readline().split()[-1]
        page = ScriptedPage(address, tiny_bundle)
        assert page.hello()[0] == 200
        page.await_work()
        assert page.send(page.agent(), page.start(0), page.start(1), page.steady(0, 4))[0] == 200
        process.send_signal(signal.SIGINT)
        wait_until(lambda: page.send()[1].get("stop") == "interrupted", process.poll)
        assert page.send(page.steady(0, 3), {"kind": "end", "complete": False, "reason": "interrupted"})[0] == 200
        page.await_end()
        told = messages.read()
    assert process.wait() == 130
    assert "go on: qsr-edge bench --resume" in told
    records = read_log(folder)
    assert [len(steady.latencies_us) for steady in of_kind(records, Steady)] == [4, 3]
    assert evaluate_run(records).reason == "interrupted"


def test_what_no_browser_tells_is_no_gate(visited: Callable[[], Visited]) -> None:
    run = visited()
    run.begin(gate=Gate(max_temperature_mc=35_000))
    with pytest.raises(BenchError, match="no browser tells how hot"):
        run.measure().result(PATIENCE_S)


def test_no_browser_comes(tiny_bundle: Path, run_cli: Callable[..., CliResult], tmp_path: Path) -> None:
    done = run_cli("bench", "--device", "browser", "--bundle", tiny_bundle, "--wait-for-device", "0ms",
                   "-o", tmp_path / "run")  # fmt: skip
    assert done.exit_code == 1
    assert "no browser came within 0 s; open http://127.0.0.1:" in done.stderr
    assert not (tmp_path / "run").exists()


def test_the_address_for_the_network_says_what_is_exposed(
    tiny_bundle: Path, run_cli: Callable[..., CliResult], tmp_path: Path
) -> None:
    done = run_cli("bench", "--device", "browser", "--lan", "--bundle", tiny_bundle, "--wait-for-device", "0ms",
                   "-o", tmp_path / "run")  # fmt: skip
    assert done.exit_code == 1
    assert "Everybody in this network who has the address can read the bundle" in done.stderr
    assert "█" in done.stderr  # the QR code


def test_one_browser_is_waited_for_by_its_name_alone(run_cli: Callable[..., CliResult], tmp_path: Path) -> None:
    options = DeviceOptions(adb=tmp_path / "none")
    [device] = find_devices("browser", options)
    assert isinstance(device, BrowserDevice)
    assert device.kernel_families("tflite") == ("xnnpack",)
    with pytest.raises(BenchError, match="a browser runs no onnx bundles; convert for tflite"):
        device.kernel_families("onnx")
    with pytest.raises(BenchError, match=r"--device all: no phone is ready.*--device browser waits for one to come"):
        find_devices("all", options)
    with pytest.raises(BenchError, match="no device matches"):
        find_devices("brow", options)
    listed = json.loads(run_cli("devices", "--json").stdout)["devices"]
    [entry] = [one for one in listed if one["kind"] == "browser"]
    assert (entry["state"], entry["id"]) == ("on demand", "browser")
    refused = run_cli("bench", "--bundle", tmp_path, "--lan")
    assert refused.exit_code == 2
    assert "give them with --device browser" in refused.stderr


def test_figures_become_the_bundles_latency_table(
    tiny_bundle: Path, run_cli: Callable[..., CliResult], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole command, with a page in a thread of its own; the table's source says that it is a browser."""
    bundle = Path(shutil.copytree(tiny_bundle, tmp_path / "mine"))
    came = threading.Event()
    threads = []

    def visit(invitation: Invitation) -> None:
        def measure() -> None:
            page = ScriptedPage(invitation.address, bundle)
            page.hello()
            page.await_work()
            page.measure(QUERIES)
            page.await_end()
            came.set()

        threads.append(threading.Thread(target=measure))
        threads[0].start()

    monkeypatch.setattr(bench_command, "show_invitation", visit)
    monkeypatch.setattr(bench_command, "QUICK", EFFORT)
    done = run_cli("bench", "--device", "browser", "--bundle", bundle, "--quick", "--update-bundle", "--no-images",
                   "--size", "40x24", "-o", tmp_path / "run", "--json")  # fmt: skip
    assert done.exit_code == 0, done.stderr
    threads[0].join(PATIENCE_S)
    assert came.is_set()
    latency = json.loads((bundle / "manifest.json").read_text())["latency"]
    assert latency["source"].startswith("p90 on Firefox 150 on Linux (browser), ")
    assert latency["entries"][0]["us_per_megapixel"] == -(-LATENCY_US * 1_000_000 // (40 * 24))
    assert run_header(read_log(tmp_path / "run")).device.kind == "browser"
    shown = run_cli("report", tmp_path / "run", "--markdown")
    assert shown.exit_code == 0, shown.stderr
    assert "(browser)" in shown.stdout
    assert "never of a native app" in shown.stdout
    assert "CAUTION: Coarse clock" in shown.stdout
