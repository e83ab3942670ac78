"""``qsr-edge simulate``."""

import json
from dataclasses import asdict
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from qsr_edge.bundle.manifest import Manifest
from qsr_edge.bundle.reader import open_bundle
from qsr_edge.errors import OutputExistsError, PolicyError
from qsr_edge.files import atomic_write
from qsr_edge.selector.latency import estimated_table
from qsr_edge.selector.policy import default_policy
from qsr_edge.selector.reading import read_policy
from qsr_edge.simulation.run import FixedStrategy, NaiveStrategy, Outcome, SelectorStrategy, Strategy, simulate
from qsr_edge.simulation.scenario import Scenario, read_scenario, scenario_names

PICTURES = {".png": "png", ".svg": "svg"}


@click.command("simulate")
@click.option("--bundle", required=True, type=click.Path(path_type=Path, readable=False), help="Folder or .zip.")
@click.option("--scenario", "scenario_name", required=True, help=f"{', '.join(scenario_names())}; or a .toml file.")
@click.option(
    "--policy", "policy_file", type=click.Path(path_type=Path, readable=False), help="Instead of the bundle's."
)
@click.option("--output", "-o", type=click.Path(path_type=Path, readable=False), help="Picture to write, .png or .svg.")
@click.option("--seed", type=click.IntRange(0, 2**31), default=0, show_default=True, help="Of the sensors' noise.")
@click.option("--force", is_flag=True, help="Replace an existing picture.")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
def command(
    bundle: Path,
    scenario_name: str,
    policy_file: Path | None,
    output: Path | None,
    seed: int,
    force: bool,
    as_json: bool,
) -> None:
    """Run the depth selector through a scenario on a simulated phone, against fixed depths and a naive switch.

    No figure is a phone's: docs/selector.md has the model and its sources.
    """
    if output is not None:
        if output.suffix not in PICTURES:
            raise PolicyError(f"{output}: expected a name that ends in {' or '.join(PICTURES)}")
        if output.exists() and not force:
            raise OutputExistsError(f"{output}: exists already; choose another output, or use --force to replace it")
    scenario = read_scenario(scenario_name)
    with open_bundle(bundle) as opened:
        manifest = opened.manifest
    depths = [entry.depth for entry in manifest.depths]
    policy = read_policy(policy_file) if policy_file else manifest.selector or default_policy(depths)
    policy.check_depths(depths)
    table = manifest.latency or estimated_table({entry.depth: entry.macs_per_pixel for entry in manifest.depths})
    dataset, quality_db = _quality(manifest)
    strategies: list[Strategy] = [
        SelectorStrategy(policy, table),
        NaiveStrategy(table),
        *(FixedStrategy(depth) for depth in reversed(depths)),
    ]
    outcomes = [simulate(scenario, strategy, table, quality_db, seed=seed) for strategy in strategies]
    if output is not None:
        from qsr_edge.simulation.picture import draw

        atomic_write(output, draw(scenario, outcomes, quality_db, format=PICTURES[output.suffix]))
    if as_json:
        report = {
            "simulated": True,
            "scenario": scenario.name,
            "latency_table": table.source,
            "quality": dataset,
            "outcomes": [_figures(outcome) for outcome in outcomes],
            "picture": str(output) if output else None,
        }
        click.echo(json.dumps(report, indent=2))
        return
    console = Console()
    _print(console, scenario, outcomes, dataset, table.source)
    if output is not None:
        console.print(f"wrote {output}", soft_wrap=True, markup=False)


def _quality(manifest: Manifest) -> tuple[str | None, dict[int, float]]:
    """PSNR by depth on the first data set that every depth was measured on."""
    for entry in manifest.depths[0].quality:
        found = {
            depth.depth: row.psnr_db
            for depth in manifest.depths
            for row in depth.quality
            if row.dataset == entry.dataset
        }
        if len(found) == len(manifest.depths):
            return entry.dataset, found
    return None, {}


def _figures(outcome: Outcome) -> dict[str, object]:
    figures = asdict(outcome)
    del figures["seconds"]
    return figures


def _print(console: Console, scenario: Scenario, outcomes: list[Outcome], dataset: str | None, source: str) -> None:
    console.print(f"[bold]{scenario.name}[/]: {scenario.description}", soft_wrap=True)
    table = Table(title="simulated, not measured on a phone")
    table.add_column("strategy")
    # Broken into lines here: in 80 columns words would be cut short.
    quality = [f"mean\nPSNR,\ndB\n({dataset})"] if dataset else []
    headings = ("frames", "missed,\n%", *quality, "switches\na minute", "% of time\nthrottled", "most\n°C", "Wh")
    for column in headings:
        table.add_column(column, justify="right")
    for outcome in outcomes:
        psnr = [] if outcome.mean_psnr_db is None else [f"{outcome.mean_psnr_db:.2f}"]
        table.add_row(
            outcome.strategy,
            f"{outcome.frames:,}",
            f"{outcome.missed_percent:.1f}",
            *(psnr or ["–"] * len(quality)),
            f"{outcome.switches_per_minute:.2f}",
            f"{outcome.throttled_percent:.1f}",
            f"{outcome.hottest_c:.1f}",
            f"{outcome.energy_wh:.2f}",
        )
    console.print(table)
    console.print(f"latency table: {source}", soft_wrap=True, markup=False)
