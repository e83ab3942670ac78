"""From a run's folder to a ``Run``."""

import json
import math
import statistics
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

from qsr_edge.bench.protocol import RESULTS_NAME, evaluate_run, read_log
from qsr_edge.bench.statistics import percentile, summarize
from qsr_edge.errors import BenchError
from qsr_edge.report.run import (
    Device,
    Fault,
    Gate,
    ImageQuality,
    Minute,
    Placement,
    RecordedQuality,
    Run,
    State,
    Variant,
)

SCHEMA = 2
MAX_TEXT = 200
MAX_LATENCY_US = 1 << 40
"""Twelve days: what is longer is no latency."""
_MINUTE_US = 60_000_000
_SLIVER_US = 10_000_000
"""The last inferences overshoot the phase's end by a moment, which is no minute."""
_MIN_POWER_SAMPLES = 3
Record = Mapping[str, Any]
Clock = tuple[str, int]
"""A variant's sustained phase within a part."""


def read_run(folder: Path) -> Run:
    """Read a run's folder, complete or not.

    Raises:
        BenchError: naming the file and the record, if it is no run, of another schema, or damaged.
    """
    folder = Path(folder)
    path = folder / RESULTS_NAME
    records = read_log(folder)
    if not records or records[0]["kind"] != "run":
        raise BenchError(
            f"{path}: does not begin with a run record, so it is no run; name the folder of `qsr-edge bench`"
        )
    schema = records[0].get("schema")
    if schema != SCHEMA:
        raise BenchError(f"{path}: has schema {_shown(schema)}, expected {SCHEMA}; measure anew with this release")
    for number, record in enumerate(records, start=1):
        _check(record, f"{path}, record {number}")
    header = records[0]
    labels = [entry["label"] for entry in header["variants"]]
    if len(set(labels)) != len(labels):
        raise BenchError(f"{path}, record 1: labels of variants are not unique; measure anew")
    result = evaluate_run(records)
    conditions = [record["condition"] for record in records if record["kind"] == "condition"]
    events = [record for record in records if record["kind"] == "event"]
    statuses = {entry["thermal_status"] for entry in [*conditions, *events] if "thermal_status" in entry}
    job, gate = header["job"], header["job"].get("gate")
    reasons = [record.get("reason") or "" for record in records if record["kind"] == "end" and not record["complete"]]
    images = [entry["name"] for entry in header.get("images", ())]
    own = [record for record in records if record["kind"] == "quality"]
    return Run(
        folder=folder,
        id=text(header["run"]),
        version=text(header["version"]),
        began_ms=_int(header.get("time_ms")),
        device=_device(header["device"]),
        agents=tuple(dict.fromkeys(_agent(record) for record in records if record["kind"] == "agent")),
        queries=_int(job.get("queries")),
        steady_ms=_int(job.get("steady_ms")),
        sustained_ms=_int(job.get("sustained_ms")),
        threads=_int(job.get("threads")),
        gate=None
        if gate is None
        else Gate(
            max_thermal_status=_int(gate.get("max_thermal_status")),
            max_temperature_mc=_int(gate.get("max_temperature_mc")),
        ),
        variants=tuple(_variant(entry, records) for entry in header["variants"]),
        images=tuple(dict.fromkeys(text(name) for name in [*images, *(record["image"] for record in own)])),
        parts=max(1, sum(record["kind"] == "part" for record in records)),
        complete=result.complete,
        reason=text(reasons[-1]) if reasons and not result.complete else "",
        invalid=tuple(text(reason) for reason in result.invalid),
        faults=tuple(
            Fault(phase=text(record["phase"]), message=text(record["message"]))
            for record in records
            if record["kind"] == "fault"
        ),
        errors=tuple(text(record["message"]) for record in records if record["kind"] == "error"),
        thermal_statuses=tuple(sorted(map(int, statuses))),
        power_save=any(entry.get("power_save") for entry in conditions),
        low_memory=any(record["event"] == "low-memory" for record in events),
    )


def text(value: object) -> str:
    """A text from a run as one short line without control, direction or unassigned characters."""
    line = " ".join(str(value).split())
    kept = "".join(char for char in line if unicodedata.category(char)[0] != "C")
    return kept if len(kept) <= MAX_TEXT else f"{kept[:MAX_TEXT]}…"


def _shown(value: object) -> str:
    return text(repr(value))[:60]


