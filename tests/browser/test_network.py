"""LiteRT.js in real browsers: a bundle's models, set to a size by JavaScript, compute the golden bytes."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from queue import Queue

import numpy as np
import pytest

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytest.importorskip("ai_edge_litert", reason="the extra [tflite] is not installed")

from playwright.sync_api import Browser, Page

from qsr_edge.bundle.golden import golden_image, image_sha256
from qsr_edge.bundle.reader import open_bundle
from qsr_edge.runtime.upscale import load_depth
from qsr_edge.web.server import Request, Response, WebServer
from qsr_edge.web.site import site_files
from tests.support.chromium import WAIT_MS
from tests.support.firefox import find_firefox, opened_in_firefox
from tests.support.paths import REPOSITORY
from tests.support.waiting import PATIENCE_S

# Run in a classic worker, as on the page. The second line stands in for a browser without relaxed SIMD, as Safari is:
# the module that LiteRT.js tries it with, of 36 bytes, does not compile there.
WORKER = """
const {instantiate} = WebAssembly;
WebAssembly.instantiate = (code, ...rest) =>
  self.without && code.length === 36 ? Promise.reject(new Error('no relaxed SIMD')) : instantiate(code, ...rest);
const modules = ['network', 'models', 'golden', 'sha256'].map((name) => import(`./${name}.mjs`));
self.onmessage = async ({data}) => {
  self.without = data.build === 'compat';
  try {
    const [{load, loadedBuild}, {fetchModel, sizedModel}, {goldenImage}, {sha256}] = await Promise.all(modules);
    const base = new URL('.', self.location);
    const site = await (await fetch(new URL('site.json', base))).json();
    const digests = [];
    for (const entry of site.models) {
      const bytes = await fetchModel(entry, base);
      for (const [height, width] of data.sizes) {
        const network = await load(sizedModel(bytes, entry.places, height, width), {threads: data.threads});
        digests.push([entry.depth, height, width, sha256(await network.run(goldenImage(data.seed, height, width)))]);
        network.close();
      }
    }
    self.postMessage({build: loadedBuild(), digests});
  } catch (error) {
    self.postMessage({error: String(error)});
  }
};
"""
ASK = """(job) => new Promise((resolve, reject) => {
  const worker = new Worker('test-worker.js');
  worker.onmessage = (event) => { worker.terminate(); resolve(event.data); };
  worker.onerror = (event) => reject(new Error(event.message));
  worker.postMessage(job);
})"""
# In a browser that nobody drives, a page does the same and sends what it found.
ALONE = (
    f"const ask = {ASK};"
    + """
