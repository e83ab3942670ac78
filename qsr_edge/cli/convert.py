"""``qsr-edge convert``."""

import dataclasses
import json
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.table import Table

from qsr_edge.assets import demo_photo
from qsr_edge.bundle.headline import parity_headline
from qsr_edge.bundle.layout import Pack, Storage
from qsr_edge.bundle.manifest import ParityEntry
from qsr_edge.bundle.writer import check_output
from qsr_edge.cli.stages import stages
from qsr_edge.conversion.backend import Capabilities, ConvertOptions
from qsr_edge.conversion.checkpoint import load_checkpoint
from qsr_edge.conversion.convert import Conversion, convert_checkpoint, model_metadata
from qsr_edge.conversion.parity import is_large
from qsr_edge.conversion.registry import backend_names, find_backend, registered_backends, targets_that
from qsr_edge.data.images import read_picture
from qsr_edge.errors import CheckpointError, OutputExistsError, QsrError, QsrWarning, RecipeError
from qsr_edge.extras import how_to_install
from qsr_edge.lowering.official_quantsr_c import OrderSource
from qsr_edge.nn.checkpoint import Checkpoint, write_checkpoint
from qsr_edge.nn.config import NetworkSize
from qsr_edge.nn.state_dict import TORCH_SUFFIXES
from qsr_edge.nn.variant import Variant, VariantChoice, variant_of
from qsr_edge.selector.policy import findings
from qsr_edge.selector.reading import read_policy
from qsr_edge.zoo import WEIGHTS_AUTHOR, WEIGHTS_LICENCE

if TYPE_CHECKING:
    from qsr_edge.training.calibration import Calibrated


def _those(can: Callable[[Capabilities], bool]) -> str:
    return ", ".join(targets_that(can))


def _flavors() -> str:
    """The flavours of the targets that have several, the default first, for the help."""
    return "; ".join(
        f"{backend.name}: " + ", ".join(f"{flavor.name} ({flavor.purpose})" for flavor in backend.capabilities.flavors)
        for backend in registered_backends()
        if backend.capabilities.flavors
    )


def _sizes(_context: click.Context, _option: click.Parameter, values: tuple[str, ...]) -> tuple[tuple[int, int], ...]:
    sizes = []
    for value in values:
        match = re.fullmatch(r"(\d+)x(\d+)", value)
        if not match or not all(1 <= int(side) <= 8192 for side in match.groups()):
            raise click.BadParameter(f"{value!r} is not a size like 640x360 (width x height, 1 to 8192 each)")
        sizes.append((int(match[2]), int(match[1])))
    return tuple(sizes)


def _block_order(_context: click.Context, _option: click.Parameter, value: str | None) -> tuple[int, ...] | None:
    if value is None:
        return None
    try:
        return tuple(int(index) for index in value.replace(",", " ").split())
    except ValueError as error:
        raise click.BadParameter(f"{value!r} is not a list of block numbers like 3,0,2,1") from error


def parity_table(results: tuple[ParityEntry, ...]) -> Table:
    """Mismatching bytes per depth and family of kernels; by how much, where a model need not be exact."""
    table = Table(title="bytes that differ from the golden interpreter")
    inexact = any(result.max_difference is not None for result in results)
    columns = ["depth", "kernels", "images", "bytes", "mismatching"]
    for column in [*columns, "max, levels", "mean, levels", "PSNR lost"] if inexact else columns:
        table.add_column(column, justify="left" if column == "kernels" else "right")
    for result in results:
        colour = "yellow" if inexact else "red" if result.mismatching_bytes else "green"
        differences = (
            str(result.max_difference),
            f"{result.mean_difference or 0:.3f}",
            "not measured" if result.psnr_cost_db is None else f"{result.psnr_cost_db:.3f} dB",
        )
        table.add_row(
            str(result.depth),
            result.kernels,
            str(result.images),
            f"{result.bytes_compared:,}",
            f"[{colour}]{result.mismatching_bytes:,}[/]",
            *(differences if inexact else ()),
        )
    return table


