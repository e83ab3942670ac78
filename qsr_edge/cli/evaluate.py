"""``qsr-edge evaluate``: quality of what is deployed, by the field's protocol."""

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import click
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from qsr_edge import __version__
from qsr_edge.bundle.manifest import MANIFEST_NAME
from qsr_edge.bundle.reader import open_bundle
from qsr_edge.conversion.registry import find_backend
from qsr_edge.errors import CheckpointError
from qsr_edge.files import cache_folder
from qsr_edge.metrics.quality import Quality
from qsr_edge.nn.checkpoint import read_checkpoint
from qsr_edge.nn.config import NetworkSize
from qsr_edge.nn.variant import Variant
from qsr_edge.runtime.evaluation import (
    BICUBIC,
    Evaluation,
    Model,
    checkpoint_models,
    evaluate_models,
    useful_jobs,
)
from qsr_edge.runtime.kept_figures import KEPT_DAYS, KeptFigures, kept_figures
from qsr_edge.runtime.upscale import load_depth
from qsr_edge.zoo import find_checkpoint, zoo_path


class _DepthType(click.ParamType[int | None]):
    """A depth, or None for "all"."""

    name = "N|all"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int | None:
        if value == "all":
            return None
        try:
            return int(str(value))
        except ValueError:
            self.fail(f"{value!r} is neither a number of blocks nor 'all'", param, ctx)


