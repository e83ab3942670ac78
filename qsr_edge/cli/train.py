"""``qsr-edge train``."""

import dataclasses
import json
import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

from qsr_edge.errors import CheckpointError, OutputExistsError, QsrError, RecipeError
from qsr_edge.extras import how_to_install
from qsr_edge.files import cache_folder, sweep
from qsr_edge.nn.checkpoint import Checkpoint, read_checkpoint
from qsr_edge.nn.config import EdgeConfig, NetworkSize
from qsr_edge.nn.state_dict import TORCH_SUFFIXES
from qsr_edge.recipe.reader import preset_names, read_recipe
from qsr_edge.recipe.train import TrainRecipe
from qsr_edge.zoo import zoo_path

if TYPE_CHECKING:
    from qsr_edge.training.distributed import World
    from qsr_edge.training.patches import TrainingImages


def _start_checkpoint(path: Path) -> Checkpoint:
    """A checkpoint to start from: one of ours, or SwinIR's official state dict, which ``quantsr_t`` can start from."""
    if path.suffix not in TORCH_SUFFIXES:
        return read_checkpoint(path)
    from qsr_edge.nn.swinir_import import read_swinir

    return read_swinir(path)


_STOPPING = b"stopping: the step at hand is ended and the state is saved; Ctrl-C again stops at once\n"


class _StopSignal:
    """Remembers Ctrl-C and SIGTERM, so that the run can save its state; a second one interrupts at once.

    A step of a large network takes a while, so it is told at once that the first one was heard.
    """

    def __init__(self) -> None:
        self.number = 0

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if self.number:
            raise KeyboardInterrupt
        self.number = number
        # Past Python's buffers: the signal may have come in the middle of a write to them.
        with suppress(OSError):
            os.write(2, b"\n" + _STOPPING if os.isatty(2) else _STOPPING)


@contextmanager
def _stop_signal(*, ignored: bool) -> Iterator[_StopSignal]:
    # In a run of several processes only the first saves; the others end when it leaves them.
    stop = _StopSignal()
    handled = (signal.SIGINT, signal.SIGTERM)
    former = {number: signal.signal(number, signal.SIG_IGN if ignored else stop) for number in handled}
    try:
        yield stop
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def _recipe(name: str, size: NetworkSize | None) -> TrainRecipe:
    """The recipe of a name, for a network of a size if one is asked for.

    Raises:
        RecipeError: if there is none, or it trains a network of another size.
    """
    if size not in (None, NetworkSize.EDGE) and f"{size}_{name}" in preset_names(TrainRecipe):
        name = f"{size}_{name}"
    recipe = read_recipe(name, TrainRecipe)
    if size is not None:
        config = recipe.config()
        has = config.size if isinstance(config, EdgeConfig) else None
        if has is not size:
            offered = [preset for preset in preset_names(TrainRecipe) if preset.startswith(f"{size}_")]
            choice = f"choose from {', '.join(offered)}" if offered else "leave --size out"
            raise RecipeError(f"{name}: trains a network of the size {has or 'of its own'}, not {size}; {choice}")
    return recipe


def _recipe_chain(recipe: TrainRecipe) -> list[TrainRecipe]:
    """The presets that a recipe builds on, first things first, and the recipe."""
    chain = [recipe]
    while chain[0].start:
        if chain[0].start not in preset_names(TrainRecipe):
            raise RecipeError(
                f"{chain[0].name}: start = {chain[0].start!r} is no preset; give --start instead of --chain"
            )
        chain.insert(0, read_recipe(chain[0].start, TrainRecipe))
    return chain


def _check_chain(recipes: list[TrainRecipe], outputs: list[Path], first: int, last_done: Checkpoint | None) -> None:
    """Refuse what another run left in the chain's place, before any time is spent on the stages before it.

    Args:
        recipes: the stages, first things first.
        outputs: where each is, or will be, written.
        first: the stage to go on with.
        last_done: what the stage before it wrote; None if there is none.

    Raises:
        OutputExistsError: naming the file.
    """
    from qsr_edge.training.loop import state_path

    if outputs[-1] in outputs[:-1]:
        raise OutputExistsError(f"{outputs[-1]}: a stage of the chain is written there; choose another output")
    for left in (file for path in outputs[first + 1 :] for file in (path, state_path(path))):
        if left.exists():
            raise OutputExistsError(
                f"{left}: exists already, but {outputs[first]}, which comes before it in the chain, is not done; "
                "move it away, or choose an output in another folder"
            )
    made = _table(last_done.provenance if last_done else None)
    for recipe in reversed(recipes[:first]):
        wanted, found = json.loads(json.dumps(dataclasses.asdict(recipe))), _table(made.get("recipe"))
        for key in wanted:
            if found.get(key) != wanted[key]:
                raise OutputExistsError(
                    f"{outputs[first - 1]}: is not of this chain: in its stage {recipe.name}, {key} was "
                    f"{found.get(key)}, not {wanted[key]}; move it away, or name it by --start instead of --chain"
                )
        made = _table(made.get("start"))


