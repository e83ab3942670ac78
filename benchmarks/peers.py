"""The same network in our files and in other int8 and float runtimes: time, memory, bytes and PSNR, in one run.

    make peers-env
    .venv-peers/bin/python benchmarks/peers.py --data DIR -o docs/results/peers.md [--rounds 15]

Peers get the bundled float network ``x2_fp32`` and quantize it by their own tools. Every model runs in a process of its
own for each number of threads. The processes take turns in every round, one after the other, so that other load hits
all alike; CPU time is the process's, of all its threads. Ratios are of one round each, to ours W4A8 in LiteRT, and
their median is told with an interval that holds the true median with a confidence of 95 % (by order statistics, so no
distribution is assumed). What was measured lies beside the page as .json; ``--keep-times`` takes times and memory from
there and measures bytes and PSNR anew, which is what new weights in the same graph need.

Two processes multiply large int8 matrices, so that a limit of the machine is measured in the same rounds.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np
from peer_models import CONTENDERS, REFERENCE, SCALE, Contender, calibration_pictures, size_bytes, write_models
from peer_page import CASES, DEPTHS, PEAKS, THREADS, Measured, read_results, write_page, write_results
from peer_runtimes import import_runtime, load

from qsr_edge.data.dataset import load_dataset
from qsr_edge.metrics import psnr_y

LEAST_S = 0.02
"""A turn repeats its picture for at least so long, to be well above what switching processes costs."""


def peak_multiplication(kind: str, threads: int) -> tuple[Any, int]:
    """A function that multiplies two int8 matrices in cache, and how many multiply-accumulates it takes."""
    side = 768
    if kind == "oneDNN":
        import torch

        torch.set_num_threads(threads)
        generator = torch.Generator().manual_seed(0)
        left, right = (torch.randint(-99, 99, (side, side), dtype=torch.int8, generator=generator) for _ in range(2))
        return lambda: torch._int_mm(left, right), side**3
    from ai_edge_litert.interpreter import Interpreter

    from qsr_edge_converters.tflite.flatbuffer import FileBuilder, schema

    file = FileBuilder(description="int8 matrix multiplication")
    graph = file.subgraph("main")
    weights = np.random.default_rng(0).integers(-99, 99, (side, side), np.int8)
    one = np.ones(1, np.float32)
    image, output = (graph.tensor(name, (side, side), schema.TensorType.INT8, scales=one) for name in ("in", "out"))
    constant = graph.tensor(
        "weights", (side, side), schema.TensorType.INT8, scales=one / side, content=weights.tobytes()
    )
    options = schema.FullyConnectedOptionsT()
    code, kind_of_options = schema.BuiltinOperator.FULLY_CONNECTED, schema.BuiltinOptions.FullyConnectedOptions
    graph.operator(code, 4, [image, constant, -1], output, options_type=kind_of_options, options=options)
    graph.inputs.append(image)
    graph.outputs.append(output)
    interpreter = Interpreter(model_content=file.to_bytes(), num_threads=threads)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], weights)
    return interpreter.invoke, side**3


def _memory(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))


def worker(name: str, threads: int, folder: Path) -> None:
    """Load a contender's models, tell how much memory the largest took, then time what is asked for."""
    runs: dict[int, Callable[[], object]] = {}
    if name in PEAKS:
        multiply, told = peak_multiplication(name, threads)
        runs = dict.fromkeys(range(len(CASES)), multiply)
    else:
        [contender] = [each for each in CONTENDERS if each.label == name]
        import_runtime(contender.runtime, contender.file(folder, CASES[0][0]))
        Path("/proc/self/clear_refs").write_text("5")  # the peak starts from here
        before, told = _memory("VmRSS"), 0
        for case, (depth, size_px) in enumerate(CASES):  # the largest is the first
            loaded = load(contender.runtime, contender.file(folder, depth), threads, size_px)
            taken = loaded.take(np.random.default_rng(0).integers(0, 256, (*size_px, 3), np.uint8))
            runs[case] = partial(loaded.run, taken)
            runs[case]()
            told = told or _memory("VmHWM") - before
    print(json.dumps(told), flush=True)
    for line in sys.stdin:
        run = runs[int(line)]
        run()  # caches are warm
        repeats, wall, cpu = 0, time.perf_counter(), time.process_time()
        while repeats < 1 or time.process_time() - cpu < LEAST_S * threads:
            run()
            repeats += 1
        spent = [time.perf_counter() - wall, time.process_time() - cpu]
        print(json.dumps([1000 * seconds / repeats for seconds in spent]), flush=True)


@contextmanager
def workers(names: Sequence[str], threads: int, folder: Path) -> Iterator[dict[str, "subprocess.Popen[str]"]]:
    """A process for each contender and each peak, by name; all are ended at the end."""
    processes: dict[str, subprocess.Popen[str]] = {}
    pipe = subprocess.PIPE
    try:
        for name in names:
            command = [sys.executable, __file__, "--data", str(folder), "--worker", name, str(threads), str(folder)]
            processes[name] = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True)
        yield processes
    finally:
        for process in processes.values():
            process.terminate()
            process.wait()


