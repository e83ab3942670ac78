"""This machine as a device: what it is, how it is, and processes that run variants on it."""

import contextlib
import json
import os
import platform
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from qsr_edge.errors import BenchError

_THERMAL = Path("/sys/class/thermal")
_POWER = Path("/sys/class/power_supply")
_CPU_INFO = Path("/proc/cpuinfo")


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None


def describe_host() -> dict[str, str | int]:
    """Model of the processor, cores, operating system and Python, for the record of a run."""
    model = None
    for line in (_read(_CPU_INFO) or "").splitlines():
        if line.startswith(("model name", "Model")):
            model = line.partition(":")[2].strip()
            break
    return {
        "kind": "host",
        "processor": model or platform.processor() or platform.machine(),
        "architecture": platform.machine(),
        "cores": os.cpu_count() or 0,
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }


def host_condition() -> dict[str, Any]:
    """Highest temperature in thousandths of a degree, power source, load; what the system does not tell is left out."""
    found: dict[str, Any] = {}
    zones = [_read(zone) or "" for zone in sorted(_THERMAL.glob("thermal_zone*/temp"))]
    temperatures = [int(text) for text in zones if text.lstrip("-").isdigit()]
    if temperatures:
        found["temperature_mc"] = max(temperatures)
    online = [_read(supply) for supply in sorted(_POWER.glob("*/online"))]
    if online:
        found["plugged_in"] = "1" in online
    found["load_milli"] = round(1000 * os.getloadavg()[0])
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """What is measured: a bundle's depth under some kernels with some threads.

    Attributes:
        bundle: folder.
        label: for people, unique in a run.
        depth: number of residual blocks.
        kernels: of the bundle's runtime.
        threads: of the runtime.
        size_px: (height, width) of the input.
    """

    bundle: Path
    label: str
    depth: int
    kernels: str
    threads: int
    size_px: tuple[int, int]


class WorkerProcess:
    """A process that runs one variant; a context manager that ends it."""

    def __init__(self, variant: Variant):
        """Start it; nothing is loaded yet."""
        self._variant = variant
        self._process = subprocess.Popen(
            [sys.executable, "-m", "qsr_edge.bench.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
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

    def load(self) -> int:
        """Load the model; microseconds that it took.

        Raises:
            BenchError: if it cannot be loaded, or the process died.
        """
        variant = self._variant
        answer = self._ask(
            do="load",
            bundle=str(variant.bundle),
            depth=variant.depth,
            kernels=variant.kernels,
            threads=variant.threads,
            height_px=variant.size_px[0],
            width_px=variant.size_px[1],
        )
        return int(answer["load_us"])

    def run(self, count: int) -> tuple[list[int], list[int]]:
        """Wall-clock and CPU microseconds of so many inferences; errors as :meth:`load`."""
        answer = self._ask(do="run", count=count)
        return answer["latencies_us"], answer["cpu_us"]

    def golden_equal(self) -> bool:
        """Whether the golden input gives the manifest's golden hash; errors as :meth:`load`."""
        return bool(self._ask(do="golden")["equal"])

    def peak_bytes(self) -> int:
        """The most memory that the process has had resident; errors as :meth:`load`."""
        return int(self._ask(do="peak")["peak_bytes"])

    def _ask(self, **request: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
            answer: dict[str, Any] = json.loads(line) if line else {}
        except (OSError, ValueError):
            answer = {}
        if not answer:
            code = self._process.poll()
            raise BenchError(
                f"{self._variant.label}: the process that runs it ended (exit code {code}); what was measured is kept, "
                "go on with --resume"
            )
        if "error" in answer:
            raise BenchError(f"{self._variant.label}: {answer['error']}")
        return answer
