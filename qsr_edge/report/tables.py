"""The tables of the page, and what of them goes into a README or to a program."""

from collections.abc import Sequence
from dataclasses import dataclass

from qsr_edge.bench.protocol.header import RunEffort
from qsr_edge.bench.result import VariantResult
from qsr_edge.report.findings import caveats, listed, ms
from qsr_edge.report.quality import Panel, mean_psnr_db, panels
from qsr_edge.report.regression import METHOD, Change, Comparison
from qsr_edge.report.run import Run, headings

UNKNOWN = "–"
GOLDEN = {True: "equal", False: "OTHER", None: "not asked"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table of texts; the first column names the row."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    words: frozenset[str] = frozenset()
    """Columns that are read, not compared: set to the left."""


def _or_unknown(value: float | None, shown: str) -> str:
    return UNKNOWN if value is None else shown


def _ms(us: int | None) -> str:
    return UNKNOWN if us is None else ms(us)


def _megabytes(count: int | None) -> str:
    return UNKNOWN if count is None else f"{count / 1e6:,.2f}" if count < 1e7 else f"{count / 1e6:,.0f}"


def figures_table(run: Run) -> Table:
    """Every figure of every variant."""
    rows = []
    for variant in run.variants:
        summary = variant.latency
        pixels = variant.height_px * variant.width_px
        macs = None if variant.macs_per_pixel is None else variant.macs_per_pixel * pixels / 1e9
        rows.append(
            (
                variant.label,
                UNKNOWN if summary is None else f"{summary.count:,}",
                *((UNKNOWN,) * 3 if summary is None else map(ms, (summary.p50_us, summary.p90_us, summary.p99_us))),
                _ms(variant.cpu_us),
                _ms(variant.load_us),
                _ms(variant.first_us),
                _megabytes(variant.peak_bytes),
                UNKNOWN if variant.model_bytes is None else f"{variant.model_bytes / 1000:,.0f}",
                _or_unknown(macs, f"{macs or 0:,.2f}"),
                _or_unknown(variant.energy_mj, f"{variant.energy_mj or 0:,.1f}"),
                GOLDEN[variant.golden_equal],
            )
        )
    columns = ("variant", "queries", "p50, ms", "p90, ms", "p99, ms", "CPU, ms", "load, ms", "first, ms", "peak, MB",
               "model, kB", "GMAC", "energy, mJ", "golden bytes")  # fmt: skip
    # A column that nobody knows says nothing.
    kept = [i for i, column in enumerate(columns) if column != "energy, mJ" or any(row[i] != UNKNOWN for row in rows)]
    return Table(
        caption=f"Figures of {run.title}, of one inference",
        columns=tuple(columns[i] for i in kept),
        rows=tuple(tuple(row[i] for i in kept) for row in rows),
    )


def placement_table(run: Run) -> Table | None:
    """What the delegate took and what it left; None if no runtime told."""
    rows = [
        (
            variant.label,
            variant.placement.delegate or UNKNOWN,
            str(variant.placement.delegated_ops),
            str(sum(variant.placement.fallback.values())),
            ", ".join(f"{op} ×{count}" for op, count in variant.placement.fallback.items()) or "none",
        )
        for variant in run.variants
        if variant.placement is not None
    ]
    columns = ("variant", "delegate", "delegated ops", "ops left", "which")
    words = frozenset({"delegate", "which"})
    caption = f"Delegate placement on {run.title}"
    return Table(caption=caption, columns=columns, rows=tuple(rows), words=words) if rows else None


def panel_table(panel: Panel) -> Table:
    """The chart of quality against latency as a table."""
    rows = [
        (point.variant.label, ms(point.latency_us), f"{point.psnr_db:.2f}", "yes" if point.pareto else "no")
        for point in panel.points
    ]
    columns = ("variant", "median, ms", "PSNR, dB", "on the Pareto front")
    return Table(caption=f"{panel.run.title}, PSNR on {panel.basis}", columns=columns, rows=tuple(rows))


def minutes_table(run: Run, variant: VariantResult) -> Table:
    """The sustained phase by the minute."""
    rows = []
    for minute in variant.minutes:
        inside = [state for state in variant.states if state.at_ms // 60_000 == minute.minute]
        hottest_mc = minute.temperature_mc
        battery = min((state.battery_percent for state in inside if state.battery_percent is not None), default=None)
        rows.append(
            (
                str(minute.minute + 1),
                f"{minute.latency.count:,}",
                ms(minute.latency.p50_us),
                ms(minute.latency.p90_us),
                _or_unknown(minute.thermal_status, str(minute.thermal_status)),
                _or_unknown(hottest_mc, f"{(hottest_mc or 0) / 1000:.1f}"),
                _or_unknown(battery, f"{battery or 0:.0f}"),
            )
        )
    columns = ("minute", "queries", "p50, ms", "p90, ms", "thermal status", "hottest, °C", "battery, %")
    return Table(caption=f"{run.title}, {variant.label}: by the minute", columns=columns, rows=tuple(rows))


def quality_table(run: Run) -> Table | None:
    """PSNR and SSIM of each image; None if there were none."""
    names = [
        name for name in run.images if any(image.image == name for variant in run.variants for image in variant.images)
    ]
    if not names:
        return None

    def cell(variant: VariantResult, name: str) -> str:
        for image in variant.images:
            if image.image == name:
                told = UNKNOWN if image.psnr_db is None else f"{image.psnr_db:.2f}"
                return told if image.ssim is None else f"{told} / {image.ssim:.4f}"
        return UNKNOWN

    rows = tuple(
        (variant.label, *(cell(variant, name) for name in names), _mean(mean_psnr_db(variant)))
        for variant in run.variants
    )
    return Table(
        caption=f"{run.title}: PSNR in dB / SSIM on luma, borders of the scale factor cropped",
        columns=("variant", *names, "mean PSNR"),
        rows=rows,
    )


def _mean(psnr_db: float | None) -> str:
    return UNKNOWN if psnr_db is None else f"{psnr_db:.2f}"


def side_by_side_table(runs: Sequence[Run]) -> Table | None:
    """Median latencies of variants that several runs measured, with the ratio to the first; None if there are none."""
    found: dict[tuple[object, ...], dict[int, VariantResult]] = {}
    for index, run in enumerate(runs):
        for variant in run.measured:
            found.setdefault(variant.identity, {}).setdefault(index, variant)
    rows = []
    for by_run in found.values():
        if len(by_run) < 2:
            continue
        reference = next(iter(by_run.values())).latency
        cells = []
        for index in range(len(runs)):
            summary = by_run[index].latency if index in by_run else None
            if summary is None or reference is None:
                cells.append(UNKNOWN)
            elif summary is reference:
                cells.append(ms(summary.p50_us))
            else:
                cells.append(f"{ms(summary.p50_us)} (×{summary.p50_us / max(1, reference.p50_us):.2f})")
        rows.append((next(iter(by_run.values())).label, *cells))
    caption = "Median latency in ms of what several runs measured; in brackets the ratio to the first of them"
    return Table(caption=caption, columns=("variant", *headings(runs)), rows=tuple(rows)) if rows else None


def environment_table(runs: Sequence[Run]) -> Table:
    """Where and how runs were made, a column for each."""
    entries = [_environment(run) for run in runs]
    keys = list(dict.fromkeys(key for entry in entries for key in entry))
    rows = tuple((key, *(entry.get(key, UNKNOWN) or UNKNOWN for entry in entries)) for key in keys)
    return Table(caption="Device, software and effort", columns=("", *headings(runs)), rows=rows)


def _environment(run: Run) -> dict[str, str]:
    device, job = run.device, run.header.job
    gate, limits = job.gate, []
    if gate is not None and device.kind == "browser":
        limits.append("the page in front")  # of heat no browser tells anything
    elif gate is not None:
        limits.append(f"thermal status at most {gate.max_thermal_status}")
    if gate is not None and gate.max_temperature_mc is not None:
        limits.append(f"at most {gate.max_temperature_mc / 1000:g} °C")
    sustained_ms = job.sustained_ms or 0
    each = f"{sustained_ms / 1000:g} s" if sustained_ms % 60_000 else f"{sustained_ms // 60_000} min"
    sustained = f"{each} of each variant" if sustained_ms else "none"
    known = {
        "run": run.id,
        "device": run.title,
        "kind": f"{device.kind}, simulator: no phone" if device.simulator else device.kind,
        "steps of the clock": f"{device.timer_us} µs" if device.timer_us else "",
        "processor": device.processor,
        "cores": str(device.cores or ""),
        "system": device.system,
        "runtimes": ", ".join(dict.fromkeys(variant.runtime for variant in run.variants if variant.runtime)),
        "kernels": ", ".join(dict.fromkeys(variant.kernels for variant in run.variants if variant.kernels)),
        "threads": str(job.threads or ""),
        "effort": _effort(job),
        "sustained phase": sustained,
        "start gate": ", ".join(limits) or "none",
        "agent": ", ".join(run.agents),
        "parts": str(run.parts),
        "qsr-edge": run.header.version,
    }
    if not device.timer_us:
        del known["steps of the clock"]
    return known | {f"device: {key}": value for key, value in device.details}


def _effort(job: RunEffort) -> str:
    if job.queries is None or job.steady_ms is None:
        return ""
    return f"at least {job.queries:,} queries and {job.steady_ms / 1000:g} s of each variant, in turns"


def change_table(comparison: Comparison) -> Table:
    """A run against the baseline: the variants that both measured."""
    rows = [
        (
            change.label,
            _ms(change.baseline_us),
            _ms(change.run_us),
            UNKNOWN if change.ratio is None else f"{change.ratio:.3f}",
            UNKNOWN if change.low is None or change.high is None else f"{change.low:.3f} to {change.high:.3f}",
            "; ".join((verdict(change), *change.cautions)),
            _or_unknown(change.psnr_change_db, f"{change.psnr_change_db or 0:+.2f}"),
            _or_unknown(change.peak_ratio, f"{change.peak_ratio or 0:.2f}"),
        )
        for change in comparison.changes
        if change.ratio is not None
    ]
    columns = ("variant", "baseline, ms", "this run, ms", "ratio", "95 % interval", "verdict", "PSNR change, dB",
               "peak memory ratio")  # fmt: skip
    words = frozenset({"verdict"})
    return Table(caption="Medians against the baseline's", columns=columns, rows=tuple(rows), words=words)


def verdict(change: Change) -> str:
    """The verdict in words."""
    if change.ratio is None:
        return "not measured in the baseline" if change.baseline_us is None else "not measured in this run"
    percent = 100 * (change.ratio - 1)
    return (
        f"{change.verdict.value} by {abs(percent):.1f} %"
        if change.verdict.value in ("slower", "faster")
        else change.verdict.value
    )


def unmatched(comparison: Comparison) -> list[str]:
    """What only one of the runs measured, in at most two sentences."""
    told = []
    for whose, labels in (
        ("of the baseline not measured in this run", [c.label for c in comparison.changes if c.run_us is None]),
        ("of this run not in the baseline", [c.label for c in comparison.changes if c.baseline_us is None]),
    ):
        if labels:
            told.append(f"{len(labels)} {'variants' if len(labels) > 1 else 'variant'} {whose}: {listed(labels)}.")
    return told


def markdown(runs: Sequence[Run], comparisons: Sequence[Comparison]) -> str:
    """Tables for a README, every caveat included."""
    parts = []
    for run, heading in zip(runs, headings(runs), strict=True):
        quality = {point.variant.label: (point, panel) for panel in reversed(panels(run)) for point in panel.points}
        rows = []
        for variant in run.measured:
            point, _ = quality.get(variant.label, (None, None))
            summary = variant.latency
            if summary is None:
                continue
            rows.append(
                (
                    variant.label,
                    *map(ms, (summary.p50_us, summary.p90_us, summary.p99_us)),
                    UNKNOWN if point is None else f"{point.psnr_db:.2f}{' *' if point.pareto else ''}",
                    UNKNOWN if variant.model_bytes is None else f"{variant.model_bytes / 1000:,.0f}",
                    _megabytes(variant.peak_bytes),
                    GOLDEN[variant.golden_equal],
                )
            )
        columns = ("variant", "p50, ms", "p90, ms", "p99, ms", "PSNR, dB", "model, kB", "peak, MB", "golden bytes")
        table = Table(caption=heading, columns=columns, rows=tuple(rows))
        bases = dict.fromkeys(panel.basis for _, panel in quality.values())
        about = [f"{caveat.severity.value.upper()}: {caveat.title}. {caveat.text}" for caveat in caveats(run)]
        told = [f"PSNR on {', '.join(bases)}; * on the Pareto front."] if bases else []
        environment = _environment(run)
        where = "; ".join(filter(None, (environment["processor"], environment["system"], environment["effort"],
                                        f"threads: {environment['threads']}")))  # fmt: skip
        parts += [_markdown_table(table), "\n".join(f"- {_escaped(line)}" for line in (f"{where}.", *told, *about))]
    for comparison in comparisons:
        notes = [f"{METHOD}.", *unmatched(comparison), *(f"CAUTION: {caution}." for caution in comparison.cautions)]
        parts += [_markdown_table(change_table(comparison)), "\n".join(f"- {_escaped(note)}" for note in notes)]
    return "\n\n".join(parts) + "\n"


def _escaped(content: str) -> str:
    """A text that Markdown and the HTML in it take literally."""
    for char in "\\`*_[]|":
        content = content.replace(char, f"\\{char}")
    return content.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _markdown_table(table: Table) -> str:
    def row(cells: Sequence[str]) -> str:
        return f"| {' | '.join(_escaped(cell) for cell in cells)} |"

    lines = [f"**{_escaped(table.caption)}**", "", row(table.columns), f"|---|{'---:|' * (len(table.columns) - 1)}"]
    return "\n".join([*lines, *(row(cells) for cells in table.rows)])
