"""Bundles in Chromium against this machine's LiteRT: bytes, time, the weight of the page, and the wait for a picture.

    python benchmarks/web.py [BUNDLE or name]... [--builds compat plain threaded] [--rounds N]
        [--only bytes|time|page|memory] [--firefox]

- *bytes*: the bundled photo, in tiles, in each build of LiteRT.js and at each depth, against the whole photo run at
  once natively.
- *time*: windows of the page's usual size, browser and native in turns; wall clock and CPU time per megapixel of what
  is read, medians of the rounds. CPU time is that of all of Chromium's processes.
- *page*: bytes that a first visit transfers, and seconds from opening to the first upscaled picture.
- *memory*: of Chromium's renderers, while the page upscales a photo of 12 megapixels at the least depth.

Needs Linux, Chromium (QSR_EDGE_CHROMIUM, or on the path) and playwright. With ``--firefox`` bytes are compared in
Firefox (QSR_EDGE_FIREFOX, or on the path) instead, and nothing else.
"""

import argparse
import io
import json
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from http import HTTPStatus
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage
from playwright.sync_api import Browser, Page, sync_playwright

from qsr_edge.assets import demo_photo
from qsr_edge.bundle.reader import Bundle, open_bundle
from qsr_edge.conversion.cached import cached_bundle
from qsr_edge.data.images import read_picture
from qsr_edge.runtime.upscale import load_depth
from qsr_edge.web.server import Handler, Request, Response, WebServer
from qsr_edge.web.site import DEFAULT_TILE_PX, site_files
from qsr_edge.zoo import zoo_entries
from tests.support.firefox import find_firefox, opened_in_firefox

Image = NDArray[np.uint8]
OpenPage = Callable[[str], AbstractContextManager[object]]

PATIENCE_MS = 600_000
BUILDS = {"compat": 1, "plain": 1, "threaded": 2}
"""Builds of LiteRT.js, and the threads that each is run with."""
# The second line stands in for a browser without relaxed SIMD: the module that LiteRT.js tries it with fails there.
WORKER = """
const {instantiate} = WebAssembly;
WebAssembly.instantiate = (code, ...rest) =>
  self.without && code.length === 36 ? Promise.reject(new Error('no relaxed SIMD')) : instantiate(code, ...rest);
const modules = ['network', 'models', 'upscale'].map((name) => import(`./${name}.mjs`));
let network;
self.onmessage = async ({data}) => {
  try {
    self.without = data.build === 'compat';
    const [{load, loadedBuild}, {fetchModel, sizedModel}, {upscaleTiled}] = await Promise.all(modules);
    const site = await (await fetch('site.json')).json();
    const entry = site.models.find((model) => model.depth === data.depth);
    const {height, width} = data;
    const rgb = new Uint8Array(await (await fetch('input')).arrayBuffer());
    const bytes = await fetchModel(entry, self.location);
    const open = (rows, columns) => load(sizedModel(bytes, entry.places, rows, columns), {threads: data.threads});
    if (data.task === 'time') {
      network ??= await open(height, width);
      const began = performance.now();
      for (let i = 0; i < data.repeat; i++) await network.run(rgb);
      self.postMessage({ms: (performance.now() - began) / data.repeat, build: loadedBuild()});
      return;
    }
    const read = (top, left, rows, columns) => {
      const window = new Uint8Array(rows * columns * 3);
      for (let y = 0; y < rows; y++) {
        const from = ((top + y) * width + left) * 3;
        window.set(rgb.subarray(from, from + columns * 3), y * columns * 3);
      }
      return window;
    };
    const parts = [];
    const options = {tile: site.tile_px, halo: entry.halo_px, grid: entry.grid_px, scale: site.scale, open};
    await upscaleTiled({height, width, grey: false, read}, {...options, onRows: (rows) => parts.push(rows)});
    await fetch('output', {method: 'POST', body: new Blob(parts)});
    self.postMessage({build: loadedBuild()});
  } catch (error) {
    self.postMessage({error: String(error)});
  }
};
"""
ASK = """(job) => new Promise((resolve, reject) => {
  self.bench ??= new Worker('bench-worker.js');
  self.bench.onmessage = ({data}) => (data.error ? reject(new Error(data.error)) : resolve(data));
  self.bench.onerror = (event) => reject(new Error(event.message));
  self.bench.postMessage(job);
})"""
# In a browser that nobody drives: job after job, each in a worker of its own.
ALONE = b"""
for (;;) {
  const response = await fetch('job');
  if (response.status === 204) break;
  const worker = new Worker('bench-worker.js');
  const told = await new Promise(async (resolve) => {
    worker.onmessage = ({data}) => resolve(data);
    worker.onerror = (event) => resolve({error: event.message});
    worker.postMessage(await response.json());
  });
  worker.terminate();
  await fetch('told', {method: 'POST', body: JSON.stringify(told)});
}
"""
ALONE_PAGE = (
    b"<!doctype html><title>bench</title><link rel=icon href=favicon.svg><script type=module src=alone.mjs></script>"
)
BLANK = b"<!doctype html><title>bench</title><link rel=icon href=favicon.svg>"


