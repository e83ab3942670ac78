"""An environment without an extra skips what needs it; no test file fails there before its tests are known."""

import subprocess
import sys

import pytest

from tests.support.paths import REPOSITORY

PROBE = """
import sys
for package in sys.argv[1:]:
    sys.modules[package] = None
import pytest
sys.exit(pytest.main(["--collect-only", "-qq", "-p", "no:cacheprovider", "-m", "", "tests"]))
"""


OF_EXTRAS = (
    "ai_edge_litert", "coremltools", "executorch", "flatbuffers", "jinja2", "lmdb", "matplotlib", "tensorboard",
    "torch", "torchao", "tosa_reference_model", "tosa_serializer",
)  # fmt: skip

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("missing", [("torch",), OF_EXTRAS], ids=["torch", "every extra"])
def test_files_are_collected_without(missing: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("QSR_EDGE_REQUIRE_ALL", raising=False)
    command = [sys.executable, "-c", PROBE, *missing]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
