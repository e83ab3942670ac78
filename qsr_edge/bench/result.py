"""What a run's records say, summarized: per variant, per minute, and whether they may be believed."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any

from qsr_edge.bench.protocol.log import Record
from qsr_edge.bench.statistics import LatencySummary, summarize
from qsr_edge.bench.sustained import Minute, minutes_of
from qsr_edge.errors import BenchError

SCHEMA = 2
MAX_TEMPERATURE_RISE_MC = 15_000
"""Of the hottest zone in the steady state; beyond it early and late figures are not of one state."""
MAX_BATTERY_RISE_MC = 5_000
"""Of the battery, which follows the heat slowly."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacementResult:
    """Operations that the delegate took, and those it left to other kernels, by name."""

    delegate: str
    delegated_ops: int
    fallback: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageResult:
    """Quality of one picture on the device.

    Attributes:
        image: name of the picture.
        psnr_db: on luma, borders cropped; None without an original.
        ssim: likewise.
        equal: whether the bytes are those that the computer which asked gets from the same bundle; None if it has not
            that runtime, or is the device.
        picture: file in the run's folder.
    """

    image: str
    psnr_db: float | None
    ssim: float | None
    equal: bool | None
    picture: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantResult:
    """What was measured of a variant.

    Attributes:
        label: of the variant.
        load_us: cold, of the model alone.
        first_us: of the first inference.
        latency: wall clock in the steady state.
        cpu: CPU time in the steady state, of all threads; None if the agent does not tell.
        golden_equal: whether the golden output was reproduced each time; None if that was not asked for.
        peak_bytes: most memory of the process, the agent's own included; None if the agent does not tell.
        placement: where operations run; None if the runtime does not tell.
        images: pictures that were upscaled.
        minutes: of the sustained phase.
        energy_uj: mean energy of an inference in the sustained phase, from the battery's current and voltage while
            discharging, everything else that the device did included; None if it is not known.
    """

    label: str
    load_us: int
    first_us: int
    latency: LatencySummary
    cpu: LatencySummary | None
    golden_equal: bool | None
    peak_bytes: int | None
    placement: PlacementResult | None
    images: tuple[ImageResult, ...]
    minutes: tuple[Minute, ...]
    energy_uj: int | None

    @property
    def psnr_db(self) -> float | None:
        """Mean over the pictures that have an original."""
        values = [image.psnr_db for image in self.images if image.psnr_db is not None]
        return fmean(values) if values else None


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
    """What a run found.

    Attributes:
        header: what was measured, where and with what.
        variants: in the order of the run; those without steady measurements are left out.
        complete: whether it ended by itself.
        invalid: why its figures may not be of one state of the device; empty if they are.
        faults: what went wrong on the way, in order.
        averages: of variants that were measured by a program that tells nothing else.
    """

    header: Record
    variants: tuple[VariantResult, ...]
    complete: bool
    invalid: tuple[str, ...]
    faults: tuple[str, ...]
    averages: tuple[AverageResult, ...] = ()


def evaluate_run(records: Sequence[Record]) -> RunResult:
    """Summarize a run's records.

    Raises:
        BenchError: if they are not of one run, of another release's form, or damaged.
    """
    header = run_header(records)
    try:
        labels = [variant["label"] for variant in header["variants"]]
        results = [result for label in labels if (result := _variant_result(label, records)) is not None]
        averages = [average for label in labels if (average := _average_result(label, records)) is not None]
        invalid = tuple(dict.fromkeys(_invalid(records)))
        faults = tuple(f"{record['phase']}: {record['message']}" for record in records if record["kind"] == "fault")
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BenchError(f"the run is damaged ({error!r}); measure anew") from error
    # An agent's "end" has come over and closes a part; the run's own has not.
    ends = [record for record in records if record["kind"] == "end" and "received_ms" not in record]
    return RunResult(
        header=header,
        variants=tuple(results),
        complete=bool(ends) and ends[-1] is records[-1] and bool(ends[-1].get("complete")),
        invalid=invalid,
        faults=faults,
        averages=tuple(averages),
    )


def run_header(records: Sequence[Record]) -> Record:
    """The first record.

    Raises:
        BenchError: if it is no header that this release reads.
    """
    if not records or records[0]["kind"] != "run":
        raise BenchError("the run has no header; measure anew")
    if records[0].get("schema") != SCHEMA:
        raise BenchError(
            f"the run has the form {records[0].get('schema')!r}, this release reads {SCHEMA}; measure anew"
        )
    return records[0]