class Exchange:
    """What goes to the browser and comes from it."""

    def __init__(self) -> None:
        self.input: Image = np.zeros((1, 1, 3), np.uint8)
        self.output = b""

    def give(self, _request: Request) -> Response:
        """Answer with the input."""
        return Response(body=self.input.tobytes(), content_type="application/octet-stream")

    def take(self, request: Request) -> Response:
        """Keep the output."""
        self.output = request.body
        return Response()


@contextmanager
def served(bundle: Bundle, exchange: Exchange, routes: Mapping[str, Handler] | None = None) -> Iterator[WebServer]:
    """The site of a bundle, with what this benchmark adds to it."""
    own = {"bench-worker.js": WORKER.encode(), "blank.html": BLANK, "alone.html": ALONE_PAGE, "alone.mjs": ALONE}
    both = {"input": exchange.give, "output": exchange.take, **(routes or {})}
    with WebServer({**site_files(bundle), **own}, routes=both) as server:
        yield server


@contextmanager
def page_of(browser: Browser, url: str) -> Iterator[Page]:
    """A page of a context of its own, which has cached nothing."""
    context = browser.new_context()
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    page.goto(url)
    yield page
    context.close()


class ByteJobs:
    """Jobs that a page asks for one after the other, and what came of them."""

    def __init__(self, bundle: Bundle, builds: Sequence[str]):
        """Run every depth natively."""
        self.exchange = Exchange()
        self.exchange.input = photo = read_picture(demo_photo()).rgb
        self.expected = {
            entry.depth: load_depth(bundle, depth=entry.depth).runner.run(photo) for entry in bundle.manifest.depths
        }
        self._waiting = [(build, depth) for build in builds for depth in self.expected]
        self._current = self._waiting[0]
        self.compared, self.different = dict.fromkeys(builds, 0), dict.fromkeys(builds, 0)
        self.failure = ""
        self.done = threading.Event()

    def give(self, _request: Request) -> Response:
        """Answer with the next job."""
        if self.failure or not self._waiting:
            self.done.set()
            return Response(status=HTTPStatus.NO_CONTENT)
        self._current = build, depth = self._waiting.pop(0)
        height, width = self.exchange.input.shape[:2]
        job = {"depth": depth, "build": build, "threads": BUILDS[build], "height": height, "width": width}
        return Response(body=json.dumps(job).encode())

    def take(self, request: Request) -> Response:
        """Compare what was sent before."""
        (build, depth), told = self._current, json.loads(request.body)
        whole = self.expected[depth]
        if told != {"build": build} or len(self.exchange.output) != whole.size:
            self.failure = f"{build}, depth {depth}: got {told} and {len(self.exchange.output)} bytes"
            return Response()
        made = np.frombuffer(self.exchange.output, np.uint8).reshape(whole.shape)
        self.compared[build] += made.size
        self.different[build] += int(np.count_nonzero(made != whole))
        self.exchange.output = b""
        return Response()


def compare_bytes(open_page: OpenPage, bundle: Bundle, builds: Sequence[str]) -> None:
    """Print a row of bytes compared and different for each build."""
    jobs = ByteJobs(bundle, builds)
    routes = {"job": jobs.give, "told": jobs.take}
    with served(bundle, jobs.exchange, routes) as server, open_page(f"{server.url}alone.html"):
        if not jobs.done.wait(PATIENCE_MS / 1000) or jobs.failure:
            raise SystemExit(jobs.failure or "the browser did not come to an end")
    for build in builds:
        depths = " / ".join(map(str, jobs.expected))
        print(
            f"| {bundle.manifest.name} | {depths} | {build} | {jobs.different[build]:,} of {jobs.compared[build]:,} |",
            flush=True,
        )


