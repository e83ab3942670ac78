"""From a run's folder to a ``Run``."""

import json
import math
import statistics
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from qsr_edge.bench.protocol.log import RESULTS_NAME, Record, read_log
from qsr_edge.bench.protocol.record_form import check_record
from qsr_edge.bench.result import SCHEMA, VariantResult, evaluate_run
from qsr_edge.bench.sustained import states_of, sustained_parts
from qsr_edge.errors import BenchError
from qsr_edge.report.run import Device, Fault, Gate, RecordedQuality, Run, Variant

MAX_TEXT = 200
_NO_TEXT = frozenset({"picture", "bundle", "latencies_us", "cpu_us"})
"""Paths, which must stay what they are, and long lists of numbers."""


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
        try:
            check_record(record, f"record {number}")
        except BenchError as error:
            raise BenchError(f"{path}, {text(error)}; measure anew") from error
    records = tuple(_cleaned(record) for record in records)
    header = records[0]
    labels = [entry["label"] for entry in header["variants"]]
    if len(set(labels)) != len(labels):
        raise BenchError(f"{path}, record 1: labels of variants are not unique; measure anew")
    try:
        result = evaluate_run(records)
    except BenchError as error:
        raise BenchError(f"{path}: {error}") from error
    results = {entry.label: entry for entry in result.variants}
    conditions = [record["condition"] for record in records if record["kind"] == "condition"]
    loads = [entry["load_milli"] for entry in conditions if "load_milli" in entry]
    events = [record for record in records if record["kind"] == "event"]
    statuses = {entry["thermal_status"] for entry in [*conditions, *events] if "thermal_status" in entry}
    job, gate = header["job"], header["job"].get("gate")
    # An agent's end has come over and closes a part; the run's own has not.
    ends = [record for record in records if record["kind"] == "end" and "received_ms" not in record]
    images = [entry["name"] for entry in header.get("images", ())]
    images += [record["image"] for record in records if record["kind"] == "quality"]
    return Run(
        folder=folder,
        id=header["run"],
        version=header["version"],
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
        variants=tuple(_variant(entry, results.get(entry["label"]), records) for entry in header["variants"]),
        images=tuple(dict.fromkeys(images)),
        parts=max(1, sum(record["kind"] == "part" for record in records)),
        complete=result.complete,
        reason=(ends[-1].get("reason") or "") if ends and not result.complete else "",
        invalid=result.invalid,
        faults=tuple(
            Fault(phase=record["phase"], message=record["message"]) for record in records if record["kind"] == "fault"
        ),
        errors=tuple(dict.fromkeys(record["message"] for record in records if record["kind"] == "error")),
        thermal_statuses=tuple(sorted(map(int, statuses))),
        load=statistics.median(loads) / 1000 if loads else None,
        power_save=any(entry.get("power_save") for entry in conditions),
        low_memory=any(record["event"] == "low-memory" for record in events),
        averages=result.averages,
        cooled=tuple(label for label in labels if sustained_parts(label, records) > 1),
    )


def text(value: object) -> str:
    """A text from a run as one short line without control, direction or unassigned characters."""
    line = " ".join(str(value).split())
    kept = "".join(char for char in line if unicodedata.category(char)[0] != "C")
    return kept if len(kept) <= MAX_TEXT else f"{kept[:MAX_TEXT]}…"


def _cleaned(record: Record) -> Record:
    """The record with every text fit to be shown."""
    return {key: value if key in _NO_TEXT else _clean(value) for key, value in record.items()}


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return text(value)
    if isinstance(value, dict):
        return {text(key): entry if key in _NO_TEXT else _clean(entry) for key, entry in value.items()}
    return [_clean(entry) for entry in value] if isinstance(value, list) else value


def _shown(value: object) -> str:
    return text(repr(value))[:60]


def _int(value: float | None) -> int | None:
    # JSON Schema counts 2.0 as an integer.
    return None if value is None else int(value)


def _agent(record: Record) -> str:
    return " on ".join(str(record[key]) for key in ("agent", "runtime") if record.get(key))


def _device(entry: Mapping[str, Any]) -> Device:
    known = {"kind", "id", "name", "processor", "system", "cores", "simulator"}
    details = [(key, value) for key, value in entry.items() if key not in known and value not in (None, "")]
    return Device(
        kind=entry["kind"],
        id=entry.get("id", ""),
        name=entry["name"],
        processor=entry.get("processor", ""),
        system=entry.get("system", ""),
        cores=_int(entry.get("cores")),
        simulator=entry["simulator"],
        details=tuple(
            (key.replace("_", " "), text(value if isinstance(value, str) else json.dumps(value)))
            for key, value in details
        ),
    )


def _variant(entry: Mapping[str, Any], result: VariantResult | None, records: Sequence[Record]) -> Variant:
    own = [record for record in records if record.get("variant") == entry["label"]]
    rounds = tuple(tuple(record["latencies_us"]) for record in own if record["kind"] == "steady")
    golden = [record.get("golden_equal") for record in own if record["kind"] == "start"]
    return Variant(
        label=entry["label"],
        name=entry["name"],
        target=entry["target"],
        kernels=entry.get("kernels", ""),
        runtime=entry.get("runtime", ""),
        depth=int(entry["depth"]),
        bits=_int(entry.get("bits")),
        scale=int(entry.get("scale", 1)),
        height_px=int(entry["height_px"]),
        width_px=int(entry["width_px"]),
        model_bytes=_int(entry.get("model_bytes")),
        macs_per_pixel=entry.get("macs_per_pixel"),
        recorded=tuple(
            RecordedQuality(dataset=quality["dataset"], psnr_db=float(quality["psnr_db"]))
            for quality in entry.get("quality", ())
            if quality["psnr_db"] is not None and math.isfinite(quality["psnr_db"])
        ),
        images=result.images if result else (),
        rounds_us=tuple(values for values in rounds if values) if result else (),
        latency=result.latency if result else None,
        cpu_us=result.cpu.p50_us if result and result.cpu else None,
        load_us=result.load_us if result else None,
        first_us=result.first_us if result else None,
        peak_bytes=result.peak_bytes if result else None,
        golden_equal=False if False in golden else None if None in golden or not golden else True,
        placement=result.placement if result else None,
        minutes=result.minutes if result else (),
        states=states_of(entry["label"], records),
        energy_mj=result.energy_uj / 1000 if result and result.energy_uj is not None else None,
    )
