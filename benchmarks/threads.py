"""One network shared by several threads against one for each thread: pictures a second, and how many came out wrong.

    python benchmarks/threads.py BUNDLE... [--depth N] [--workers N] [--rounds N] [--each N] [--side N]

Each picture is noise of one of two sizes, or of the only size that the bundle takes, and is compared with what a
single thread made of it. Both ways take turns within each round; the rate is that of the median round.
"""

import argparse
import time
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray

from qsr_edge.bundle.reader import open_bundle
from qsr_edge.errors import QsrWarning
from qsr_edge.runtime.upscale import load_depth

Image = NDArray[np.uint8]
Run = Callable[[Image], Image]


def one_round(
    runs: Sequence[Run], pictures: Sequence[Image], expected: Sequence[Image], each: int
) -> tuple[float, int]:
    """Every worker upscales so many pictures with its own ``run``: pictures a second, and how many were wrong."""

    def work(number: int) -> int:
        indices = islice(cycle(range(len(pictures))), number, number + each)
        return sum(not np.array_equal(runs[number](pictures[i]), expected[i]) for i in indices)

    start = time.perf_counter()
    with ThreadPoolExecutor(len(runs)) as pool:
        wrong = sum(pool.map(work, range(len(runs))))
    return len(runs) * each / (time.perf_counter() - start), wrong


def measure(bundle_path: Path, depth: int | None, workers: int, rounds: int, each: int, side_px: int) -> None:
    """Measure one bundle, and print a line."""
    with open_bundle(bundle_path) as bundle:
        manifest = bundle.manifest
        sizes = [manifest.input_size_px] if manifest.input_size_px else [(side_px, side_px), (side_px, side_px // 2)]
        rng = np.random.default_rng(0)
        pictures = [rng.integers(0, 256, (*size, 3), np.uint8) for size in sizes * 3]
        models = [load_depth(bundle, depth=depth) for _ in range(workers)]
        shared, own = [models[0].runner.run] * workers, [model.runner.run for model in models]
        expected = [models[0].runner.run(picture) for picture in pictures]
        rates: dict[str, list[float]] = {"shared": [], "own": []}
        wrong, compared = 0, 0
        for runs in (shared, own):  # interpreters are made and their memory is planned
            one_round(runs, pictures, expected, len(pictures))
        alone = median(one_round(shared[:1], pictures, expected, each)[0] for _ in range(rounds))
        for _ in range(rounds):
            for name, runs in (("shared", shared), ("own", own)):
                rate, missed = one_round(runs, pictures, expected, each)
                rates[name].append(rate)
                wrong, compared = wrong + missed, compared + workers * each
    by_shared, by_own = median(rates["shared"]), median(rates["own"])
    print(
        f"{manifest.target}, depth {models[0].depth}, {workers} threads: shared {by_shared:.1f} pictures/s, one model "
        f"per thread {by_own:.1f}, ratio {by_shared / by_own:.2f}; one thread alone {alone:.1f}; "
        f"{wrong} of {compared} pictures wrong"
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundles", type=Path, nargs="+")
    parser.add_argument("--depth", type=int, help="residual blocks; the deepest by default")
    parser.add_argument("--workers", type=int, default=6)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--each", type=int, default=10, help="pictures of each worker in a round")
    parser.add_argument("--side", type=int, default=64, help="of a picture, in pixels")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", QsrWarning)  # that our executor of Core ML packages is slow
    for bundle in arguments.bundles:
        measure(bundle, arguments.depth, arguments.workers, arguments.rounds, arguments.each, arguments.side)


if __name__ == "__main__":
    main()