@cache
def _validators() -> dict[str, Draft202012Validator]:
    document = json.loads(Path(__file__).with_name("run.schema.json").read_text(encoding="utf-8"))
    kinds = ("run", "part", "agent", "condition", "start", "placement", "steady", "sustained", "quality", "event")
    return {
        kind: Draft202012Validator({"$ref": f"#/$defs/{kind}", "$defs": document["$defs"]})
        for kind in (*kinds, "error", "fault", "end")
    }


def _check(record: Record, where: str) -> None:
    """Raise BenchError for a record of a known kind that is not what the protocol says."""
    validator = _validators().get(record["kind"])
    if validator is None:
        return
    error = best_match(validator.iter_errors(record))
    if error is not None:
        place = "".join(f".{part}" if isinstance(part, str) else f"[{part}]" for part in error.absolute_path)
        raise BenchError(f"{where}: {text(record['kind'])}{text(place)}: {text(error.message)}; measure anew")
    for key in ("latencies_us", "cpu_us"):
        for value in record.get(key, ()):
            if type(value) is not int or not 0 <= value <= MAX_LATENCY_US:
                raise BenchError(f"{where}: {key} holds {_shown(value)}, expected microseconds; measure anew")
    for key in ("psnr_db", "ssim"):
        if not math.isfinite(record.get(key) or 0):
            raise BenchError(f"{where}: {key} is {record[key]}, expected a finite number or null; measure anew")


def _int(value: float | None) -> int | None:
    # JSON Schema counts 2.0 as an integer.
    return None if value is None else int(value)


def _agent(record: Record) -> str:
    return text(" on ".join(str(record[key]) for key in ("agent", "runtime") if record.get(key)))


def _device(entry: Mapping[str, Any]) -> Device:
    known = {"kind", "id", "name", "processor", "system", "cores", "simulator"}
    details = [(key, value) for key, value in entry.items() if key not in known and value is not None]
    return Device(
        kind=text(entry["kind"]),
        id=text(entry.get("id", "")),
        name=text(entry["name"]),
        processor=text(entry.get("processor", "")),
        system=text(entry.get("system", "")),
        cores=_int(entry.get("cores")),
        simulator=entry["simulator"],
        details=tuple(
            (text(key).replace("_", " "), text(value if isinstance(value, str) else json.dumps(value)))
            for key, value in details
        ),
    )


def _variant(entry: Mapping[str, Any], records: Sequence[Record]) -> Variant:
    own = [(part, record) for part, record in _with_parts(records) if record.get("variant") == entry["label"]]
    of_kind: dict[str, list[Record]] = {}
    for _, record in own:
        of_kind.setdefault(record["kind"], []).append(record)
    rounds = tuple(tuple(record["latencies_us"]) for record in of_kind.get("steady", ()) if record["latencies_us"])
    cpu_us = [value for record in of_kind.get("steady", ()) for value in record.get("cpu_us", ())]
    peaks = [record["peak_bytes"] for record in of_kind.get("steady", ()) if "peak_bytes" in record]
    starts = of_kind.get("start", [])
    golden = [record.get("golden_equal") for record in starts]
    placements = of_kind.get("placement", [])
    qualities = {record["image"]: record for record in of_kind.get("quality", ())}
    return Variant(
        label=text(entry["label"]),
        name=text(entry["name"]),
        target=text(entry["target"]),
        kernels=text(entry.get("kernels", "")),
        runtime=text(entry.get("runtime", "")),
        depth=int(entry["depth"]),
        bits=_int(entry.get("bits")),
        scale=int(entry.get("scale", 1)),
        height_px=int(entry["height_px"]),
        width_px=int(entry["width_px"]),
        model_bytes=_int(entry.get("model_bytes")),
        macs_per_pixel=entry.get("macs_per_pixel"),
        recorded=tuple(
            RecordedQuality(dataset=text(quality["dataset"]), psnr_db=float(quality["psnr_db"]))
            for quality in entry.get("quality", ())
            if quality["psnr_db"] is not None and math.isfinite(quality["psnr_db"])
        ),
        images=tuple(
            ImageQuality(
                image=text(name),
                psnr_db=record.get("psnr_db"),
                ssim=record.get("ssim"),
                equal=record.get("equal"),
                picture=record.get("picture"),
            )
            for name, record in qualities.items()
        ),
        rounds_us=rounds,
        latency=summarize([value for values in rounds for value in values]) if rounds else None,
        cpu_us=percentile(sorted(cpu_us), 50) if cpu_us else None,
        # Of a run that was gone on with, the first start was the cold one.
        load_us=_int(starts[0]["load_us"]) if starts else None,
        first_us=_int(starts[0]["first_us"]) if starts else None,
        peak_bytes=int(max(peaks)) if peaks else None,
        golden_equal=False if False in golden else None if None in golden or not golden else True,
        placement=_placement(placements[-1]) if placements else None,
        minutes=_minutes(of_kind.get("sustained", ())),
        states=_states(entry["label"], records),
        energy_mj=_energy_mj(of_kind),
    )


