"""Several devices at once: each in a process of its own, so that one that hangs or fails keeps nobody."""

import contextlib
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import IO

from qsr_edge.bench.interruption import Interruption

_POLL_S = 0.5
_GRACE_S = 60.0
"""Time that an interrupted run has to fetch what was measured and to clean its device."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetEnd:
    """How one device's run ended: exit code, standard output, and the last line of standard error."""

    exit_code: int
    output: str
    message: str


def run_fleet(
    commands: Mapping[str, Sequence[str]], on_change: Callable[[Sequence[str]], None] = lambda running: None
) -> dict[str, FleetEnd]:
    """Run ``qsr-edge ARGUMENTS`` for each device at the same time, and wait for all.

    Args:
        commands: arguments by device.
        on_change: called with the devices that are still running, whenever one has ended.

    Raises:
        KeyboardInterrupt: after every run was interrupted and has ended.
    """
    started: dict[str, tuple[subprocess.Popen[bytes], IO[bytes], IO[bytes]]] = {}
    with Interruption() as interruption, contextlib.ExitStack() as stack:
        stack.callback(_stop, started, interruption)
        for device, arguments in commands.items():
            output, messages = (stack.enter_context(tempfile.TemporaryFile()) for _ in range(2))
            # A process that runs and is not known yet would be stopped by nobody.
            with interruption.deferred():
                process = subprocess.Popen(
                    [sys.executable, "-m", "qsr_edge", *arguments],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=messages,
                    # Ctrl-C is handed on below, once.
                    start_new_session=True,
                )
                started[device] = process, output, messages
        known: list[str] = []
        while running := [device for device, (process, _, _) in started.items() if process.poll() is None]:
            if running != known:
                known = running
                on_change(running)
            time.sleep(_POLL_S)
        return {device: _ended(*parts) for device, parts in started.items()}


def _stop(
    started: Mapping[str, tuple[subprocess.Popen[bytes], IO[bytes], IO[bytes]]], interruption: Interruption
) -> None:
    """Interrupt what still runs, all of it before any is waited for: the others would go on measuring."""
    # Somebody who presses Ctrl-C twice must not keep it from the last phone.
    with interruption.deferred():
        running = [process for process, _, _ in started.values() if process.poll() is None]
        for process in running:
            process.send_signal(signal.SIGINT)
        deadline = time.monotonic() + _GRACE_S
        for process in running:
            try:
                process.wait(timeout=max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _ended(process: subprocess.Popen[bytes], output: IO[bytes], messages: IO[bytes]) -> FleetEnd:
    texts = []
    for file in (output, messages):
        file.seek(0)
        texts.append(file.read().decode("utf-8", errors="replace"))
    lines = [line.strip() for line in texts[1].splitlines() if line.strip()]
    return FleetEnd(exit_code=process.returncode, output=texts[0], message=lines[-1] if lines else "")
