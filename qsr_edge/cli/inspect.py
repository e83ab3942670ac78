"""``qsr-edge inspect``: what a file holds and what running it costs."""

import json
from dataclasses import asdict
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from qsr_edge.graph.cost import is_tiled
from qsr_edge.inspection.checkpoint import graph_text
from qsr_edge.inspection.inspect import inspect_path
from qsr_edge.inspection.report import Report

EXAMPLE_SIZE_PX = (640, 360)
"""Width and height of the input that totals are given for: a common preview stream."""


@click.command("inspect")
@click.argument("path", metavar="BUNDLE|MODEL|CHECKPOINT", type=click.Path(path_type=Path, readable=False))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of a table.")
@click.option(
    "--graph",
    "graph_depth",
    type=click.IntRange(min=1),
    metavar="DEPTH",
    help="Print the integer graph of a checkpoint at this depth instead, a line for each tensor, node and array.",
)
def command(path: Path, as_json: bool, graph_depth: int | None) -> None:
    """Show what a bundle, a model or a checkpoint holds and costs.

    MACs are multiply-accumulates; BOPs are MACs times weight bits times activation bits.
    """
    if graph_depth is not None:
        click.echo(graph_text(path, graph_depth), nl=False)
        return
    report = inspect_path(path)
    if as_json:
        click.echo(json.dumps(asdict(report), indent=2))
    else:
        _print(report)


def _print(report: Report) -> None:
    console = Console()
    grid = Table.grid(padding=(0, 2))
    grid.add_row(report.kind, Text(report.path))
    grid.add_row("bytes", f"{report.bytes:,}")
    for key, value in report.facts.items():
        grid.add_row(key, Text(f"{value:,}" if isinstance(value, int) else value))
    if report.depths:
        grid.add_row("depths", ", ".join(str(depth.depth) for depth in report.depths))
    for i, line in enumerate(report.training):
        grid.add_row("trained by" if i == 0 else "started from", Text(line))
    answer = {True: "yes", False: "NO", None: "not known"}[report.integer_only]
    grid.add_row("integer-only", Text(f"{answer}: {report.integer_only_note}" if report.integer_only_note else answer))
    console.print(grid)

    width, height = EXAMPLE_SIZE_PX
    pixels = width * height
    table = Table("depth", *(str(depth.depth) for depth in report.depths))
    for column in table.columns[1:]:
        column.justify = "right"

    def row(title: str, values: list[int | None], unit: float = 1, digits: int = 0) -> None:
        if any(value is not None for value in values):
            table.add_row(title, *("?" if value is None else f"{value / unit:,.{digits}f}" for value in values))

    macs = [depth.macs_per_pixel for depth in report.depths]
    bops = [depth.bops_per_pixel for depth in report.depths]
    peaks = [depth.peak_activation_bytes_per_pixel for depth in report.depths]
    row("file bytes", [depth.file_bytes for depth in report.depths])
    row("weight bytes at their bits", [depth.weight_bytes for depth in report.depths])
    row("MACs per input pixel", macs)
    row("BOPs per input pixel", bops)
    row(f"giga-MACs, {width}x{height}", [value and value * pixels for value in macs], 1e9, 2)
    row(f"giga-BOPs, {width}x{height}", [value and value * pixels for value in bops], 1e9, 1)
    row(f"peak activation MB, {width}x{height}", [value and value * pixels for value in peaks], 1e6, 1)
    halos = [depth.grid.halo_px if depth.grid else depth.halo_px for depth in report.depths]
    grids = [depth.grid.step_px if depth.grid else None for depth in report.depths]
    row("tiles begin at multiples of, px", grids)
    if all(halo is None or is_tiled(halo) for halo in halos):
        row("halo px", halos)
    else:
        table.add_row("tiling", *("none: sees the whole picture" for _ in halos))
    if table.row_count:
        console.print(table)
