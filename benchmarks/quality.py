"""Write docs/results/quality.md: every bundled network, what was measured of it, and the training that it took.

    python benchmarks/quality.py

The figures are those that ``benchmarks/record_quality.py`` measured and recorded in each checkpoint.
"""

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path

from qsr_edge.nn.checkpoint import read_checkpoint
from qsr_edge.nn.variant import Variant
from qsr_edge.zoo import ZooEntry, zoo_entries

PAGE = Path(__file__).parent.parent / "docs" / "results" / "quality.md"
PUBLISHED = PAGE.with_name("published.csv")
"""Figures of other networks, each with its source."""
BICUBIC_DB = {("Set5", 2): 33.67, ("Set14", 2): 30.32, ("Set5", 4): 28.43, ("Set14", 4): 26.09}
"""PSNR of bicubic interpolation of the standard low-resolution inputs, by data set and scale."""
HEAD = """\
# Quality of the bundled networks

PSNR in dB and SSIM of what is deployed, with the training that it took. Depths 2 / 4 / 8 stand in each cell
(1 / 2 / 4 of nano).
`python benchmarks/quality.py` writes this page from the checkpoints.

- *Measured*: on luma (BT.601), `scale` border pixels cropped, on the standard low-resolution inputs of Set5 and
  Set14. The quantized rows are the integer graph, which every runtime computes byte for byte
  (`benchmarks/record_quality.py`); "float" is the same network in float.
- *Network*: 32 channels, 8 blocks (nano: 16 channels, 4 blocks), one set of weights for all depths. W8A8 has the
  profile `scaled`, the others `portable`. In W4A8 and W8A8 a block reads the residual stream's own codes
  ([numerics.md](../numerics.md)).
- *photo* networks are for compressed pictures; what they gain there: [compressed.md](compressed.md).
- *Iterations*: of the row's own stage, and of all stages to it, one after the other.
- *Data*, with the number of images that were trained on: **free** photographs, whose licences let the weights be
  shipped, each with its author in [SOURCES.csv](../../qsr_edge/zoo/SOURCES.csv).

Every setting of every stage stands in the model cards: `qsr-edge models x2_w4a8`. The networks were trained for
hours on one CPU core each, not for days on a GPU; longer training is expected to gain.
[Other networks](#other-networks-as-published) stand at the end.
"""
OTHERS = """\
## Other networks, as published

PSNR in dB as their authors give it, from [published.csv](published.csv). It is not all comparable with the rows above:

- their training had more images and far more iterations than ours, and its images are for research only;
- MACs are for an output of 1280x720 pixels; ours at x2 take 35.0 G at depth 8, with 8-bit products;
- DDTB's EDSR has 1.4 M parameters and SRResNet 1.5 M; their first and last layers, which are not in the bit width,
  stay in float, while ours are integers throughout.

ECBSR-M6C40, ABPN-M6C40, 2DQuant, CondiQuant and QuantSR+ are missing: their tables were not at hand.
"""
COLUMNS = (
    "network", "Set5, PSNR", "Set5, SSIM", "Set14, PSNR", "Set14, SSIM", "iterations of its own", "in all", "batch",
    "patch, px", "data",
)  # fmt: skip


def stages(entry: ZooEntry) -> Iterator[Mapping[str, object]]:
    """What is recorded of each stage's training, the last one first."""
    stage: object = read_checkpoint(entry.path).provenance
    while isinstance(stage, Mapping):
        yield stage
        stage = stage.get("start")


def _family(entry: ZooEntry) -> tuple[str, Variant, int]:
    return entry.size, entry.variant, entry.scale


def _setting(stage: Mapping[str, object], key: str) -> object:
    recipe = stage.get("recipe")
    return recipe.get(key) if isinstance(recipe, Mapping) else None


def row(entry: ZooEntry) -> list[str]:
    """The cells of a network."""
    trained = list(stages(entry))
    iterations = [value for stage in trained if isinstance(value := _setting(stage, "iterations"), int)]
    cells = [f"W{entry.bits}A{entry.activation_bits}" if entry.bits else "float"]
    for dataset in ("Set5", "Set14"):
        found = {quality.depth: quality for quality in entry.quality if quality.dataset == dataset}
        cells.append(" / ".join(f"{found[depth].psnr_db:.2f}" for depth in entry.depths))
        cells.append(" / ".join(f"{found[depth].ssim:.4f}" for depth in entry.depths))
    data = "free" if entry.may_be_shipped else "research"
    unknown = " and more" if len(iterations) < len(trained) else ""
    return [
        *cells,
        f"{iterations[0]:,}",
        f"{sum(iterations):,}{unknown}",
        str(_setting(trained[0], "batch")),
        str(_setting(trained[0], "patch_px")),
        f"{data}, {trained[0].get('training_images')}",
    ]


def _published() -> Iterator[str]:
    columns = (
        "network",
        "scale",
        "bits",
        "Set5",
        "Set14",
        "B100",
        "Urban100",
        "parameters",
        "MACs",
        "training",
        "source",
    )
    yield f"| {' | '.join(columns)} |"
    yield "|---" * len(columns) + "|"
    with PUBLISHED.open(encoding="utf-8", newline="") as file:
        for line in csv.DictReader(file):
            parameters = f"{line['parameters_k']} K" if line["parameters_k"] else ""
            macs = f"{line['macs_g']} G" if line["macs_g"] else ""
            figures = [line[key] for key in ("set5_db", "set14_db", "b100_db", "urban100_db")]
            cells = [line["network"], f"x{line['scale']}", line["bits"], *figures, parameters, macs]
            yield f"| {' | '.join([*cells, line['training'], line['source']])} |"


def main() -> None:
    """Write the page."""
    lines = [HEAD]
    entries = zoo_entries()
    for family in dict.fromkeys(map(_family, entries)):
        size, variant, scale = family
        of = [*([size] if size != "edge" else []), *([f"{variant}"] if variant is not Variant.CLEAN else [])]
        title = ", ".join([*of, f"x{scale}"])
        bicubic = [
            f"{dataset} {BICUBIC_DB[dataset, scale]:.2f} dB"
            for dataset in ("Set5", "Set14")
            if (dataset, scale) in BICUBIC_DB
        ]
        lines += [
            f"## {title}",
            "",
            f"Bicubic interpolation of the same inputs: {', '.join(bicubic) or 'not measured'}.",
        ]
        lines += ["", f"| {' | '.join(COLUMNS)} |", "|---" * len(COLUMNS) + "|"]
        members = (entry for entry in entries if _family(entry) == family)
        lines += [f"| {' | '.join(row(entry))} |" for entry in members]
        lines.append("")
    lines += [OTHERS, *_published()]
    PAGE.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"wrote {PAGE}")


if __name__ == "__main__":
    main()
