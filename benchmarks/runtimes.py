"""Latency of one network in several bundles on this machine, as ratios to the first.

    python benchmarks/runtimes.py fast-tflite compact-tflite executorch [--float x2_fp32.safetensors] [--rounds 15]

Every bundle runs in a process of its own, one for each number of threads (ExecuTorch's is a setting of the process).
The processes take turns, one image each, so that heat and other load hit all alike; medians of the wall clock and of
the process's CPU time are printed, with the ratio of CPU time and of the wall clock to the first bundle's. ``--float``
adds the float network in ExecuTorch with XNNPACK, from a checkpoint.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import click
import numpy as np

SIZES_PX = ((64, 64), (180, 320))
THREADS = (1, 2)
_REPEATS = {SIZES_PX[0]: 10, SIZES_PX[1]: 1}
"""Images timed together, so that a turn is well above the clock's resolution."""


def float_program(checkpoint_file: Path, folder: Path) -> Path:
    """The float network at its deepest as a .pte file for any size: codes in, image out, both float32."""
    import torch
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower
    from torch.export import Dim, export

    from qsr_edge.nn.checkpoint import read_checkpoint
    from qsr_edge.training.state import network_from_checkpoint

    network = network_from_checkpoint(read_checkpoint(checkpoint_file))

    class Deepest(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, codes: torch.Tensor) -> torch.Tensor:
            image: torch.Tensor = self.network(codes, network.config.blocks)
            return image

    shapes = {"codes": {2: Dim("height", min=8, max=512), 3: Dim("width", min=8, max=512)}}
    program = export(Deepest().eval(), (torch.zeros(1, 3, 24, 40),), dynamic_shapes=shapes, strict=False)
    path = folder / "float.pte"
    path.write_bytes(to_edge_transform_and_lower(program, partitioner=[XnnpackPartitioner()]).to_executorch().buffer)
    return path


def worker(source: Path, threads: int) -> None:
    """Load, then time an image of each size that is asked for on standard input."""
    if source.suffix == ".pte":
        import torch
        from executorch.extension.pybindings.portable_lib import _unsafe_reset_threadpool
        from executorch.runtime import Runtime

        _unsafe_reset_threadpool(threads)
        method = Runtime.get().load_program(source).load_method("forward")

        def run(image: np.ndarray) -> Any:
            codes = torch.from_numpy(image.astype(np.float32).transpose(2, 0, 1)[None] - 128)
            return method.execute([codes])

        label = f"float network, executorch, {threads} thread(s)"
        keep: list[Any] = [method]
    else:
        from qsr_edge.bundle.reader import open_bundle
        from qsr_edge.runtime.upscale import load_depth

        bundle = open_bundle(source).__enter__()  # closed with the process
        model = load_depth(bundle, threads=threads)
        run = model.runner.run
        label = f"{bundle.manifest.target} {bundle.manifest.storage.value}, {threads} thread(s)"
        keep = [bundle, model]
    images = {size: np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8) for size in SIZES_PX}
    print(json.dumps({"label": label, "kept": len(keep)}), flush=True)
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
        sources = [*bundles, *([float_program(checkpoint, Path(folder))] if checkpoint else [])]
        processes, labels = [], []
        for threads in THREADS:
            for source in sources:
                command = [sys.executable, __file__, str(source), "--worker", str(threads)]
                process = subprocess.Popen(
                    command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
                )
                processes.append(process)
                labels.append(json.loads(_line(process))["label"])
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
