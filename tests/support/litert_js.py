"""LiteRT.js for the tests: ``make litert-js`` fetches it once; no test does."""

import os
import shutil
from pathlib import Path

import pytest

from qsr_edge.files import cache_folder
from qsr_edge.web.litert_js import CORE, WASM_UTILS
from tests.support.paths import REPOSITORY


@pytest.fixture(scope="session")
def litert_js_archives(_cache_of_the_tests: None) -> Path:
    """The folder with LiteRT.js in the tests' cache; skips where it was not fetched."""
    source = Path(os.environ.get("QSR_EDGE_LITERT_JS") or REPOSITORY / ".litert-js") / "litertjs"
    folder = cache_folder() / "litertjs"
    folder.mkdir(parents=True, exist_ok=True)
    for package in (CORE, WASM_UTILS):
        if not (source / package.archive).is_file():
            pytest.skip(f"no {package.archive} in {source}: run `make litert-js`")
        shutil.copyfile(source / package.archive, folder / package.archive)
    return folder
