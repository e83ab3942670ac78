"""Runs a comparison: one training per method, bit width and seed, in several processes if asked; resumable by run."""

import dataclasses
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch

from qsr_edge.codec import Decoder
from qsr_edge.data.dataset import Sample, load_dataset
from qsr_edge.errors import TrainingError
from qsr_edge.files import hold
from qsr_edge.metrics import psnr_y
from qsr_edge.nn.checkpoint import Checkpoint, read_checkpoint
from qsr_edge.nn.config import EdgeConfig
from qsr_edge.nn.fake_quantized import FakeQuantizedEdge, QuantizerName
from qsr_edge.nn.network import SuperResolutionNetwork
from qsr_edge.nn.quantized_linear import BodyQuantizer
from qsr_edge.nn.quantsr_t import QuantsrT
from qsr_edge.nn.swin_config import SwinConfig
from qsr_edge.quant.rounding import compile_kernels
from qsr_edge.recipe.compare import CompareRecipe, Run
from qsr_edge.training.loop import calibration_patches, fit, initial_network
from qsr_edge.training.patches import TrainingImages, load_pairs
from qsr_edge.training.state import warm_start
from qsr_edge.training.validation import upscaled

_LINE_LIMIT_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class TestSet:
    """Images that results are measured on: a folder of originals, and perhaps one of ready inputs."""

    __test__ = False  # pytest takes the name for a test's

    name: str
    hr: Path
    lr: Path | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What a worker process needs to know."""

    folders: tuple[Path, ...]
    cache: Path | None
    start: Path
    test_sets: tuple[TestSet, ...]
    fused: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What one run came to; a line of ``runs.jsonl``.

    Attributes:
        key: digest of everything that the run depends on.
        method: what was trained.
        bits: of body weights and activations.
        seed: of patches and depths.
        psnr_db: luma PSNR of the averaged weights by test set and depth.
        training_images: images trained on.
        cpu_s: CPU time of the training.
    """

    key: str
    method: str
    bits: int
    seed: int
    psnr_db: dict[str, dict[str, float]]
    training_images: int
    cpu_s: float


def comparison_network(run: Run, start: Checkpoint, images: TrainingImages) -> SuperResolutionNetwork:
    """The network of a run, warm-started and calibrated, ready to be trained."""
    if run.method.is_integer:
        return initial_network(run.recipe, start, images)
    order = start.config.order if start.config.blocks == run.recipe.blocks else None
    config = dataclasses.replace(run.recipe.config(order), bits=None)
    network: SuperResolutionNetwork
    quantizer = QuantizerName(run.method.value)
    match config:
        case EdgeConfig():
            network = FakeQuantizedEdge(config, quantizer, run.recipe.bits)
        case SwinConfig():
            network = QuantsrT(config, BodyQuantizer(name=quantizer, bits=run.recipe.bits))
        case _:
            raise TrainingError(f"quantizers cannot be compared in a {config.architecture.value} network")
    warm_start(network, start)
    network.calibrate(calibration_patches(run.recipe, images))
    return network


