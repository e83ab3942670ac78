"""What a run's records say, summed up: per variant, per minute, and whether they may be believed.

Nothing else sums records up: the bench's tables, the latency tables of bundles and the report read these results.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, is_dataclass
from statistics import fmean
from typing import Any

from qsr_edge.bench.protocol.condition import Condition
from qsr_edge.bench.protocol.decoding import encode_record
from qsr_edge.bench.protocol.header import DeviceInfo, RecordedQuality, RunHeader, Variant
from qsr_edge.bench.protocol.log import run_header
from qsr_edge.bench.protocol.records import (
    Averages,
    ConditionRecord,
    Event,
    Fault,
    Part,
    Placement,
    Quality,
    Record,
    Start,
    Steady,
    Sustained,
    of_kind,
    of_variant,
    own_end,
)
from qsr_edge.bench.statistics import LatencySummary, summarize
from qsr_edge.bench.sustained import Minute, State, minutes_of, states_of

MAX_TEMPERATURE_RISE_MC = 15_000
"""The most that the hottest zone may warm in the steady state, in thousandths of a degree; beyond, early and late
figures are not of one state."""
MAX_BATTERY_RISE_MC = 5_000
"""The most that the battery may warm, in thousandths of a degree; it follows the heat slowly."""


def bits_name(bits: int | None) -> str:
    """A bit width for people; the hyphen does not break lines."""
    return "float" if bits is None else f"{bits}\u2011bit"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacementResult:
    """Operations that the delegate took, and those it left to other kernels, by name."""

    delegate: str
    delegated_ops: int
    fallback: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageResult:
    """Quality of one picture on the device; see :class:`qsr_edge.bench.protocol.records.Quality`."""

    image: str
    psnr_db: float | None
    ssim: float | None
    equal: bool | None
    picture: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantResult(Variant):
    """A variant of the header, with what was measured of it.

    Without a steady state (``latency`` is None) golden bytes and states alone are told.

    Attributes:
        load_us: cold, of the model alone, as the first part of the run measured it.
        first_us: of the first inference.
        latency: wall clock in the steady state.
        cpu: CPU time in the steady state, of all threads; None if the agent does not tell.
        golden_equal: whether the golden output was reproduced: False if any part did not, None if one did not ask.
        peak_bytes: most memory of the process, the agent's own included; None if the agent does not tell.
        placement: where operations run; None if the runtime does not tell.
        images: pictures that were upscaled.
        rounds_us: latencies of each round of the steady state.
        minutes: of the sustained phase.
        states: of the device in the sustained phase, by time.
        energy_uj: mean energy of an inference in the sustained phase, from the battery's current and voltage while
            discharging, everything else that the device did included; None if it is not known.
    """

    load_us: int | None = None
    first_us: int | None = None
    latency: LatencySummary | None = None
    cpu: LatencySummary | None = None
    golden_equal: bool | None = None
    peak_bytes: int | None = None
    placement: PlacementResult | None = None
    images: tuple[ImageResult, ...] = ()
    rounds_us: tuple[tuple[int, ...], ...] = ()
    minutes: tuple[Minute, ...] = ()
    states: tuple[State, ...] = ()
    energy_uj: int | None = None

    @property
    def psnr_db(self) -> float | None:
        """Mean over the pictures that have an original."""
        values = [image.psnr_db for image in self.images if image.psnr_db is not None]
        return fmean(values) if values else None

    @property
    def cpu_us(self) -> int | None:
        """Median CPU time of an inference, if it is known."""
        return None if self.cpu is None else self.cpu.p50_us

    @property
    def energy_mj(self) -> float | None:
        """``energy_uj`` in millijoules."""
        return None if self.energy_uj is None else self.energy_uj / 1000

    @property
    def recorded(self) -> tuple[RecordedQuality, ...]:
        """The manifest's qualities that have a PSNR."""
        return tuple(entry for entry in self.quality if entry.psnr_db is not None)

    @property
    def series(self) -> str:
        """What the depths of one network on one runtime share, for people: ``4-bit tflite``."""
        return f"{bits_name(self.bits)} {self.target}"

    @property
    def identity(self) -> tuple[object, ...]:
        """What makes variants of two runs the same thing."""
        return self.name, self.target, self.kernels, self.depth, self.bits, self.scale, self.height_px, self.width_px


