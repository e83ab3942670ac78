"""Time and memory of upscaling with a bundle on this machine.

    python benchmarks/upscale.py BUNDLE [--depth N] [--kernels NAME] [--rounds 5]

Prints seconds per megapixel of input with 1 and with 2 threads, wall clock and CPU time, and the ratio of the two. The
two take turns, so that heat or other load hits both alike, and medians are compared. Then the peak resident memory of
upscaling one 1920x1080 picture with the command line, reading and writing PNG files included; it is measured in a
process of its own.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray

from qsr_edge.bundle.reader import open_bundle
from qsr_edge.data.images import Picture, write_picture
from qsr_edge.runtime.tiler import DEFAULT_TILE_PX
from qsr_edge.runtime.upscale import LoadedDepth, load_depth

THREADS = (1, 2)
TIMED_SIZE_PX = (540, 960)
FULL_HD_PX = (1080, 1920)
# Runs the command line, then prints its own peak in bytes. On Linux ru_maxrss would start from the parent's size, VmHWM
# does not; elsewhere there is no /proc, and on macOS ru_maxrss is in bytes.
PEAK_PROBE = """
import pathlib, re, resource, sys
from qsr_edge.cli.main import main
code = main(sys.argv[1:])
status = pathlib.Path("/proc/self/status")
if status.exists():
    print(int(re.search(r"VmHWM:\\s+(\\d+) kB", status.read_text())[1]) * 1024)
else:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
sys.exit(code)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """One run: seconds per megapixel of input, by the wall clock and of the CPU."""

    wall_s: float
    cpu_s: float


def gradient(size_px: tuple[int, int]) -> NDArray[np.uint8]:
    """(H, W, 3) uint8: a gradient with noise; an integer network's time does not depend on what it sees."""
    height, width = size_px
    ramp = np.linspace(0, 200, width)[np.newaxis, :, np.newaxis]
    noise = np.random.default_rng(0).integers(0, 56, (height, width, 3))
    return (ramp + noise).astype(np.uint8)


def time_once(model: LoadedDepth, image: NDArray[np.uint8], tile_px: int) -> Timing:
    """One upscaling, tiled as the command line does it."""
    wall, cpu = time.perf_counter(), time.process_time()
    model.upscale(image, tile_px=tile_px)
    megapixels = image.shape[0] * image.shape[1] / 1e6
    return Timing(wall_s=(time.perf_counter() - wall) / megapixels, cpu_s=(time.process_time() - cpu) / megapixels)


def peak_rss_mb(bundle: Path, depth: int, tile_px: int) -> float:
    """Peak resident megabytes of ``qsr-edge upscale`` on a full-HD picture."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "in.png", Path(folder) / "out.png"
        write_picture(source, Picture(rgb=gradient(FULL_HD_PX), alpha=None, grey=False))
        options = ["--depth", str(depth), "--tile", str(tile_px)]
        arguments = ["upscale", "--bundle", str(bundle), str(source), "-o", str(target), *options]
        done = subprocess.run(
            [sys.executable, "-c", PEAK_PROBE, *arguments], check=True, capture_output=True, text=True
        )
    return int(done.stdout.splitlines()[-1]) / 1e6


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--depth", type=int, help="residual blocks; the deepest by default")
    parser.add_argument("--kernels", help="kernels of the runtime")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tile", type=int, default=DEFAULT_TILE_PX)
    arguments = parser.parse_args()

    image = gradient(TIMED_SIZE_PX)
    with open_bundle(arguments.bundle) as bundle:
        models = {
            threads: load_depth(bundle, depth=arguments.depth, threads=threads, kernels=arguments.kernels)
            for threads in THREADS
        }
        depth = models[1].depth
        print(f"{bundle.manifest.name}, depth {depth}, {bundle.manifest.runtime}, tiles of {arguments.tile} px")
        for model in models.values():
            time_once(model, image, arguments.tile)  # memory is planned and pages are touched
        timings: dict[int, list[Timing]] = {threads: [] for threads in THREADS}
        for _ in range(arguments.rounds):
            for threads, model in models.items():
                timings[threads].append(time_once(model, image, arguments.tile))
    walls = {threads: median(timing.wall_s for timing in runs) for threads, runs in timings.items()}
    for threads, runs in timings.items():
        cpu = median(timing.cpu_s for timing in runs)
        print(
            f"{threads} thread{'s' * (threads > 1)}: {walls[threads]:.3f} s per input megapixel, CPU time {cpu:.3f} s"
        )
    print(f"1 thread / 2 threads: {walls[1] / walls[2]:.2f}")
    peak = peak_rss_mb(arguments.bundle, depth, arguments.tile)
    print(f"peak resident memory, {FULL_HD_PX[1]}x{FULL_HD_PX[0]} upscaled: {peak:.0f} MB")


if __name__ == "__main__":
    main()
