"""Several runs at once are interrupted at once."""

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from qsr_edge.bench import fleet
from tests.support.waiting import wait_until

pytestmark = pytest.mark.usefixtures("usual_signals")

# Says when it runs and when it was interrupted; then cleans up until so many files say that, or for fifty seconds,
# which is less than an interrupted run has.
_RUN = """
import pathlib, signal, sys, time
path, others = pathlib.Path(sys.argv[1]), int(sys.argv[2])
signal.signal(signal.SIGINT, signal.default_int_handler)
try:
    path.write_text("running")
    time.sleep(600)
except KeyboardInterrupt:
    path.write_text("interrupted")
    deadline = time.monotonic() + 50
    while sum(other.read_text() != "running" for other in path.parent.iterdir()) < others:
        if time.monotonic() > deadline:
            path.write_text("alone")
            sys.exit(1)
        time.sleep(0.02)
    sys.exit(130)
"""


def await_text(path: Path, text: str) -> None:
    wait_until(lambda: path.exists() and path.read_text() == text)


def test_an_interruption_reaches_all_before_any_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = subprocess.Popen

    def popen(command: list[str], **options: Any) -> "subprocess.Popen[bytes]":
        return real([sys.executable, "-c", _RUN, *command[3:], "3"], **options)

    monkeypatch.setattr(subprocess, "Popen", popen)
    paths = [tmp_path / name for name in "abc"]

    def interrupt_once_all_run(running: object) -> None:
        for path in paths:
            await_text(path, "running")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fleet.run_fleet({path.name: [str(path)] for path in paths}, on_change=interrupt_once_all_run)
    # One after the other, the first would have waited for the others in vain.
    assert [path.read_text() for path in paths] == ["interrupted"] * 3


@pytest.mark.parametrize("presses", [1, 2])
def test_a_process_that_has_just_been_started_is_stopped_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, presses: int
) -> None:
    """Ctrl-C between the start of a process and its being known, and again while all are stopped."""
    started: list[subprocess.Popen[bytes]] = []
    paths = [tmp_path / name for name in "abc"]

    class Pressed(subprocess.Popen[bytes]):
        def __init__(self, command: list[str], **options: Any) -> None:
            super().__init__([sys.executable, "-c", _RUN, *command[3:], "2"], **options)
            started.append(self)
            await_text(paths[len(started) - 1], "running")
            if len(started) == 2:
                signal.raise_signal(signal.SIGINT)

        def send_signal(self, sig: int) -> None:
            super().send_signal(sig)
            if (presses, sig) == (2, signal.SIGINT) and self is started[0]:
                signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(subprocess, "Popen", Pressed)
    try:
        with pytest.raises(KeyboardInterrupt):
            fleet.run_fleet({path.name: [str(path)] for path in paths})
        assert [process.returncode for process in started] == [130, 130]
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        for process in started:
            process.kill()
            process.wait()


def test_ends_are_told_by_device() -> None:
    ends = fleet.run_fleet({"a": ["--version"], "b": ["bench", "--bundle", "x", "--sustained", "5"]})
    assert ends["a"].exit_code == 0
    assert ends["a"].output.strip()
    assert ends["b"].exit_code == 2
    assert "expected a duration" in ends["b"].message