@dataclass(frozen=True, slots=True, kw_only=True)
class AverageResult:
    """What was measured of a variant by a program that tells averages only: no percentile can be had.

    Attributes:
        label: of the variant.
        load_us: cold; None if it is not told, as the next.
        first_us: of the first inference.
        count: of inferences in the steady state.
        mean_us: of all of them.
        min_us: the shortest; None if it is not told, as the next.
        max_us: the longest.
    """

    label: str
    load_us: int | None
    first_us: int | None
    count: int
    mean_us: int
    min_us: int | None
    max_us: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """What a run has measured so far.

    Attributes:
        header: what was to be measured, where and how.
        complete: whether the run ended by itself.
        reason: why it did not; empty if it did, or goes on.
        invalid: why its figures may not be of one state of the device.
        faults: what went wrong and was survived, or ended it.
        variants: in the header's order, also those without a steady state.
        averages: of variants that were measured by a program that tells nothing else.
    """

    header: RunHeader
    complete: bool
    reason: str
    invalid: tuple[str, ...]
    faults: tuple[Fault, ...]
    variants: tuple[VariantResult, ...]
    averages: tuple[AverageResult, ...]

    @property
    def device(self) -> DeviceInfo:
        """Where it was measured."""
        return self.header.device

    @property
    def measured(self) -> tuple[VariantResult, ...]:
        """The variants with a steady state."""
        return tuple(variant for variant in self.variants if variant.latency is not None)


def evaluate_run(records: Sequence[Record]) -> RunResult:
    """Sum up a run's records.

    Raises:
        BenchError: if they do not begin with a header.
    """
    header, end = run_header(records), own_end(records)
    averages = [_average_result(variant.label, records) for variant in header.variants]
    complete = end is not None and end is records[-1] and end.complete
    return RunResult(
        header=header,
        complete=complete,
        reason="" if end is None or complete else end.reason or "",
        invalid=tuple(dict.fromkeys(_invalid(records))),
        faults=tuple(of_kind(records, Fault)),
        variants=tuple(_variant_result(variant, records) for variant in header.variants),
        averages=tuple(average for average in averages if average is not None),
    )


def _variant_result(variant: Variant, records: Sequence[Record]) -> VariantResult:
    label = variant.label
    known: dict[str, Any] = {entry.name: getattr(variant, entry.name) for entry in fields(variant)}
    starts, steady = of_variant(records, Start, label), of_variant(records, Steady, label)
    known |= {"golden_equal": _all_equal([start.golden_equal for start in starts]), "states": states_of(label, records)}
    latencies = [value for record in steady for value in record.latencies_us]
    if not starts or not latencies or None in (starts[0].load_us, starts[0].first_us):
        return VariantResult(**known)
    cpu = [value for record in steady for value in record.cpu_us or ()]
    sustained = of_variant(records, Sustained, label)
    conditions = [each.condition for each in of_kind(records, ConditionRecord) if each.variant == label]
    return VariantResult(
        **known,
        # Of a run that was gone on with, the first start was the cold one.
        load_us=starts[0].load_us,
        first_us=starts[0].first_us,
        latency=summarize(latencies),
        cpu=summarize(cpu) if cpu else None,
        peak_bytes=max((each.peak_bytes for each in steady if each.peak_bytes is not None), default=None),
        placement=_placement(of_variant(records, Placement, label)),
        images=tuple(_images(of_variant(records, Quality, label))),
        rounds_us=tuple(record.latencies_us for record in steady if record.latencies_us),
        minutes=tuple(minutes_of(label, records)),
        energy_uj=_energy_uj([value for each in sustained for value in each.latencies_us], conditions),
    )


def _average_result(label: str, records: Sequence[Record]) -> AverageResult | None:
    starts = of_variant(records, Start, label)
    steady = [each for each in of_variant(records, Averages, label) if each.phase == "steady"]
    if not starts or not steady:
        return None
    count = sum(each.count for each in steady)
    return AverageResult(
        label=label,
        load_us=starts[0].load_us,
        first_us=starts[0].first_us,
        count=count,
        mean_us=round(sum(each.count * each.mean_us for each in steady) / count),
        min_us=min((each.min_us for each in steady if each.min_us is not None), default=None),
        max_us=max((each.max_us for each in steady if each.max_us is not None), default=None),
    )