const job = await (await fetch('job')).json();
const told = await ask(job).catch((error) => ({error: String(error)}));
await fetch('told', {method: 'POST', body: JSON.stringify(told)});
"""
)
SEED = 7
SIZES = [(48, 64), (1, 1), (5, 37)]
BUILDS = [(1, "plain"), (1, "compat"), (2, "threaded")]


def job(threads: int, build: str) -> dict[str, object]:
    return {"sizes": SIZES, "threads": threads, "build": build, "seed": SEED}


@pytest.fixture(scope="module")
def digests(tiny_bundle: Path) -> list[list[int | str]]:
    """What Python computes: [depth, height, width, sha256]."""
    expected: list[list[int | str]] = []
    with open_bundle(tiny_bundle) as bundle:
        for entry in bundle.manifest.depths:
            native = load_depth(bundle, depth=entry.depth).runner
            expected += [[entry.depth, *size, image_sha256(native.run(golden_image(SEED, *size)))] for size in SIZES]
    return expected


@pytest.fixture(scope="module")
def server(tiny_bundle: Path, litert_js_archives: Path) -> Iterator[WebServer]:
    with open_bundle(tiny_bundle) as bundle:
        files = site_files(bundle)
    with WebServer(
        {**files, "test-worker.js": WORKER.encode(), "blank.html": b"<!doctype html><link rel=icon href=sample.png>"}
    ) as running:
        yield running


@pytest.fixture
def page(chromium: Browser, server: WebServer) -> Iterator[Page]:
    context = chromium.new_context()
    context.set_default_timeout(WAIT_MS)
    opened = context.new_page()
    complaints: list[str] = []
    opened.on("console", lambda message: complaints.append(message.text))
    opened.on("request", lambda request: request.url.startswith(server.url) or complaints.append(request.url))
    opened.goto(f"{server.url}blank.html")
    yield opened
    context.close()
    assert complaints == []


@pytest.mark.parametrize(("threads", "build"), BUILDS)
def test_every_depth_and_size_gives_python_s_bytes(
    page: Page, digests: list[list[int | str]], threads: int, build: str
) -> None:
    assert page.evaluate(ASK, job(threads, build)) == {"build": build, "digests": digests}


@pytest.mark.slow
@pytest.mark.parametrize(("threads", "build"), BUILDS)
def test_in_firefox_too(
    tiny_bundle: Path, litert_js_archives: Path, digests: list[list[int | str]], threads: int, build: str
) -> None:
    firefox = find_firefox()
    if firefox is None:
        pytest.skip("no firefox: install it (Debian: apt-get install firefox-esr), or set QSR_EDGE_FIREFOX")
    answers: Queue[bytes] = Queue()

    def give(request: Request) -> Response:
        return Response(body=json.dumps(job(threads, build)).encode())

    def take(request: Request) -> Response:
        answers.put(request.body)
        return Response()

    with open_bundle(tiny_bundle) as bundle:
        files = site_files(bundle)
    own = {
        "test-worker.js": WORKER.encode(),
        "alone.mjs": ALONE.encode(),
        "alone.html": b"<!doctype html><script type=module src=alone.mjs></script>",
    }
    with (
        WebServer(files | own, routes={"job": give, "told": take}) as server,
        opened_in_firefox(firefox, f"{server.url}alone.html"),
    ):
        told = json.loads(answers.get(timeout=PATIENCE_S))
    assert told == {"build": build, "digests": digests}


@pytest.mark.slow
def test_the_worker_of_the_documentation(chromium: Browser, tiny_bundle: Path, litert_js_archives: Path) -> None:
    """docs/web.md, Use it in your own page: the script as it is printed, and the files that it names alone."""
    text = (REPOSITORY / "docs" / "web.md").read_text(encoding="utf-8")
    [script] = re.findall(r"^```js\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    assert len(script.splitlines()) <= 26
    [named] = re.findall(r"^Copy (.*?) from a site", text, flags=re.MULTILINE | re.DOTALL)
    wanted = tuple(re.findall(r"`([^`]+)`", named))
    image = np.random.randint(0, 256, (31, 45, 3)).astype(np.uint8)
    with open_bundle(tiny_bundle) as bundle:
        everything = site_files(bundle, tile_px=16)
        expected = load_depth(bundle, depth=2).runner.run(image)
    files = {path: content for path, content in everything.items() if path.startswith(wanted)}
    own = {"upscaler.js": script.encode(), "index.html": b"<!doctype html><link rel=icon href=data:,>"}
    with WebServer(files | own) as server:
        context = chromium.new_context()
        page = context.new_page()
        page.goto(server.url)
        made = page.evaluate(
            """([levels, height, width, depth]) => new Promise((resolve, reject) => {
              const worker = new Worker('upscaler.js');
              worker.onmessage = async ({data}) => resolve(Array.from(new Uint8Array(await data.arrayBuffer())));
              worker.onerror = (event) => reject(new Error(event.message));
              worker.postMessage({rgb: Uint8Array.from(levels), height, width, depth});
            })""",
            [image.ravel().tolist(), *image.shape[:2], 2],
        )
        context.close()
    assert made == expected.ravel().tolist()