def _table(value: object) -> dict[str, Any]:
    # A checkpoint's provenance is free: other people's hold other things, or nothing.
    return value if isinstance(value, dict) else {}


def _shortened(recipe: TrainRecipe, iterations: int | None) -> TrainRecipe:
    """The recipe with other ``iterations``; its block order is decided within them."""
    if iterations is None:
        return recipe
    order_iteration = min(recipe.order_iteration, iterations)
    return dataclasses.replace(recipe, iterations=iterations, order_iteration=order_iteration)


def _default_start(recipe: TrainRecipe, folder: Path) -> Path | None:
    """The recipe's start: a checkpoint of its name beside the output, or else the bundled one."""
    if not recipe.start:
        return None
    beside = folder / f"{recipe.start}.safetensors"
    path = beside if beside.exists() else zoo_path(recipe.start)
    if path is None:
        raise CheckpointError(
            f"{recipe.name} starts from {recipe.start}, and there is neither {beside} nor a bundled checkpoint of that "
            "name; give --start FILE, or --chain to train that one first"
        )
    return path


@click.command("train")
@click.option(
    "--recipe", "recipe_name", required=True, help="Preset name or a .toml file; a wrong name lists the presets."
)
@click.option(
    "--size",
    type=click.Choice([s.value for s in NetworkSize]),
    help="The preset of this name for a network of this size: --recipe x2_w4a8 --size nano is nano_x2_w4a8.",
)
@click.option(
    "--data",
    "folders",
    required=True,
    multiple=True,
    type=click.Path(path_type=Path, readable=False),
    help="Folder of training images, searched recursively, or a BasicSR LMDB; may be given several times.",
)
@click.option(
    "--start",
    type=click.Path(path_type=Path, readable=False),
    help="Checkpoint to start from (its bits or scale may differ); by default the one that the recipe names.",
)
@click.option("--chain", is_flag=True, help="First train the presets that this one builds on, beside the output.")
@click.option(
    "--teacher",
    type=click.Path(path_type=Path, readable=False),
    help="Float checkpoint for a recipe with teacher_weight.",
)
@click.option(
    "--output",
    "-o",
    type=click.Path(path_type=Path, readable=False),
    help="Checkpoint to write; <recipe>.safetensors by default.",
)
@click.option(
    "--journal",
    "journal_folder",
    type=click.Path(path_type=Path, readable=False),
    help="Folder for TensorBoard curves, and a grid of pictures at every validation.",
)
@click.option(
    "--cache",
    type=click.Path(path_type=Path, readable=False),
    help="Folder that keeps the decoded images for the next run; in your cache folder by default.",
)
@click.option("--no-cache", is_flag=True, help="Decode into memory, keep nothing.")
@click.option(
    "--iterations",
    type=click.IntRange(min=1),
    help="Steps of each run instead of the recipe's: to try a recipe out.",
)
@click.option(
    "--save-every", type=click.IntRange(min=1), default=500, show_default=True, help="Iterations between saved states."
)
@click.option(
    "--device",
    type=click.Choice(["cpu", "cuda"]),
    default="cpu",
    show_default=True,
    help="Where to train; under torchrun each process takes the GPU of its local rank.",
)
@click.option("--threads", type=click.IntRange(min=1, max=256), help="CPU threads; all cores by default.")
@click.option("--compile", "fused", is_flag=True, help="Fuse elementwise kernels; needs a C++ compiler.")
@click.option("--data-note", default="", help="What the images are and their terms, for the model card.")
def command(
    recipe_name: str,
    size: str | None,
    folders: tuple[Path, ...],
    start: Path | None,
    chain: bool,
    teacher: Path | None,
    output: Path | None,
    journal_folder: Path | None,
    cache: Path | None,
    no_cache: bool,
    iterations: int | None,
    save_every: int,
    device: str,
    threads: int | None,
    fused: bool,
    data_note: str,
) -> None:
    """Train a network by a recipe; run again to go on after an interruption.

    In several processes: torchrun --nproc-per-node N --no-python qsr-edge train ... --threads 1
    """
    try:
        import torch
    except ImportError as error:
        raise QsrError(f"training needs torch; {how_to_install('train')}") from error
    from qsr_edge.training.distributed import world
    from qsr_edge.training.loop import check_folder, check_output, hold_output, state_path

    if chain and start:
        raise click.UsageError("--chain trains the start itself; leave out --start")
    if no_cache and cache:
        raise click.UsageError("--cache and --no-cache exclude each other")
    last = _recipe(recipe_name, NetworkSize(size) if size else None)
    output = output or Path(f"{last.name}.safetensors")
    check_folder(output)
    sweep(output.parent)
    recipes = [_shortened(recipe, iterations) for recipe in (_recipe_chain(last) if chain else [last])]
    last = recipes[-1]
    outputs = [output.with_name(f"{recipe.name}.safetensors") for recipe in recipes[:-1]] + [output]
    done = [path.exists() and not state_path(path).exists() for path in outputs]
    if done[-1]:
        raise OutputExistsError(f"{output}: exists already; choose another output, or move it away")
    first = done.index(False)
    if not chain:
        start = start or _default_start(last, output.parent)
    elif first:
        start = outputs[first - 1]
    teacher_checkpoint = read_checkpoint(teacher) if teacher else None
    checkpoint = _start_checkpoint(start) if start else None
    _check_chain(recipes, outputs, first, checkpoint if chain else None)
    check_output(outputs[first], recipes[first], checkpoint, teacher_checkpoint)
    if int(os.environ.get("RANK", "0")) == 0:
        with hold_output(outputs[first]):
            pass  # refused before the images are read; it is held when there is something to write
    if fused:
        from qsr_edge.quant.rounding import compile_kernels

        compile_kernels()
    if threads:
        torch.set_num_threads(threads)
    folder = None if no_cache else cache or cache_folder()
    with world(device) as processes:
        for recipe, path in list(zip(recipes, outputs, strict=True))[first:]:
            if processes.is_first:
                click.echo(f"{recipe.name}: from {start or 'random weights'}", err=True)
            journal = journal_folder / recipe.name if journal_folder and chain else journal_folder
            run = _Run(recipe, path, processes, checkpoint, teacher_checkpoint if recipe.teacher_weight else None)
            checkpoint = run.trained(_images(folders, recipe, folder, processes), data_note, save_every, journal)
            start = path
            if processes.is_first:
                click.echo(f"wrote {path}")