def _all_equal(answers: Sequence[bool | None]) -> bool | None:
    """A part that got other bytes is not made up for by one that was not asked."""
    if False in answers:
        return False
    return None if None in answers or not answers else True


def _placement(records: Sequence[Placement]) -> PlacementResult | None:
    if not records:
        return None
    last = records[-1]
    return PlacementResult(delegate=last.delegate, delegated_ops=last.delegated_ops, fallback=last.fallback)


def _images(records: Sequence[Quality]) -> Iterator[ImageResult]:
    latest = {record.image: record for record in records}
    for name, record in latest.items():
        yield ImageResult(
            image=name, psnr_db=record.psnr_db, ssim=record.ssim, equal=record.equal, picture=record.picture
        )


def _energy_uj(latencies_us: Sequence[int], conditions: Iterable[Condition]) -> int | None:
    powers_uw = [
        -state.current_ua * state.voltage_mv / 1000
        for state in conditions
        if not state.plugged_in
        and state.current_ua is not None
        and state.voltage_mv is not None
        and state.current_ua < 0
    ]
    if not powers_uw or not latencies_us:
        return None
    return round(fmean(powers_uw) * fmean(latencies_us) / 1e6)


def _invalid(records: Sequence[Record]) -> Iterator[str]:
    by_source: dict[str, list[Condition]] = {}
    for told in _steady_conditions(records):
        by_source.setdefault(told.source, []).append(told.condition)
    # The app and adb may read other sensors: what one says is compared with what it said before.
    for conditions in by_source.values():
        yield from _changes(conditions)
    for event in of_kind(records, Event):
        if event.event == "paused":
            yield "the app or page was in the background for a while"


def _changes(conditions: Sequence[Condition]) -> Iterator[str]:
    def told(read: Callable[[Condition], int | None]) -> list[int]:
        return [value for value in map(read, conditions) if value is not None]

    for values, name, limit_mc in (
        (told(lambda state: state.temperature_mc), "temperature", MAX_TEMPERATURE_RISE_MC),
        (told(lambda state: state.battery_temperature_mc), "battery's temperature", MAX_BATTERY_RISE_MC),
    ):
        if values and max(values) - min(values) > limit_mc:
            yield f"the {name} went from {min(values) / 1000:.0f} to {max(values) / 1000:.0f} degrees"
    statuses = told(lambda state: state.thermal_status)
    if statuses and min(statuses) != max(statuses):
        yield f"the thermal status went from {min(statuses)} to {max(statuses)}"
    if len(set(told(lambda state: state.plugged_in))) > 1:
        yield "the power source changed"
    if len(set(told(lambda state: state.power_save))) > 1:
        yield "the power-save mode changed"


def _steady_conditions(records: Sequence[Record]) -> Iterator[ConditionRecord]:
    """Between the first start and the last steady record of each part: not while waiting to cool, nor sustained."""
    waiting: list[ConditionRecord] = []
    started = False
    for record in records:
        match record:
            case Part():
                started, waiting = False, []
            case Start():
                started = True
            case ConditionRecord(variant=None) if started:
                waiting.append(record)
            case Steady() | Averages():
                yield from waiting
                waiting = []
            case _:
                pass


_JSON_OF_VARIANT = (
    "label", "load_us", "first_us", "latency", "cpu", "golden_equal", "peak_bytes", "placement", "images", "minutes",
    "energy_uj",
)  # fmt: skip


def result_json(result: RunResult) -> dict[str, object]:
    """A result as JSON values: the variants that were measured, the header as it stands in the log."""
    return {
        "run": encode_record(result.header),
        "complete": result.complete,
        "invalid": list(result.invalid),
        "faults": [str(fault) for fault in result.faults],
        "variants": [
            {**{key: _plain(getattr(variant, key)) for key in _JSON_OF_VARIANT}, "psnr_db": variant.psnr_db}
            for variant in result.measured
        ],
        "averages": [asdict(average) for average in result.averages],
    }


def _plain(value: Any) -> object:
    if isinstance(value, tuple):
        return [_plain(entry) for entry in value]
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else value
