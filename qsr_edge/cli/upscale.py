"""``qsr-edge upscale``."""

import json
import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import IO

import click

from qsr_edge.bundle.reader import open_bundle
from qsr_edge.cli.upscale_progress import BatchProgress
from qsr_edge.data.images import WRITE_SUFFIXES, check_target, output_format, writing
from qsr_edge.errors import ImageError, QsrError, one_line
from qsr_edge.nn.variant import VariantChoice
from qsr_edge.runtime.batch import Job, OutputChoice, check_folder, find_sources, plan
from qsr_edge.runtime.picture_files import SourceFile, UpscaledFile, WriteOptions, check_output, upscale_file
from qsr_edge.runtime.tiler import DEFAULT_TILE_PX
from qsr_edge.runtime.upscale import LoadedDepth
from qsr_edge.runtime.variants import PHOTO_BELOW_QUALITY, Choice, Variants, bundled_networks, given_networks

_STREAM = "-"
"""What stands for standard input as an input, and for standard output as an output."""
_TARGET = "tflite"
"""The target that bundled networks are converted to before they upscale."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Upscaled:
    """What was done with one file; ``seconds`` in the report are without reading and writing files."""

    source: str
    target: str
    result: UpscaledFile
    choice: Choice

    @property
    def ms_per_megapixel(self) -> float:
        """Milliseconds per million pixels of the input, all frames together."""
        width, height = self.result.input_size_px
        return self.result.network_seconds * 1e9 / (width * height * self.result.frame_count)

    def line(self) -> str:
        """For a person."""
        (w, h), (big_w, big_h) = self.result.input_size_px, self.result.output_size_px
        frames = f" ({self.result.frame_count} frames)" if self.result.frame_count > 1 else ""
        return (
            f"{self.source} {w}x{h} -> {self.target} {big_w}x{big_h}{frames}"
            f" in {self.result.network_seconds:.2f} s ({self.ms_per_megapixel:.0f} ms per megapixel of input)"
            f"{', ' if self.choice.reason else ''}{self.choice.reason}"
        )

    def table(self) -> dict[str, object]:
        """For a program."""
        return {
            "input": self.source,
            "output": self.target,
            "input_size_px": list(self.result.input_size_px),
            "output_size_px": list(self.result.output_size_px),
            "frames": self.result.frame_count,
            "seconds": self.result.network_seconds,
            "ms_per_megapixel": self.ms_per_megapixel,
            "variant": self.choice.variant.value,
            "notes": list(self.result.notes),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class _Settings:
    """What applies to every picture of a batch."""

    networks: Variants
    depth: int | None
    options: WriteOptions
    tile_px: int
    force: bool


@click.command("upscale")
@click.option(
    "--bundle",
    "bundle_paths",
    multiple=True,
    type=click.Path(path_type=Path, readable=False),
    help="Bundle written by 'qsr-edge convert': a folder or a .zip. Twice: a clean and a photo network.",
)
@click.option(
    "--network",
    metavar="NAME",
    help="Bundled network instead, such as x2_w4a4 ('qsr-edge models' lists them); converted to TFLite when a picture "
    "first needs it, and kept in the cache folder.",
)
@click.option(
    "--variant",
    type=click.Choice([choice.value for choice in VariantChoice]),
    default=VariantChoice.AUTO.value,
    show_default=True,
    help="Network for clean pictures or for photos. auto: where both are at hand, photo for JPEGs of a quality below "
    f"{PHOTO_BELOW_QUALITY}, told picture by picture; else the one that is.",
)
@click.argument("inputs", metavar="INPUT...", nargs=-1, required=True, type=click.Path(path_type=Path, readable=False))
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(readable=False),
    help="Picture to write; with several inputs or a folder, or if it is a folder or ends in '/': the folder for "
    "INPUT_x2.png and so on, which is made. '-': standard output.",
)
@click.option(
    "--recursive", "-r", is_flag=True, help="Of an input that is a folder, upscale the folders in it as well."
)
@click.option(
    "--format",
    "choice",
    type=click.Choice([choice.value for choice in OutputChoice]),
    default=OutputChoice.PNG.value,
    show_default=True,
    help="Format in a folder or on standard output; 'same': as the input, if that can be written.",
)
@click.option(
    "--quality",
    type=click.IntRange(1, 100),
    help="Of JPEG (95 if not given) and WebP (without loss if not given); other formats have no loss.",
)
@click.option("--skip-existing", is_flag=True, help="Pass over pictures whose output exists: resume a batch.")
@click.option(
    "--strip-metadata",
    is_flag=True,
    help="Write no EXIF, XMP, IPTC, texts or resolution. Without it they are kept as they are in the input, the place "
    "where a photo was taken (GPS) among them. The colour profile is always kept.",
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
    bundle_paths: tuple[Path, ...],
    network: str | None,
    variant: str,
    inputs: tuple[Path, ...],
    output: str,
    recursive: bool,
    choice: str,
    quality: int | None,
    skip_existing: bool,
    strip_metadata: bool,
    depth: int | None,
    threads: int,
    kernels: str | None,
    tile_px: int,
    force: bool,
    as_json: bool,
) -> None:
    """Upscale pictures of any size with a bundle; of several, one that fails does not stop the others.

    An INPUT is a picture, a folder of pictures, or '-' for standard input. Animations keep every frame. What each
    format keeps is told in docs/pictures.md.
    """
    if force and skip_existing:
        raise click.UsageError("--force and --skip-existing contradict each other; give one of them")
    if output == _STREAM and as_json:
        raise click.UsageError("--json and a picture cannot both go to standard output; name a file with -o")
    if bool(bundle_paths) == (network is not None):
        raise click.UsageError("give either --bundle or --network")
    chosen = VariantChoice(variant).variant
    with ExitStack() as stack:
        if network is None:
            opened = [(path, stack.enter_context(open_bundle(path))) for path in bundle_paths]
            at_hand = given_networks(opened, chosen)
        else:
            at_hand = bundled_networks(network, chosen, _TARGET)
        networks = stack.enter_context(closing(Variants(at_hand, threads=threads, kernels=kernels)))
        first = networks.first
        jobs, folder = _jobs(inputs, output, first.scale, OutputChoice(choice), recursive=recursive)
        settings = _Settings(
            networks=networks,
            depth=depth,
            options=WriteOptions(quality=quality, metadata=not strip_metadata),
            tile_px=tile_px,
            force=force,
        )
        batch = _Batch(
            jobs, settings, OutputChoice(choice), folder=folder, skip_existing=skip_existing, as_json=as_json
        )
        batch.run()
        if as_json:
            # Of a bundled network, what no picture needed was not made.
            paths = [str(path) for path in bundle_paths or (used.path for used in networks.opened)]
            about = {
                "bundle": paths[0] if paths else None,
                "bundles": paths,
                "target": first.target,
                "depth": depth or first.depths[-1],
                "threads": threads,
            }
            click.echo(json.dumps({**about, **batch.tables()}, indent=2))
        if batch.failed:
            raise QsrError(f"{len(batch.failed)} of {len(jobs)} pictures failed; the others are in {output}")


def _jobs(
    inputs: tuple[Path, ...], output: str, scale: int, choice: OutputChoice, *, recursive: bool
) -> tuple[tuple[Job, ...], bool]:
    """What is to be done, and whether the output is a folder.

    Raises:
        QsrError: if the output cannot be meant, or a folder of the input holds no picture.
    """
    first, *others = inputs
    batch = bool(others) or first.is_dir()
    if output == _STREAM:
        if batch:
            raise QsrError(f"standard output takes one picture, not {len(inputs)} inputs; name a folder with -o")
        return (Job(source=first, target=Path(_STREAM)),), False
    folder = batch or output.endswith(("/", os.sep)) or Path(output).is_dir()
    if not folder:
        return (Job(source=first, target=Path(output)),), False
    check_folder(Path(output), len(inputs), WRITE_SUFFIXES)
    return plan(find_sources(inputs, recursive=recursive, output=Path(output)), Path(output), scale, choice), True


class _Batch:
    """Works through jobs; while one is upscaled, the next file is read."""

    def __init__(
        self,
        jobs: Sequence[Job],
        settings: _Settings,
        choice: OutputChoice,
        *,
        folder: bool,
        skip_existing: bool,
        as_json: bool,
    ) -> None:
        self._jobs = jobs
        self._folder = folder
        self._settings = settings
        self._choice = choice
        self._skip_existing = skip_existing
        self._as_json = as_json
        self.done: list[Upscaled] = []
        self.skipped: list[Job] = []
        self.failed: dict[Path, str] = {}

    def run(self) -> None:
        """Do every job that can be done.

        Raises:
            QsrError: of the only job, if there is one; or if a network cannot be had.
            OSError: likewise.
        """
        waiting = [job for job in self._jobs if self._to_do(job)]
        with ExitStack() as stack:
            progress = stack.enter_context(BatchProgress([job.source for job in waiting]))
            reader = stack.enter_context(ThreadPoolExecutor(1, "reader"))
            following: Future[SourceFile] | None = None
            for position, job in enumerate(waiting):
                opened = following or reader.submit(_open, job)
                following = reader.submit(_open, waiting[position + 1]) if position + 1 < len(waiting) else None
                progress.begin(job.source)
                self._do(job, opened, progress)
                progress.end()

    def _do(self, job: Job, opened: Future[SourceFile], progress: BatchProgress) -> None:
        """One picture.

        Raises:
            QsrError: if the network that it needs cannot be had: so it would be with the next one.
        """
        try:
            source = opened.result()
        except (QsrError, OSError) as error:
            self._fail(job, error)
            return
        with source:
            settings = self._settings
            choice = settings.networks.choose(source.jpeg_quality)
            model = settings.networks.model(choice.variant, settings.depth, on_wait=progress.wait_for)
            try:
                self._upscale(source, job, choice, model, progress)
            except (QsrError, OSError) as error:
                self._fail(job, error)

    def _to_do(self, job: Job) -> bool:
        if self._skip_existing and job.target.exists():
            self.skipped.append(job)
            if not self._as_json:
                click.echo(f"{job.source} skipped: {job.target} exists")
            return False
        try:
            if job.refusal:
                raise ImageError(job.refusal)
            if str(job.target) != _STREAM:
                if job.target.exists() and job.source.exists() and job.target.samefile(job.source):
                    raise QsrError(f"{job.target}: is the input itself, which would be lost; choose another output")
                if self._folder:
                    job.target.parent.mkdir(parents=True, exist_ok=True)
                check_target(job.target, overwrite=self._settings.force)
        except (QsrError, OSError) as error:
            self._fail(job, error)
            return False
        return True

    def _upscale(
        self, source: SourceFile, job: Job, choice: Choice, model: LoadedDepth, progress: BatchProgress
    ) -> None:
        streamed = str(job.target) == _STREAM
        output = self._choice.of_stream if streamed else output_format(job.target)
        try:
            check_output(source, output, model.scale)
        except ImageError as error:
            raise ImageError(f"{job.target}: {error}") from error
        with _stdout() if streamed else writing(job.target, overwrite=self._settings.force) as file:
            try:
                result = upscale_file(
                    model,
                    source,
                    output,
                    file,
                    options=self._settings.options,
                    tile_px=self._settings.tile_px,
                    on_tile=progress.advance,
                )
            except ImageError as error:
                named = str(error).startswith(f"{source.path}: ")
                raise error if named else ImageError(f"{source.path}: {error}") from error
        done = Upscaled(source=str(source.path), target=str(job.target), result=result, choice=choice)
        self.done.append(done)
        for note in result.notes:
            click.echo(f"warning: {source.path}: {note}", err=True)
        if not self._as_json:
            click.echo(done.line(), err=streamed)

    def _fail(self, job: Job, error: QsrError | OSError) -> None:
        if len(self._jobs) == 1:
            raise error
        self.failed[job.source] = str(error)
        click.echo(f"error: {one_line(error, None)}", err=True)

    def tables(self) -> dict[str, object]:
        """For a program."""
        return {
            "images": [entry.table() for entry in self.done],
            "skipped": [{"input": str(job.source), "output": str(job.target)} for job in self.skipped],
            "failed": [{"input": str(source), "error": error} for source, error in self.failed.items()],
        }


def _open(job: Job) -> SourceFile:
    """Open a job's input.

    Raises:
        ImageError: if it cannot be read.
    """
    if str(job.source) != _STREAM:
        return SourceFile(job.source)
    content = sys.stdin.buffer.read()
    if not content:
        raise ImageError("standard input: is empty (0 bytes), not a picture; pipe a picture into it")
    return SourceFile(Path("standard input"), content=content)


@contextmanager
def _stdout() -> Iterator[IO[bytes]]:
    """A file whose content goes to standard output when it is complete."""
    file = BytesIO()
    yield file
    sys.stdout.buffer.write(file.getbuffer())
    sys.stdout.buffer.flush()
