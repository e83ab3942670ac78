"""``qsr-edge models``."""

import json

import click
from rich.console import Console
from rich.table import Table

from qsr_edge.errors import CheckpointError
from qsr_edge.nn.config import NetworkSize
from qsr_edge.zoo import WEIGHTS_LICENCE, ZooEntry, attributions, zoo_entries, zoo_entry


def _size(size_bytes: int) -> str:
    return f"{size_bytes / 1000:,.0f} kB"


def _widths(entry: ZooEntry) -> str:
    return f"W{entry.bits}A{entry.activation_bits}" if entry.bits else "float"


def _table(entries: tuple[ZooEntry, ...]) -> Table:
    datasets = list(dict.fromkeys(q.dataset for entry in entries for q in entry.quality))
    table = Table("name", "scale", "bits", "profile", "bytes", "depth", *(f"{name}, dB / SSIM" for name in datasets))
    for entry in entries:
        for i, depth in enumerate(entry.depths):
            first = (
                (entry.name, f"x{entry.scale}", _widths(entry), entry.profile, _size(entry.bytes))
                if i == 0
                else ("",) * 5
            )
            measured = {q.dataset: f"{q.psnr_db:.2f} / {q.ssim:.4f}" for q in entry.quality if q.depth == depth}
            last = depth == entry.depths[-1]
            table.add_row(*first, str(depth), *(measured.get(name, "") for name in datasets), end_section=last)
    return table


def _terms(entries: tuple[ZooEntry, ...]) -> str:
    free, other = ([entry.name for entry in entries if entry.may_be_shipped is each] for each in (True, False))
    lines = []
    if free:
        lines.append(
            f"May be shipped in products ({WEIGHTS_LICENCE}): {', '.join(free)}. Their training photographs, with "
            f"authors and licences: {attributions()}"
        )
    if other:
        lines.append(
            f"Trained on images some of which were released for research use only, see the cards: {', '.join(other)}."
        )
    return "\n".join(lines)


@click.command("models")
@click.argument("name", required=False)
@click.option("--size", type=click.Choice([s.value for s in NetworkSize]), help="Only networks of this size.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON: a list, or one object if NAME is given.")
def command(name: str | None, size: str | None, as_json: bool) -> None:
    """List the bundled checkpoints with what was measured on them, or print the model card of NAME.

    Convert one with 'qsr-edge convert --size Z --scale S --bits B'; those called fp32 are what training starts from.
    """
    if name is not None:
        if size is not None:
            raise click.UsageError("give either NAME or --size")
        entry = zoo_entry(name)
        click.echo(json.dumps(entry.table(), indent=2) if as_json else entry.card(), nl=as_json)
        return
    entries = tuple(entry for entry in zoo_entries() if size in (None, entry.size))
    if as_json:
        click.echo(json.dumps([entry.table() for entry in entries], indent=2))
    elif not entries:
        sizes = ", ".join(dict.fromkeys(entry.size for entry in zoo_entries() if entry.size))
        raise CheckpointError(f"no network of the size {size} is bundled, only {sizes}; train one: train --size {size}")
    else:
        console = Console()
        console.print(_table(entries))
        console.print(_terms(entries), soft_wrap=True, highlight=False)
