"""Comparing what a runtime computes with the golden interpreter, byte for byte."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from qsr_edge.bundle.manifest import ParityEntry
from qsr_edge.conversion.backend import (
    Backend,
    Model,
    ModelPackage,
    Placement,
    Runner,
    TellsPlacement,
    model_contents,
    model_families,
)
from qsr_edge.data.bicubic import resize_bicubic
from qsr_edge.files import temporary_folder
from qsr_edge.graph.integer_graph import IntegerGraph
from qsr_edge.lowering.network import LoweredNetwork
from qsr_edge.metrics.quality import psnr_y

Image = NDArray[np.uint8]
OnStage = Callable[[str, int, int], None]
"""Takes what is begun, how many steps are done and how many there are; 0 of 0 where they cannot be counted."""

_RANDOM_SIZES_PX = ((1, 1), (7, 5), (24, 40))
"""Heights and widths of random images: a single pixel, smaller than the halo, and even."""
_NATURAL_SIZE_PX = 96
_PSNR_BORDER_PX = 2
"""Input pixels that PSNR leaves out, on both sides together: of smaller inputs nothing is left."""
_LARGE_PIXELS = 128 * 128
"""A fixed input beyond this is verified on one photo under the default kernels: the reference ones take minutes."""


def is_large(fixed_size_px: tuple[int, int] | None) -> bool:
    """Whether a fixed (height, width) is too large for every image under every family of kernels."""
    return fixed_size_px is not None and fixed_size_px[0] * fixed_size_px[1] > _LARGE_PIXELS


def _photo(natural: Image, size_px: tuple[int, int]) -> Image:
    """A photo cut, or repeated, to (height, width)."""
    height, width = size_px
    repeats = (-(-height // natural.shape[0]), -(-width // natural.shape[1]), 1)
    return np.ascontiguousarray(np.tile(natural, repeats)[:height, :width])


def psnr_cost_db(runner: Runner, graph: IntegerGraph, natural: Image, fixed_size_px: tuple[int, int] | None) -> float:
    """PSNR on luma under the golden interpreter minus that under a runtime, of a photo reduced and upscaled again.

    Args:
        runner: the runtime, loaded.
        graph: what it is to compute.
        natural: (H, W, 3) uint8 photo.
        fixed_size_px: the (height, width) that the runner takes; None if it takes any.
    """
    scale = graph.scale
    height, width = fixed_size_px or (natural.shape[0] // scale, natural.shape[1] // scale)
    original = _photo(natural, (height * scale, width * scale))
    reduced = resize_bicubic(original, 1 / scale)
    golden, got = graph.run(reduced), runner.run(reduced)
    return psnr_y(golden, original, border_px=scale) - psnr_y(got, original, border_px=scale)


def verification_images(natural: Image, fixed_size_px: tuple[int, int] | None) -> tuple[Image, ...]:
    """Random images of awkward sizes, extremes, and a part of a photo; only the photo if the fixed size is large.

    Args:
        natural: (H, W, 3) uint8 photo, at least as large as what is cut from it or repeated to that size.
        fixed_size_px: the one (height, width) that a model takes, or None if it takes any.
    """
    photo = _photo(natural, fixed_size_px or (_NATURAL_SIZE_PX, _NATURAL_SIZE_PX))
    if is_large(fixed_size_px):
        return (photo,)
    rng = np.random.default_rng(0)
    sizes = _RANDOM_SIZES_PX if fixed_size_px is None else (fixed_size_px,) * 2
    images = [rng.integers(0, 256, (*size, 3), np.uint8) for size in sizes]
    # Saturated noise drives accumulators and the residual stream to their ends.
    images.append(rng.integers(0, 2, (*sizes[-1], 3), np.uint8) * np.uint8(255))
    return (*images, photo)


def compare_with_golden(
    backend: Backend,
    network: LoweredNetwork,
    models: Sequence[Model],
    images: tuple[Image, ...],
    on_result: Callable[[ParityEntry], None] = lambda result: None,
    *,
    default_only: bool = False,
    also: tuple[str, ...] = (),
    on_placement: Callable[[int, str, Placement], None] = lambda depth, kernels, placement: None,
    natural: Image | None = None,
    fixed_size_px: tuple[int, int] | None = None,
    on_stage: OnStage = lambda text, done, total: None,
) -> tuple[ParityEntry, ...]:
    """Run every depth of the *written* files under each family of kernels that it has, the default first.

    Args:
        backend: the runtime.
        network: the graphs that the files were made from.
        models: what was written; it is put into a temporary folder and loaded from there.
        images: inputs, each (H, W, 3) uint8.
        on_result: called as results come.
        default_only: leave out all but the default kernels of each depth.
        also: optional families of kernels to run besides.
        on_placement: called with the depth, the family and what it told, for each of ``also`` whose runner tells.
        natural: (H, W, 3) uint8 photo, to measure what a model costs that need not be exact.
        fixed_size_px: the (height, width) that the models take; None if they take any.
        on_stage: called before each step; the reference of a depth is one, and so is each run of its file.

    Raises:
        BackendError: if a file cannot be loaded or run.
    """
    results: list[ParityEntry] = []
    with temporary_folder("parity") as folder:
        for name, content in model_contents(models).items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        runs: list[tuple[Model, int, str]] = []
        for model in models:
            for depth in model.depths:
                families = model_families(backend, folder / model.name, depth, backend.kernel_families())
                runs += [(model, depth, kernels) for kernels in (*(families[:1] if default_only else families), *also)]
        steps = len(network) + len(runs)
        golden: dict[int, list[Image]] = {}
        for depth, graph in network.items():
            on_stage(f"computing the reference of depth {depth}", len(golden), steps)
            golden[depth] = [graph.run(image) for image in images]
        for done, (model, depth, kernels) in enumerate(runs, start=len(network)):
            on_stage(f"verifying depth {depth} under {kernels}", done, steps)
            most = backend.capabilities.most_verified_pixels.get(kernels)
            chosen = [i for i, image in enumerate(images) if most is None or image[..., 0].size <= most]
            if not chosen:
                continue
            runner = backend.open_model(folder / model.name, depth=depth, kernels=kernels)
            outputs = [runner.run(images[i]) for i in chosen]
            expected = [golden[depth][i] for i in chosen]
            if kernels in also and isinstance(runner, TellsPlacement) and (told := runner.placement()):
                on_placement(depth, kernels, told)
            result = _compared(outputs, expected, kernels, depth)
            if isinstance(model, ModelPackage) and not model.deployment.byte_exact:
                cost = None
                if natural is not None and min(fixed_size_px or natural.shape[:2]) > _PSNR_BORDER_PX:
                    cost = psnr_cost_db(runner, network[depth], natural, fixed_size_px)
                result = replace(result, **_differences(outputs, expected), psnr_cost_db=cost)
            on_result(result)
            results.append(result)
    return tuple(results)


def _compared(outputs: Sequence[Image], golden: Sequence[Image], kernels: str, depth: int) -> ParityEntry:
    mismatching = sum(
        expected.size if got.shape != expected.shape else int(np.count_nonzero(got != expected))
        for got, expected in zip(outputs, golden, strict=True)
    )
    return ParityEntry(
        kernels=kernels,
        depth=depth,
        images=len(outputs),
        bytes_compared=sum(expected.size for expected in golden),
        mismatching_bytes=mismatching,
    )


class _Differences(TypedDict):
    max_difference: int
    mean_difference: float


def _differences(outputs: Sequence[Image], golden: Sequence[Image]) -> _Differences:
    """How far outputs are from the golden ones, in levels over all images; another shape counts as the whole range."""
    levels = np.concatenate(
        [
            np.abs(got.astype(np.int16) - expected).reshape(-1)
            if got.shape == expected.shape
            else np.full(expected.size, 255, np.int16)
            for got, expected in zip(outputs, golden, strict=True)
        ]
    )
    return {"max_difference": int(levels.max()), "mean_difference": float(levels.mean())}
