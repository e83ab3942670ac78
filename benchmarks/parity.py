"""Count differing bytes between every kernel family and the golden interpreter over whole test sets.

    python benchmarks/parity.py --data DIR --network x2_w4a4 [--network x2_w4a8] [--target onnx --also htp]
    python benchmarks/parity.py --data DIR --target onnx --sets Set5 --storage fast --also htp -o docs/results/onnx.md

DIR holds ``test_lr/<set>/X<scale>``. Every image is upscaled at every depth, in both storages, by each bundled network
unless some are named. ``--also`` adds an optional family of kernels, for networks that ``convert --verify`` refuses it
for, too. ``-o`` writes a page of tables, which name each network's file by its hash.
"""

import hashlib
import platform
import shlex
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray

from qsr_edge.bundle.layout import Storage
from qsr_edge.bundle.manifest import ParityEntry
from qsr_edge.conversion.backend import Backend, ConvertOptions, ModelMetadata, Placement, model_contents
from qsr_edge.conversion.parity import compare_with_golden
from qsr_edge.conversion.registry import find_backend
from qsr_edge.conversion.request import checked_kernels
from qsr_edge.data.dataset import find_images
from qsr_edge.data.images import read_picture
from qsr_edge.files import atomic_write
from qsr_edge.lowering.checkpoint import lower_checkpoint
from qsr_edge.nn.checkpoint import read_checkpoint
from qsr_edge.quant.arithmetic import Profile
from qsr_edge.zoo import zoo_entries, zoo_entry

Image = NDArray[np.uint8]
HASH_DIGITS = 12
METADATA = ModelMetadata(name="parity", version="0", author="-", licence="-", description="parity")


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """A network in one storage.

    Attributes:
        name: of its file, without suffix.
        sha256: of its file.
        form: storage of the weights, and flavour of the arithmetic if it was chosen.
        model_bytes: of each depth's model.
        results: by depth and family of kernels.
        placements: what optional kernels told, by depth and family.
    """

    name: str
    sha256: str
    form: str
    model_bytes: Mapping[int, int]
    results: tuple[ParityEntry, ...]
    placements: Mapping[tuple[int, str], Placement]


