"""The process that runs one variant, ``python -m qsr_edge.bench.worker``: driven by JSON lines on its standard streams.

Each variant has its own, so that loading is cold, memory is its own, and variants can take turns. Requests are
``{"do": "load" | "run" | "golden" | "peak", ...}``; each is answered by one line. The process ends with its input.
"""

import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from qsr_edge.bundle.golden import golden_image, image_sha256
from qsr_edge.bundle.reader import read_bundle
from qsr_edge.errors import QsrError
from qsr_edge.runtime.upscale import LoadedDepth, load_depth


def peak_memory_bytes() -> int:
    """The most memory that this process has had resident."""
    try:
        # Not getrusage(): on Linux that begins with the peak of the process that started this one.
        status = Path("/proc/self/status").read_text(encoding="utf-8")
        return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM:"))
    except (OSError, StopIteration):
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024  # bytes on macOS


class _Worker:
    def __init__(self) -> None:
        self._model: LoadedDepth | None = None
        self._image = np.zeros((1, 1, 3), np.uint8)
        self._golden: tuple[np.ndarray, str] | None = None

    def load(self, request: dict[str, Any]) -> dict[str, Any]:
        bundle = read_bundle(Path(request["bundle"]))
        golden, entry = bundle.manifest.golden, bundle.manifest.depth_entry(request["depth"])
        self._golden = golden_image(golden.seed, golden.height_px, golden.width_px), entry.golden_sha256
        rng = np.random.default_rng(0)
        self._image = rng.integers(0, 256, (request["height_px"], request["width_px"], 3), np.uint8)
        start = time.perf_counter_ns()
        self._model = load_depth(bundle, depth=request["depth"], threads=request["threads"], kernels=request["kernels"])
        return {"load_us": (time.perf_counter_ns() - start) // 1000}

    def run(self, request: dict[str, Any]) -> dict[str, Any]:
        assert self._model is not None
        wall, cpu = [], []
        for _ in range(request["count"]):
            cpu_start, start = time.process_time_ns(), time.perf_counter_ns()
            self._model.runner.run(self._image)
            wall.append((time.perf_counter_ns() - start) // 1000)
            cpu.append((time.process_time_ns() - cpu_start) // 1000)
        return {"latencies_us": wall, "cpu_us": cpu}

    def golden(self, request: dict[str, Any]) -> dict[str, Any]:
        assert self._model is not None
        assert self._golden is not None
        image, expected = self._golden
        return {"equal": image_sha256(self._model.runner.run(image)) == expected}

    def peak(self, request: dict[str, Any]) -> dict[str, Any]:
        return {"peak_bytes": peak_memory_bytes()}


def main() -> None:
    """Answer requests until the input ends."""
    worker = _Worker()
    answers = sys.stdout
    sys.stdout = sys.stderr  # what a runtime prints is no answer
    actions = {"load": worker.load, "run": worker.run, "golden": worker.golden, "peak": worker.peak}
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = actions[request["do"]](request)
        except (QsrError, OSError, ModuleNotFoundError) as error:
            answer = {"error": " ".join(str(error).split())}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
