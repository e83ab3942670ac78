"""Count differing bytes between every kernel family and the golden interpreter over whole test sets.

    python benchmarks/parity.py --checkpoint qsr_edge/zoo/x2_w4a4.safetensors --data DIR

DIR holds ``test_lr/<set>/X<scale>``. Both storages are converted and every image is upscaled at every depth.
"""

from pathlib import Path

import click

from qsr_edge.bundle.layout import Storage
from qsr_edge.conversion.backend import ConvertOptions, ModelMetadata
from qsr_edge.conversion.parity import compare_with_golden
from qsr_edge.conversion.registry import find_backend
from qsr_edge.data.dataset import find_images
from qsr_edge.data.images import read_picture
from qsr_edge.lowering.checkpoint import lower_checkpoint
from qsr_edge.nn.checkpoint import read_checkpoint


@click.command()
@click.option("--checkpoint", required=True, type=click.Path(path_type=Path))
@click.option("--data", required=True, type=click.Path(path_type=Path, exists=True))
@click.option("--sets", default="Set5,Set14", show_default=True)
@click.option("--target", default="tflite", show_default=True)
def main(checkpoint: Path, data: Path, sets: str, target: str) -> None:
    """Print one line per storage, depth and family of kernels, then the total."""
    network = lower_checkpoint(read_checkpoint(checkpoint))
    scale = network.deepest.scale
    folders = [data / "test_lr" / name / f"X{scale}" for name in sets.split(",")]
    images = tuple(read_picture(path).rgb for folder in folders for path in find_images(folder))
    backend = find_backend(target)
    metadata = ModelMetadata(name="parity", version="0", author="-", licence="-", description="parity")
    mismatching = compared = 0
    for storage in Storage:
        files = backend.convert(network, ConvertOptions(storage=storage, metadata=metadata))
        for result in compare_with_golden(backend, network, files, images):
            click.echo(
                f"{storage:8s} depth {result.depth} {result.kernels:10s} {result.images} images: "
                f"{result.mismatching_bytes:,} of {result.bytes_compared:,} bytes differ"
            )
            mismatching += result.mismatching_bytes
            compared += result.bytes_compared
    click.echo(f"{checkpoint.name}, {backend.runtime_version()}: {mismatching:,} of {compared:,} bytes differ")


if __name__ == "__main__":
    main()
