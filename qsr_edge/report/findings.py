"""What a run says, in sentences, and what must be known before any of its figures is used."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from qsr_edge.bench.protocol.condition import THERMAL_NAMES
from qsr_edge.bench.result import VariantResult
from qsr_edge.bench.table import average_line
from qsr_edge.report.quality import Panel
from qsr_edge.report.run import Run

FULL_QUERIES, FULL_STEADY_MS = 1024, 60_000
"""The bench's default effort, MLPerf Mobile's."""

COARSE_STEPS = 100
"""A latency of fewer steps of the clock is known to worse than 1 %."""


class Severity(StrEnum):
    """How much a caveat takes from the figures."""

    INVALID = "invalid"
    CAUTION = "caution"
    NOTE = "note"


@dataclass(frozen=True, slots=True, kw_only=True)
class Caveat:
    """Something to know before a figure is used: a title and one or two sentences."""

    severity: Severity
    title: str
    text: str


def caveats(run: Run) -> tuple[Caveat, ...]:
    """All caveats of a run, the gravest first."""
    found = [*_about_device(run), *_about_course(run), *_about_bytes(run), *_about_effort(run)]
    return tuple(sorted(found, key=lambda caveat: list(Severity).index(caveat.severity)))


def _about_device(run: Run) -> Iterator[Caveat]:
    if run.device.simulator:
        yield Caveat(
            severity=Severity.INVALID,
            title="Simulator",
            text="No figure here is a phone's: this run was made on a simulator or stand-in, not on a device.",
        )
    elif run.device.kind == "host":
        yield Caveat(
            severity=Severity.NOTE,
            title="Not a phone",
            text="These figures are of this computer. They rank variants; they do not tell a phone's latencies.",
        )
    elif run.device.kind == "browser":
        yield Caveat(
            severity=Severity.NOTE,
            title="In a browser",
            text="These figures are of the runtime's WebAssembly build in a browser, never of a native app. How hot "
            "the device was is not known: no browser tells.",
        )
    if run.device.timer_us:
        yield _about_clock(run, run.device.timer_us)


def _about_clock(run: Run, timer_us: int) -> Caveat:
    """How far each latency may be off by the clock alone."""
    fastest_us = min((each.latency.p50_us for each in run.measured if each.latency), default=0)
    is_coarse = fastest_us < timer_us * COARSE_STEPS
    compared = f", while the shortest median here is {ms(fastest_us)} ms" if fastest_us else ""
    return Caveat(
        severity=Severity.CAUTION if is_coarse else Severity.NOTE,
        title="Coarse clock" if is_coarse else "Steps of the clock",
        text=f"Latencies were taken by a clock that goes in steps of {timer_us} µs{compared}. Each may be off by one.",
    )


def _about_course(run: Run) -> Iterator[Caveat]:
    for reason in run.invalid:
        yield Caveat(
            severity=Severity.INVALID,
            title="Invalid run",
            text=f"The figures may not be of one state of the device: {reason}.",
        )
    if not run.complete:
        reason = f": {run.reason}" if run.reason else ""
        yield Caveat(
            severity=Severity.INVALID,
            title="Incomplete",
            text=f"The run did not end by itself{reason}. What was measured until then is shown.",
        )
    if run.averages:
        yield Caveat(
            severity=Severity.CAUTION,
            title="Averages only",
            text=f"A program measured that tells no percentile, so no chart or table has "
            f"{'; '.join(average_line(average) for average in run.averages)}.",
        )
    averaged = {average.label for average in run.averages}
    missing = [each.label for each in run.variants if each.latency is None and each.label not in averaged]
    if missing:
        yield Caveat(severity=Severity.CAUTION, title="Not measured", text=f"No steady state: {listed(missing)}.")
    if len(run.thermal_statuses) > 1:
        low, high = run.thermal_statuses[0], run.thermal_statuses[-1]
        yield Caveat(
            severity=Severity.CAUTION,
            title="Thermal status changed",
            text=f"It went from {low} ({THERMAL_NAMES[low]}) up to {high} ({THERMAL_NAMES[high]}) during the run.",
        )
    elif run.thermal_statuses and run.thermal_statuses[0] > 0:
        status = run.thermal_statuses[0]
        yield Caveat(
            severity=Severity.CAUTION,
            title="Hot throughout",
            text=f"The thermal status was {status} ({THERMAL_NAMES[status]}) all the time.",
        )
    # A phone's load counts processes that wait for hardware, too, and tells nothing.
    if run.device.kind == "host" and run.load is not None and run.device.cores and run.load > run.device.cores:
        yield Caveat(
            severity=Severity.CAUTION,
            title="Busy machine",
            text=f"{run.load:.1f} processes wanted its {run.device.cores} cores, so latencies hold waiting for others; "
            "compare them with the CPU times, or measure again while nothing else runs.",
        )
    if run.cooled:
        yield Caveat(
            severity=Severity.CAUTION,
            title="Sustained phase interrupted",
            text=f"It was gone on with in a later part, so the device cooled in between: {listed(run.cooled)}.",
        )
    if run.power_save:
        yield Caveat(severity=Severity.CAUTION, title="Power saving", text="The device was told to save power.")
    if run.low_memory:
        yield Caveat(severity=Severity.CAUTION, title="Short of memory", text="The system reported low memory.")
    if run.faults:
        told = listed([f"{fault.phase}: {fault.message}" for fault in run.faults])
        what = "survived" if run.complete else "met"
        yield Caveat(
            severity=Severity.CAUTION,
            title=f"{_count(len(run.faults), 'fault')} {what}",
            text=f"{told}. Measured in {_count(run.parts, 'part')}; what was measured before a fault was kept.",
        )
    elif run.parts > 1:
        yield Caveat(
            severity=Severity.NOTE,
            title="Gone on with",
            text=f"Measured in {run.parts} parts; load and first inference are those of the first start.",
        )
    if run.errors:
        yield Caveat(severity=Severity.CAUTION, title="Errors of the agent", text=f"{listed(run.errors)}.")


def _about_bytes(run: Run) -> Iterator[Caveat]:
    other = [variant.label for variant in run.variants if variant.golden_equal is False]
    if other:
        yield Caveat(
            severity=Severity.INVALID,
            title="Other bytes than the reference",
            text=f"The golden output was not reproduced by {listed(other)}: its pictures are not those of the bundle.",
        )
    pictures = [
        f"{variant.label} ({image.image})"
        for variant in run.variants
        for image in variant.images
        if image.equal is False
    ]
    if pictures:
        yield Caveat(
            severity=Severity.INVALID,
            title="Pictures differ from the reference",
            text=f"Bytes are not the golden interpreter's: {listed(pictures)}.",
        )
    unasked = [variant.label for variant in run.measured if variant.golden_equal is None]
    if unasked:
        yield Caveat(
            severity=Severity.NOTE,
            title="Golden output not asked for",
            text=f"Whether the bytes are the reference's is not known of {listed(unasked)}.",
        )


def _about_effort(run: Run) -> Iterator[Caveat]:
    queries, steady_ms = run.header.job.queries, run.header.job.steady_ms
    if queries is not None and steady_ms is not None and (queries < FULL_QUERIES or steady_ms < FULL_STEADY_MS):
        yield Caveat(
            severity=Severity.CAUTION,
            title="Short run",
            text=f"Only {queries:,} queries and {steady_ms / 1000:g} s of each variant were asked for "
            f"({FULL_QUERIES:,} and {FULL_STEADY_MS // 1000} s are usual); high percentiles are uncertain.",
        )


def sentences(run: Run, panels: Iterable[Panel]) -> tuple[str, ...]:
    """What was measured and what came out, one sentence each."""
    device = run.device
    about = ", ".join(filter(None, (device.processor, f"{device.cores} cores" if device.cores else "", device.system)))
    when = "" if run.header.time_ms is None else f" on {_date(run.header.time_ms)}"
    sizes = sorted({(variant.width_px, variant.height_px) for variant in run.variants})
    threads = f" with {_count(run.header.job.threads, 'thread')}" if run.header.job.threads else ""
    told = [
        f"{run.title}{f' ({about})' if about else ''} ran {_count(len(run.measured), 'variant')}{when}{threads}; "
        f"timed input {' and '.join(f'{width}×{height}' for width, height in sizes)} pixels."
    ]
    counts = [variant.latency.count for variant in run.measured if variant.latency]
    if counts:
        spread = f"{min(counts):,}" if min(counts) == max(counts) else f"{min(counts):,} to {max(counts):,}"
        told.append(f"Each variant was timed {spread} times in the steady state, the variants in turns.")
    for panel in panels:
        if panel.front:
            named = listed(
                [
                    f"{point.variant.series} at depth {point.variant.depth} "
                    f"({ms(point.latency_us)} ms, {point.psnr_db:.2f} dB)"
                    for point in panel.front
                ],
                most=8,
            )
            what = (
                f"mean PSNR over {panel.basis}" if panel.measured else f"PSNR on {panel.basis}, recorded in the bundle"
            )
            told.append(f"No other variant is both faster and better (×{panel.scale}, {what}) than {named}.")
    slowing = [(variant, change) for variant in run.measured if (change := slowdown(variant)) is not None]
    if slowing:
        told += [_told_slowdown(slowing)]
    return tuple(told)


def slowdown(variant: VariantResult) -> float | None:
    """The last minute's median latency over the first minute's; None with fewer than two minutes."""
    minutes = variant.minutes
    if len(minutes) < 2:
        return None
    return minutes[-1].latency.p50_us / max(1, minutes[0].latency.p50_us)


def _told_slowdown(slowing: list[tuple[VariantResult, float]]) -> str:
    variant, ratio = max(slowing, key=lambda entry: entry[1])
    minutes = len(variant.minutes)
    if ratio <= 1.05:
        return f"Over {minutes} minutes without a pause no variant's median rose by more than 5 %."
    return f"Over {minutes} minutes without a pause {variant.label} slowed down most, by {100 * (ratio - 1):.0f} %."


def ms(us: float) -> str:
    """Milliseconds with three significant digits or so: ``0.82``, ``16.1``, ``134``."""
    value = us / 1000
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:,.0f}"


def _date(time_ms: int) -> str:
    try:
        moment = datetime.fromtimestamp(time_ms / 1000, UTC)
    except (OverflowError, ValueError, OSError):
        return "a date its clock did not know"
    return f"{moment.day} {moment:%B %Y, %H:%M} UTC"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number:,} {noun}s"


def listed(items: Iterable[str], most: int = 5) -> str:
    """Names in a row, not more than ``most`` of them."""
    names = list(items)
    shown, left = names[:most], len(names) - most
    if left > 0:
        return f"{', '.join(shown)} and {left} more"
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"
