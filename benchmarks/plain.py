"""What networks make of pictures without detail: plain colours, and grey ones; a page with both.

    python benchmarks/plain.py

Every bundled network is measured, or the checkpoints that are named. The page is docs/results/plain.md.
"""

from itertools import product
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray

import qsr_edge
from qsr_edge.assets import demo_photo
from qsr_edge.lowering.edge import lower_checkpoint
from qsr_edge.nn.checkpoint import read_checkpoint
from qsr_edge.zoo import zoo_entries, zoo_entry

PAGE = Path(__file__).parent.parent / "docs" / "results" / "plain.md"
SIDE_PX = 64
LEVELS = (0, 128, 255)
HEAD = f"""\
# Plain and grey pictures

`python benchmarks/plain.py` writes this page.

- *Plain*: {SIDE_PX}x{SIDE_PX} pictures of one colour, all {len(LEVELS) ** 3} of {", ".join(map(str, LEVELS))} in red,
  green and blue. The figures are the largest difference of an output byte from that colour, in levels of 255: in the
  corners (what comes from the four corner pixels), elsewhere, and how many output pixels of one picture are more than
  3 levels off.
- *Grey*: {SIDE_PX}x{SIDE_PX} pixels of the bundled photo, its luma in all three channels; the largest |Cb| or |Cr|
  (BT.601) of the output, before `upscale` makes it grey again.

| network | depth | corners | elsewhere | pixels more than 3 off | chroma of grey |
|---|--:|--:|--:|--:|--:|
"""


def plain_errors(
    outputs: list[NDArray[np.uint8]], colours: list[NDArray[np.uint8]], scale: int
) -> tuple[int, int, int]:
    """Largest error in the corners, elsewhere, and the most pixels of a picture that are more than 3 levels off."""
    corners = elsewhere = pixels = 0
    for output, colour in zip(outputs, colours, strict=True):
        error = np.abs(output.astype(np.int64) - colour).max(axis=2)
        inside = np.zeros(error.shape, bool)
        inside[scale:-scale] = inside[:, scale:-scale] = True
        corners = max(corners, int(error[~inside].max()))
        elsewhere = max(elsewhere, int(error[inside].max()))
        pixels = max(pixels, int((error > 3).sum()))
    return corners, elsewhere, pixels


def chroma(image: NDArray[np.uint8]) -> float:
    """The largest |Cb| or |Cr| of BT.601, in levels, of an (H, W, 3) uint8 image."""
    red, green, blue = (image[..., channel].astype(np.float64) for channel in range(3))
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    return float(max(np.abs((blue - luma) / 1.772).max(), np.abs((red - luma) / 1.402).max()))


@click.command()
@click.argument("networks", nargs=-1)
def main(networks: tuple[str, ...]) -> None:
    """Measure NETWORKS, names or files; all bundled quantized ones and the page if none is named."""
    names = networks or tuple(entry.name for entry in zoo_entries() if entry.bits)
    colours = [np.array(levels, np.uint8) for levels in product(LEVELS, repeat=3)]
    photo = qsr_edge.read_picture(demo_photo()).rgb[:SIDE_PX, :SIDE_PX]
    luma = np.floor(photo @ np.array([0.299, 0.587, 0.114]) + 0.5).astype(np.uint8)
    grey = np.repeat(luma[..., np.newaxis], 3, axis=2)
    rows = []
    for name in names:
        checkpoint = read_checkpoint(Path(name) if Path(name).suffix else zoo_entry(name).path)
        scale = checkpoint.config.scale
        for depth, graph in lower_checkpoint(checkpoint).items():
            outputs = [graph.run(np.tile(colour, (SIDE_PX, SIDE_PX, 1))) for colour in colours]
            corners, elsewhere, pixels = plain_errors(outputs, colours, scale)
            tint = chroma(graph.run(grey))
            rows.append(f"| {Path(name).stem} | {depth} | {corners} | {elsewhere} | {pixels} | {tint:.1f} |")
            click.echo(rows[-1])
    if not networks:
        PAGE.write_text(HEAD + "\n".join(rows) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
