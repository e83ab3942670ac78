"""The file of a run or of a part of one: a line of JSON for each result, on disk before the next one is taken."""

import json
import math
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from qsr_edge.bench.protocol.job import Done
from qsr_edge.errors import BenchError

RESULTS_NAME = "results.jsonl"
Record = Mapping[str, Any]


class Recorder(ABC):
    """Takes records one by one."""

    def __init__(self) -> None:
        """The monotonic clock of its records begins now."""
        self._began = time.monotonic()

    def append(self, kind: str, **values: Any) -> None:
        """Take a record of this process, with both clocks; errors as :meth:`write`."""
        elapsed_ms = round(1000 * (time.monotonic() - self._began))
        self.write({"kind": kind, "time_ms": _wall_clock_ms(), "elapsed_ms": elapsed_ms, **values})

    @abstractmethod
    def write(self, record: Record) -> None:
        """Take a whole record; raises ``OSError`` if it cannot be kept."""


class RunLog(Recorder):
    """Appends records to a file."""

    def __init__(self, path: Path):
        """Open, or make, the file and its folder; a line that was cut is dropped."""
        super().__init__()
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        _drop_cut_line(path)

    def receive(self, record: Record) -> None:
        """Write a record of an agent, its own clocks kept; errors as :meth:`write`."""
        self.write({**record, "received_ms": _wall_clock_ms()})

    def write(self, record: Record) -> None:
        """Write one record; it is on disk when this returns.

        Raises:
            OSError: naming the file, if it cannot be written; what was there stays whole.
        """
        line = json.dumps(record, ensure_ascii=False) + "\n"
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            error.filename = str(self.path)
            raise


def _wall_clock_ms() -> int:
    return round(time.time() * 1000)


def _drop_cut_line(path: Path) -> None:
    """A line that was being written when the process was killed is no result."""
    if not path.exists():
        return
    content = path.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    if whole != content:
        os.truncate(path, len(whole))


def parse_record(line: bytes, source: str) -> Record:
    """A line of a results file.

    Raises:
        BenchError: if it is no record, or none that can be written as JSON and UTF-8 again.
    """
    try:
        record = json.loads(line.decode("utf-8"), parse_constant=_finite, parse_float=_finite)
        if not isinstance(record, dict) or not isinstance(record.get("kind"), str):
            raise ValueError("no record")
        if b"\\u" in line:  # by an escape, half of a character may have come in
            json.dumps(record, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())[:200]
        raise BenchError(f"{source}: damaged ({reason}); delete that line, or measure anew") from error
    return record


def _finite(text: str) -> float:
    """JSON has neither NaN nor infinity, and 1e999 would be written as one."""
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:20]} is no number")
    return value


def read_log(folder: Path) -> tuple[Record, ...]:
    """The records of a run's folder; a cut last line is left out.

    Raises:
        BenchError: if there is no run, or a line is damaged.
    """
    path = folder / RESULTS_NAME
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BenchError(
            f"{path}: cannot be read ({error.strerror}), so {folder} is no run; name the folder of a `qsr-edge bench`"
        ) from error
    lines = content[: content.rfind(b"\n") + 1].splitlines()
    return tuple(parse_record(line, f"{path}:{number}") for number, line in enumerate(lines, start=1))


def done_of(label: str, records: Sequence[Record]) -> Done:
    """What a run's records have of a variant.

    Raises:
        BenchError: if a record lacks what its kind has.
    """
    queries = steady_us = sustained_ms = 0
    images: list[str] = []
    try:
        for record in records:
            if record.get("variant") != label:
                continue
            match record["kind"]:
                case "steady":
                    queries += len(record["latencies_us"])
                    steady_us += sum(record["latencies_us"])
                case "averages" if record["phase"] == "steady":
                    queries += record["count"]
                    steady_us += record["count"] * record["mean_us"]
                case "sustained":
                    sustained_ms = max(sustained_ms, record["since_ms"])
                case "quality":
                    # Not "image": only now are its bytes here.
                    images.append(record["image"])
    except (KeyError, TypeError) as error:
        raise BenchError(f"the run is damaged ({error!r}); measure anew") from error
    return Done(queries=queries, steady_us=steady_us, sustained_ms=sustained_ms, images=tuple(dict.fromkeys(images)))


def received_of(records: Sequence[Record]) -> tuple[int, int]:
    """The last part that a run has begun, and how many records of its agent came over; (0, 0) before the first.

    Records of adb's source are this machine's own, and do not count.
    """
    part = count = 0
    for record in records:
        if record["kind"] == "part":
            part, count = record.get("part", 0), 0
        elif "received_ms" in record and record.get("source") != "adb":
            count += 1
    return part, count
