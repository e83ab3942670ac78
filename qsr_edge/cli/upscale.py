"""``qsr-edge upscale``."""

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from qsr_edge.bundle.reader import open_bundle
from qsr_edge.data.images import WRITE_SUFFIXES, check_target, read_picture, write_picture
from qsr_edge.errors import ImageError, QsrError
from qsr_edge.runtime.tiler import DEFAULT_TILE_PX
from qsr_edge.runtime.upscale import LoadedDepth, load_depth, upscale_picture


@dataclass(frozen=True, slots=True, kw_only=True)
class Upscaled:
    """What was done with one picture; sizes are (width, height), ``seconds`` are without reading and writing files."""

    source: Path
    target: Path
    input_size_px: tuple[int, int]
    output_size_px: tuple[int, int]
    seconds: float

    @property
    def ms_per_megapixel(self) -> float:
        """Milliseconds per million pixels of the input."""
        return self.seconds * 1e9 / (self.input_size_px[0] * self.input_size_px[1])

    def line(self) -> str:
        """For a person."""
        (w, h), (big_w, big_h) = self.input_size_px, self.output_size_px
        return (
            f"{self.source} {w}x{h} -> {self.target} {big_w}x{big_h}"
            f" in {self.seconds:.2f} s ({self.ms_per_megapixel:.0f} ms per megapixel of input)"
        )

    def table(self) -> dict[str, object]:
        """For a program."""
        return {
            "input": str(self.source),
            "output": str(self.target),
            "input_size_px": list(self.input_size_px),
            "output_size_px": list(self.output_size_px),
            "seconds": self.seconds,
            "ms_per_megapixel": self.ms_per_megapixel,
        }


@click.command("upscale")
@click.option(
    "--bundle",
    "bundle_path",
    required=True,
    type=click.Path(path_type=Path, readable=False),
    help="Bundle written by 'qsr-edge convert': a folder or a .zip.",
)
@click.argument("inputs", metavar="INPUT...", nargs=-1, required=True, type=click.Path(path_type=Path, readable=False))
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(readable=False),
    help="Picture to write; with several inputs, or if it is a folder or ends in '/': the folder for INPUT_x2.png "
    "and so on, which is made.",
)
@click.option("--depth", type=click.IntRange(min=1), help="Residual blocks; the bundle's deepest by default.")
@click.option("--threads", type=click.IntRange(min=1, max=256), default=1, show_default=True, help="CPU threads.")
@click.option("--kernels", help="Kernels of the runtime; a wrong name lists them.")
@click.option(
    "--tile",
    "tile_px",
    metavar="PX",
    type=click.IntRange(min=1),
    default=DEFAULT_TILE_PX,
    show_default=True,
    help="Side of the region upscaled at once, in input pixels. Less takes less memory and more time.",
)
@click.option("--force", is_flag=True, help="Overwrite pictures that exist.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of lines.")
def command(
    bundle_path: Path,
    inputs: tuple[Path, ...],
    output: str,
    depth: int | None,
    threads: int,
    kernels: str | None,
    tile_px: int,
    force: bool,
    as_json: bool,
) -> None:
    """Upscale pictures of any size with a bundle; of several, one that fails does not stop the others."""
    with open_bundle(bundle_path) as bundle:
        folder = len(inputs) > 1 or output.endswith(("/", os.sep)) or Path(output).is_dir()
        targets = plan_targets(inputs, Path(output), bundle.manifest.scale, folder=folder, force=force)
        model = load_depth(bundle, depth=depth, threads=threads, kernels=kernels)
        done: list[Upscaled] = []
        failed: dict[Path, str] = {}
        for source, target in zip(inputs, targets, strict=True):
            try:
                done.append(_upscale_file(model, source, target, tile_px=tile_px, force=force))
            except (QsrError, OSError) as error:
                if len(inputs) == 1:
                    raise
                failed[source] = str(error)
                click.echo(f"error: {' '.join(str(error).split())}", err=True)
                continue
            if not as_json:
                click.echo(done[-1].line())
        if as_json:
            about = {
                "bundle": str(bundle_path),
                "target": bundle.manifest.target,
                "depth": model.depth,
                "threads": threads,
            }
            images = [entry.table() for entry in done]
            failures = [{"input": str(source), "error": error} for source, error in failed.items()]
            click.echo(json.dumps({**about, "images": images, "failed": failures}, indent=2))
        if failed:
            raise QsrError(f"{len(failed)} of {len(inputs)} pictures failed; the others are in {output}")


def plan_targets(inputs: tuple[Path, ...], output: Path, scale: int, *, folder: bool, force: bool) -> tuple[Path, ...]:
    """Where each input goes, checked before any work is done; ``folder``: the output is one, and made if missing.

    Raises:
        QsrError: if two inputs would be written to one file, an input to itself, or the folder cannot be one.
        ImageError: if a picture cannot be written under such a name.
        OutputExistsError: if a file exists and ``force`` is not given.
        OSError: if the folder cannot be made.
    """
    if not folder:
        targets: tuple[Path, ...] = (output,)
    else:
        if output.exists() and not output.is_dir():
            raise QsrError(f"{output}: is a file, but {len(inputs)} inputs need a folder; choose another output")
        if not output.exists() and output.suffix.lower() in WRITE_SUFFIXES:
            raise QsrError(f"{output}: the name of one picture, for {len(inputs)} inputs; name a folder")
        targets = tuple(output / f"{source.stem}_x{scale}.png" for source in inputs)
        taken: dict[Path, Path] = {}
        for source, target in zip(inputs, targets, strict=True):
            if target in taken:
                raise QsrError(f"{taken[target]} and {source} would both become {target}; upscale them one by one")
            taken[target] = source
    for source, target in zip(inputs, targets, strict=True):
        if target.exists() and source.exists() and target.samefile(source):
            raise QsrError(f"{target}: is the input itself, which would be lost; choose another output")
    if folder:
        output.mkdir(parents=True, exist_ok=True)
    for target in targets:
        check_target(target, overwrite=force)
    return targets


def _upscale_file(model: LoadedDepth, source: Path, target: Path, *, tile_px: int, force: bool) -> Upscaled:
    picture = read_picture(source, native=True)
    check_target(target, translucent=picture.translucent, overwrite=force)
    height, width = picture.rgb.shape[:2]
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("tiles"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(source.name, total=None)
        start = time.perf_counter()
        try:
            upscaled = upscale_picture(
                model.runner,
                picture,
                scale=model.scale,
                halo_px=model.halo_px,
                grid_px=model.grid_px,
                tile_px=tile_px,
                window_px=model.window_px,
                on_tile=lambda tile, tiles: bar.update(task, completed=tile, total=tiles),
            )
        except ImageError as error:
            raise ImageError(f"{source}: {error}") from error
        seconds = time.perf_counter() - start
    write_picture(target, upscaled, overwrite=force)
    return Upscaled(
        source=source,
        target=target,
        input_size_px=(width, height),
        output_size_px=(upscaled.rgb.shape[1], upscaled.rgb.shape[0]),
        seconds=seconds,
    )