def firefox_page(url: str) -> AbstractContextManager[None]:
    """The page in Firefox."""
    executable = find_firefox()
    if executable is None:
        raise SystemExit("no firefox: install it, or set QSR_EDGE_FIREFOX")
    return opened_in_firefox(executable, url)


def descendants(root: int) -> list[Path]:
    """Folders in /proc of a process and its descendants that still run."""
    parents: dict[int, list[int]] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                parent = (folder / "stat").read_text().rpartition(")")[2].split()[1]
            except OSError:
                continue  # ended meanwhile
            parents.setdefault(int(parent), []).append(int(folder.name))
    waiting, found = [root], []
    while waiting:
        process = waiting.pop()
        found.append(Path("/proc") / str(process))
        waiting += parents.get(process, [])
    return found


def cpu_seconds(root: int) -> float:
    """CPU time of a process and its descendants that still run."""
    total = 0
    for folder in descendants(root):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        total += int(fields[11]) + int(fields[12])
    return total / os.sysconf("SC_CLK_TCK")


def resident_mb(root: int) -> float:
    """Memory of the descendants of a process that are Chromium's renderers, each with what it shares counted once."""
    total_kb = 0
    for folder in descendants(root):
        try:
            if b"--type=renderer" in (folder / "cmdline").read_bytes():
                lines = (folder / "smaps_rollup").read_text().splitlines()
                total_kb += next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
        except OSError:
            continue
    return total_kb / 1000


def compare_times(browser: Browser, bundle: Bundle, builds: Sequence[str], rounds: int, repeat: int) -> None:
    """Print wall and CPU seconds per megapixel, browser and native, and their ratios."""
    exchange = Exchange()
    for entry in bundle.manifest.depths:
        side = DEFAULT_TILE_PX + 2 * entry.halo_px
        exchange.input = np.random.default_rng(0).integers(0, 256, (side, side, 3)).astype(np.uint8)
        megapixels = side * side / 1e6
        for build in builds:
            threads = BUILDS[build]
            runner = load_depth(bundle, depth=entry.depth, threads=threads).runner
            job = {"task": "time", "depth": entry.depth, "build": build, "threads": threads, "height": side}
            job |= {"width": side, "repeat": repeat}
            wall: dict[str, list[float]] = {"browser": [], "native": []}
            cpu: dict[str, list[float]] = {"browser": [], "native": []}
            with served(bundle, exchange) as server, page_of(browser, f"{server.url}blank.html") as page:
                page.evaluate(ASK, job)  # loads, plans, warms up
                runner.run(exchange.input)
                for _ in range(rounds):
                    before = cpu_seconds(os.getpid()) - time.process_time()
                    wall["browser"].append(page.evaluate(ASK, job)["ms"] / 1000 / megapixels)
                    after = cpu_seconds(os.getpid()) - time.process_time()
                    cpu["browser"].append((after - before) / repeat / megapixels)
                    start, start_cpu = time.perf_counter(), time.process_time()
                    for _ in range(repeat):
                        runner.run(exchange.input)
                    wall["native"].append((time.perf_counter() - start) / repeat / megapixels)
                    cpu["native"].append((time.process_time() - start_cpu) / repeat / megapixels)
            in_wall, in_cpu = ({name: median(values) for name, values in kind.items()} for kind in (wall, cpu))
            print(
                f"| {bundle.manifest.name} | {entry.depth} | {build}, {threads} | {in_wall['browser']:.2f} / "
                f"{in_wall['native']:.2f} ({in_wall['browser'] / in_wall['native']:.1f}) | {in_cpu['browser']:.2f} / "
                f"{in_cpu['native']:.2f} ({in_cpu['browser'] / in_cpu['native']:.1f}) |",
                flush=True,
            )


