"""The process that runs one variant, ``python -m qsr_edge.bench.host.worker``, driven by JSON lines on its streams.

Each variant has its own, so that loading is cold, memory is its own, and variants can take turns. Requests and
answers are those of :mod:`qsr_edge.bench.host.messages`. The process ends with its input.
"""

import json
import resource
import sys
import time
from pathlib import Path

import numpy as np

from qsr_edge.bench.host.messages import (
    DECODER,
    Action,
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
from qsr_edge.bundle.golden import golden_image, image_sha256
from qsr_edge.bundle.reader import read_bundle
from qsr_edge.codec import encode
from qsr_edge.conversion.backend import TellsPlacement
from qsr_edge.conversion.registry import find_backend
from qsr_edge.errors import BenchError, QsrError, one_line
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

    def answer(self, request: object) -> object:
        """A message of :mod:`qsr_edge.bench.host.messages` for a request as JSON; raises what the action raises."""
        if not isinstance(request, dict) or request.get("do") not in tuple(Action):
            raise BenchError(f"a worker is asked for one of {', '.join(Action)}")
        told = {key: value for key, value in request.items() if key != "do"}
        match Action(request["do"]):
            case Action.LOAD:
                return self._load(DECODER.decode(Load, told, "request"))
            case Action.RUN:
                return self._run(DECODER.decode(Run, told, "request"))
            case Action.GOLDEN:
                return self._check_golden()
            case Action.PLACEMENT:
                runner = self._loaded().runner
                return Placed(placement=runner.placement() if isinstance(runner, TellsPlacement) else None)
            case Action.UPSCALE:
                return self._upscale(DECODER.decode(Upscale, told, "request"))
            case Action.PEAK:
                return Peak(peak_bytes=peak_memory_bytes())

    def _load(self, request: Load) -> Loaded:
        bundle = read_bundle(Path(request.bundle))
        golden, entry = bundle.manifest.golden, bundle.manifest.depth_entry(request.depth)
        self._golden = golden_image(golden.seed, golden.height_px, golden.width_px), entry.golden_sha256
        self._image = golden_image(golden.seed, request.height_px, request.width_px)
        start = time.perf_counter_ns()
        self._model = load_depth(bundle, depth=request.depth, threads=request.threads, kernels=request.kernels)
        load_us = (time.perf_counter_ns() - start) // 1000
        return Loaded(load_us=load_us, runtime=find_backend(bundle.manifest.target).runtime_version())

    def _run(self, request: Run) -> Ran:
        model = self._loaded()
        wall, cpu = [], []
        for _ in range(request.count):
            cpu_start, start = time.process_time_ns(), time.perf_counter_ns()
            model.runner.run(self._image)
            wall.append((time.perf_counter_ns() - start) // 1000)
            cpu.append((time.process_time_ns() - cpu_start) // 1000)
        return Ran(latencies_us=tuple(wall), cpu_us=tuple(cpu))

    def _check_golden(self) -> Golden:
        model = self._loaded()
        assert self._golden is not None
        image, expected = self._golden
        sha256 = image_sha256(model.runner.run(image))
        return Golden(sha256=sha256, equal=sha256 == expected)

    def _upscale(self, request: Upscale) -> Upscaled:
        model = self._loaded()
        pixels = np.frombuffer(Path(request.path).read_bytes(), np.uint8)
        image = pixels.reshape(request.height_px, request.width_px, 3)
        start = time.perf_counter_ns()
        upscaled = model.upscale(image)
        latency_us = (time.perf_counter_ns() - start) // 1000
        output = Path(request.output)
        output.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(output, upscaled.tobytes())
        return Upscaled(sha256=image_sha256(upscaled), latency_us=latency_us)

    def _loaded(self) -> LoadedDepth:
        if self._model is None:
            raise BenchError("no model is loaded yet")
        return self._model


def main() -> None:
    """Answer requests until the input ends."""
    worker = _Worker()
    answers = sys.stdout
    sys.stdout = sys.stderr  # what a runtime prints is no answer
    for line in sys.stdin:
        try:
            answer = worker.answer(json.loads(line))
        except (QsrError, OSError, ValueError, ModuleNotFoundError) as error:
            answer = Failed(error=one_line(error, None))
        answers.write(json.dumps(encode(answer)) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
