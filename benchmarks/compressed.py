"""What networks make of compressed pictures: Set14's inputs saved as JPEG first, against bicubic of the same.

    python benchmarks/compressed.py x2_w4a8 photo_x2_w4a8 x4_w4a8 photo_x4_w4a8 --data DIR

DIR holds ``test/Set14`` (high resolution) and ``test_lr/Set14/X<scale>`` (inputs). Networks are bundled ones or files
of checkpoints; the deepest depth is measured, by the integer graph. JPEG is Pillow's, with its usual 4:2:0 chroma.
The tables go to docs/results/compressed.md, and crops of the worst pictures beside it.
"""

from pathlib import Path
from statistics import fmean
from typing import TypeAlias

import click
import numpy as np
from numpy.typing import NDArray
from PIL import Image

import qsr_edge
from qsr_edge.assets import demo_photo
from qsr_edge.data.bicubic import resize_bicubic
from qsr_edge.data.dataset import load_dataset
from qsr_edge.data.degradation import compressed
from qsr_edge.lowering.edge import lower_checkpoint
from qsr_edge.metrics import psnr_y, ssim_y
from qsr_edge.nn.checkpoint import Checkpoint, read_checkpoint
from qsr_edge.zoo import zoo_entry

RESULTS = Path(__file__).parent.parent / "docs" / "results"
QUALITIES = (40, 60, 80, 90, 95)
SHOWN_QUALITY, SHOWN_SIDE_PX = 60, 128
"""The quality and the side of the crops that are shown."""
HEAD = """\
# Compressed pictures

Set14's inputs, saved as JPEG of a quality (4:2:0) and upscaled. Bicubic's row gives PSNR in dB on luma against the
original; a network's row what it gains over that, on average. In brackets the picture where it gains least. "none" is
the input without JPEG. The integer graph is measured, at its deepest depth.
`python benchmarks/compressed.py {networks} --data DIR` writes this page.
"""

_Images: TypeAlias = list[NDArray[np.uint8]]


@click.command()
@click.argument("networks", nargs=-1, required=True)
@click.option("--data", required=True, type=click.Path(path_type=Path, exists=True))
def main(networks: tuple[str, ...], data: Path) -> None:
    """Measure NETWORKS and write the page."""
    checkpoints = {
        Path(name).stem: read_checkpoint(Path(name) if Path(name).suffix else zoo_entry(name).path) for name in networks
    }
    lines = [HEAD.format(networks=" ".join(checkpoints))]
    for scale in sorted({checkpoint.config.scale for checkpoint in checkpoints.values()}):
        chosen = {name: checkpoint for name, checkpoint in checkpoints.items() if checkpoint.config.scale == scale}
        lines += [f"## x{scale}", "", *_section(scale, chosen, data), ""]
    (RESULTS / "compressed.md").write_text("\n".join(lines[:-1]) + "\n", encoding="utf-8")


def _section(scale: int, checkpoints: dict[str, Checkpoint], data: Path) -> list[str]:
    """The table of a scale factor's networks, and the crops' line."""
    samples = list(load_dataset(data / "test" / "Set14", scale, lr_folder=data / "test_lr" / "Set14" / f"X{scale}"))
    inputs: dict[str, _Images] = {
        f"quality {quality}": [compressed(sample.lr, quality, subsampled=True) for sample in samples]
        for quality in QUALITIES
    }
    inputs["none"] = [sample.lr for sample in samples]
    outputs: dict[str, dict[str, _Images]] = {
        "bicubic": {kind: [resize_bicubic(image, scale) for image in images] for kind, images in inputs.items()}
    }
    photo = qsr_edge.read_picture(demo_photo()).rgb  # both sides divisible by 4
    small = compressed(resize_bicubic(photo, 1 / scale), SHOWN_QUALITY, subsampled=True)
    shown = [resize_bicubic(small, scale)]
    for name, checkpoint in checkpoints.items():
        network = lower_checkpoint(checkpoint)
        deepest = network[max(network)]
        shown.append(deepest.run(small))
        outputs[name] = {kind: [deepest.run(image) for image in images] for kind, images in inputs.items()}
        click.echo(f"{name}: {len(inputs) * len(samples)} pictures upscaled")

    lines = [f"| network | {' | '.join(inputs)} |", f"|---|{'---|' * len(inputs)}"]
    bicubic_db: dict[str, list[float]] = {}
    for name, kinds in outputs.items():
        cells = []
        for kind, images in kinds.items():
            psnr = [psnr_y(a, b.hr, border_px=scale) for a, b in zip(images, samples, strict=True)]
            ssim = fmean(ssim_y(a, b.hr, border_px=scale) for a, b in zip(images, samples, strict=True))
            if name == "bicubic":
                bicubic_db[kind] = psnr
                cells.append(f"{fmean(psnr):.2f} dB, SSIM {ssim:.4f}")
                continue
            gains = [a - b for a, b in zip(psnr, bicubic_db[kind], strict=True)]
            worst = samples[int(np.argmin(gains))].name
            cells.append(f"{fmean(gains):+.2f} ({worst} {min(gains):+.2f}), SSIM {ssim:.4f}")
        lines.append(f"| {name} | {' | '.join(cells)} |")
        click.echo(lines[-1])
    picture = RESULTS / f"compressed_x{scale}.webp"
    _crops([*shown, photo], picture)
    return [
        *lines,
        "",
        f"![crops]({picture.name})",
        "",
        f"The bundled photo at quality {SHOWN_QUALITY}: {', '.join(outputs)}, the original. Each row is a place where",
        "bicubic is far off.",
    ]


def _crops(shown: _Images, to: Path) -> None:
    """Four rows of crops of all ``shown``, from places where the first one is farthest from the last, the original."""
    side = SHOWN_SIDE_PX
    error = np.abs(shown[0].astype(np.int64) - shown[-1]).sum(axis=2)
    sums = np.pad(error, ((1, 0), (1, 0))).cumsum(0).cumsum(1)
    windows = sums[side:, side:] - sums[:-side, side:] - sums[side:, :-side] + sums[:-side, :-side]
    rows = []
    for _ in range(4):
        y, x = (int(place) for place in np.unravel_index(int(windows.argmax()), windows.shape))
        rows.append(np.concatenate([image[y : y + side, x : x + side] for image in shown], axis=1))
        windows[max(0, y - side) : y + side, max(0, x - side) : x + side] = -1
    Image.fromarray(np.concatenate(rows, axis=0)).save(to, quality=92)


if __name__ == "__main__":
    main()
