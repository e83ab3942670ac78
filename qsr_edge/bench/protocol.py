"""The measurement: variants take turns, and every result is on disk before the next one is taken.

For each variant: cold load, first inference, the golden hash, warm-up; then rounds in which each variant runs for a
moment, until each has its number of queries and seconds (the defaults are MLPerf Mobile's: 1,024 queries and 60 s). As
they alternate, heat and other load meet all of them alike.
"""

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from qsr_edge.bench.host import Variant, WorkerProcess, host_condition
from qsr_edge.bench.statistics import LatencySummary, summarize
from qsr_edge.errors import BenchError

RESULTS_NAME = "results.jsonl"
ROUND_S = 0.5
"""A variant's turn: long against switching processes, short against warming up."""
WARM_UP_S = 1.0
MAX_TEMPERATURE_RISE_MC = 15_000
"""Of the hottest zone during a run; beyond it early and late figures are not of one state."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How much is measured of each variant, at least: queries and seconds."""

    queries: int
    seconds: float


FULL = Effort(queries=1024, seconds=60.0)
QUICK = Effort(queries=50, seconds=3.0)


class RunLog:
    """The file of a run: a line of JSON for each result, appended and flushed as it comes."""

    def __init__(self, folder: Path):
        """Open, or make, the log of a run's folder."""
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / RESULTS_NAME
        _drop_cut_line(self.path)

    def append(self, kind: str, **values: Any) -> None:
        """Write one record; it is on disk when this returns.

        Raises:
            OSError: if it cannot be written; what was there stays whole.
        """
        line = json.dumps({"kind": kind, "time_ms": round(time.time() * 1000), **values}) + "\n"
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            error.filename = str(self.path)
            raise


def _drop_cut_line(path: Path) -> None:
    """A line that was being written when the process was killed is no result."""
    if not path.exists():
        return
    content = path.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    if whole != content:
        os.truncate(path, len(whole))


def read_log(folder: Path) -> tuple[dict[str, Any], ...]:
    """The records of a run; a cut last line is left out.

    Raises:
        BenchError: if there is no run, or a line is damaged.
    """
    path = folder / RESULTS_NAME
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BenchError(f"{path}: cannot be read ({error.strerror}), so {folder} is no run") from error
    records = []
    lines = content[: content.rfind(b"\n") + 1].splitlines()
    for number, line in enumerate(lines, start=1):
        try:
            record = json.loads(line)
            if not isinstance(record, dict) or not isinstance(record.get("kind"), str):
                raise ValueError("no record")
        except ValueError as error:
            raise BenchError(f"{path}:{number}: damaged ({error}); delete that line, or measure anew") from error
        records.append(record)
    return tuple(records)


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantResult:
    """What was measured of a variant.

    Attributes:
        label: of the variant.
        load_us: cold, of the model alone.
        first_us: of the first inference.
        latency: wall clock in the steady state.
        cpu: CPU time in the steady state, of all threads.
        golden_equal: whether the golden output was reproduced; None if that was not asked for.
        peak_bytes: most resident memory of the process, Python included.
    """

    label: str
    load_us: int
    first_us: int
    latency: LatencySummary
    cpu: LatencySummary
    golden_equal: bool | None
    peak_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """What a run found.

    Attributes:
        header: what was measured, where and with what.
        variants: in the order of the run; those without steady measurements are left out.
        complete: whether it ended by itself.
        invalid: why its figures may not be of one state of the machine; empty if they are.
    """

    header: Mapping[str, Any]
    variants: tuple[VariantResult, ...]
    complete: bool
    invalid: tuple[str, ...]


def evaluate_run(records: Sequence[Mapping[str, Any]]) -> RunResult:
    """Summarize a run's records.

    Raises:
        BenchError: if they are not of one run.
    """
    if not records or records[0]["kind"] != "run":
        raise BenchError("the run has no header; measure anew")
    header = records[0]
    try:
        labels = [variant["label"] for variant in header["variants"]]
        results = [result for label in labels if (result := _variant_result(label, records)) is not None]
        conditions = [record["condition"] for record in records if record["kind"] == "condition"]
    except (KeyError, TypeError) as error:
        raise BenchError(f"the run is damaged ({error!r}); measure anew") from error
    return RunResult(
        header=header,
        variants=tuple(results),
        complete=records[-1]["kind"] == "end" and bool(records[-1].get("complete")),
        invalid=tuple(_invalid(conditions)),
    )


