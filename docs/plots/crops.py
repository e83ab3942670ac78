"""A detail of a photo: the input, bicubic interpolation, a bundled network, and the original.

    python docs/plots/crops.py PHOTO LEFT TOP WIDTH HEIGHT -o docs/plots/crops.png [--network x2_w4a8]

README's picture shows ``chelsea.png`` of scikit-image's sample data (CC0, photo by Stefan van der Walt), box 130 85 110
90. The input is the photo reduced by bicubic interpolation; the box is in pixels of the photo. The network is its
integer graph, computed by the golden interpreter.
"""

from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from qsr_edge.data.bicubic import resize_bicubic
from qsr_edge.lowering.checkpoint import lower_checkpoint
from qsr_edge.metrics import psnr_y
from qsr_edge.nn.checkpoint import read_checkpoint
from qsr_edge.zoo import zoo_entry

ENLARGED = 3
"""Each pixel of the original is shown as so many a side."""
GAP_PX = 12
LABEL_PX = 34


@click.command()
@click.argument("photo", type=click.Path(path_type=Path, exists=True))
@click.argument("box", nargs=4, type=int)
@click.option("--network", default="x2_w4a8", show_default=True)
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True)
def main(photo: Path, box: tuple[int, int, int, int], network: str, output: Path) -> None:
    """Write the picture."""
    left, top, width, height = box
    network_graph = lower_checkpoint(read_checkpoint(zoo_entry(network).path)).deepest
    scale = network_graph.scale
    with Image.open(photo) as image:
        truth = np.asarray(image.convert("RGB"))
    truth = truth[: truth.shape[0] // scale * scale, : truth.shape[1] // scale * scale]
    small = resize_bicubic(truth, 1 / scale)
    results = {"bicubic": resize_bicubic(small, scale), network: network_graph.run(small)}
    panels: dict[str, NDArray[np.uint8]] = {"input": small.repeat(scale, axis=0).repeat(scale, axis=1)}
    for name, result in results.items():
        panels[f"{name}, {psnr_y(result, truth, border_px=scale):.2f} dB"] = result
    panels["original"] = truth
    side = (width * ENLARGED, height * ENLARGED)
    sheet = Image.new("RGB", (len(panels) * (side[0] + GAP_PX) - GAP_PX, side[1] + LABEL_PX), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(22)
    for i, (label, panel) in enumerate(panels.items()):
        x = i * (side[0] + GAP_PX)
        crop = Image.fromarray(panel[top : top + height, left : left + width])
        sheet.paste(crop.resize(side, Image.Resampling.NEAREST), (x, 0))
        draw.text((x + 2, side[1] + 4), label, fill="black", font=font)
    sheet.save(output)


if __name__ == "__main__":
    main()