def _placement(record: Record) -> Placement:
    fallback = Counter({text(op): int(count) for op, count in record.get("fallback", {}).items()})
    return Placement(
        delegate=text(record.get("delegate", "")),
        delegated_ops=_int(record.get("delegated_ops")),
        fallback=tuple(fallback.most_common()),
    )


def _minutes(sustained: Iterable[Record]) -> tuple[Minute, ...]:
    """Latencies by the minute in which they ended: within a record inferences follow each other without a pause."""
    by_minute: dict[int, list[int]] = {}
    for record in sustained:
        end_us = 1000 * int(record["since_ms"])
        for latency_us in reversed(record["latencies_us"]):
            by_minute.setdefault(max(0, end_us - 1) // _MINUTE_US, []).append(latency_us)
            end_us = max(0, end_us - latency_us)
    if len(by_minute) > 1 and sum(by_minute[max(by_minute)]) < _SLIVER_US:
        del by_minute[max(by_minute)]
    return tuple(
        Minute(minute=minute, count=len(values), p50_us=percentile(values, 50), p90_us=percentile(values, 90))
        for minute, values in sorted((minute, sorted(values)) for minute, values in by_minute.items())
    )


def _with_parts(records: Iterable[Record]) -> Iterable[tuple[int, Record]]:
    """Each record with the number of `agent` records up to it: the device's clock starts anew with each."""
    part = 0
    for record in records:
        part += record["kind"] == "agent"
        yield part, record


def _states(label: str, records: Sequence[Record]) -> tuple[State, ...]:
    """The device's state on the time axis of a variant's sustained phase.

    The agent's conditions share its monotonic clock with the phase's records. What adb told in between has the clock of
    this machine, which stamped those records too.
    """
    device_offset: dict[int, int] = {}
    host_offset: dict[int, int] = {}
    ends: dict[int, list[int]] = {}
    for part, record in _with_parts(records):
        if record["kind"] == "sustained" and record.get("variant") == label:
            ends.setdefault(part, []).append(int(record["since_ms"]))
            if "elapsed_ms" in record:
                device_offset.setdefault(part, int(record["elapsed_ms"]) - int(record["since_ms"]))
            if "received_ms" in record:
                host_offset.setdefault(part, int(record["received_ms"]) - int(record["since_ms"]))
    last = 0
    windows: dict[int, tuple[int, int]] = {}
    for part, values in ends.items():
        windows[part] = (last, max(values))
        last = max(last, *values)
    states = []
    for part, record in _with_parts(records):
        if record["kind"] != "condition" or part not in windows:
            continue
        begin, end = windows[part]
        if record.get("source") == "adb":
            if part not in host_offset or "time_ms" not in record:
                continue
            at_ms = int(record.get("received_ms", record["time_ms"])) - host_offset[part]
            if not begin <= at_ms <= end:
                continue
        elif record.get("variant") == label and part in device_offset and "elapsed_ms" in record:
            at_ms = min(max(begin, int(record["elapsed_ms"]) - device_offset[part]), end)
        else:
            continue
        condition = record["condition"]
        temperature_mc = condition.get("temperature_mc", condition.get("battery_temperature_mc"))
        states.append(
            State(
                at_ms=at_ms,
                thermal_status=_int(condition.get("thermal_status")),
                temperature_c=None if temperature_mc is None else temperature_mc / 1000,
                battery_percent=condition.get("battery_percent"),
            )
        )
    return tuple(sorted(states, key=lambda state: state.at_ms))


def _energy_mj(of_kind: Mapping[str, Sequence[Record]]) -> float | None:
    """Mean battery power of the sustained phase times its mean latency; None on mains or where it is not told."""
    conditions = [record["condition"] for record in of_kind.get("condition", ())]
    latencies_us = [value for record in of_kind.get("sustained", ()) for value in record["latencies_us"]]
    power_w = [
        -entry["current_ua"] * entry["voltage_mv"] / 1e9
        for entry in conditions
        if entry.get("current_ua", 0) < 0 and entry.get("voltage_mv", 0) > 0 and entry.get("plugged_in") is False
    ]
    if len(power_w) < max(_MIN_POWER_SAMPLES, len(conditions)) or not latencies_us:
        return None
    return statistics.fmean(power_w) * statistics.fmean(latencies_us) / 1000