def _variant_result(label: str, records: Sequence[Mapping[str, Any]]) -> VariantResult | None:
    own = [record for record in records if record.get("variant") == label]
    latencies = [value for record in own if record["kind"] == "steady" for value in record["latencies_us"]]
    cpu = [value for record in own if record["kind"] == "steady" for value in record["cpu_us"]]
    # Of a run that was gone on with, the first start was the cold one.
    start = next((record for record in own if record["kind"] == "start"), None)
    if start is None or not latencies:
        return None
    golden = [record["golden_equal"] for record in own if record["kind"] == "start"]
    return VariantResult(
        label=label,
        load_us=start["load_us"],
        first_us=start["first_us"],
        latency=summarize(latencies),
        cpu=summarize(cpu),
        golden_equal=None if None in golden else all(golden),
        peak_bytes=max((record["peak_bytes"] for record in own if record["kind"] == "steady"), default=0),
    )


def _invalid(conditions: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    temperatures = [entry["temperature_mc"] for entry in conditions if "temperature_mc" in entry]
    if temperatures and max(temperatures) - min(temperatures) > MAX_TEMPERATURE_RISE_MC:
        yield f"the temperature went from {min(temperatures) / 1000:.0f} to {max(temperatures) / 1000:.0f} degrees"
    if len({entry["plugged_in"] for entry in conditions if "plugged_in" in entry}) > 1:
        yield "the power source changed"


def measure(
    variants: Sequence[Variant],
    effort: Effort,
    log: RunLog,
    *,
    byte_exact: Mapping[str, bool],
    done: Mapping[str, tuple[int, float]],
    on_progress: Callable[[float], None] = lambda share: None,
) -> None:
    """Measure variants in turns.

    Args:
        variants: each with a label of its own.
        effort: of each variant, at least.
        log: where results go.
        byte_exact: by label, whether the golden output is to be reproduced.
        done: by label, queries and seconds that an earlier part of the run has measured.
        on_progress: called with the share that is done.

    Raises:
        BenchError: if a variant cannot be loaded or its process dies; what was measured is in the log.
    """
    queries = {variant.label: done.get(variant.label, (0, 0.0))[0] for variant in variants}
    seconds = {variant.label: done.get(variant.label, (0, 0.0))[1] for variant in variants}

    def share(label: str) -> float:
        return min(1.0, queries[label] / effort.queries, seconds[label] / effort.seconds if effort.seconds else 1.0)

    with ExitStack() as stack:
        workers: dict[str, WorkerProcess] = {}
        typical_us: dict[str, int] = {}
        for variant in variants:
            if share(variant.label) >= 1.0:
                continue
            worker = stack.enter_context(WorkerProcess(variant))
            load_us = worker.load()
            [first_us], _ = worker.run(1)
            golden = worker.golden_equal() if byte_exact[variant.label] else None
            log.append("start", variant=variant.label, load_us=load_us, first_us=first_us, golden_equal=golden)
            warm: list[int] = []
            while sum(warm) < WARM_UP_S * 1e6:
                warm += worker.run(1)[0]
            log.append("warm-up", variant=variant.label, latencies_us=warm)
            workers[variant.label], typical_us[variant.label] = worker, max(1, min(warm))
        while workers:
            log.append("condition", condition=host_condition())
            for label, worker in list(workers.items()):
                wall, cpu = worker.run(max(1, round(ROUND_S * 1e6 / typical_us[label])))
                log.append("steady", variant=label, latencies_us=wall, cpu_us=cpu, peak_bytes=worker.peak_bytes())
                queries[label] += len(wall)
                seconds[label] += sum(wall) / 1e6
                on_progress(sum(share(variant.label) for variant in variants) / len(variants))
                if share(label) >= 1.0:
                    del workers[label]
        log.append("condition", condition=host_condition())


def already_done(records: Sequence[Mapping[str, Any]]) -> dict[str, tuple[int, float]]:
    """Queries and seconds of each variant in a run's records."""
    done: dict[str, tuple[int, float]] = {}
    for record in records:
        if record["kind"] == "steady":
            queries, seconds = done.get(record["variant"], (0, 0.0))
            latencies = record["latencies_us"]
            done[record["variant"]] = queries + len(latencies), seconds + sum(latencies) / 1e6
    return done


def result_json(result: RunResult) -> dict[str, Any]:
    """A result as JSON values."""
    return {
        "run": dict(result.header),
        "complete": result.complete,
        "invalid": list(result.invalid),
        "variants": [asdict(variant) for variant in result.variants],
    }
