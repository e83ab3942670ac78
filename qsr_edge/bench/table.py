"""A run's figures as a table, for a terminal or a README."""

from qsr_edge.bench.result import AverageResult, RunResult, VariantResult
from qsr_edge.bench.statistics import LatencySummary

COLUMNS = (
    "variant",
    "p50, ms",
    "p90",
    "p99",
    "CPU, ms",
    "load, ms",
    "first, ms",
    "peak MB",
    "PSNR, dB",
    "golden bytes",
)


def rows(result: RunResult) -> list[tuple[str, ...]]:
    """A row for each variant, as :data:`COLUMNS` has them."""
    return [_row(variant, variant.latency) for variant in result.variants if variant.latency is not None]


def _row(variant: VariantResult, latency: LatencySummary) -> tuple[str, ...]:
    golden = {True: "equal", False: "OTHER", None: "not asked"}
    return (
        variant.label,
        f"{latency.p50_us / 1000:.2f}",
        f"{latency.p90_us / 1000:.2f}",
        f"{latency.p99_us / 1000:.2f}",
        "–" if variant.cpu_us is None else f"{variant.cpu_us / 1000:.2f}",
        "–" if variant.load_us is None else f"{variant.load_us / 1000:.1f}",
        "–" if variant.first_us is None else f"{variant.first_us / 1000:.2f}",
        "–" if variant.peak_bytes is None else f"{variant.peak_bytes / 1e6:.0f}",
        "–" if variant.psnr_db is None else f"{variant.psnr_db:.2f}",
        golden[variant.golden_equal],
    )


def caption(result: RunResult) -> str:
    """Where and how it was measured, with every caveat."""
    device, job = result.device, result.header.job
    sizes = dict.fromkeys(f"{variant.width_px}x{variant.height_px}" for variant in result.variants)
    counts = [variant.latency.count for variant in result.variants if variant.latency is not None]
    counts += [each.count for each in result.averages]
    notes = []
    if device.simulator:
        notes.append("SIMULATOR: no figure here is a phone's")
    if device.kind == "browser":
        notes.append("in a BROWSER: no figure here is a native app's")
    if device.timer_us:
        notes.append(f"its clock has steps of {device.timer_us} us")
    if not result.complete:
        notes.append("INCOMPLETE")
    notes += [f"INVALID: {reason}" for reason in result.invalid]
    notes += [f"survived: {fault}" for fault in result.faults]
    return "; ".join(
        [
            f"{device.name}, {device.processor}, {device.cores or 0} cores, {device.system}",
            f"threads: {job.threads or '?'}",
            f"input {' and '.join(sizes)}",
            f"at least {job.queries or 0} queries and {(job.steady_ms or 0) / 1000:.0f} s each "
            f"({min(counts, default=0)} to {max(counts, default=0)}), in turns",
            *notes,
        ]
    )


def average_lines(result: RunResult) -> list[str]:
    """A line for each variant of which only averages are known."""
    return [average_line(average) for average in result.averages]


def average_line(average: AverageResult) -> str:
    """What is known of a variant by averages alone."""
    extremes = "" if average.min_us is None or average.max_us is None else (
        f" ({average.min_us / 1000:.2f} to {average.max_us / 1000:.2f})"
    )  # fmt: skip
    first = "" if average.first_us is None else f", first {average.first_us / 1000:.2f} ms"
    load = "" if average.load_us is None else f", load {average.load_us / 1000:.1f} ms"
    mean = f"mean {average.mean_us / 1000:.2f} ms{extremes} of {average.count}"
    return f"{average.label}: {mean}{first}{load}; averages only"


def depth_ratios(result: RunResult) -> str | None:
    """Medians of the depths of one bundle and family of kernels, relative to the shallowest; None for several."""
    own = [(variant, variant.latency.p50_us) for variant in result.variants if variant.latency is not None]
    if len({(variant.bundle, variant.kernels) for variant, _ in own}) != 1 or len(own) < 2:
        return None
    ordered = sorted(((variant.depth, p50_us) for variant, p50_us in own), reverse=True)
    shallowest = ordered[-1][1]
    depths = " : ".join(f"d{depth}" for depth, _ in ordered)
    return f"{depths} as {' : '.join(f'{p50_us / shallowest:.2f}' for _, p50_us in ordered)}"


def markdown(result: RunResult) -> str:
    """A Markdown table with its caption."""
    lines = [f"| {' | '.join(COLUMNS)} |", f"|---|{'---:|' * (len(COLUMNS) - 1)}"]
    lines += [f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in rows(result)]
    return "\n".join([*lines, *(f"\n{line}" for line in average_lines(result)), "", caption(result)])
