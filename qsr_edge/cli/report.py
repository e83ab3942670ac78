"""``qsr-edge report``."""

import json
from pathlib import Path

import click

from qsr_edge.errors import BenchError, OutputExistsError
from qsr_edge.files import atomic_write
from qsr_edge.report.as_json import as_json
from qsr_edge.report.reading import read_run
from qsr_edge.report.regression import compare
from qsr_edge.report.tables import markdown, verdict

DEFAULT_OUTPUT = Path("report.html")


@click.command("report")
@click.argument("runs", nargs=-1, required=True, metavar="RUN...", type=click.Path(path_type=Path, readable=False))
@click.option(
    "--output",
    "-o",
    type=click.Path(path_type=Path, readable=False),
    help="Page to write.  [report.html, unless --json or --markdown is given]",
)
@click.option("--baseline", type=click.Path(path_type=Path, readable=False), help="Run to compare every RUN with.")
@click.option("--fail-on-regression", "percent", type=click.FloatRange(min=0), metavar="PERCENT",
              help="Exit with 1 if a median is slower by more than that, not by chance, or missing.")  # fmt: skip
@click.option("--force", is_flag=True, help="Replace an existing page.")
@click.option("--json", "json_wanted", is_flag=True, help="Print everything as JSON.")
@click.option("--markdown", "markdown_wanted", is_flag=True, help="Print tables for a README.")
def command(
    runs: tuple[Path, ...],
    output: Path | None,
    baseline: Path | None,
    percent: float | None,
    force: bool,
    json_wanted: bool,
    markdown_wanted: bool,
) -> None:
    """Show runs of `qsr-edge bench` as one self-contained page: quality, latency, heat, pictures, and every caveat.

    RUN is the folder of a run; several stand side by side.
    """
    if json_wanted and markdown_wanted:
        raise click.UsageError("give either --json or --markdown")
    if percent is not None and baseline is None:
        raise click.UsageError("--fail-on-regression needs --baseline RUN")
    if output is None and not (json_wanted or markdown_wanted):
        output = DEFAULT_OUTPUT
    if output is not None and output.exists() and not force:
        raise OutputExistsError(f"{output}: exists already; choose another output, or use --force to replace it")
    found = [read_run(folder) for folder in runs]
    reference = None if baseline is None else read_run(baseline)
    comparisons = [] if reference is None else [compare(run, reference) for run in found]
    if output is not None:
        from qsr_edge.report.page import render_page

        content = render_page(found, comparisons).encode()
        atomic_write(output, content)
        click.echo(f"wrote {output} ({len(content):,} bytes)", err=json_wanted or markdown_wanted)
    if json_wanted:
        click.echo(json.dumps(as_json(found, comparisons), indent=2, ensure_ascii=False))
    elif markdown_wanted:
        click.echo(markdown(found, comparisons), nl=False)
    if percent is not None:
        worse = [(comparison, change) for comparison in comparisons for change in comparison.regressions(percent)]
        if worse:
            told = "; ".join(
                f"{comparison.run.folder}: {change.label} {verdict(change)}" for comparison, change in worse[:5]
            )
            raise BenchError(
                f"{len(worse)} variant{'s are' if len(worse) > 1 else ' is'} slower than {baseline} by more than "
                f"{percent:g} %, or missing: {told}; "
                "measure again to rule out a disturbance"
            )
