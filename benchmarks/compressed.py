"""What networks make of compressed pictures: Set14's inputs saved as JPEG first, against bicubic of the same.

    python benchmarks/compressed.py x2_w4a8 photo_x2_w4a8 --data DIR

DIR holds ``test/Set14`` (high resolution) and ``test_lr/Set14/X<scale>`` (inputs). Networks are bundled ones or files
of checkpoints; the deepest depth is measured, by the integer graph. JPEG is Pillow's, with its usual 4:2:0 chroma.
The table goes to docs/results/compressed.md, and crops of the worst picture beside it.
"""

from pathlib import Path
from statistics import fmean

import click
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from qsr_edge.data.bicubic import resize_bicubic
from qsr_edge.data.dataset import load_dataset
from qsr_edge.data.degradation import compressed
from qsr_edge.lowering.edge import lower_checkpoint
from qsr_edge.metrics import psnr_y, ssim_y
from qsr_edge.nn.checkpoint import read_checkpoint
from qsr_edge.zoo import zoo_entry

RESULTS = Path(__file__).parent.parent / "docs" / "results"
QUALITIES = (40, 60, 80, 95)
SHOWN_QUALITY, SHOWN_SIDE_PX = 60, 128
"""The quality and the side of the crops that are shown."""
HEAD = """\
# Compressed pictures

Set14's x{scale} inputs, saved as JPEG of a quality (4:2:0) and upscaled: PSNR in dB on luma against the original, less
bicubic's of the same input. In brackets the worst picture. "none" is the input without JPEG.
`python benchmarks/compressed.py {networks} --data DIR` writes this page.

| network | {columns} |
|---|{rule}|
"""


def _checkpoint(name: str) -> Path:
    return Path(name) if Path(name).suffix else zoo_entry(name).path


@click.command()
@click.argument("networks", nargs=-1, required=True)
@click.option("--data", required=True, type=click.Path(path_type=Path, exists=True))
@click.option("--scale", default=2, show_default=True)
def main(networks: tuple[str, ...], data: Path, scale: int) -> None:
    """Measure NETWORKS and write the page."""
    samples = list(load_dataset(data / "test" / "Set14", scale, lr_folder=data / "test_lr" / "Set14" / f"X{scale}"))
    inputs: dict[str, list[NDArray[np.uint8]]] = {
        str(quality): [compressed(sample.lr, quality, subsampled=True) for sample in samples] for quality in QUALITIES
    }
    inputs["none"] = [sample.lr for sample in samples]
    outputs: dict[str, dict[str, list[NDArray[np.uint8]]]] = {
        "bicubic": {kind: [resize_bicubic(image, scale) for image in images] for kind, images in inputs.items()}
    }
    for name in networks:
        network = lower_checkpoint(read_checkpoint(_checkpoint(name)))
        deepest = network[max(network)]
        outputs[Path(name).stem] = {kind: [deepest.run(image) for image in images] for kind, images in inputs.items()}
        click.echo(f"{name}: {len(inputs) * len(samples)} pictures upscaled")

    lines = []
    for name, kinds in outputs.items():
        cells = []
        for kind, images in kinds.items():
            psnr = [psnr_y(a, b.hr, border_px=scale) for a, b in zip(images, samples, strict=True)]
            ssim = fmean(ssim_y(a, b.hr, border_px=scale) for a, b in zip(images, samples, strict=True))
            if name == "bicubic":
                cells.append(f"{fmean(psnr):.2f} dB, SSIM {ssim:.4f}")
                continue
            base = [psnr_y(a, b.hr, border_px=scale) for a, b in zip(outputs["bicubic"][kind], samples, strict=True)]
            gains = [a - b for a, b in zip(psnr, base, strict=True)]
            cells.append(f"{fmean(gains):+.2f} ({min(gains):+.2f}), SSIM {ssim:.4f}")
        lines.append(f"| {name} | {' | '.join(cells)} |")
        click.echo(lines[-1])
    columns = [f"quality {kind}" if kind != "none" else kind for kind in inputs]
    head = HEAD.format(
        scale=scale, networks=" ".join(networks), columns=" | ".join(columns), rule="---|" * len(columns)
    )
    picture = RESULTS / f"compressed_x{scale}.webp"
    _crops(outputs, [sample.hr for sample in samples], picture)
    shown = (
        f"\n![crops]({picture.name})\n\nEach row one picture at quality {SHOWN_QUALITY}: "
        f"{', '.join(outputs)}, the original. The crops are where bicubic is worst.\n"
    )
    (RESULTS / "compressed.md").write_text(head + "\n".join(lines) + "\n" + shown, encoding="utf-8")


def _crops(
    outputs: dict[str, dict[str, list[NDArray[np.uint8]]]], originals: list[NDArray[np.uint8]], to: Path
) -> None:
    """Four rows of crops: the pictures, and the places in them, where bicubic is farthest from the original."""
    shown = [kinds[str(SHOWN_QUALITY)] for kinds in outputs.values()]
    rows = []
    for i, original in enumerate(originals):
        error = np.abs(shown[0][i].astype(np.int64) - original).sum(axis=2)
        sums = np.pad(error, ((1, 0), (1, 0))).cumsum(0).cumsum(1)
        side = SHOWN_SIDE_PX
        windows = sums[side:, side:] - sums[:-side, side:] - sums[side:, :-side] + sums[:-side, :-side]
        y, x = np.unravel_index(int(windows.argmax()), windows.shape)
        crops = [image[y : y + side, x : x + side] for image in (*(images[i] for images in shown), original)]
        rows.append((int(windows.max()), np.concatenate(crops, axis=1)))
    rows.sort(key=lambda row: -row[0])
    Image.fromarray(np.concatenate([row for _, row in rows[:4]], axis=0)).save(to, quality=92)


if __name__ == "__main__":
    main()
