"""How cost and memory grow: upscaling from 480p to 8K, evaluating many pictures, calibrating on many.

    python benchmarks/scale.py -o docs/results/scale.md

Needs no data: pictures are crops of the bundled photo, enlarged for upscaling, with sensor noise of two levels. Every
row is a process of its own that runs a command of ``qsr-edge`` and tells its CPU time from start to end, start-up
included, its wall time, and the most memory that it had. The first row of each table does the least: it is taken off
the others, and start-up with it, before cost is shown per megapixel or per picture. About three minutes on an idle
machine.
"""

import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import click
import numpy as np
from PIL import Image

from qsr_edge.conversion.cached import cached_bundle
from qsr_edge.files import atomic_write

NETWORK = "x2_w4a8"
PHOTO = Path(__file__).resolve().parents[1] / "qsr_edge" / "assets" / "coffee.png"
NOISE_LEVELS = 2
SIZES_PX = ((16, 16), (854, 480), (1280, 720), (1920, 1080), (3840, 2160), (7680, 4320))
"""Width and height."""
PICTURES = (1, 8, 32, 128)
PICTURE_PX = (256, 192)
LARGE_PICTURES_PX = ((1024, 768), (2048, 1536), (4096, 3072))
"""Of which one is evaluated, to show memory."""
CALIBRATION_PICTURES = (4, 16, 64)
"""Of which all are used; the command line takes 24 at most."""
CALIBRATION_PX = 32
CHANNELS, BLOCKS = 16, 8
"""Of the network that is calibrated, one of the paper's kind: 64 and 32 there."""

