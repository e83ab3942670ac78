"""``qsr-edge bench``."""

import json
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from qsr_edge import __version__
from qsr_edge.bench.host import Variant, describe_host
from qsr_edge.bench.protocol import (
    FULL,
    QUICK,
    RESULTS_NAME,
    Effort,
    RunLog,
    RunResult,
    already_done,
    evaluate_run,
    measure,
    read_log,
    result_json,
)
from qsr_edge.bundle.backend import find_backend
from qsr_edge.bundle.reader import Bundle, open_bundle
from qsr_edge.bundle.writer import write_bundle
from qsr_edge.errors import BenchError, OutputExistsError
from qsr_edge.selector.latency import LatencyEntry, LatencyTable

DEFAULT_SIZE_PX = (180, 320)


@click.command("bench")
@click.option("--device", default="host", show_default=True, help="Where to measure: host, this machine.")
@click.option("--bundle", "bundles", multiple=True, type=click.Path(path_type=Path, readable=False),
              help="Folder or .zip; several times to compare.")  # fmt: skip
@click.option("--depth", "depths", multiple=True, type=int, help="Only this depth; several times for more.  [all]")
@click.option("--kernels", multiple=True, help="Kernels of the runtime; several times to compare.  [its default]")
@click.option("--threads", type=click.IntRange(1, 256), default=1, show_default=True)
@click.option("--size", default=None, help="Width x height of the input.  [320x180, or the bundle's fixed size]")
@click.option("--quick", is_flag=True, help=f"{QUICK.queries} queries and {QUICK.seconds:.0f} s of each variant.  "
              f"[{FULL.queries} and {FULL.seconds:.0f}]")  # fmt: skip
@click.option("--output", "-o", type=click.Path(path_type=Path, readable=False), help="Folder of the run.  [runs/TIME]")
@click.option("--resume", "resumed", type=click.Path(path_type=Path, readable=False), help="Go on with this run.")
@click.option("--update-bundle", is_flag=True, help="Write the measured latencies into the bundle, for its selector.")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
@click.option("--markdown", is_flag=True, help="Print them as a Markdown table.")
def command(
    device: str,
    bundles: tuple[Path, ...],
    depths: tuple[int, ...],
    kernels: tuple[str, ...],
    threads: int,
    size: str | None,
    quick: bool,
    output: Path | None,
    resumed: Path | None,
    update_bundle: bool,
    as_json: bool,
    markdown: bool,
) -> None:
    """Measure bundles: cold load, first inference, steady state, memory, and the golden output's bytes.

    Variants take turns, so that heat and other load meet all alike. Results are appended to results.jsonl as they come;
    --resume goes on after a stop.
    """
    if device != "host":
        raise BenchError(f"the device {device!r} cannot be reached by this release; use --device host")
    if bool(resumed) == bool(bundles):
        raise BenchError("give --bundle (once or more) for a new run, or --resume for one that was stopped")
    if resumed is not None:
        records = read_log(resumed)
        header = dict(records[0]) if records and records[0]["kind"] == "run" else {}
        folder = resumed
    else:
        folder = output or Path("runs") / time.strftime("%Y%m%d-%H%M%S")
        if (folder / RESULTS_NAME).exists():
            raise OutputExistsError(
                f"{folder}: holds a run already; --resume goes on with it, or choose another --output"
            )
        effort = QUICK if quick else FULL
        header = _header(bundles, depths, kernels, threads, size, effort)
        records = ()
    with ExitStack() as stack:
        variants, exact, opened = _variants(header, stack)
        log = RunLog(folder)
        if not records:
            log.append("run", **header)
        effort = Effort(**header["effort"])
        console = Console(stderr=True)
        percentage = TextColumn("{task.percentage:>3.0f} %")
        columns = (TextColumn("{task.description}"), BarColumn(), percentage, TimeElapsedColumn())
        complete = False
        try:
            with Progress(*columns, console=console, transient=True) as progress:
                task = progress.add_task(f"measuring {len(variants)} variants in turns", total=1.0)
                measure(
                    variants,
                    effort,
                    log,
                    byte_exact=exact,
                    done=already_done(records),
                    on_progress=lambda share: progress.update(task, completed=share),
                )
            complete = True
        finally:
            log.append("end", complete=complete)
            if not complete:
                click.echo(f"measured so far: {log.path}; go on: qsr-edge bench --resume {folder}", err=True)
        result = evaluate_run(read_log(folder))
        updated = _update(opened, result, header) if update_bundle else []
    if as_json:
        click.echo(json.dumps({**result_json(result), "folder": str(folder), "updated": updated}, indent=2))
        return
    if markdown:
        click.echo(_markdown(result))
    else:
        _print(Console(), result)
        for path in updated:
            click.echo(f"wrote the latencies into {path}")
        click.echo(f"wrote {log.path}")


def _header(
    bundles: Sequence[Path],
    depths: Sequence[int],
    kernels: Sequence[str],
    threads: int,
    size: str | None,
    effort: Effort,
) -> dict[str, Any]:
    """What is to be measured, so that a resumed run measures the same."""
    variants = []
    for path in bundles:
        with open_bundle(path) as bundle:
            manifest = bundle.manifest
            backend = find_backend(manifest.target)
            size_px = _size(size, manifest.input_size_px)
            for depth in depths or [entry.depth for entry in manifest.depths]:
                manifest.depth_entry(depth)
                for family in kernels or backend.kernel_families()[:1]:
                    variants.append(
                        {
                            "label": f"{path.name or path} d{depth} {family}",
                            "bundle": str(path.resolve()),
                            "depth": depth,
                            "kernels": family,
                            "runtime": backend.runtime_version(),
                            "bits": manifest.bits,
                            "scale": manifest.scale,
                            "size_px": list(size_px),
                        }
                    )
    labels = [variant["label"] for variant in variants]
    if len(set(labels)) != len(labels):
        raise BenchError("two variants would have the same name; give bundles of different names, each once")
    return {
        "version": __version__,
        "device": describe_host(),
        "threads": threads,
        "effort": asdict(effort),
        "variants": variants,
    }


