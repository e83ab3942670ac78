"""Quality of networks by the field's protocol: luma, as many border pixels cropped as the scale factor, means."""

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from qsr_edge.data.bicubic import resize_bicubic
from qsr_edge.data.dataset import load_dataset
from qsr_edge.errors import QsrError
from qsr_edge.extras import how_to_install
from qsr_edge.lowering.checkpoint import lower_checkpoint
from qsr_edge.metrics import psnr_y, ssim_y
from qsr_edge.metrics.quality import Quality
from qsr_edge.nn.checkpoint import Checkpoint
from qsr_edge.runtime.kept_figures import KeptFigures, files_digest
from qsr_edge.runtime.upscale import LoadedDepth

BICUBIC = "bicubic"
Result = TypeVar("Result")


Scores = dict[str, list[Quality]]
"""By method ("bicubic", "depth 2", ...), in the order of the pictures."""


class Model(Protocol):
    """One depth of a network, ready to run."""

    @property
    def depth(self) -> int:
        """Number of blocks."""
        ...

    @property
    def scale(self) -> int:
        """Upscaling factor r."""
        ...

    def upscale(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """(H, W, 3) uint8 RGB -> (rH, rW, 3) uint8 RGB."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What was measured.

    Attributes:
        scale: upscaling factor.
        pictures: names, in the order of ``scores``.
        scores: of each picture by method, ``bicubic`` first, then ``depth 2`` and so on.
    """

    scale: int
    pictures: tuple[str, ...]
    scores: Scores

    def mean(self, method: str) -> Quality:
        """Mean over all pictures."""
        entries = self.scores[method]
        return Quality(psnr_db=fmean(entry.psnr_db for entry in entries), ssim=fmean(entry.ssim for entry in entries))


def checkpoint_models(checkpoint: Checkpoint) -> tuple[Model, ...]:
    """Every depth of a checkpoint: by the golden interpreter if it is quantized, else in torch.

    Raises:
        QsrError: if torch is missing.
        LoweringError: if it cannot be lowered.
    """
    return _golden_models(checkpoint) if checkpoint.config.bits else _float_models(checkpoint)


def useful_jobs(threads: int) -> int:
    """How many pictures at once keep the processors busy that this process may use, if each takes so many threads."""
    affinity = getattr(os, "sched_getaffinity", None)
    return max(1, (len(affinity(0)) if affinity else os.cpu_count() or 1) // threads)


def evaluate_models(
    models: tuple[Model, ...],
    dataset: Path,
    lr_folder: Path | None,
    on_picture: Callable[[int, int], None] = lambda done, total: None,
    *,
    jobs: int = 1,
    kept: KeptFigures | None = None,
) -> Evaluation:
    """Quality of bicubic and of every model on every picture of a data set.

    Args:
        models: depths of one network.
        dataset: folder of high-resolution pictures.
        lr_folder: folder of their low-resolution versions; None to make them by bicubic reduction.
        on_picture: called with the number of pictures done and of all pictures, first with 0.
        jobs: so many pictures at once, by threads; the figures and their order are the same.
        kept: figures of pictures that are not measured again, and where the others' are kept as they come.

    Raises:
        DatasetError: if a folder or a picture in it cannot serve.
        ImageError: if a picture is smaller than the fixed input of a model.
        BackendError: if a model fails.
        OSError: naming the file, if figures cannot be kept.
    """
    scale = models[0].scale
    samples = load_dataset(dataset, scale, lr_folder=lr_folder)
    scores: Scores = {BICUBIC: [], **{f"depth {model.depth}": [] for model in models}}
    names = []

    def measured(position: int) -> tuple[str, dict[str, Quality]]:
        if kept is None:
            return measured_now(position)
        picture = files_digest(samples.files(position))
        known = kept.find(picture)
        if known is not None:
            return samples.name(position), known
        name, found = measured_now(position)
        kept.add(picture, found)
        return name, found

    def measured_now(position: int) -> tuple[str, dict[str, Quality]]:
        sample = samples.sample(position)
        found = {BICUBIC: _quality(resize_bicubic(sample.lr, scale), sample.hr, scale)}
        for model in models:
            found[f"depth {model.depth}"] = _quality(model.upscale(sample.lr), sample.hr, scale)
        return sample.name, found

    on_picture(0, len(samples))
    for name, found in _in_order(measured, len(samples), jobs):
        names.append(name)
        for method, quality in found.items():
            scores[method].append(quality)
        on_picture(len(names), len(samples))
    return Evaluation(scale=scale, pictures=tuple(names), scores=scores)


def _in_order(work: Callable[[int], Result], count: int, jobs: int) -> Iterator[Result]:
    """``work(0)``, ``work(1)``, ... in this order, so many at once; none is begun far ahead of those taken."""
    pool = ThreadPoolExecutor(jobs)
    waiting: deque[Future[Result]] = deque()
    try:
        for position in range(count):
            waiting.append(pool.submit(work, position))
            if len(waiting) > jobs:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _golden_models(checkpoint: Checkpoint) -> tuple[Model, ...]:
    return tuple(
        LoadedDepth(depth=depth, runner=graph, scale=graph.scale, halo_px=graph.cost().halo_px, window_px=None)
        for depth, graph in lower_checkpoint(checkpoint).items()
    )


def _float_models(checkpoint: Checkpoint) -> tuple[Model, ...]:
    try:
        from qsr_edge.training.float_depth import float_depths
    except ImportError as error:
        raise QsrError(f"a float network runs in torch; {how_to_install('train')}") from error
    return float_depths(checkpoint)


def _quality(image: NDArray[np.uint8], reference: NDArray[np.uint8], scale: int) -> Quality:
    return Quality(
        psnr_db=psnr_y(image, reference, border_px=scale),
        ssim=ssim_y(image, reference, border_px=scale),
    )
