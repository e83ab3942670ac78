"""The file of a run or of a part of one: a line of JSON for each result, on disk before the next one is taken."""

import json
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from qsr_edge.bench.protocol.decoding import decode_record, encode_line, encode_record
from qsr_edge.bench.protocol.header import RunHeader
from qsr_edge.bench.protocol.job import Done
from qsr_edge.bench.protocol.records import (
    Averages,
    ConditionRecord,
    Part,
    Quality,
    Record,
    Steady,
    Sustained,
    of_variant,
)
from qsr_edge.errors import BenchError

RESULTS_NAME = "results.jsonl"


class Recorder(ABC):
    """Takes records one by one."""

    def __init__(self) -> None:
        """The monotonic clock of its records begins now."""
        self._began = time.monotonic()

    def append(self, record: Record) -> None:
        """Take a record of this process, with both clocks set; errors as :meth:`write`."""
        elapsed_ms = round(1000 * (time.monotonic() - self._began))
        self.write(replace(record, time_ms=_wall_clock_ms(), elapsed_ms=elapsed_ms))

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

    def write(self, record: Record) -> None:
        """Write one record; it is on disk when this returns.

        Raises:
            OSError: naming the file, if it cannot be written; what was there stays whole.
        """
        self._write(encode_line(record))

    def receive(self, record: Record, line: bytes | None = None) -> None:
        """Write a record of an agent with the time of now, its own clocks kept; errors as :meth:`write`.

        Args:
            record: that came over.
            line: that it was read from, whose keys are all kept, also those that this release does not know.
        """
        table: dict[str, object] = encode_record(record) if line is None else json.loads(line)
        table["received_ms"] = _wall_clock_ms()
        self._write((json.dumps(table, ensure_ascii=False) + "\n").encode())

    def _write(self, line: bytes) -> None:
        try:
            with self.path.open("ab") as file:
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
    return tuple(decode_record(line, f"{path}:{number}") for number, line in enumerate(lines, start=1))


def run_header(records: Sequence[Record]) -> RunHeader:
    """The first record of a run.

    Raises:
        BenchError: if it is none.
    """
    if not records or not isinstance(records[0], RunHeader):
        raise BenchError("does not begin with a run record, so it is no run; name the folder of a `qsr-edge bench`")
    return records[0]


def done_of(label: str, records: Sequence[Record]) -> Done:
    """What a run's records have of a variant."""
    steady = of_variant(records, Steady, label)
    averages = [each for each in of_variant(records, Averages, label) if each.phase == "steady"]
    # Not images: only once they are judged are their bytes here.
    images = [each.image for each in of_variant(records, Quality, label)]
    return Done(
        queries=sum(len(each.latencies_us) for each in steady) + sum(each.count for each in averages),
        steady_us=sum(sum(each.latencies_us) for each in steady) + sum(each.count * each.mean_us for each in averages),
        sustained_ms=max((each.since_ms for each in of_variant(records, Sustained, label)), default=0),
        images=tuple(dict.fromkeys(images)),
    )


def received_of(records: Sequence[Record]) -> tuple[int, int]:
    """The last part that a run has begun, and how many records of its agent came over; (0, 0) before the first.

    Records of adb's source are this machine's own, and do not count.
    """
    part = count = 0
    for record in records:
        if isinstance(record, Part):
            part, count = record.part, 0
        elif record.received_ms is not None and not (isinstance(record, ConditionRecord) and record.source == "adb"):
            count += 1
    return part, count
