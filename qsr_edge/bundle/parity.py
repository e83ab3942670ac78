"""Comparing what a runtime computes with the golden interpreter, byte for byte."""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from qsr_edge.bundle.backend import Backend, ModelFile
from qsr_edge.bundle.manifest import ParityEntry
from qsr_edge.graph.interpreter import run_graph
from qsr_edge.lowering.network import LoweredNetwork

Image = NDArray[np.uint8]

_RANDOM_SIZES_PX = ((1, 1), (7, 5), (24, 40))
"""Heights and widths of random images: a single pixel, smaller than the halo, and even."""
_NATURAL_SIZE_PX = 96
_LARGE_PIXELS = 128 * 128
"""A fixed input beyond this is verified on one photo under the default kernels: the reference ones take minutes."""


def is_large(fixed_size_px: tuple[int, int] | None) -> bool:
    """Whether a fixed (height, width) is too large for every image under every family of kernels."""
    return fixed_size_px is not None and fixed_size_px[0] * fixed_size_px[1] > _LARGE_PIXELS


def verification_images(natural: Image, fixed_size_px: tuple[int, int] | None) -> tuple[Image, ...]:
    """Random images of awkward sizes, extremes, and a part of a photo; only the photo if the fixed size is large.

    Args:
        natural: (H, W, 3) uint8 photo, at least as large as what is cut from it or repeated to that size.
        fixed_size_px: the one (height, width) that a model takes, or None if it takes any.
    """
    height, width = fixed_size_px or (_NATURAL_SIZE_PX, _NATURAL_SIZE_PX)
    repeats = (-(-height // natural.shape[0]), -(-width // natural.shape[1]), 1)
    photo = np.ascontiguousarray(np.tile(natural, repeats)[:height, :width])
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
    files: Sequence[ModelFile],
    images: tuple[Image, ...],
    families: tuple[str, ...],
    on_result: Callable[[ParityEntry], None] = lambda result: None,
) -> tuple[ParityEntry, ...]:
    """Run every depth of the *written* files under each of the given families of kernels.

    Args:
        backend: the runtime.
        network: the graphs that the files were made from.
        files: model files; they are written to a temporary folder and loaded from there.
        images: inputs, each (H, W, 3) uint8.
        families: kernels to run, of ``backend.kernel_families()``.
        on_result: called as results come.

    Raises:
        BackendError: if a file cannot be loaded or run.
    """
    golden = {
        depth: [run_graph(graph, network.constants, image) for image in images]
        for depth, graph in network.graphs.items()
    }
    results = []
    with tempfile.TemporaryDirectory() as folder:
        for file in files:
            (Path(folder) / file.name).write_bytes(file.content)
        for file in files:
            path = Path(folder) / file.name
            for depth in file.depths:
                for kernels in families:
                    runner = backend.open_model(path, depth=depth, kernels=kernels)
                    outputs = [runner.run(image) for image in images]
                    mismatching = sum(
                        expected.size if got.shape != expected.shape else int(np.count_nonzero(got != expected))
                        for got, expected in zip(outputs, golden[depth], strict=True)
                    )
                    result = ParityEntry(
                        kernels=kernels,
                        depth=depth,
                        images=len(images),
                        bytes_compared=sum(expected.size for expected in golden[depth]),
                        mismatching_bytes=mismatching,
                    )
                    on_result(result)
                    results.append(result)
    return tuple(results)
