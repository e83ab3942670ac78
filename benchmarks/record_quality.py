"""Measure a trained checkpoint on test sets and record the figures in it, with its model card beside it.

    python benchmarks/record_quality.py runs/x2_w4a4.safetensors qsr_edge/zoo/x2_w4a4.safetensors --data DIR

DIR holds ``test/<set>`` (high resolution) and ``test_lr/<set>/X<scale>`` (inputs). A quantized checkpoint is measured
through its lowered integer graph, which every runtime reproduces byte for byte; a float one through torch, rounded to
uint8.
"""

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray

from qsr_edge.bundle.manifest import QualityEntry
from qsr_edge.bundle.model_card import checkpoint_card
from qsr_edge.data.dataset import load_dataset
from qsr_edge.files import atomic_write
from qsr_edge.lowering.edge import lower_checkpoint
from qsr_edge.metrics import psnr_y, ssim_y
from qsr_edge.nn.checkpoint import Checkpoint, read_checkpoint, write_checkpoint

Upscale = Callable[[NDArray[np.uint8]], NDArray[np.uint8]]


def upscalers(checkpoint: Checkpoint) -> dict[int, Upscale]:
    """The network at each depth, as a function of an (H, W, 3) uint8 image."""
    if checkpoint.config.bits:
        return {depth: graph.run for depth, graph in lower_checkpoint(checkpoint).items()}
    from qsr_edge.training.float_depth import float_depths

    return {model.depth: model.upscale for model in float_depths(checkpoint)}


@click.command()
@click.argument("source", type=click.Path(path_type=Path))
@click.argument("target", type=click.Path(path_type=Path))
@click.option("--data", required=True, type=click.Path(path_type=Path, exists=True))
@click.option("--sets", default="Set5,Set14", show_default=True)
def main(source: Path, target: Path, data: Path, sets: str) -> None:
    """Measure SOURCE and write it with its figures to TARGET, and a card beside TARGET."""
    checkpoint = read_checkpoint(source)
    scale = checkpoint.config.scale
    quality: dict[int, list[QualityEntry]] = {depth: [] for depth in checkpoint.config.depths}
    for name in sets.split(","):
        samples = list(load_dataset(data / "test" / name, scale, lr_folder=data / "test_lr" / name / f"X{scale}"))
        for depth, upscale in upscalers(checkpoint).items():
            outputs = [(upscale(sample.lr), sample.hr) for sample in samples]
            entry = QualityEntry(
                dataset=name,
                psnr_db=round(float(np.mean([psnr_y(a, b, border_px=scale) for a, b in outputs])), 4),
                ssim=round(float(np.mean([ssim_y(a, b, border_px=scale) for a, b in outputs])), 5),
                images=len(samples),
            )
            quality[depth].append(entry)
            click.echo(f"{source.name} depth {depth} {name}: {entry.psnr_db:.3f} dB, SSIM {entry.ssim:.4f}")
    rows = [{"depth": depth, **asdict(entry)} for depth, entries in quality.items() for entry in entries]
    recorded = replace(checkpoint, provenance={**checkpoint.provenance, "quality": rows})
    write_checkpoint(target, recorded)
    card = checkpoint_card(recorded, quality, name=target.stem, licence="Apache-2.0")
    atomic_write(target.with_suffix(".md"), card.encode())


if __name__ == "__main__":
    main()
