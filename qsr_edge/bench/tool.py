"""Other programs that are asked something and answer, such as adb."""

import subprocess
from collections.abc import Sequence
from contextlib import ExitStack

from qsr_edge.bench.interruption import Interruption


def run_tool(words: Sequence[str], timeout_s: float) -> "subprocess.CompletedProcess[bytes]":
    """Run a program to its end, whatever its exit code, without input and with its output kept.

    Ctrl-C is for the one who asks and does not reach the program, which is ended before the exception goes on:
    an adb that went on pushing would write to a phone that is being cleaned. (``subprocess.run`` leaves a program
    running that was just being started, and ``subprocess.Popen`` does not wait for one after Ctrl-C.)

    Raises:
        subprocess.TimeoutExpired: if it did not end in time; it is ended then.
        OSError: if it cannot be run.
    """
    with Interruption() as interruption, ExitStack() as stack:
        with interruption.deferred():
            process = stack.enter_context(
                subprocess.Popen(
                    words,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    start_new_session=True,
                )
            )
            stack.callback(_end, process, interruption)
        out, err = process.communicate(timeout=timeout_s)
        return subprocess.CompletedProcess(words, process.returncode, out, err)


def _end(process: "subprocess.Popen[bytes]", interruption: Interruption) -> None:
    """Return once the program is gone, also from the system's list of processes."""
    with interruption.deferred():
        process.kill()
        process.wait()


def is_full(text: str) -> bool:
    """Whether a program's or an agent's message says that a storage is full."""
    words = ("No space left on device", "ENOSPC", "NO_SPACE_LEFT", "quota exceeded", "Quota exceeded")
    return any(told in text for told in words)