def _answer(process: "subprocess.Popen[str]", name: str) -> Any:
    if process.stdout is None:
        raise TypeError("the worker has no standard output")
    for line in process.stdout:
        try:
            return json.loads(line)
        except json.JSONDecodeError:
            continue  # runtimes talk, too
    raise click.ClickException(f"the process of {name} ended; to see why run --worker '{name}' 1 FOLDER")


def measure_times(contenders: Sequence[Contender], rounds: int, folder: Path, measured: Measured) -> None:
    """Fill in times and memory."""
    began = time.monotonic()
    names = [*(each.label for each in contenders), *PEAKS]
    for at, threads in enumerate(THREADS):
        with workers(names, threads, folder) as processes:
            told = {name: _answer(process, name) for name, process in processes.items()}
            if threads == THREADS[0]:
                measured.peak_macs = {name: told.pop(name) for name in PEAKS}
                measured.memory_bytes = told
            for done in range(rounds):
                for case in range(len(CASES)):
                    times = {}
                    for name, process in processes.items():
                        if process.stdin is None:
                            raise TypeError("the worker has no standard input")
                        print(case, file=process.stdin, flush=True)
                        times[name] = _answer(process, name)
                    measured.rounds.setdefault(f"{threads} {case}", []).append(times)
                share = (at * rounds + done + 1) / (len(THREADS) * rounds)
                left_min = (time.monotonic() - began) * (1 / share - 1) / 60
                click.echo(
                    f"{threads} thread(s), round {done + 1} of {rounds}; about {left_min:.0f} min left", err=True
                )


def measure_quality(contenders: Sequence[Contender], data: Path, folder: Path, measured: Measured) -> None:
    """Fill in bytes, and PSNR on Set5 of what each runtime gives."""
    samples = list(load_dataset(data / "test" / "Set5", SCALE, lr_folder=data / "test_lr" / "Set5" / f"X{SCALE}"))
    measured.psnr_db, measured.file_bytes = {}, {}
    for contender in contenders:
        for depth in DEPTHS:
            file, found = contender.file(folder, depth), []
            for sample in samples:
                output = load(contender.runtime, file, 1, sample.lr.shape[:2]).upscale(sample.lr)
                found.append(psnr_y(output, sample.hr, border_px=SCALE))
            measured.psnr_db.setdefault(contender.label, {})[str(depth)] = float(np.mean(found))
            measured.file_bytes.setdefault(contender.label, {})[str(depth)] = size_bytes(contender, folder, depth)
            click.echo(f"{contender.label}, depth {depth}: {np.mean(found):.3f} dB", err=True)


@click.command()
@click.option("--data", envvar="QSR_EDGE_DATA", required=True, type=click.Path(path_type=Path, exists=True),
              help="Folder with train, test/Set5 and test_lr/Set5/X2.")  # fmt: skip
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Page to write, .md; .json and .svg beside it.")
@click.option("--rounds", type=click.IntRange(min=6), default=15, show_default=True)
@click.option("--models", type=click.Path(path_type=Path), help="Folder to keep models in, and to take them from.")
@click.option("--without", multiple=True, metavar="TEXT", help="Leave out the rows whose name holds this; repeatable.")
@click.option("--keep-times", is_flag=True, help="Times and memory of the .json beside the page, as they are.")
@click.option("--worker", "work", type=(str, int, click.Path(path_type=Path)), hidden=True)
def main(
    data: Path,
    output: Path | None,
    rounds: int,
    models: Path | None,
    without: tuple[str, ...],
    keep_times: bool,
    work: tuple[str, int, Path] | None,
) -> None:
    """Measure, and write the page."""
    if work:
        worker(*work)
        return
    if output is None:
        raise click.UsageError("name the page: -o docs/results/peers.md")
    contenders = [each for each in CONTENDERS if each is REFERENCE or not any(text in each.label for text in without)]
    measured = read_results(output.with_suffix(".json")) if keep_times else Measured()
    if keep_times:
        contenders = [each for each in contenders if each.label in measured.memory_bytes]
    with tempfile.TemporaryDirectory() as temporary:
        folder = models or Path(temporary)
        pictures = calibration_pictures(data)
        for contender in contenders:
            click.echo(f"writing {contender.label}", err=True)
            write_models(contender, folder, DEPTHS, pictures)
        if not keep_times:
            measure_times(contenders, rounds, folder, measured)
            write_results(output.with_suffix(".json"), measured)
        measure_quality(contenders, data, folder, measured)
    write_results(output.with_suffix(".json"), measured)
    write_page(output, measured)
    click.echo(f"wrote {output}")


if __name__ == "__main__":
    main()
