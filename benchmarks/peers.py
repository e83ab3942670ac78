"""The same network in our files and in other int8 and float runtimes: time, memory, bytes and PSNR, in one run.

    make peers-env
    .venv-peers/bin/python benchmarks/peers.py --data DIR --models MODELS                     # at any time
    .venv-peers/bin/python benchmarks/peers.py --data DIR --models MODELS -o docs/results/peers.md --minutes 15

The first command writes the models and measures PSNR, which takes minutes and no quiet machine. The second takes them
from there and only times: as many rounds as fit, or so many as ``--rounds`` says. What has changed since (weights, a
converter, a package) is written anew. Without ``--models`` one command does all.

Peers get the bundled float network ``x2_fp32`` and quantize it by their own tools. Every model runs in a process of its
own for each number of threads. The processes take turns in every round, one after the other, so that other load hits
all alike; CPU time is the process's, of all its threads. Ratios are of one round each, to ours W4A8 in LiteRT, and
their median is told with an interval that holds the true median with a confidence of 95 % (by order statistics, so no
distribution is assumed). What was measured lies beside the page as .json; ``--keep-times`` takes times and memory from
there, and bytes and PSNR from the models, which is what new weights in the same graph need.

Two processes multiply large int8 matrices, so that a limit of the machine is measured in the same rounds.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np
from peer_models import CONTENDERS, REFERENCE, Contender, prepare
from peer_page import CASES, DEPTHS, PEAKS, THREADS, Measured, read_results, write_page, write_results
from peer_runtimes import import_runtime, load

LEAST_S = 0.02
"""A turn repeats its picture for at least so long, to be well above what switching processes costs."""

LEAST_ROUNDS = 6
"""With fewer there is no interval of 95 %."""
PAGE_S = 15
"""What is left of ``--minutes`` for writing the page and its picture."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """How many rounds, for each number of threads: ``rounds``, or as many as end before ``ends_s`` (monotonic)."""

    rounds: int = LEAST_ROUNDS
    ends_s: float | None = None

    def share_ends_s(self, shares_left: int) -> float | None:
        """When the next of so many equal shares of the time ends."""
        return None if self.ends_s is None else time.monotonic() + (self.ends_s - time.monotonic()) / shares_left

    def another(self, done: int, longest_s: float, ends_s: float | None) -> bool:
        """Whether another round is due: fewer than asked for, or there is time for one more as long as the longest."""
        return done < self.rounds or (ends_s is not None and time.monotonic() + longest_s < ends_s)


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


def measure_times(contenders: Sequence[Contender], budget: Budget, folder: Path, measured: Measured) -> None:
    """Fill in times and memory."""
    names = [*(each.label for each in contenders), *PEAKS]
    for at, threads in enumerate(THREADS):
        ends_s, longest_s, done = budget.share_ends_s(len(THREADS) - at), 0.0, 0
        with workers(names, threads, folder) as processes:
            told = {name: _answer(process, name) for name, process in processes.items()}
            if threads == THREADS[0]:
                measured.peak_macs = {name: told.pop(name) for name in PEAKS}
                measured.memory_bytes = told
            while budget.another(done, longest_s, ends_s):
                began_s = time.monotonic()
                _measure_round(processes, threads, measured)
                done, longest_s = done + 1, max(longest_s, time.monotonic() - began_s)
                left_s = (budget.rounds - done) * longest_s if ends_s is None else ends_s - time.monotonic()
                click.echo(f"{threads} thread(s), round {done}; at most {max(left_s, 0):.0f} s left", err=True)


def _measure_round(processes: dict[str, "subprocess.Popen[str]"], threads: int, measured: Measured) -> None:
    """Every case by every process, in turns."""
    for case in range(len(CASES)):
        times = {}
        for name, process in processes.items():
            if process.stdin is None:
                raise TypeError("the worker has no standard input")
            print(case, file=process.stdin, flush=True)
            times[name] = _answer(process, name)
        measured.rounds.setdefault(f"{threads} {case}", []).append(times)


def prepare_all(contenders: Sequence[Contender], data: Path, folder: Path, measured: Measured) -> None:
    """Write the models, and fill in their bytes, and PSNR on Set5 of what each runtime gives."""
    measured.psnr_db, measured.file_bytes = {}, {}
    for contender in contenders:
        prepared = prepare(contender, folder, DEPTHS, data)
        measured.psnr_db[contender.label] = prepared.psnr_db
        measured.file_bytes[contender.label] = prepared.file_bytes
        figures = ", ".join(f"depth {depth} {psnr:.3f} dB" for depth, psnr in prepared.psnr_db.items())
        click.echo(f"{contender.label}: {figures}", err=True)


@click.command()
@click.option("--data", envvar="QSR_EDGE_DATA", required=True, type=click.Path(path_type=Path, exists=True),
              help="Folder with train, test/Set5 and test_lr/Set5/X2.")  # fmt: skip
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Page to write, .md; .json and .svg beside it.")
@click.option("--rounds", type=click.IntRange(min=LEAST_ROUNDS), default=15, show_default=True)
@click.option("--minutes", type=click.FloatRange(min=1), help=f"As many rounds as fit, {LEAST_ROUNDS} at least.")
@click.option("--models", type=click.Path(path_type=Path), help="Folder to keep models in, and to take them from.")
@click.option("--without", multiple=True, metavar="TEXT", help="Leave out the rows whose name holds this; repeatable.")
@click.option("--keep-times", is_flag=True, help="Times and memory of the .json beside the page, as they are.")
@click.option("--worker", "work", type=(str, int, click.Path(path_type=Path)), hidden=True)
def main(
    data: Path,
    output: Path | None,
    rounds: int,
    minutes: float | None,
    models: Path | None,
    without: tuple[str, ...],
    keep_times: bool,
    work: tuple[str, int, Path] | None,
) -> None:
    """Measure, and write the page; without a page only prepare the models."""
    if work:
        worker(*work)
        return
    if output is None and (models is None or keep_times):
        raise click.UsageError("name the page (-o docs/results/peers.md), or a folder for models (--models)")
    began_s = time.monotonic()
    contenders = [each for each in CONTENDERS if each is REFERENCE or not any(text in each.label for text in without)]
    measured = Measured()
    if output is not None and keep_times:
        measured = read_results(output.with_suffix(".json"))
        contenders = [each for each in contenders if each.label in measured.memory_bytes]
    with tempfile.TemporaryDirectory() as temporary:
        folder = models or Path(temporary)
        prepare_all(contenders, data, folder, measured)
        if output is None:
            return
        if not keep_times:
            ends_s = began_s + 60 * minutes - PAGE_S if minutes else None
            measured.asked = f"--minutes {minutes:g}" if minutes else f"--rounds {rounds}"
            budget = Budget(rounds=LEAST_ROUNDS if minutes else rounds, ends_s=ends_s)
            measure_times(contenders, budget, folder, measured)
    write_results(output.with_suffix(".json"), measured)
    write_page(output, measured)
    click.echo(f"wrote {output}")


if __name__ == "__main__":
    main()
