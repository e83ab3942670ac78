"""What a picture's file costs beside the network: CPU time and memory of the whole command, 480p to 8K.

    python benchmarks/picture_files.py BUNDLE [--depth N] [--rounds 3] [--input png jpg] [--output png jpg webp]

Every measurement is a process of its own that runs ``qsr-edge upscale`` on a photo and tells its CPU time from start to
end, start-up and imports included, and within that the CPU time of the network's own runs. Both come from one process,
so other load hits both alike; sizes and formats take turns, and medians are printed. The photo is the bundled one,
enlarged, with sensor noise of two levels, without which any encoder would look fast.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
from PIL import Image

from qsr_edge.bundle.reader import open_bundle

SIZES_PX = {"480p": (854, 480), "720p": (1280, 720), "1080p": (1920, 1080), "4K": (3840, 2160)}
PHOTO = Path(__file__).resolve().parents[1] / "qsr_edge" / "assets" / "coffee.png"
NOISE_LEVELS = 2

# Runs the command with a runner that adds up its thread's CPU time. The network has one thread here.
PROBE = """
import dataclasses, json, pathlib, re, sys, time
import qsr_edge.runtime.variants as loading
from qsr_edge.cli.main import main

spent = [0.0]
load = loading.load_depth

class Timed:
    def __init__(self, runner):
        self.runner = runner
    def run(self, image):
        start = time.thread_time()
        try:
            return self.runner.run(image)
        finally:
            spent[0] += time.thread_time() - start

def load_timed(*arguments, **options):
    model = load(*arguments, **options)
    return dataclasses.replace(model, runner=Timed(model.runner))

loading.load_depth = load_timed
code = main(sys.argv[1:])
peak = int(re.search(r"VmHWM:\\s+(\\d+) kB", pathlib.Path("/proc/self/status").read_text())[1]) * 1024
print(json.dumps({"cpu_s": time.process_time(), "network_s": spent[0], "peak_bytes": peak}))
sys.exit(code)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """One run of the command."""

    cpu_s: float
    network_s: float
    peak_bytes: int
    output_bytes: int


def photo(size_px: tuple[int, int]) -> Image.Image:
    """The bundled photo at a size, with noise."""
    with Image.open(PHOTO) as image:
        large = np.asarray(image.convert("RGB").resize(size_px, Image.Resampling.BICUBIC)).astype(np.int16)
    noise = np.random.default_rng(0).integers(-NOISE_LEVELS, NOISE_LEVELS + 1, large.shape)
    return Image.fromarray(np.clip(large + noise, 0, 255).astype(np.uint8))


def run_once(bundle: Path, depth: int, source: Path, target: Path) -> Cost:
    """Upscale one file in a process of its own."""
    arguments = ["upscale", "--bundle", str(bundle), "--depth", str(depth), str(source), "-o", str(target), "--force"]
    done = subprocess.run([sys.executable, "-c", PROBE, *arguments], check=True, capture_output=True, text=True)
    return Cost(**json.loads(done.stdout.splitlines()[-1]), output_bytes=target.stat().st_size)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--depth", type=int, help="residual blocks; the deepest by default")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sizes", nargs="+", choices=SIZES_PX, default=list(SIZES_PX))
    parser.add_argument("--input", nargs="+", default=["png", "jpg"])
    parser.add_argument("--output", nargs="+", default=["png", "jpg"])
    arguments = parser.parse_args()
    with open_bundle(arguments.bundle) as bundle:
        scale = bundle.manifest.scale
        depth = arguments.depth or bundle.manifest.depths[-1].depth
        print(f"{bundle.manifest.name}, depth {depth}, {bundle.manifest.runtime}, {arguments.rounds} rounds, 1 thread")
    cases = [(size, read, write) for size in arguments.sizes for read in arguments.input for write in arguments.output]
    costs: dict[tuple[str, str, str], list[Cost]] = {case: [] for case in cases}
    with tempfile.TemporaryDirectory() as folder:
        for size in arguments.sizes:
            for read in arguments.input:
                photo(SIZES_PX[size]).save(Path(folder) / f"{size}.{read}", quality=92)
        for _ in range(arguments.rounds):
            for size, read, write in cases:
                target = Path(folder) / f"out.{write}"
                cost = run_once(arguments.bundle, depth, Path(folder) / f"{size}.{read}", target)
                costs[size, read, write].append(cost)
    print("| input | output | command, CPU s | network, CPU s | ratio | peak, MB | file, MB |")
    print("|---|---|---|---|---|---|---|")
    for (size, read, write), runs in costs.items():
        width, height = SIZES_PX[size]
        print(
            f"| {size} {read} | {width * scale}x{height * scale} {write} "
            f"| {median(run.cpu_s for run in runs):.2f} | {median(run.network_s for run in runs):.2f} "
            f"| {median(run.cpu_s / run.network_s for run in runs):.2f} "
            f"| {median(run.peak_bytes for run in runs) / 1e6:.0f} "
            f"| {median(run.output_bytes for run in runs) / 1e6:.1f} |"
        )


if __name__ == "__main__":
    main()