def _variant_result(label: str, records: Sequence[Record]) -> VariantResult | None:
    own = [record for record in records if record.get("variant") == label]
    by_kind: dict[str, list[Record]] = {}
    for record in own:
        by_kind.setdefault(record["kind"], []).append(record)
    starts, steady = by_kind.get("start", []), by_kind.get("steady", [])
    latencies = [value for record in steady for value in record["latencies_us"]]
    if not starts or not latencies or None in (starts[0]["load_us"], starts[0]["first_us"]):
        return None
    cpu = [value for record in steady for value in record.get("cpu_us", ())]
    golden = [record["golden_equal"] for record in starts]
    placements = by_kind.get("placement", [])
    return VariantResult(
        label=label,
        # Of a run that was gone on with, the first start was the cold one.
        load_us=starts[0]["load_us"],
        first_us=starts[0]["first_us"],
        latency=summarize(latencies),
        cpu=summarize(cpu) if cpu else None,
        golden_equal=_all_equal(golden),
        peak_bytes=max((record["peak_bytes"] for record in steady if "peak_bytes" in record), default=None),
        placement=_placement(placements[-1]) if placements else None,
        images=tuple(_images(by_kind.get("quality", []))),
        minutes=tuple(minutes_of(label, records)),
        energy_uj=_energy_uj(by_kind.get("sustained", []), by_kind.get("condition", [])),
    )


def _average_result(label: str, records: Sequence[Record]) -> AverageResult | None:
    own = [record for record in records if record.get("variant") == label]
    starts = [record for record in own if record["kind"] == "start"]
    steady = [record for record in own if record["kind"] == "averages" and record["phase"] == "steady"]
    if not starts or not steady:
        return None
    count = sum(record["count"] for record in steady)
    shortest = [record["min_us"] for record in steady if "min_us" in record]
    longest = [record["max_us"] for record in steady if "max_us" in record]
    return AverageResult(
        label=label,
        load_us=starts[0]["load_us"],
        first_us=starts[0]["first_us"],
        count=count,
        mean_us=round(sum(record["count"] * record["mean_us"] for record in steady) / count),
        min_us=min(shortest, default=None),
        max_us=max(longest, default=None),
    )


def _all_equal(answers: Sequence[bool | None]) -> bool | None:
    """A part that got other bytes is not made up for by one that was not asked."""
    if False in answers:
        return False
    return None if None in answers else True


def _placement(record: Record) -> PlacementResult:
    return PlacementResult(
        delegate=str(record["delegate"]), delegated_ops=int(record["delegated_ops"]), fallback=dict(record["fallback"])
    )


def _images(records: Sequence[Record]) -> Iterator[ImageResult]:
    latest = {record["image"]: record for record in records}
    for name, record in latest.items():
        yield ImageResult(
            image=name,
            psnr_db=record.get("psnr_db"),
            ssim=record.get("ssim"),
            equal=record.get("equal"),
            picture=record.get("picture"),
        )


def _energy_uj(sustained: Sequence[Record], conditions: Sequence[Record]) -> int | None:
    powers_uw = []
    for record in conditions:
        state = record["condition"]
        if state.get("plugged_in") or not {"current_ua", "voltage_mv"} <= state.keys() or state["current_ua"] >= 0:
            continue
        powers_uw.append(-state["current_ua"] * state["voltage_mv"] / 1000)
    latencies = [value for record in sustained for value in record["latencies_us"]]
    if not powers_uw or not latencies:
        return None
    return round(fmean(powers_uw) * fmean(latencies) / 1e6)


def _invalid(records: Sequence[Record]) -> Iterator[str]:
    by_source: dict[object, list[Mapping[str, Any]]] = {}
    for record in _steady_conditions(records):
        by_source.setdefault(record.get("source"), []).append(record["condition"])
    # The app and adb may read other sensors: what one says is compared with what it said before.
    for conditions in by_source.values():
        yield from _changes(conditions)
    for record in records:
        if record["kind"] == "event" and record.get("event") == "paused":
            yield "the app was in the background for a while"


def _changes(conditions: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for key, name, limit_mc in (
        ("temperature_mc", "temperature", MAX_TEMPERATURE_RISE_MC),
        ("battery_temperature_mc", "battery's temperature", MAX_BATTERY_RISE_MC),
    ):
        values = [entry[key] for entry in conditions if key in entry]
        if values and max(values) - min(values) > limit_mc:
            yield f"the {name} went from {min(values) / 1000:.0f} to {max(values) / 1000:.0f} degrees"
    statuses = [entry["thermal_status"] for entry in conditions if "thermal_status" in entry]
    if statuses and min(statuses) != max(statuses):
        yield f"the thermal status went from {min(statuses)} to {max(statuses)}"
    for key, name in (("plugged_in", "the power source"), ("power_save", "the power-save mode")):
        if len({entry[key] for entry in conditions if key in entry}) > 1:
            yield f"{name} changed"


def _steady_conditions(records: Sequence[Record]) -> Iterator[Record]:
    """Between the first start and the last steady record of each part: not while waiting to cool, nor sustained."""
    waiting: list[Record] = []
    started = False
    for record in records:
        match record["kind"]:
            case "part":
                started, waiting = False, []
            case "start":
                started = True
            case "condition" if started and "variant" not in record:
                waiting.append(record)
            case "steady" | "averages":
                yield from waiting
                waiting = []


def result_json(result: RunResult) -> dict[str, Any]:
    """A result as JSON values."""
    return {
        "run": dict(result.header),
        "complete": result.complete,
        "invalid": list(result.invalid),
        "faults": list(result.faults),
        "variants": [{**asdict(variant), "psnr_db": variant.psnr_db} for variant in result.variants],
        "averages": [asdict(average) for average in result.averages],
    }