def _size(wanted: str | None, fixed: tuple[int, int] | None) -> tuple[int, int]:
    if wanted is None:
        return fixed or DEFAULT_SIZE_PX
    width, _, height = wanted.partition("x")
    if not (width.isdigit() and height.isdigit() and 1 <= int(width) <= 8192 and 1 <= int(height) <= 8192):
        raise BenchError(f"--size {wanted}: expected width x height such as 320x180")
    size = int(height), int(width)
    if fixed not in (None, size):
        raise BenchError(f"--size {wanted}: the bundle takes {fixed[1]}x{fixed[0]} only")
    return size


def _variants(header: dict[str, Any], stack: ExitStack) -> tuple[list[Variant], dict[str, bool], dict[str, Bundle]]:
    """The variants of a run, whether each is to reproduce the golden output, and the bundles, open."""
    opened: dict[str, Bundle] = {}
    variants, exact = [], {}
    try:
        for entry in header["variants"]:
            path = entry["bundle"]
            if path not in opened:
                opened[path] = stack.enter_context(open_bundle(Path(path)))
            manifest = opened[path].manifest
            variants.append(
                Variant(
                    bundle=opened[path].root,
                    label=entry["label"],
                    depth=entry["depth"],
                    kernels=entry["kernels"],
                    threads=header["threads"],
                    size_px=(entry["size_px"][0], entry["size_px"][1]),
                )
            )
            exact[entry["label"]] = manifest.deployment is None or manifest.deployment.byte_exact
    except (KeyError, TypeError, IndexError) as error:
        raise BenchError(f"the run's header is damaged ({error!r}); measure anew") from error
    return variants, exact, opened


def _update(opened: dict[str, Bundle], result: RunResult, header: dict[str, Any]) -> list[str]:
    """Write measured latencies (p90) into bundles of which every depth was measured."""
    by_label = {variant.label: variant for variant in result.variants}
    updated = []
    for path, bundle in opened.items():
        manifest = bundle.manifest
        entries: list[LatencyEntry] = []
        own = [entry for entry in header["variants"] if entry["bundle"] == path and entry["label"] in by_label]
        measured = {entry["depth"]: entry for entry in own}
        families = {entry["kernels"] for entry in own}
        if len(families) != 1 or measured.keys() != {entry.depth for entry in manifest.depths}:
            raise BenchError(f"{path}: not every depth was measured under one family of kernels, so its table stays")
        slowest = 1
        for depth, entry in sorted(measured.items()):
            pixels = entry["size_px"][0] * entry["size_px"][1]
            # Deeper is never faster but for noise.
            slowest = max(slowest, -(-by_label[entry["label"]].latency.p90_us * 1_000_000 // pixels))
            entries.append(LatencyEntry(depth=depth, us_per_megapixel=slowest))
        width, height = own[0]["size_px"][1], own[0]["size_px"][0]
        source = (
            f"p90 on {header['device']['processor']}, {families.pop()}, {header['threads']} threads, {width}x{height}"
        )
        table = LatencyTable(source=source[:200], entries=tuple(entries))
        # Read again: the bundle may be open from an archive.
        contents = {entry.path: (bundle.root / entry.path).read_bytes() for entry in manifest.files}
        write_bundle(Path(path), replace(manifest, latency=table, files=()), contents, force=True)
        updated.append(path)
    return updated


_COLUMNS = ("variant", "p50, ms", "p90", "p99", "CPU, ms", "load, ms", "first, ms", "peak MB", "golden bytes")


def _rows(result: RunResult) -> list[tuple[str, ...]]:
    golden = {True: "equal", False: "OTHER", None: "not asked"}
    return [
        (
            variant.label,
            f"{variant.latency.p50_us / 1000:.2f}",
            f"{variant.latency.p90_us / 1000:.2f}",
            f"{variant.latency.p99_us / 1000:.2f}",
            f"{variant.cpu.p50_us / 1000:.2f}",
            f"{variant.load_us / 1000:.1f}",
            f"{variant.first_us / 1000:.2f}",
            f"{variant.peak_bytes / 1e6:.0f}",
            golden[variant.golden_equal],
        )
        for variant in result.variants
    ]


def _caption(result: RunResult) -> str:
    device, effort = result.header["device"], result.header["effort"]
    size = result.header["variants"][0]["size_px"]
    counts = [variant.latency.count for variant in result.variants]
    state = "" if result.complete else "; INCOMPLETE"
    invalid = "".join(f"; INVALID: {reason}" for reason in result.invalid)
    return (
        f"{device['processor']}, {device['cores']} cores; threads: {result.header['threads']}; "
        f"input {size[1]}x{size[0]}; "
        f"at least {effort['queries']} queries and {effort['seconds']:.0f} s each ({min(counts, default=0)} to "
        f"{max(counts, default=0)}), in turns{state}{invalid}"
    )


def _print(console: Console, result: RunResult) -> None:
    table = Table(caption=_caption(result))
    for column in _COLUMNS:
        table.add_column(column, justify="left" if column == "variant" else "right")
    for row in _rows(result):
        table.add_row(*row)
    console.print(table)


def _markdown(result: RunResult) -> str:
    lines = [f"| {' | '.join(_COLUMNS)} |", f"|---|{'---:|' * (len(_COLUMNS) - 1)}"]
    lines += [f"| {' | '.join(row)} |" for row in _rows(result)]
    return "\n".join([*lines, "", _caption(result)])