# Runs the command line, then prints what it took. VmHWM is this process's own peak; ru_maxrss would start from the
# parent's size.
PROBE = """
import json, pathlib, re, resource, sys, time
began = time.perf_counter()
from qsr_edge.cli.main import main
code = main(sys.argv[1:])
status = pathlib.Path("/proc/self/status")
if status.exists():
    peak = int(re.search(r"VmHWM:\\s+(\\d+) kB", status.read_text())[1]) * 1024
else:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
wall_s = time.perf_counter() - began
print(json.dumps({"cpu_s": time.process_time(), "wall_s": wall_s, "peak_bytes": peak}))
sys.exit(code)
"""
# The same of calibration alone: the command line takes 24 pictures of a folder at most.
CALIBRATION_PROBE = (
    """
import sys
from pathlib import Path
import qsr_edge.cli.main as command

def main(arguments):
    import torch
    from qsr_edge.data.images import read_picture
    from qsr_edge.nn.checkpoint import read_checkpoint
    from qsr_edge.training.calibration import calibrate
    torch.set_num_threads(1)
    images = [read_picture(path).rgb for path in sorted(Path(arguments[1]).iterdir())]
    calibrate(read_checkpoint(Path(arguments[0])), images)
    return 0

command.main = main
"""
    + PROBE
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What one process took: seconds of CPU and by the wall clock, and the most memory that it had."""

    cpu_s: float
    wall_s: float
    peak_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A row of a table: what was done, how much of it (megapixels or pictures), and what it took."""

    what: str
    amount: float
    cost: Cost


def photo(size_px: tuple[int, int], seed: int) -> Image.Image:
    """A crop of the bundled photo, enlarged to a size if that is larger, with noise."""
    rng = np.random.default_rng(seed)
    with Image.open(PHOTO) as image:
        width, height = (min(side, whole) for side, whole in zip(size_px, image.size, strict=True))
        left, top = (
            int(rng.integers(0, whole - side + 1)) for side, whole in zip((width, height), image.size, strict=True)
        )
        crop = image.convert("RGB").crop((left, top, left + width, top + height))
    large = np.asarray(crop.resize(size_px, Image.Resampling.BICUBIC)).astype(np.int16)
    noise = rng.integers(-NOISE_LEVELS, NOISE_LEVELS + 1, large.shape)
    return Image.fromarray(np.clip(large + noise, 0, 255).astype(np.uint8))


def run(probe: str, *arguments: object) -> Cost:
    """Run a command in a process of its own."""
    done = subprocess.run([sys.executable, "-c", probe, *map(str, arguments)], capture_output=True, text=True)
    if done.returncode:
        raise click.ClickException(f"{' '.join(map(str, arguments))}: {done.stderr.strip()}")
    return Cost(**json.loads(done.stdout.splitlines()[-1]))


def upscaled(bundle: Path, folder: Path) -> Iterator[Row]:
    """A JPEG of each size to PNG, one thread, the deepest depth."""
    for width, height in SIZES_PX:
        source, target = folder / "in.jpg", folder / "out.png"
        photo((width, height), seed=0).save(source, quality=92)
        cost = run(PROBE, "upscale", "--bundle", bundle, source, "-o", target, "--force")
        yield Row(what=f"{width}x{height}", amount=width * height / 1e6, cost=cost)
        target.unlink()


def evaluated(bundle: Path, folder: Path) -> Iterator[Row]:
    """Every depth of the bundle on so many pictures, as many at once as there are processors."""
    for count in PICTURES:
        pictures = folder / f"evaluated-{count}"
        pictures.mkdir()
        for number in range(count):
            photo(PICTURE_PX, seed=number).save(pictures / f"{number:04d}.png")
        yield Row(what=str(count), amount=count, cost=run(PROBE, "evaluate", "--bundle", bundle, "--dataset", pictures))


def evaluated_large(bundle: Path, folder: Path) -> Iterator[Row]:
    """One picture of each size at the shallowest depth."""
    for width, height in LARGE_PICTURES_PX:
        pictures = folder / f"evaluated-{width}"
        pictures.mkdir()
        photo((width, height), seed=0).save(pictures / "a.png", compress_level=1)
        cost = run(PROBE, "evaluate", "--bundle", bundle, "--depth", 2, "--dataset", pictures)
        yield Row(what=f"{width}x{height}", amount=width * height / 1e6, cost=cost)


def calibrated(folder: Path) -> Iterator[Row]:
    """A random network of the paper's kind on so many pictures, one thread."""
    import torch

    from qsr_edge.lowering.official_quantsr_c import import_official
    from qsr_edge.nn.checkpoint import write_checkpoint
    from tests.support.official_quantsr_c import official_state

    state = official_state(scale=2, bits=4, channels=CHANNELS, blocks=BLOCKS)
    torch.save({"params": state}, folder / "network_4bit.pth")
    checkpoint = folder / "network.safetensors"
    write_checkpoint(checkpoint, import_official(folder / "network_4bit.pth").checkpoint)
    for count in CALIBRATION_PICTURES:
        pictures = folder / f"calibrated-{count}"
        pictures.mkdir()
        for number in range(count):
            photo((CALIBRATION_PX, CALIBRATION_PX), seed=number).save(pictures / f"{number:04d}.png")
        yield Row(what=str(count), amount=count, cost=run(CALIBRATION_PROBE, checkpoint, pictures))


def table(rows: Sequence[Row], first: str, unit: str) -> list[str]:
    """Markdown; the first row is taken off the others before they are divided."""
    lines = [f"| {first} | CPU, s | wall clock, s | CPU, ms per {unit} | peak memory, MB |", "|---|--:|--:|--:|--:|"]
    base = rows[0]
    for row in rows:
        grown = row.amount - base.amount
        each = f"{1000 * (row.cost.cpu_s - base.cost.cpu_s) / grown:,.0f}" if grown else ""
        lines.append(
            f"| {row.what} | {row.cost.cpu_s:.2f} | {row.cost.wall_s:.2f} | {each} | {row.cost.peak_bytes / 1e6:,.0f} |"
        )
    return lines


def processor() -> str:
    """The processor's name, where the system tells it."""
    info = Path("/proc/cpuinfo")
    names = [line.partition(":")[2].strip() for line in info.read_text().splitlines() if line.startswith("model name")]
    return f"{platform.machine()}, {names[0] if names else 'unknown'}, {os.cpu_count()} cores"


def page(tables: Sequence[Sequence[Row]], load: float, output: Path) -> str:
    """The page, Markdown."""
    packages = ", ".join(f"{name} {version(name)}" for name in ("ai-edge-litert", "numpy", "pillow", "torch"))
    head = f"""\
# How cost and memory grow

Written by `python benchmarks/scale.py -o {output.as_posix()}`.

- *Machine*: {processor()}; 1-minute load before the run: {load:.1f}. **No phone.**
- *Versions*: Python {platform.python_version()}, {packages}.
- *Rows* are one run each, in a process of its own; CPU time and memory are the whole process's, start-up included.
  The first row of a table is taken off before cost is shown per megapixel or picture. Where that column stays the
  same, cost is linear. Other work on the machine makes it larger.

## Upscaling: 480p to 8K

`qsr-edge upscale`, {NETWORK}, depth 8, LiteRT, 1 thread, JPEG to PNG. Megapixels are the input's.
"""
    second = f"""
Memory grows with the input's pixels, which are decoded as a whole, and with its width: the output is written while it
is made, a row of tiles at a time.

## Evaluating many pictures

`qsr-edge evaluate`, {NETWORK}, depths 2, 4 and 8, pictures of {PICTURE_PX[0]}x{PICTURE_PX[1]}, as many at once as there
are processors.
"""
    third = """
One large picture, depth 2. Memory is the pixels' of original, input and output; PSNR and SSIM are computed in strips.
"""
    fourth = f"""
## Calibrating on many pictures

`training.calibration.calibrate`, a random network of the paper's kind, {CHANNELS} channels and {BLOCKS} blocks, x2,
pictures of {CALIBRATION_PX}x{CALIBRATION_PX}, 1 thread. `qsr-edge convert --calibration FOLDER` takes 24 pictures at
most, evenly chosen, however many the folder holds: its cost and memory end there. Beyond, CPU time is linear, and
**memory is not bounded**: values of every picture are kept until the step sizes are chosen.
"""
    upscales, evaluates, large, calibrates = tables
    return "\n".join(
        [
            head,
            *table(upscales, "input", "megapixel"),
            second,
            *table(evaluates, "pictures", "picture"),
            third,
            *table(large, "picture", "megapixel"),
            fourth,
            *table(calibrates, "pictures", "picture"),
            "",
        ]
    )


@click.command()
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="Page to write.")
def main(output: Path) -> None:
    """Measure, print and write the page."""
    load = os.getloadavg()[0]
    bundle = cached_bundle(NETWORK, "tflite")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        os.environ["QSR_EDGE_CACHE"] = str(folder / "cache")
        measured = (
            upscaled(bundle, folder),
            evaluated(bundle, folder),
            evaluated_large(bundle, folder),
            calibrated(folder),
        )
        tables: list[list[Row]] = []
        for rows in measured:
            tables.append([])
            for row in rows:
                click.echo(f"{row.what}: {row.cost}", err=True)
                tables[-1].append(row)
    text = page(tables, load, output)
    click.echo(text)
    atomic_write(output, text.encode())


if __name__ == "__main__":
    main()
