"""``qsr-edge train``."""

from pathlib import Path

import click

from qsr_edge.errors import QsrError


@click.command("train")
@click.option(
    "--recipe", "recipe_name", required=True, help="Preset name or a .toml file; a wrong name lists the presets."
)
@click.option(
    "--data",
    "folders",
    required=True,
    multiple=True,
    type=click.Path(path_type=Path, readable=False),
    help="Folder of training images, searched recursively; may be given several times.",
)
@click.option(
    "--start",
    type=click.Path(path_type=Path, readable=False),
    help="Checkpoint to start from (its bits or scale may differ).",
)
@click.option(
    "--output",
    "-o",
    type=click.Path(path_type=Path, readable=False),
    help="Checkpoint to write; <recipe>.safetensors by default.",
)
@click.option("--threads", type=click.IntRange(min=1, max=256), help="CPU threads; all cores by default.")
@click.option("--data-note", default="", help="What the images are and their terms, for the model card.")
def command(
    recipe_name: str,
    folders: tuple[Path, ...],
    start: Path | None,
    output: Path | None,
    threads: int | None,
    data_note: str,
) -> None:
    """Train a network by a recipe; run again to go on after an interruption."""
    try:
        import torch
    except ImportError as error:
        raise QsrError("training needs torch; install it with: pip install 'qsr-edge[train]'") from error
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    from qsr_edge.nn.checkpoint import read_checkpoint
    from qsr_edge.recipe.reader import read_recipe
    from qsr_edge.recipe.train import TrainRecipe
    from qsr_edge.training.loop import Progress, check_output, train
    from qsr_edge.training.patches import load_pairs

    recipe = read_recipe(recipe_name, TrainRecipe)
    output = output or Path(f"{recipe.name}.safetensors")
    check_output(output)
    if threads:
        torch.set_num_threads(threads)
    first = read_checkpoint(start) if start else None
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Bar(*columns, console=console) as bar:
        task = bar.add_task("decoding images", total=None, note="")
        pairs = load_pairs(
            folders,
            recipe.scale,
            min_px=recipe.patch_px,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
        task = bar.add_task(recipe.name, total=recipe.iterations, note="")

        def show(progress: Progress) -> None:
            note = f"loss {progress.loss:.5f}"
            if progress.validation_psnr_db is not None:
                bar.console.print(
                    f"iteration {progress.iteration}: {note}, validation {progress.validation_psnr_db:.3f} dB"
                )
            bar.update(task, completed=progress.iteration, note=note)

        train(recipe, pairs, output, start=first, data_description=data_note, on_progress=show)
    click.echo(f"wrote {output}")
