"""Fixtures of all tests: the command line in-process, pictures, seeds, and the rule that CI skips nothing."""

import io
import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Generator
from contextlib import ExitStack, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

# Before anything that reads it: with a core to each worker, more threads would only spin and wait for one another.
for _library in ("OMP", "OPENBLAS", "MKL"):
    os.environ.setdefault(f"{_library}_NUM_THREADS", "1")

import hypothesis
import numpy as np
import pytest

from tests.support.chromium import chromium
from tests.support.cpu_times import CpuTimes, add_cpu_option
from tests.support.litert_js import litert_js_archives
from tests.support.paths import IMAGES, PHOTO, REPOSITORY
from tests.support.reach import Contexts
from tests.support.tiny_model import tiny_bundle, tiny_checkpoint, tiny_fixed_bundle
from tests.support.tiny_program import tiny_network, tiny_program
from tests.support.waiting import PATIENCE_S

if TYPE_CHECKING:
    from tests.support.phone_simulator.adb_server import AdbServer
    from tests.support.phone_simulator.phone import Phone

__all__ = [
    "chromium", "litert_js_archives", "tiny_bundle", "tiny_checkpoint", "tiny_fixed_bundle", "tiny_network",
    "tiny_program",
]  # fmt: skip

SEED = 20240229

# With this variable set, a test that would be skipped fails: CI has every tool, so a skip there hides a broken set-up.
REQUIRE_ALL = os.environ.get("QSR_EDGE_REQUIRE_ALL", "") not in ("", "0")
# Exempt all the same: the standard images may not be redistributed, so a checkout without them is not broken.
MAY_SKIP = pytest.StashKey[bool]()

SLOW_TO_LOAD = ("executorch", "coreml")
"""What the files or parameters of tests are called that use these SDKs."""

hypothesis.settings.register_profile("default", deadline=None)
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "default")


def pytest_addoption(parser: pytest.Parser) -> None:
    add_cpu_option(parser)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What uses the SDKs that take longest to load comes first, and so in one process of those that share the tests."""
    items.sort(key=lambda item: not any(sdk in item.nodeid for sdk in SLOW_TO_LOAD))


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(CpuTimes(config), "qsr-edge-cpu-times")
    config.pluginmanager.register(Contexts(), "qsr-edge-contexts")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """One to each core that this process may use; xdist itself counts cores of the machine, or halves of them."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _why(report: pytest.TestReport | pytest.CollectReport) -> str:
    # A skip carries (path, line, reason).
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return f"{reason}\n(a skip is a failure because QSR_EDGE_REQUIRE_ALL is set)"


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    exempt = item.get_closest_marker("device") or item.stash.get(MAY_SKIP, False) or hasattr(report, "wasxfail")
    if REQUIRE_ALL and report.skipped and not exempt:
        report.outcome = "failed"
        report.longrepr = _why(report)
    return report


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    on_device = (REPOSITORY / "tests" / "device") in collector.path.parents
    if REQUIRE_ALL and report.skipped and not on_device:
        report.outcome = "failed"
        report.longrepr = _why(report)
    return report


@pytest.fixture(autouse=True, scope="session")
def _cache_of_the_tests(tmp_path_factory: pytest.TempPathFactory) -> Generator[None, None, None]:
    """What is kept for the next time is kept for the tests alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("QSR_EDGE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(autouse=True)
def _seeded() -> None:
    random.seed(SEED)
    np.random.seed(SEED)
    # Seeding torch must not be what imports it: most tests run without.
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.manual_seed(SEED)


@pytest.fixture
def usual_signals() -> Generator[None, None, None]:
    """Signals that end a program do so; started by nohup or in the background, tests and their children ignore some."""
    usual = {
        signal.SIGINT: signal.default_int_handler,
        signal.SIGTERM: signal.SIG_DFL,
        signal.SIGHUP: signal.SIG_DFL,
    }
    before = {number: signal.signal(number, handler) for number, handler in usual.items()}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@dataclass(frozen=True, slots=True, kw_only=True)
class CliResult:
    exit_code: int
    stdout: str
    stderr: str


@pytest.fixture
def run_cli(monkeypatch: pytest.MonkeyPatch) -> Callable[..., CliResult]:
    """Run ``qsr-edge ARGS`` in this process: ``run_cli("inspect", path)``. A defect's exception comes through."""
    from qsr_edge.cli.main import main

    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "dumb")

    def run(*args: str | os.PathLike[str]) -> CliResult:
        out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
        with redirect_stdout(out), redirect_stderr(err):
            try:
                exit_code = main([os.fspath(arg) for arg in args])
            except SystemExit as exc:
                exit_code = exc.code if isinstance(exc.code, int) else 1
        stdout, stderr = (stream.buffer.getvalue().decode() for stream in (out, err))
        return CliResult(exit_code=exit_code, stdout=stdout, stderr=stderr)

    return run


