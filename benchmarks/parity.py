"""Count differing bytes between every kernel family and the golden interpreter over whole test sets.

    python benchmarks/parity.py --checkpoint qsr_edge/zoo/x2_w4a4.safetensors --data DIR [--target onnx --also htp]

DIR holds ``test_lr/<set>/X<scale>``. Both storages are converted and every image is upscaled at every depth. ``--also``
adds an optional family of kernels; with ``--default-only`` it runs beside the default one alone.
"""

from pathlib import Path

import click

from qsr_edge.bundle.layout import Storage
from qsr_edge.bundle.manifest import ParityEntry
from qsr_edge.conversion.backend import ConvertOptions, ModelMetadata
from qsr_edge.conversion.parity import compare_with_golden
from qsr_edge.conversion.registry import find_backend
from qsr_edge.conversion.request import check_kernels
from qsr_edge.data.dataset import find_images
from qsr_edge.data.images import read_picture
from qsr_edge.lowering.checkpoint import lower_checkpoint
from qsr_edge.nn.checkpoint import read_checkpoint


@click.command()
@click.option("--checkpoint", required=True, type=click.Path(path_type=Path))
@click.option("--data", required=True, type=click.Path(path_type=Path, exists=True))
@click.option("--sets", default="Set5,Set14", show_default=True)
@click.option("--target", default="tflite", show_default=True)
@click.option("--storage", "storages", multiple=True, type=click.Choice([s.value for s in Storage]), help="[both]")
@click.option("--also", multiple=True, help="Optional family of kernels, such as htp.")
@click.option("--default-only", is_flag=True, help="Of the other families run the default one.")
def main(
    checkpoint: Path,
    data: Path,
    sets: str,
    target: str,
    storages: tuple[str, ...],
    also: tuple[str, ...],
    default_only: bool,
) -> None:
    """Print one line per storage, depth and family of kernels, then the total."""
    network = lower_checkpoint(read_checkpoint(checkpoint))
    scale = network.deepest.scale
    folders = [data / "test_lr" / name / f"X{scale}" for name in sets.split(",")]
    images = tuple(read_picture(path).rgb for folder in folders for path in find_images(folder))
    backend = find_backend(target)
    metadata = ModelMetadata(name="parity", version="0", author="-", licence="-", description="parity")
    mismatching = compared = 0
    for kernels in also:
        check_kernels(backend, kernels)
    for storage in map(Storage, storages or Storage):
        files = backend.convert(network, ConvertOptions(storage=storage, metadata=metadata))

        def show(result: ParityEntry, storage: Storage = storage) -> None:
            click.echo(
                f"{storage:8s} depth {result.depth} {result.kernels:15s} {result.images} images: "
                f"{result.mismatching_bytes:,} of {result.bytes_compared:,} bytes differ"
            )

        results = compare_with_golden(
            backend,
            network,
            files,
            images,
            show,
            default_only=default_only,
            also=also,
            on_placement=lambda depth, kernels, told: click.echo(
                f"         depth {depth} {kernels}: {told.delegated_ops} taken, {sum(told.fallback.values())} left"
            ),
        )
        for result in results:
            mismatching += result.mismatching_bytes
            compared += result.bytes_compared
    click.echo(f"{checkpoint.name}, {backend.runtime_version()}: {mismatching:,} of {compared:,} bytes differ")


if __name__ == "__main__":
    main()
