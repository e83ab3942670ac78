"""Several runs at once are interrupted at once."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from qsr_edge.bench import fleet
from tests.waiting import wait_until

# Writes its name when it runs, and when it was interrupted; then takes three seconds to clean up.
_RUN = """
import pathlib, signal, sys, time
path = pathlib.Path(sys.argv[1])
signal.signal(signal.SIGINT, signal.default_int_handler)
try:
    path.write_text("running")
    time.sleep(60)
except KeyboardInterrupt:
    path.write_text(str(time.monotonic()))
    time.sleep(3)
    sys.exit(130)
"""


def test_an_interruption_reaches_all_before_any_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = subprocess.Popen

    def popen(command: list[str], **options: Any) -> "subprocess.Popen[bytes]":
        return real([sys.executable, "-c", _RUN, *command[3:]], **options)

    monkeypatch.setattr(subprocess, "Popen", popen)
    paths = [tmp_path / name for name in "abc"]

    def interrupt_once_all_run(running: object) -> None:
        wait_until(lambda: all(path.exists() and path.read_text() == "running" for path in paths))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fleet.run_fleet({path.name: [str(path)] for path in paths}, on_change=interrupt_once_all_run)
    moments = [float(path.read_text()) for path in paths]
    # One after the other would be three seconds apart each.
    assert max(moments) - min(moments) < 2.5


def test_ends_are_told_by_device() -> None:
    ends = fleet.run_fleet({"a": ["--version"], "b": ["bench", "--bundle", "x", "--sustained", "5"]})
    assert ends["a"].exit_code == 0
    assert ends["a"].output.strip()
    assert ends["b"].exit_code == 1
    assert "expected a duration" in ends["b"].message
