"""A process that runs one variant on this machine, and how it is asked."""

import contextlib
import json
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from qsr_edge.bench.host.messages import (
    DECODER,
    Action,
    Ask,
    Failed,
    Golden,
    Load,
    Loaded,
    Peak,
    Placed,
    Ran,
    Run,
    Upscale,
    Upscaled,
)
from qsr_edge.bench.protocol.job import JobImage, JobVariant
from qsr_edge.codec import encode
from qsr_edge.conversion.backend import Placement
from qsr_edge.errors import BenchError

A = TypeVar("A")
WORKER = ("-m", "qsr_edge.bench.host.worker")
ANSWER_S = 1800.0
"""Longer than any request takes, a large picture on a slow machine included."""


class WorkerProcess:
    """``python -m qsr_edge.bench.host.worker`` for one variant; a context manager that ends it."""

    def __init__(self, variant: JobVariant):
        """Start it; nothing is loaded yet."""
        self._variant = variant
        self.runtime = ""
        self._messages = tempfile.TemporaryFile()
        self._process = subprocess.Popen(
            [sys.executable, *WORKER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._messages,
            text=True,
            # Ctrl-C is for the one who measures; workers end with their input.
            start_new_session=True,
        )

    def __enter__(self) -> "WorkerProcess":
        """Itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End the process, at once if it does not end by itself."""
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                # A process that is gone cannot take what is left in the pipe.
                with contextlib.suppress(OSError):
                    stream.close()
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._messages.close()

    def load(self) -> int:
        """Verify the bundle and load the model; microseconds that the loading took.

        Raises:
            BenchError: if it cannot be loaded, or the process died.
        """
        variant = self._variant
        request = Load(
            bundle=variant.bundle,
            depth=variant.depth,
            kernels=variant.kernels,
            threads=variant.threads,
            height_px=variant.height_px,
            width_px=variant.width_px,
        )
        answer = self._ask(Action.LOAD, request, Loaded)
        self.runtime = answer.runtime
        return answer.load_us

    def run(self, count: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Wall-clock and CPU microseconds of so many inferences; errors as :meth:`load`."""
        answer = self._ask(Action.RUN, Run(count=count), Ran)
        return answer.latencies_us, answer.cpu_us

    def golden(self) -> tuple[str, bool]:
        """Sha256 of the golden input's output, and whether it is the manifest's; errors as :meth:`load`."""
        answer = self._ask(Action.GOLDEN, Ask(), Golden)
        return answer.sha256, answer.equal

    def placement(self) -> Placement | None:
        """Where operations run, or None where the runtime does not tell; errors as :meth:`load`."""
        return self._ask(Action.PLACEMENT, Ask(), Placed).placement

    def upscale(self, image: JobImage, output: Path) -> tuple[str, int]:
        """Upscale a picture into a file: sha256 of its bytes, microseconds; errors as :meth:`load`."""
        request = Upscale(path=image.path, height_px=image.height_px, width_px=image.width_px, output=str(output))
        answer = self._ask(Action.UPSCALE, request, Upscaled)
        return answer.sha256, answer.latency_us

    def peak_bytes(self) -> int:
        """The most memory that the process has had resident; errors as :meth:`load`."""
        return self._ask(Action.PEAK, Ask(), Peak).peak_bytes

    def _ask(self, action: Action, request: object, answered: type[A]) -> A:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        late = threading.Event()

        def give_up() -> None:
            late.set()
            self._process.kill()

        # A runtime that is stuck would be waited for for ever.
        timer = threading.Timer(ANSWER_S, give_up)
        timer.daemon = True
        try:
            timer.start()  # Ctrl+C may come while the thread starts: it must not keep this process from ending
            self._process.stdin.write(json.dumps({"do": action, **encode(request)}) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
            answer = json.loads(line) if line else None
        except (OSError, ValueError):
            answer = None
        finally:
            timer.cancel()
        if answer is None:
            why = (
                f"did not answer within {ANSWER_S:.0f} s" if late.is_set() else f"ended (exit code {self._exit_code()})"
            )
            raise BenchError(
                f"{self._variant.label}: the process that runs it {why}{self._last_message()}; what was measured is "
                "kept, go on with --resume"
            )
        if "error" in answer:
            raise BenchError(f"{self._variant.label}: {DECODER.decode(Failed, answer, 'answer').error}")
        return DECODER.decode(answered, answer, f"{self._variant.label}: the process that runs it")

    def _exit_code(self) -> int | None:
        # Its end of the pipe closes a moment before it can be waited for.
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=5)
        return self._process.returncode

    def _last_message(self) -> str:
        self._messages.seek(0)
        lines = self._messages.read().decode("utf-8", errors="replace").split("\n")
        told = [line.strip() for line in lines if line.strip()]
        return f": {told[-1][:200]}" if told else ""