def _images(folders: tuple[Path, ...], recipe: TrainRecipe, cache: Path | None, processes: "World") -> "TrainingImages":
    from rich.console import Console
    from rich.progress import Progress as Bar

    from qsr_edge.training.patches import load_pairs

    with Bar(console=Console(stderr=True), disable=not processes.is_first, transient=True) as bar:
        task = bar.add_task("reading images", total=None)
        return load_pairs(
            folders,
            recipe.scale,
            min_px=recipe.patch_px,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
            cache=cache,
        )


class _Run:
    """One recipe's training, shown as it goes."""

    def __init__(
        self,
        recipe: TrainRecipe,
        output: Path,
        processes: "World",
        start: Checkpoint | None,
        teacher: Checkpoint | None,
    ):
        self.recipe, self.output, self.processes, self.start, self.teacher = recipe, output, processes, start, teacher

    def trained(
        self, images: "TrainingImages", data_note: str, save_every: int, journal_folder: Path | None
    ) -> Checkpoint:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        from qsr_edge.training.journal import Journal
        from qsr_edge.training.loop import Progress, StoppedError, train

        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
        )
        is_first = self.processes.is_first
        latest = ""
        with ExitStack() as stack:
            bar = stack.enter_context(Bar(*columns, console=Console(stderr=True), disable=not is_first))
            stop = stack.enter_context(_stop_signal(ignored=not is_first))
            journal = stack.enter_context(Journal(journal_folder)) if journal_folder and is_first else None
            task = bar.add_task(self.recipe.name, total=self.recipe.iterations, note="")

            def show(progress: Progress) -> None:
                nonlocal latest
                if progress.psnr_db is not None:
                    latest = ", ".join(f"depth {depth} {db:.3f} dB" for depth, db in progress.psnr_db.items())
                    bar.console.print(
                        f"iteration {progress.iteration}: loss {progress.loss:.5f}, validation {latest}, "
                        f"{progress.waiting_share:.1%} of the time waiting for data",
                        highlight=False,
                        soft_wrap=True,
                    )
                    deepest = progress.psnr_db[self.recipe.depths[-1]]
                    latest = f", {deepest:.2f} dB"
                note = f"loss {progress.loss:.4f}{latest}"
                bar.update(task, completed=progress.iteration, note=note)

            try:
                return train(
                    self.recipe,
                    images,
                    self.output,
                    start=self.start,
                    teacher=self.teacher,
                    data_description=data_note,
                    save_every=save_every,
                    on_progress=show,
                    stop_requested=lambda: bool(stop.number),
                    journal=journal,
                    world=self.processes,
                )
            except StoppedError as error:
                bar.stop()
                click.echo(f"{self.recipe.name}: {error}", err=True)
                raise click.exceptions.Exit(128 + stop.number) from error
