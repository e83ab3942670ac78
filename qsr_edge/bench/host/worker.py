"""The process that runs one variant, ``python -m qsr_edge.bench.host.worker``, driven by JSON lines on its streams.

Each variant has its own, so that loading is cold, memory is its own, and variants can take turns. Requests are
``{"do": "load" | "run" | "golden" | "placement" | "upscale" | "peak", ...}``; each is answered by one line. The process
ends with its input.
"""

import json
import resource
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from qsr_edge.bundle.golden import golden_image, image_sha256
from qsr_edge.bundle.reader import read_bundle
from qsr_edge.conversion.backend import TellsPlacement
from qsr_edge.conversion.registry import find_backend
from qsr_edge.errors import BenchError, QsrError
from qsr_edge.files import atomic_write
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
        self._image = golden_image(golden.seed, request["height_px"], request["width_px"])
        start = time.perf_counter_ns()
        self._model = load_depth(bundle, depth=request["depth"], threads=request["threads"], kernels=request["kernels"])
        load_us = (time.perf_counter_ns() - start) // 1000
        return {"load_us": load_us, "runtime": find_backend(bundle.manifest.target).runtime_version()}

    def run(self, request: dict[str, Any]) -> dict[str, Any]:
        model = self._loaded()
        wall, cpu = [], []
        for _ in range(request["count"]):
            cpu_start, start = time.process_time_ns(), time.perf_counter_ns()
            model.runner.run(self._image)
            wall.append((time.perf_counter_ns() - start) // 1000)
            cpu.append((time.process_time_ns() - cpu_start) // 1000)
        return {"latencies_us": wall, "cpu_us": cpu}

    def golden(self, request: dict[str, Any]) -> dict[str, Any]:
        model = self._loaded()
        assert self._golden is not None
        image, expected = self._golden
        sha256 = image_sha256(model.runner.run(image))
        return {"sha256": sha256, "equal": sha256 == expected}

    def placement(self, request: dict[str, Any]) -> dict[str, Any]:
        runner = self._loaded().runner
        placement = runner.placement() if isinstance(runner, TellsPlacement) else None
        return {"placement": None if placement is None else asdict(placement)}

    def upscale(self, request: dict[str, Any]) -> dict[str, Any]:
        model = self._loaded()
        pixels = np.frombuffer(Path(request["path"]).read_bytes(), np.uint8)
        image = pixels.reshape(request["height_px"], request["width_px"], 3)
        start = time.perf_counter_ns()
        upscaled = model.upscale(image)
        latency_us = (time.perf_counter_ns() - start) // 1000
        output = Path(request["output"])
        output.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(output, upscaled.tobytes())
        return {"sha256": image_sha256(upscaled), "latency_us": latency_us}

    def _loaded(self) -> LoadedDepth:
        if self._model is None:
            raise BenchError("no model is loaded yet")
        return self._model

    def peak(self, request: dict[str, Any]) -> dict[str, Any]:
        return {"peak_bytes": peak_memory_bytes()}


def main() -> None:
    """Answer requests until the input ends."""
    worker = _Worker()
    answers = sys.stdout
    sys.stdout = sys.stderr  # what a runtime prints is no answer
    actions = {
        "load": worker.load,
        "run": worker.run,
        "golden": worker.golden,
        "placement": worker.placement,
        "upscale": worker.upscale,
        "peak": worker.peak,
    }
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = actions[request["do"]](request)
        except (QsrError, OSError, ValueError, ModuleNotFoundError) as error:
            answer = {"error": " ".join(str(error).split())}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