def cropped(image: Image, side_px: int | None) -> Image:
    """The middle of (H, W, 3), of at most so many pixels a side."""
    if side_px is None:
        return image
    top, left = (max(0, (side - side_px) // 2) for side in image.shape[:2])
    return np.ascontiguousarray(image[top : top + side_px, left : left + side_px])


def compared(
    path: Path,
    backend: Backend,
    options: tuple[ConvertOptions, ...],
    folders: tuple[Path, ...],
    also: tuple[str, ...],
    *,
    default_only: bool,
    crop_px: int | None,
) -> Iterator[Compared]:
    """Convert a checkpoint and run it, printing a line for each result."""
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    network = lower_checkpoint(read_checkpoint(path))
    scale = network.deepest.scale
    places = [folder / f"X{scale}" for folder in folders]
    images = tuple(cropped(read_picture(image).rgb, crop_px) for place in places for image in find_images(place))
    for form in options:
        name = f"{form.storage} {form.flavor or ''}".strip()
        models = backend.convert(network, form)
        placements: dict[tuple[int, str], Placement] = {}

        def show(result: ParityEntry, name: str = name) -> None:
            click.echo(
                f"{path.stem:12s} {name:8s} depth {result.depth} {result.kernels:15s} {result.images} images: "
                f"{result.mismatching_bytes:,} of {result.bytes_compared:,} bytes differ"
            )

        results = compare_with_golden(
            backend,
            network,
            models,
            images,
            show,
            default_only=default_only,
            also=also,
            on_placement=lambda depth, kernels, told, told_of=placements: told_of.update({(depth, kernels): told}),
        )
        yield Compared(
            name=path.stem,
            sha256=sha256,
            form=name,
            model_bytes={
                depth: sum(map(len, model_contents([model]).values())) for model in models for depth in model.depths
            },
            results=results,
            placements=placements,
        )


def page(rows: list[Compared], title: str, about: str) -> str:
    """Tables in Markdown: bytes that differ, by network, depth and family of kernels."""
    families = list(dict.fromkeys(result.kernels for row in rows for result in row.results))
    total = sum(result.bytes_compared for row in rows for result in row.results)
    lines = [f"# {title}", "", about, "", f"{total:,} bytes were compared in all. Bytes that differ, by kernels:", ""]
    columns = ["network", "sha256", "form", "depth", "model, bytes", "compared with each", *families, "taken, left"]
    lines += [f"| {' | '.join(columns)} |", f"|---|---|---|{'---:|' * (len(columns) - 3)}"]
    for row in rows:
        for depth, size in row.model_bytes.items():
            found = {result.kernels: result for result in row.results if result.depth == depth}
            counts = {result.bytes_compared for result in found.values()}
            told = [told for (place, _), told in row.placements.items() if place == depth]
            cells = [
                f"{row.name} | {row.sha256[:HASH_DIGITS]} | {row.form} | {depth} | {size:,}",
                " or ".join(f"{count:,}" for count in sorted(counts)),
                *(f"{found[family].mismatching_bytes:,}" if family in found else "" for family in families),
                " or ".join(sorted({f"{each.delegated_ops}, {sum(each.fallback.values())}" for each in told})),
            ]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


@click.command()
@click.option("--data", required=True, type=click.Path(path_type=Path, exists=True))
@click.option("--network", "names", multiple=True, help="A bundled network.  [all quantized ones]")
@click.option("--checkpoint", "checkpoints", multiple=True, type=click.Path(path_type=Path, exists=True))
@click.option("--sets", default="Set5,Set14", show_default=True)
@click.option("--target", default="tflite", show_default=True)
@click.option("--storage", "storages", multiple=True, type=click.Choice([s.value for s in Storage]), help="[both]")
@click.option("--flavor", "flavors", multiple=True, help="Form of the arithmetic.  [the target's default]")
@click.option("--also", multiple=True, help="Optional family of kernels, such as htp.")
@click.option("--default-only", is_flag=True, help="Of the other families run the default one.")
@click.option("--crop", "crop_px", type=click.IntRange(min=1), help="Only the middle of each input, so many pixels.")
@click.option("--output", "-o", type=click.Path(path_type=Path), help="Page of tables to write, Markdown.")
def main(
    data: Path,
    names: tuple[str, ...],
    checkpoints: tuple[Path, ...],
    sets: str,
    target: str,
    storages: tuple[str, ...],
    flavors: tuple[str, ...],
    also: tuple[str, ...],
    default_only: bool,
    crop_px: int | None,
    output: Path | None,
) -> None:
    """Print one line per network, storage, depth and family of kernels, then the total."""
    paths = [*(zoo_entry(name).path for name in names), *checkpoints]
    if not paths:
        paths = [entry.path for entry in zoo_entries() if entry.bits]
    backend = find_backend(target)
    # Profiles and flavours that `convert --verify` refuses are compared here all the same.
    last = backend.capabilities.flavors[-1].name if backend.capabilities.flavors else None
    families = tuple(family for name in also for family in checked_kernels(backend, name, Profile.PORTABLE, last))
    folders = tuple(data / "test_lr" / name for name in sets.split(","))
    options = tuple(
        ConvertOptions(storage=Storage(storage), flavor=flavor, metadata=METADATA)
        for flavor in flavors or (None,)
        for storage in storages or Storage
    )
    rows = [
        row
        for path in paths
        for row in compared(path, backend, options, folders, families, default_only=default_only, crop_px=crop_px)
    ]
    mismatching = sum(result.mismatching_bytes for row in rows for result in row.results)
    total = sum(result.bytes_compared for row in rows for result in row.results)
    click.echo(f"{backend.runtime_version()}: {mismatching:,} of {total:,} bytes differ")
    if output:
        told = ["DIR" if argument == str(data) else argument for argument in sys.argv[1:]]
        about = (
            f"Written by `python benchmarks/parity.py {shlex.join(told)}` with {backend.runtime_version()} on "
            f"{platform.machine()}."
        )
        atomic_write(output, page(rows, f"{backend.capabilities.model_kind}s, byte for byte", about).encode())


if __name__ == "__main__":
    main()