def _key(run: Run, start: Path, images: TrainingImages, test_sets: tuple[TestSet, ...]) -> str:
    """Equal for runs that come to the same; the file of the start is digested, not its name."""
    parts = {
        "method": run.method.value,
        "recipe": asdict(run.recipe),
        "start": hashlib.sha256(start.read_bytes()).hexdigest(),
        "images": images.digest,
        "tests": [test.name for test in test_sets],
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


class _Worker:
    """Keeps images and the start of one process."""

    def __init__(self, recipe: CompareRecipe, job: Job):
        torch.set_num_threads(1)
        if job.fused:
            compile_kernels()
        self.job = job
        self.start = read_checkpoint(job.start)
        self.images = load_pairs(
            job.folders, recipe.scale, min_px=recipe.patch_px, progress=lambda done, total: None, cache=job.cache
        )
        self.samples: dict[str, list[Sample]] = {
            test.name: list(load_dataset(test.hr, recipe.scale, lr_folder=test.lr)) for test in job.test_sets
        }

    def result(self, run: Run) -> Result:
        recipe = run.recipe
        trained_on = self.images[: -recipe.validation_images]
        network = comparison_network(run, self.start, trained_on)
        started = time.process_time()
        average = fit(network, recipe, trained_on)
        cpu_s = time.process_time() - started
        psnr_db: dict[str, dict[str, float]] = {}
        for name, samples in self.samples.items():
            psnr_db[name] = {}
            for depth in recipe.depths:
                values = [
                    psnr_y(upscaled(network, average, s.lr, depth), s.hr, border_px=recipe.scale) for s in samples
                ]
                psnr_db[name][str(depth)] = round(float(np.mean(values)), 4)
        return Result(
            key=_key(run, self.job.start, self.images, self.job.test_sets),
            method=run.method.value,
            bits=recipe.bits,
            seed=recipe.seed,
            psnr_db=psnr_db,
            training_images=len(trained_on),
            cpu_s=round(cpu_s, 1),
        )


_given: list[tuple[CompareRecipe, Job]] = []
_workers: list[_Worker] = []
"""What this process keeps, and its worker: at most one each."""


def _set_up(recipe: CompareRecipe, job: Job) -> None:
    _given[:] = [(recipe, job)]


def _run(run: Run) -> Result:
    # Not in the pool's initializer: what it raises breaks the pool, and its message is lost.
    if not _workers:
        _workers.append(_Worker(*_given[0]))
    return _workers[0].result(run)


def read_results(path: Path) -> list[Result]:
    """Results kept in ``runs.jsonl``; a line cut short by a kill is left out and its run done again.

    Raises:
        TrainingError: if a whole line is not a result.
    """
    if not path.exists():
        return []
    results = []
    decoder = Decoder(error=TrainingError)
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(keepends=True), start=1):
        if not line.endswith("\n"):
            continue
        try:
            table = decoder.parse_json(line.encode(), f"line {number}", limit_bytes=_LINE_LIMIT_BYTES)
            results.append(decoder.decode(Result, table, f"line {number}"))
        except TrainingError as error:
            raise TrainingError(f"{path}: is damaged ({error}); delete that line") from error
    return results


def _append(path: Path, result: Result) -> None:
    content = path.read_bytes() if path.exists() else b""
    with path.open("r+b" if path.exists() else "wb") as file:
        file.seek(content.rfind(b"\n") + 1)  # over a line that was cut short
        file.truncate()
        file.write(json.dumps(asdict(result)).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def compare(
    recipe: CompareRecipe,
    job: Job,
    images: TrainingImages,
    results_file: Path,
    *,
    jobs: int = 1,
    on_result: Callable[[Result, int, int], None] = lambda result, done, total: None,
) -> list[Result]:
    """Do every run that ``results_file`` does not hold yet.

    Args:
        recipe: what is compared.
        job: images, start and test sets; every worker opens them itself.
        images: the same images, to tell which runs are done.
        results_file: grows by a line with each run; its folder is made.
        jobs: worker processes of one thread each.
        on_result: called with each new result, how many runs are done and how many there are.

    Returns:
        The results of all runs, in the recipe's order.

    Raises:
        TrainingError: if two test sets have the same name, the start is not a float network, another comparison writes
            there, or a run fails; those done before are kept.
        DatasetError: if a test set cannot be used.
    """
    names = [test.name for test in job.test_sets]
    for name in names:
        if names.count(name) > 1:
            raise TrainingError(f"two test sets are called {name}, and results go by the name; rename one's folder")
    start = read_checkpoint(job.start)
    if start.config.bits is not None:
        raise TrainingError(f"{job.start}: a quantized network; a comparison starts from a float one")
    results_file.parent.mkdir(parents=True, exist_ok=True)
    busy = TrainingError(
        f"{results_file}: another qsr-edge compare writes there now; wait for its end, or choose another output"
    )
    with hold(results_file, busy):
        runs = {_key(run, job.start, images, job.test_sets): run for run in recipe.runs()}
        results = {result.key: result for result in read_results(results_file) if result.key in runs}
        missing = [run for key, run in runs.items() if key not in results]
        for result in _in_processes(recipe, job, missing, jobs):
            _append(results_file, result)
            results[result.key] = result
            on_result(result, len(results), len(runs))
        return [results[key] for key in runs]


def _in_processes(recipe: CompareRecipe, job: Job, runs: list[Run], jobs: int) -> Iterable[Result]:
    if not runs:
        return
    # spawn: a forked process would inherit torch's threads in an unknown state.
    arguments: Any = (recipe, job)
    pool = ProcessPoolExecutor(
        min(jobs, len(runs)), mp_context=get_context("spawn"), initializer=_set_up, initargs=arguments
    )
    try:
        for future in as_completed([pool.submit(_run, run) for run in runs]):
            yield future.result()
    except BrokenProcessPool as error:
        raise TrainingError(
            "a process of the comparison was ended from outside, as by a lack of memory; the runs before it are kept: "
            "run the command again, with fewer --jobs if it was memory"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)