@click.command("evaluate")
@click.option(
    "--bundle",
    "bundle_path",
    type=click.Path(path_type=Path, readable=False),
    help="Bundle to evaluate: a folder or a .zip.",
)
@click.option(
    "--checkpoint",
    "checkpoint_path",
    type=click.Path(path_type=Path, readable=False),
    help="Checkpoint to evaluate instead, a file or a bundled one's name: a quantized one with the golden interpreter, "
    "a float one with torch.",
)
@click.option("--size", type=click.Choice([s.value for s in NetworkSize]), help="A bundled quantized network's.")
@click.option("--scale", type=int, help="Its upscaling factor.  [2]")
@click.option("--bits", type=int, help="Its bit width of body weights.  [4]")
@click.option("--activation-bits", type=int, help="Its bit width of body activations.  [as --bits]")
@click.option("--variant", type=click.Choice([v.value for v in Variant]), help="What it was trained for.  [clean]")
@click.option(
    "--dataset",
    required=True,
    type=click.Path(path_type=Path, readable=False),
    help="Folder of high-resolution pictures.",
)
@click.option(
    "--lr",
    "lr_folder",
    type=click.Path(path_type=Path, readable=False),
    help="Folder of their low-resolution versions; made by bicubic reduction if not given.",
)
@click.option("--depth", type=_DepthType(), default="all", show_default=True, help="Residual blocks, or every depth.")
@click.option(
    "--threads", type=click.IntRange(min=1, max=256), default=1, show_default=True, help="CPU threads (bundle)."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of a table.")
def command(
    bundle_path: Path | None,
    checkpoint_path: Path | None,
    size: str | None,
    scale: int | None,
    bits: int | None,
    activation_bits: int | None,
    variant: str | None,
    dataset: Path,
    lr_folder: Path | None,
    depth: int | None,
    threads: int,
    as_json: bool,
) -> None:
    """Measure PSNR and SSIM of a bundle's deployed graph, and of bicubic interpolation.

    The protocol is the field's: luma (BT.601), as many border pixels cropped as the upscaling factor, means over
    pictures.

    The same command goes on where it was stopped. What is measured lies in the cache folder until all is; a stop tells
    the file, which may be removed to begin anew. Another network, version, depth or folder begins anew by itself, and
    a picture that changed is measured again.
    """
    asked = any(option is not None for option in (size, scale, bits, activation_bits, variant))
    if [bundle_path is not None, checkpoint_path is not None, asked].count(True) != 1:
        raise click.UsageError("give either --bundle or --checkpoint, or what tells a bundled network, such as --size")
    if asked:
        checkpoint_path = find_checkpoint(
            scale=scale or 2,
            bits=bits or 4,
            activation_bits=activation_bits,
            size=NetworkSize(size or NetworkSize.EDGE),
            variant=Variant(variant) if variant else None,
        )
    with _models(bundle_path, checkpoint_path, depth, threads) as (models, basis):
        folders = [os.path.abspath(dataset), "" if lr_folder is None else os.path.abspath(lr_folder)]
        with _kept([*basis, *folders]) as kept:
            found = _evaluated(models, dataset, lr_folder, useful_jobs(threads), kept)
    pictures, scores = found.pictures, found.scores
    means = {method: found.mean(method) for method in scores}
    if as_json:
        methods = {
            method: {
                "mean": means[method].table(),
                "images": [{"name": name, **entry.table()} for name, entry in zip(pictures, entries, strict=True)],
            }
            for method, entries in scores.items()
        }
        about = {"model": str(bundle_path or checkpoint_path), "dataset": str(dataset), "scale": found.scale}
        click.echo(json.dumps({**about, "methods": methods}, indent=2))
    else:
        Console().print(_as_table(f"{dataset.name} x{found.scale}: PSNR in dB / SSIM on luma", found, means))


@contextmanager
def _models(
    bundle: Path | None, checkpoint: Path | None, depth: int | None, threads: int
) -> Iterator[tuple[tuple[Model, ...], list[str]]]:
    """Every depth asked for, loaded; and what their figures depend on."""
    if bundle is not None:
        with open_bundle(bundle) as opened:
            depths: list[int] = [entry.depth for entry in opened.manifest.depths] if depth is None else [depth]
            models = tuple(load_depth(opened, depth=each, threads=threads) for each in depths)
            runtime = find_backend(opened.manifest.target).runtime_version()
            # The manifest has the digest of every file.
            yield models, _basis(opened.root / MANIFEST_NAME, depths, runtime)
    elif checkpoint is not None:
        file = _bundled_or_file(checkpoint)
        read = read_checkpoint(file)
        offered = read.config.depths
        if depth is not None and depth not in offered:
            raise CheckpointError(
                f"{checkpoint}: depth {depth} is not offered; choose one of {', '.join(map(str, offered))}"
            )
        chosen = tuple(model for model in checkpoint_models(read) if depth in (None, model.depth))
        runtime = "golden interpreter" if read.config.bits else f"torch {version('torch')}"
        yield chosen, _basis(file, [model.depth for model in chosen], runtime)


def _basis(network: Path, depths: list[int], runtime: str) -> list[str]:
    """What figures depend on besides the pictures: the network, what runs it, and what reads and compares pictures."""
    packages = [f"{name} {version(name)}" for name in ("numpy", "pillow")]
    digest = hashlib.sha256(network.read_bytes()).hexdigest()
    return [f"qsr-edge {__version__}", runtime, *packages, digest, *map(str, depths)]


@contextmanager
def _kept(basis: list[str]) -> Iterator[KeptFigures | None]:
    """What a stopped run of the same has measured, and where this one keeps its own; None if nothing can be kept."""
    folder = cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        usable = os.access(folder, os.W_OK)
    except OSError:
        usable = False
    if not usable:
        remedy = "set QSR_EDGE_CACHE to a folder for that"
        click.echo(f"warning: {folder}: cannot be written, so a run that is stopped begins anew; {remedy}", err=True)
        yield None
        return
    with kept_figures(folder, basis) as kept:
        if len(kept):
            click.echo(f"going on with {_told(kept)}; remove the file to begin anew", err=True)
        try:
            yield kept
        except BaseException:
            if len(kept):
                click.echo(f"stopped with {_told(kept)}; the same command goes on, for {KEPT_DAYS} days", err=True)
            raise


def _told(kept: KeptFigures) -> str:
    return f"{len(kept)} pictures measured, which {kept.path} keeps"


def _bundled_or_file(checkpoint: Path) -> Path:
    """The file, or the bundled checkpoint of this name if there is no such file."""
    return checkpoint if checkpoint.exists() else zoo_path(str(checkpoint)) or checkpoint


def _evaluated(
    models: tuple[Model, ...], dataset: Path, lr_folder: Path | None, jobs: int, kept: KeptFigures | None
) -> Evaluation:
    """The same as :func:`evaluate_models`, with a progress bar."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("pictures, left:"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("evaluating", total=None)
        return evaluate_models(
            models,
            dataset,
            lr_folder,
            lambda done, total: bar.update(task, completed=done, total=total),
            jobs=jobs,
            kept=kept,
        )


def _as_table(title: str, found: Evaluation, means: dict[str, Quality]) -> Table:
    def cell(entry: Quality) -> str:
        return f"{entry.psnr_db:.2f} / {entry.ssim:.4f}"

    # Four methods fit into 80 columns, and values are never broken into lines: names of pictures are, if need be.
    pictures, scores = found.pictures, found.scores
    table = Table("", *scores, title=Text(title), box=SIMPLE_HEAD)
    table.columns[0].overflow = "fold"
    for column in table.columns[1:]:
        column.justify = "right"
        column.no_wrap = True
    for i, picture in enumerate(pictures):
        table.add_row(Text(picture), *(cell(entries[i]) for entries in scores.values()))
    table.add_section()
    table.add_row("mean", *(cell(means[method]) for method in scores), style="bold")
    bicubic_db = means[BICUBIC].psnr_db
    gains = [means[method].psnr_db - bicubic_db for method in scores if method != BICUBIC]
    table.add_row("gain, dB", "", *(f"{gain:+.2f}" for gain in gains))
    return table