def calibration_table(found: "Calibrated") -> Table:
    """PSNR by depth as more and more of the network becomes integer, and what each step costs."""
    from qsr_edge.training.calibration import STAGE_LABELS

    table = Table(title=f"PSNR on {found.measured_images} images that {found.images} others were calibrated for")
    table.add_column("computed in integers")
    for entry in found.quality:
        table.add_column(f"depth {entry.depth}", justify="right")
    for stage, label in STAGE_LABELS.items():
        cells = []
        for entry in found.quality:
            cost_db = entry.costs_db().get(stage)
            cells.append(f"{entry.psnr_db[stage]:.3f} dB" + ("" if cost_db is None else f" ({-cost_db:+.3f})"))
        table.add_row(label, *cells)
    return table


def _calibrated(checkpoint: Checkpoint, folder: Path) -> "Calibrated":
    try:
        from qsr_edge.training.calibration import calibrate_on_folder
    except ImportError as error:
        raise QsrError(f"calibration needs torch; {how_to_install('train')}") from error
    from rich.progress import Progress as Bar

    with Bar(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("calibrating", total=None)
        return calibrate_on_folder(
            checkpoint, folder, on_progress=lambda done, total: bar.update(task, completed=done, total=total)
        )


def _check_written(output: Path, saved_checkpoint: Path | None, *, force: bool) -> None:
    """Refuse before minutes of calibration what could not be written after them."""
    check_output(output, force=force)
    for path in (output, saved_checkpoint):
        if path is not None and not path.parent.is_dir():
            raise QsrError(f"{path}: there is no folder {path.parent}; make it first")
    if saved_checkpoint is None:
        return
    if saved_checkpoint.suffix in TORCH_SUFFIXES:
        raise QsrError(f"{saved_checkpoint}: would be taken for a torch file; give a name that ends in .safetensors")
    if saved_checkpoint.exists() and not force:
        raise OutputExistsError(f"{saved_checkpoint}: exists already; choose another, or use --force to replace it")


def show_conversion(console: Console, conversion: Conversion, output: Path) -> None:
    """Print the parity table, the files and where they are."""
    if conversion.parity:
        console.print(parity_table(conversion.parity))
        console.print(f"{parity_headline(conversion.parity)} ({conversion.manifest.runtime})")
        for (depth, kernels), told in conversion.placements.items():
            left = sum(told.fallback.values())
            console.print(
                f"depth {depth} under {kernels}: {told.delegate} took {told.delegated_ops} operators and left {left} "
                f"({told.source})",
                soft_wrap=True,
            )
    else:
        console.print(
            "[yellow]not verified[/] (--no-verify): run it again without that option before you ship this",
            soft_wrap=True,
        )
    for entry in conversion.manifest.files:
        console.print(f"  {entry.path:40s} {entry.bytes:>9,} bytes", soft_wrap=True, highlight=False)
    size, deepest = conversion.manifest.input_size_px, conversion.manifest.depths[-1]
    least_px = deepest.grid.least_px if deepest.grid else 2 * deepest.halo_px + 1
    if size and min(size) < least_px:
        less = f" (or up to {deepest.grid.step_px - 1} pixels less a side)" if deepest.grid else ""
        console.print(
            f"[yellow]at depth {deepest.depth} this input fits only images of exactly {size[1]}x{size[0]}{less}[/]: "
            f"tiling larger ones needs {least_px} pixels a side or more",
            soft_wrap=True,
        )
    deployment = conversion.manifest.deployment
    if deployment:
        console.print(f"flavour {deployment.flavor}: {deployment.compute_units}; from {deployment.minimum_os}")
    if is_large(conversion.manifest.input_size_px) and conversion.parity:
        console.print("a large fixed input: verified on one photo, under the default kernels only")
    console.print(f"wrote {output}", soft_wrap=True, markup=False)


@click.command("convert")
@click.option("--target", required=True, help=f"Back end to convert to: {', '.join(backend_names())}.")
@click.option("--bits", type=int, help="Bit width of body weights.  [bundled: 4]")
@click.option("--activation-bits", type=int, help="Bit width of body activations: 8, or as --bits.  [as --bits]")
@click.option(
    "--size",
    type=click.Choice([s.value for s in NetworkSize]),
    help="nano: for video and old phones. edge. plus: for photos.  [bundled: edge]",
)
@click.option(
    "--variant",
    type=click.Choice([choice.value for choice in VariantChoice]),
    default=VariantChoice.AUTO.value,
    help="clean: for rendered frames and lossless sources. photo: for cameras, galleries, the web. auto: clean, or "
    "what is bundled.  [default: auto]",
)
@click.option("--scale", type=int, help="Upscaling factor.  [bundled: 2]")
@click.option(
    "--checkpoint",
    "checkpoint_file",
    type=click.Path(path_type=Path, readable=False),
    help="Your own checkpoint instead of a bundled one.",
)
@click.option(
    "--output",
    "-o",
    type=click.Path(path_type=Path, readable=False),
    help="Folder, or .zip, to write.  [./<name>-<target>]",
)
@click.option("--storage", type=click.Choice([s.value for s in Storage]), default=Storage.FAST.value, show_default=True,
              help="fast: int8 weights, for XNNPACK. compact: packed 4-bit weights, smaller and slower.")  # fmt: skip
@click.option("--pack", type=click.Choice([p.value for p in Pack]), default=Pack.PER_DEPTH.value, show_default=True,
              help="One file per depth; one with an entry point each and shared weights; or that with weights in a "
              f"file apart ({_those(lambda can: Pack.EXTERNAL not in can.lacks)}).")  # fmt: skip
@click.option("--input-size", "input_sizes", callback=_sizes, multiple=True,
              help="Fixed input size such as 640x360; any size by default. "
              f"Repeatable ({_those(lambda can: can.most_sizes > 1)}).")  # fmt: skip
@click.option("--flavor", "--coreml-flavor", "flavor", metavar="NAME", help=f"Form of the arithmetic. {_flavors()}.")
@click.option("--policy", "policy_file", type=click.Path(path_type=Path, readable=False),
              help="Your own policy of the depth selector, JSON (docs/selector.md).  [a default one]")  # fmt: skip
@click.option("--calibration", "calibration_folder", type=click.Path(path_type=Path, readable=False),
              help="Folder of high-resolution images, to find the step sizes of a quantsr_c network outside its body; "
              "needs torch.")  # fmt: skip
@click.option(
    "--block-order",
    callback=_block_order,
    metavar="I,I,...",
    help="Blocks of an official file, the most important one first.  [as released, or by shortcut]",
)
@click.option("--save-checkpoint", "saved_checkpoint", type=click.Path(path_type=Path, readable=False),
              help="Also write the calibrated network as a checkpoint, for inspect and evaluate.")  # fmt: skip
@click.option("--author", help="Author of the weights; required with --checkpoint.  [bundled: the qsr-edge authors]")
@click.option("--licence", help="SPDX licence of the weights; required with --checkpoint.  [bundled: Apache-2.0]")
@click.option("--verify", "verify", is_flag=False, flag_value="", default="", metavar="[KERNELS]",
              help="Run what was written and compare every byte: the default. With a name also under kernels that need "
              "more, such as htp (onnx): Qualcomm's NPU, emulated.")  # fmt: skip
@click.option("--no-verify", "unverified", is_flag=True, help="Do not run what was written.")
@click.option("--force", is_flag=True, help="Replace an existing bundle, and what --save-checkpoint names.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(
    target: str,
    bits: int | None,
    activation_bits: int | None,
    size: str | None,
    variant: str,
    scale: int | None,
    checkpoint_file: Path | None,
    output: Path | None,
    storage: str,
    pack: str,
    input_sizes: tuple[tuple[int, int], ...],
    flavor: str | None,
    policy_file: Path | None,
    calibration_folder: Path | None,
    block_order: tuple[int, ...] | None,
    saved_checkpoint: Path | None,
    author: str | None,
    licence: str | None,
    verify: str,
    unverified: bool,
    force: bool,
    as_json: bool,
) -> None:
    """Turn a checkpoint into a verified, integer-only bundle: one model per depth, a manifest and a model card."""
    if saved_checkpoint is not None and calibration_folder is None:
        raise click.UsageError("--save-checkpoint keeps what --calibration finds; give both")
    if unverified and verify:
        raise click.UsageError(f"--verify {verify} and --no-verify contradict each other; give one")
    checkpoint = load_checkpoint(
        checkpoint_file,
        scale=scale,
        bits=bits,
        activation_bits=activation_bits,
        size=NetworkSize(size) if size else None,
        variant=VariantChoice(variant).variant,
        block_order=block_order,
    )
    if checkpoint.config.bits is None:
        raise CheckpointError(
            f"{checkpoint_file}: a float checkpoint; train a quantized one from it: qsr-edge train --start"
        )
    if checkpoint_file is None:
        author, licence = author or WEIGHTS_AUTHOR, licence or WEIGHTS_LICENCE
    if not (author and author.strip() and licence and licence.strip()):
        raise RecipeError("--checkpoint needs --author and --licence: who made your weights, and their SPDX licence")
    backend = find_backend(target)
    metadata = model_metadata(checkpoint, backend, flavor=flavor, author=author, licence=licence)
    output = output or Path(f"{metadata.name}-{target}")
    options = ConvertOptions(
        storage=Storage(storage),
        pack=Pack(pack),
        input_size_px=input_sizes[0] if input_sizes else None,
        more_sizes_px=input_sizes[1:],
        flavor=flavor,
        metadata=metadata,
    )
    policy = None
    if policy_file is not None:
        policy = read_policy(policy_file)
        policy.check_depths(checkpoint.config.depths)
        for finding in findings(policy, checkpoint.config.depths):
            warnings.warn(f"{policy_file}: {finding}", QsrWarning, stacklevel=1)
    console = Console(stderr=True)
    if checkpoint.provenance.get("block_order_from") == OrderSource.SHORTCUT:
        console.print(
            f"[yellow]which blocks depths {', '.join(map(str, checkpoint.config.depths[:-1]))} keep is a guess[/] from "
            "the magnitude of the shortcuts: compare their PSNR, and give --block-order if you know the order",
            soft_wrap=True,
        )
    if variant_of(checkpoint.provenance) is Variant.PHOTO:
        console.print("the network is one for photos: its inputs in training were blurred, noisy and compressed")
    calibrated = None
    if calibration_folder is not None:
        _check_written(output, saved_checkpoint, force=force)
        calibrated = _calibrated(checkpoint, calibration_folder)
        checkpoint = calibrated.checkpoint
        if not as_json:
            Console().print(calibration_table(calibrated))
        if saved_checkpoint is not None:
            write_checkpoint(saved_checkpoint, checkpoint)
    with stages(console) as show_stage:
        conversion = convert_checkpoint(
            checkpoint,
            backend,
            options,
            output,
            natural=None if unverified else read_picture(demo_photo()).rgb,
            also=(verify,) if verify else (),
            policy=policy,
            force=force,
            on_stage=show_stage,
        )
    if as_json:
        report = {
            "output": str(output),
            "runtime": conversion.manifest.runtime,
            "deployment": conversion.manifest.deployment and dataclasses.asdict(conversion.manifest.deployment),
            "calibration": calibrated and calibrated.table(),
            "parity": [dataclasses.asdict(result) for result in conversion.parity],
            "placements": [
                {"depth": depth, "kernels": kernels, **dataclasses.asdict(told)}
                for (depth, kernels), told in conversion.placements.items()
            ],
            "files": [dataclasses.asdict(entry) for entry in conversion.manifest.files],
        }
        click.echo(json.dumps(report, indent=2))
    else:
        show_conversion(Console(), conversion, output)