def visit_page(browser: Browser, bundle: Bundle, rounds: int) -> None:
    """Print what a first visit costs: bytes by kind, and seconds to the picture."""
    waits, opened, sizes = [], [], {}
    for _ in range(rounds):
        with served(bundle, Exchange()) as server:
            context = browser.new_context()
            context.set_default_timeout(PATIENCE_MS)
            finished: list[tuple[str, int]] = []
            context.on(
                "requestfinished",
                lambda request, finished=finished: finished.append((request.url, request.sizes()["responseBodySize"])),
            )
            page = context.new_page()
            start = time.perf_counter()
            page.goto(server.url)
            page.locator("#sample").click()
            page.locator("#upscale:enabled").click()
            opened.append(time.perf_counter() - start)
            page.locator("#download:visible").wait_for()
            waits.append(time.perf_counter() - start)
            sizes = {url.removeprefix(server.url): size for url, size in finished if url.startswith(server.url)}
            context.close()
    heavy = sum(size for path, size in sizes.items() if path.startswith("litert/"))
    models = sum(size for path, size in sizes.items() if path.startswith("models/"))
    sample = sizes.get("sample.png", 0)
    rest = sum(sizes.values()) - heavy - models - sample
    print(
        f"first visit, compressed as the server does: LiteRT.js {heavy:,} bytes, model {models:,}, sample photo "
        f"{sample:,}, page {rest:,} in {len(sizes)} files"
    )
    depth = bundle.manifest.depths[-1].depth
    print(
        f"from opening to the first picture (480x320, depth {depth}, threads of the page's choice): median "
        f"{median(waits):.1f} s of {rounds}; to the pressed button {median(opened):.1f} s"
    )


def measure_memory(browser: Browser, bundle: Bundle, megapixels: float) -> None:
    """Print the most that Chromium's renderers hold while a large photo is upscaled."""
    with PillowImage.open(demo_photo()) as photo:
        factor = (megapixels * 1e6 / (photo.width * photo.height)) ** 0.5
        large = photo.convert("RGB").resize((round(photo.width * factor), round(photo.height * factor)))
    file = io.BytesIO()
    large.save(file, "JPEG", quality=90)
    with served(bundle, Exchange()) as server, page_of(browser, server.url) as page:
        page.set_input_files("#file", {"name": "large.jpg", "mimeType": "image/jpeg", "buffer": file.getvalue()})
        page.locator("input[name=depth]").first.check()
        idle_mb = most_mb = resident_mb(os.getpid())
        page.locator("#upscale:enabled").click()
        while page.locator("#download:visible").count() == 0:
            most_mb = max(most_mb, resident_mb(os.getpid()))
            page.wait_for_timeout(250)
        told, facts = page.locator("#status").inner_text(), page.locator("#facts").inner_text().replace("\n", " ")
    print(f"{large.width}x{large.height}: {told} {facts}")
    print(f"renderers: {idle_mb:.0f} MB before, {most_mb:.0f} MB at most")


def bundle_path(name: str) -> Path:
    """A bundle's path, or that of a bundled network's."""
    return Path(name) if Path(name).exists() else cached_bundle(name, "tflite")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "bundles", nargs="*", help="bundles, or names of bundled networks; all quantized ones by default"
    )
    parser.add_argument("--builds", nargs="+", choices=list(BUILDS), default=list(BUILDS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--repeat", type=int, default=3, help="runs of a window in a round of time")
    parser.add_argument("--only", choices=["bytes", "time", "page", "memory"])
    parser.add_argument("--megapixels", type=float, default=12, help="of the photo, for memory")
    parser.add_argument("--firefox", action="store_true", help="compare bytes in Firefox")
    options = parser.parse_args()
    names = options.bundles or [entry.name for entry in zoo_entries() if entry.bits]
    if options.firefox:
        for name in names:
            with open_bundle(bundle_path(name)) as bundle:
                compare_bytes(firefox_page, bundle, options.builds)
        return
    executable = os.environ.get("QSR_EDGE_CHROMIUM") or shutil.which("chromium")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=executable, args=["--no-sandbox", "--disable-gpu"])
        print(f"Chromium {browser.version}, {os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f}")
        for name in names:
            with open_bundle(bundle_path(name)) as bundle:
                if options.only in (None, "bytes"):
                    compare_bytes(partial(page_of, browser), bundle, options.builds)
                if options.only in (None, "time"):
                    compare_times(browser, bundle, options.builds, options.rounds, options.repeat)
                if options.only in (None, "page"):
                    visit_page(browser, bundle, options.rounds)
                if options.only == "memory":
                    measure_memory(browser, bundle, options.megapixels)
        browser.close()


if __name__ == "__main__":
    main()
