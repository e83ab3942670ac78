"""A real Chromium, the system's (Debian: ``chromium``); Playwright drives it and fetches none of its own."""

import os
import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.support.waiting import PATIENCE_S

if TYPE_CHECKING:
    from playwright.sync_api import Browser

FLAGS = (
    "--no-sandbox",  # CI runs as root
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
WAIT_MS = 1000 * PATIENCE_S


# Not of the session: while Playwright runs, nothing else in the process can run an event loop.
@pytest.fixture(scope="module")
def chromium() -> "Iterator[Browser]":
    """The browser, started once for each file of tests."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    executable = os.environ.get("QSR_EDGE_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if executable is None:
        pytest.skip("no chromium: install it (Debian: apt-get install chromium), or set QSR_EDGE_CHROMIUM")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=executable, args=list(FLAGS), timeout=WAIT_MS)
        yield browser
        browser.close()
