"""A program that is asked ends with the answer, with the time it has, or with Ctrl-C."""

import signal
import subprocess
import sys
import threading
from typing import Any

import pytest

from qsr_edge.bench.tool import run_tool

pytestmark = pytest.mark.usefixtures("usual_signals")

SLEEP = [sys.executable, "-c", "import time; time.sleep(600)"]


class Kept(subprocess.Popen[bytes]):
    """Remembers what was started."""

    started: list["Kept"]

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.started.append(self)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Kept]:
    Kept.started = []
    monkeypatch.setattr(subprocess, "Popen", Kept)
    return Kept.started


def test_what_it_prints_and_its_exit_code() -> None:
    script = "import sys; print('out'); print('err', file=sys.stderr); sys.exit(sys.stdin.read() == '' and 3)"
    ran = run_tool([sys.executable, "-c", script], 60)
    assert (ran.returncode, ran.stdout, ran.stderr) == (3, b"out\n", b"err\n")


def test_it_is_ended_when_its_time_is_over(started: list[Kept]) -> None:
    with pytest.raises(subprocess.TimeoutExpired):
        run_tool(SLEEP, 0.1)
    assert [process.returncode for process in started] == [-signal.SIGKILL]


def test_what_cannot_be_run() -> None:
    with pytest.raises(FileNotFoundError):
        run_tool(["/no/such/program"], 60)


@pytest.mark.parametrize("when", ["starting", "running", "being waited for"])
def test_ctrl_c_ends_it_first(monkeypatch: pytest.MonkeyPatch, started: list[Kept], when: str) -> None:
    real_init, real_communicate = Kept.__init__, Kept.communicate
    thread = threading.main_thread().ident
    assert thread is not None
    soon = threading.Timer(0.2, signal.pthread_kill, (thread, signal.SIGINT))

    def init(self: Kept, *arguments: Any, **options: Any) -> None:
        real_init(self, *arguments, **options)
        signal.raise_signal(signal.SIGINT)

    def communicate(self: Kept, *arguments: Any, **options: Any) -> tuple[bytes, bytes]:
        if when == "running":
            signal.raise_signal(signal.SIGINT)
        else:
            soon.start()
        return real_communicate(self, *arguments, **options)

    if when == "starting":
        monkeypatch.setattr(Kept, "__init__", init)
    else:
        monkeypatch.setattr(Kept, "communicate", communicate)
    with pytest.raises(KeyboardInterrupt):
        run_tool(SLEEP, 60)
    assert [process.returncode for process in started] == [-signal.SIGKILL]
