"""``qsr-edge compare``."""

import os
from pathlib import Path

import click

from qsr_edge.data.dataset import load_dataset
from qsr_edge.errors import CheckpointError, QsrError
from qsr_edge.extras import how_to_install
from qsr_edge.files import cache_folder
from qsr_edge.recipe.compare import CompareRecipe
from qsr_edge.recipe.reader import read_recipe
from qsr_edge.zoo import zoo_path


@click.command("compare")
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
    "--dataset",
    "datasets",
    required=True,
    multiple=True,
    type=click.Path(path_type=Path, readable=False),
    help="Folder of high-resolution pictures to measure on; may be given several times.",
)
@click.option(
    "--lr",
    "lr_folders",
    multiple=True,
    type=click.Path(path_type=Path, readable=False),
    help="Their low-resolution versions, once for each --dataset; made by bicubic reduction if not given.",
)
@click.option(
    "--start",
    type=click.Path(path_type=Path, readable=False),
    help="Float checkpoint that every run starts from; by default the bundled one that the recipe names.",
)
@click.option(
    "--output",
    "-o",
    type=click.Path(path_type=Path, readable=False),
    help="Folder for runs.jsonl, compare.json, compare.md and compare.svg; ./<recipe> by default.",
)
@click.option(
    "--jobs", type=click.IntRange(min=1, max=256), default=1, show_default=True, help="Runs at once, one thread each."
)
@click.option("--compile", "fused", is_flag=True, help="Fuse elementwise kernels; needs a C++ compiler.")
@click.option(
    "--cache",
    type=click.Path(path_type=Path, readable=False),
    help="Folder that keeps the decoded images; in your cache folder by default.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON instead of Markdown.")
def command(
    recipe_name: str,
    folders: tuple[Path, ...],
    datasets: tuple[Path, ...],
    lr_folders: tuple[Path, ...],
    start: Path | None,
    output: Path | None,
    jobs: int,
    fused: bool,
    cache: Path | None,
    as_json: bool,
) -> None:
    """Train quantizers under identical settings and compare them; run again to go on after an interruption."""
    try:
        import torch  # noqa: F401
    except ImportError as error:
        raise QsrError(f"training needs torch; {how_to_install('train')}") from error
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    from qsr_edge.training.compare import Job, Result, TestSet, compare
    from qsr_edge.training.comparison_report import markdown, write_report
    from qsr_edge.training.patches import load_pairs

    if lr_folders and len(lr_folders) != len(datasets):
        raise click.UsageError(f"--lr was given {len(lr_folders)} times, --dataset {len(datasets)} times")
    recipe = read_recipe(recipe_name, CompareRecipe)
    start = start or zoo_path(recipe.start)
    if start is None:
        raise CheckpointError(f"{recipe.name}: no bundled checkpoint is called {recipe.start!r}; give --start FILE")
    output = output or Path(recipe.name)
    job = Job(
        folders=folders,
        cache=cache or cache_folder(),
        start=start,
        test_sets=tuple(
            TestSet(name=Path(os.path.abspath(hr)).name, hr=hr, lr=lr)  # "." has a name, too, and a link keeps its own
            for hr, lr in zip(datasets, lr_folders or [None] * len(datasets), strict=True)
        ),
        fused=fused,
    )
    for test in job.test_sets:
        load_dataset(test.hr, recipe.scale, lr_folder=test.lr)  # refuses what is not there before anything is read
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("reading images", total=None)
        images = load_pairs(
            folders,
            recipe.scale,
            min_px=recipe.patch_px,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
            cache=job.cache,
        )
        bar.update(task, description=recipe.name, completed=0, total=sum(1 for _ in recipe.runs()))

        def show(result: Result, done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)
            deepest = str(recipe.depths[-1])
            measured = ", ".join(f"{name} {depths[deepest]:.3f} dB" for name, depths in result.psnr_db.items())
            bar.console.print(
                f"{result.method} at {result.bits} bits, seed {result.seed}: {measured}, {result.cpu_s:.0f} s CPU",
                highlight=False,
                soft_wrap=True,
            )

        results = compare(recipe, job, images, output / "runs.jsonl", jobs=jobs, on_result=show)
    write_report(recipe, results, output)
    if as_json:
        click.echo((output / "compare.json").read_text(encoding="utf-8"), nl=False)
    else:
        click.echo(markdown(recipe, results), nl=False)
    click.echo(f"wrote {output}", err=True)
