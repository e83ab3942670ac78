"""Latency of one network in several bundles on this machine, as ratios to the first.

    python benchmarks/runtimes.py fast-tflite compact-tflite executorch [--float x2_fp32.safetensors] [--rounds 15]

Every bundle runs in a process of its own, one for each number of threads (ExecuTorch's is a setting of the process).
The processes take turns, one image each, so that heat and other load hit all alike; medians of the wall clock and of
the process's CPU time are printed, with the ratio of CPU time and of the wall clock to the first bundle's. ``--float``
adds the float network in both runtimes with XNNPACK, from a checkpoint.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import click
import numpy as np
from float_models import float_program, float_tflite

SIZES_PX = ((64, 64), (180, 320))
THREADS = (1, 2)
_REPEATS = {SIZES_PX[0]: 10, SIZES_PX[1]: 1}
"""Images timed together, so that a turn is well above the clock's resolution."""


def _loaded(source: Path, threads: int) -> tuple[str, Callable[[np.ndarray], object]]:
    """What to call it, and a function of an (H, W, 3) uint8 image."""
    if source.suffix == ".pte":
        import torch
        from executorch.extension.pybindings.portable_lib import _unsafe_reset_threadpool
        from executorch.runtime import Runtime

        _unsafe_reset_threadpool(threads)
        method = Runtime.get().load_program(source).load_method("forward")
        return f"executorch, float network, {threads} thread(s)", lambda image: method.execute(
            [torch.from_numpy(image.astype(np.float32).transpose(2, 0, 1)[None] - 128)]
        )
    if source.suffix == ".tflite":
        from ai_edge_litert.interpreter import Interpreter

        signature = Interpreter(model_path=str(source), num_threads=threads).get_signature_runner("float")
        return f"tflite, float network, {threads} thread(s)", lambda image: signature(
            image=image[None].astype(np.float32) - 128
        )
    from qsr_edge.bundle.reader import open_bundle
    from qsr_edge.runtime.upscale import load_depth

    bundle = open_bundle(source).__enter__()  # closed with the process
    label = f"{bundle.manifest.target} {bundle.manifest.storage.value}, {threads} thread(s)"
    return label, load_depth(bundle, threads=threads).runner.run


def worker(source: Path, threads: int) -> None:
    """Load, then time an image of each size that is asked for on standard input."""
    label, run = _loaded(source, threads)
    images = {size: np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8) for size in SIZES_PX}
    print(json.dumps(label), flush=True)
    for line in sys.stdin:
        size = SIZES_PX[int(line)]
        run(images[size])  # memory is planned for this size
        wall, cpu = time.perf_counter(), time.process_time()
        for _ in range(_REPEATS[size]):
            run(images[size])
        times = [(time.perf_counter() - wall), (time.process_time() - cpu)]
        print(json.dumps([1000 * seconds / _REPEATS[size] for seconds in times]), flush=True)


@click.command()
@click.argument("bundles", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))
@click.option("--float", "checkpoint", type=click.Path(path_type=Path, exists=True), help="Float checkpoint.")
@click.option("--rounds", default=15, show_default=True)
@click.option("--worker", "worker_threads", type=int, hidden=True)
def main(bundles: tuple[Path, ...], checkpoint: Path | None, rounds: int, worker_threads: int | None) -> None:
    """Measure BUNDLES and print a table."""
    if worker_threads:
        worker(bundles[0], worker_threads)
        return
    with tempfile.TemporaryDirectory() as folder:
        sources = list(bundles)
        if checkpoint:
            for name, write in (("float.tflite", float_tflite), ("float.pte", float_program)):
                sources.append(Path(folder) / name)
                sources[-1].write_bytes(write(checkpoint))
        processes, labels = [], []
        for threads in THREADS:
            for source in sources:
                command = [sys.executable, __file__, str(source), "--worker", str(threads)]
                process = subprocess.Popen(
                    command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
                )
                processes.append(process)
                labels.append(json.loads(_line(process)))
        for index, (height, width) in enumerate(SIZES_PX):
            times: list[list[tuple[float, float]]] = [[] for _ in processes]
            for _ in range(rounds):
                for process, measured in zip(processes, times, strict=True):
                    if process.stdin is None:
                        raise TypeError("the worker has no standard input")
                    print(index, file=process.stdin, flush=True)
                    measured.append(tuple(json.loads(_line(process))))
            click.echo(f"\n{width}x{height}, median of {rounds}")
            walls = [median(wall for wall, _ in measured) for measured in times]
            cpus = [median(cpu for _, cpu in measured) for measured in times]
            for label, wall, cpu in zip(labels, walls, cpus, strict=True):
                click.echo(
                    f"  {label:42s} {wall:8.2f} ms, CPU {cpu:8.2f} ms; against the first: "
                    f"{wall / walls[0]:.2f} wall, {cpu / cpus[0]:.2f} CPU"
                )
        for process in processes:
            process.terminate()


def _line(process: subprocess.Popen[str]) -> str:
    if process.stdout is None:
        raise TypeError("the worker has no standard output")
    line = process.stdout.readline()
    if not line:
        raise click.ClickException("a worker ended; run its bundle with 'qsr-edge upscale' to see why")
    return line


if __name__ == "__main__":
    main()
