"""Bundles in Chromium against this machine's LiteRT: bytes, time, the weight of the page, and the wait for a picture.

    python benchmarks/web.py [BUNDLE or name]... [--builds compat plain threaded] [--rounds N] [--only bytes|time|page]

- *bytes*: the bundled photo, in tiles, in each build of LiteRT.js and at each depth, against the whole photo run at
  once natively.
- *time*: windows of the page's usual size, browser and native in turns; wall clock and CPU time per megapixel of what
  is read, medians of the rounds. CPU time is that of all of Chromium's processes.
- *page*: bytes that a first visit transfers, and seconds from opening to the first upscaled picture.

Needs Linux, Chromium (QSR_EDGE_CHROMIUM, or on the path) and playwright.
"""

import argparse
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray
from playwright.sync_api import Browser, Page, sync_playwright

from qsr_edge.assets import demo_photo
from qsr_edge.bundle.reader import Bundle, open_bundle
from qsr_edge.conversion.cached import cached_bundle
from qsr_edge.data.images import read_picture
from qsr_edge.runtime.upscale import load_depth
from qsr_edge.web.server import Request, Response, WebServer
from qsr_edge.web.site import DEFAULT_TILE_PX, site_files
from qsr_edge.zoo import zoo_entries

Image = NDArray[np.uint8]

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
def served(bundle: Bundle, exchange: Exchange) -> Iterator[WebServer]:
    """The site of a bundle, with what this benchmark adds to it."""
    files = {**site_files(bundle), "bench-worker.js": WORKER.encode(), "blank.html": BLANK}
    with WebServer(files, routes={"input": exchange.give, "output": exchange.take}) as server:
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


def compare_bytes(browser: Browser, bundle: Bundle, builds: Sequence[str]) -> None:
    """Print a row of bytes compared and different for each build."""
    exchange = Exchange()
    exchange.input = read_picture(demo_photo()).rgb
    height, width = exchange.input.shape[:2]
    expected = {
        entry.depth: load_depth(bundle, depth=entry.depth).runner.run(exchange.input)
        for entry in bundle.manifest.depths
    }
    with served(bundle, exchange) as server:
        for build in builds:
            compared = different = 0
            for depth, whole in expected.items():
                with page_of(browser, f"{server.url}blank.html") as page:
                    job = {"depth": depth, "build": build, "threads": BUILDS[build], "height": height, "width": width}
                    told = page.evaluate(ASK, job)
                if told["build"] != build:
                    raise SystemExit(f"{build} was asked for, {told['build']} ran")
                made = np.frombuffer(exchange.output, np.uint8).reshape(whole.shape)
                compared += made.size
                different += int(np.count_nonzero(made != whole))
            depths = " / ".join(map(str, expected))
            print(f"| {bundle.manifest.name} | {depths} | {build} | {different:,} of {compared:,} |", flush=True)


def cpu_seconds(root: int) -> float:
    """CPU time of a process and its descendants that still run."""
    parents: dict[int, list[int]] = {}
    spent: dict[int, int] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue  # ended meanwhile
            parents.setdefault(int(fields[1]), []).append(int(folder.name))
            spent[int(folder.name)] = int(fields[11]) + int(fields[12])
    waiting, total = [root], 0
    while waiting:
        process = waiting.pop()
        total += spent.get(process, 0)
        waiting += parents.get(process, [])
    return total / os.sysconf("SC_CLK_TCK")


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


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "bundles", nargs="*", help="bundles, or names of bundled networks; all quantized ones by default"
    )
    parser.add_argument("--builds", nargs="+", choices=list(BUILDS), default=list(BUILDS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--repeat", type=int, default=3, help="runs of a window in a round of time")
    parser.add_argument("--only", choices=["bytes", "time", "page"])
    options = parser.parse_args()
    names = options.bundles or [entry.name for entry in zoo_entries() if entry.bits]
    executable = os.environ.get("QSR_EDGE_CHROMIUM") or shutil.which("chromium")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=executable, args=["--no-sandbox", "--disable-gpu"])
        print(f"Chromium {browser.version}, {os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f}")
        for name in names:
            path = Path(name) if Path(name).exists() else cached_bundle(name, "tflite")
            with open_bundle(path) as bundle:
                if options.only in (None, "bytes"):
                    compare_bytes(browser, bundle, options.builds)
                if options.only in (None, "time"):
                    compare_times(browser, bundle, options.builds, options.rounds, options.repeat)
                if options.only in (None, "page"):
                    visit_page(browser, bundle, options.rounds)
        browser.close()


if __name__ == "__main__":
    main()