@pytest.fixture(scope="session")
def photo() -> Path:
    """The bundled demo photo: 480x320 RGB PNG, both sides divisible by 4."""
    return PHOTO


@pytest.fixture(scope="session")
def images() -> Path:
    """The folder of small pictures, one per kind of file; tests/images/README.md lists them."""
    return IMAGES


@pytest.fixture
def standard_images(request: pytest.FixtureRequest) -> Path:
    """The folder with ``test/Set5``, ``test_lr/Set5/X2`` and so on that QSR_EDGE_DATA names; skips when unset."""
    named = os.environ.get("QSR_EDGE_DATA")
    if not named:
        request.node.stash[MAY_SKIP] = True
        pytest.skip("QSR_EDGE_DATA does not name a folder with the standard test images")
    folder = Path(named)
    if not (folder / "test" / "Set5").is_dir():
        pytest.fail(f"QSR_EDGE_DATA is {folder}, which has no test/Set5")
    return folder


@pytest.fixture(scope="session")
def tflite_runtime_python() -> Path:
    """The interpreter of an environment with tflite-runtime 2.14, from ``make parity-env``; skips without one."""
    default = REPOSITORY / ".venv-tflite-runtime" / "bin" / "python"
    python = Path(os.environ.get("QSR_EDGE_TFLITE_RUNTIME_PYTHON") or default)
    try:
        check = [python, "-c", "import tflite_runtime.interpreter"]
        found = subprocess.run(check, capture_output=True, timeout=PATIENCE_S)
    except OSError:
        pytest.skip(f"no interpreter at {python}: run `make parity-env`")
    if found.returncode != 0:
        pytest.skip(f"{python} has no tflite_runtime: run `make parity-env`")
    return python


@pytest.fixture(scope="session")
def aarch64_root() -> Path:
    """A folder with an AArch64 Python and LiteRT for qemu, from ``make aarch64-root``; skips without one."""
    root = Path(os.environ.get("QSR_EDGE_AARCH64_ROOT") or REPOSITORY / ".aarch64-root")
    if not (root / "usr" / "bin" / "python3.11").exists():
        pytest.skip(f"no AArch64 Python in {root}: run `make aarch64-root`")
    if shutil.which("qemu-aarch64-static") is None:
        pytest.skip("qemu-aarch64-static is not installed: run `make aarch64-root`")
    return root


@pytest.fixture(scope="session")
def adb_server(tmp_path_factory: pytest.TempPathFactory) -> "Generator[AdbServer, None, None]":
    """The real adb with a server of its own for this session; skips where adb is not installed."""
    from tests.support.phone_simulator.adb_server import AdbServer, find_adb

    binary = find_adb()
    if binary is None:
        pytest.skip("adb is not installed: on Debian, `apt-get install adb`")
    server = AdbServer(tmp_path_factory.mktemp("adb"), binary)
    yield server
    server.stop()


@pytest.fixture
def phone(adb_server: "AdbServer") -> "Generator[Callable[..., Phone], None, None]":
    """Simulated phones that the session's adb server sees: ``phone(SAMSUNG, agent=...)``; arguments as ``Phone``."""
    from tests.support.phone_simulator.adb_server import Cable
    from tests.support.phone_simulator.phone import Phone

    with ExitStack() as open_phones:
        phones = []

        def start(*args: object, **options: object) -> "Phone":
            one = open_phones.enter_context(Phone(*args, **options))
            phones.append(one)
            open_phones.callback(Cable(adb_server, one).remove)
            adb_server.await_state(one.address, "device" if one.authorization == "granted" else "unauthorized")
            return one

        yield start
    assert [defect for one in phones for defect in one.defects] == []
