"""The form of records: checked when an agent's come over, and when a run's folder is read, which may be anybody's."""

import json
from functools import cache
from pathlib import Path

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

from qsr_edge.bench.protocol.log import Record
from qsr_edge.errors import BenchError

MAX_LATENCY_US = 1 << 40
"""Twelve days: what is longer is no latency."""
_OWN_KINDS = frozenset({"run", "part", "fault", "quality", "damaged"})
"""Kinds that only the run itself writes."""


@cache
def _validators() -> dict[str, Draft202012Validator]:
    document = json.loads(Path(__file__).with_name("records.schema.json").read_text(encoding="utf-8"))
    definitions = document["$defs"]
    return {
        kind: Draft202012Validator({"$ref": f"#/$defs/{kind}", "$defs": definitions}) for kind in document["x-kinds"]
    }


def check_record(record: Record, where: str) -> None:
    """Refuse a record of a known kind that is not what docs/device-protocol.md says.

    Raises:
        BenchError: naming the place, the key and what is wrong.
    """
    validator = _validators().get(record["kind"])
    if validator is None:
        return
    error = best_match(validator.iter_errors(record))
    if error is not None:
        place = "".join(f".{part}" if isinstance(part, str) else f"[{part}]" for part in error.absolute_path)
        raise BenchError(f"{where}: {record['kind']}{place[:80]}: {error.message[:200]}")
    for key in ("latencies_us", "cpu_us"):
        for value in record.get(key, ()):
            if type(value) is not int or not 0 <= value <= MAX_LATENCY_US:
                raise BenchError(f"{where}: {key} holds {repr(value)[:60]}, expected microseconds")


def check_agent_record(record: Record, where: str) -> None:
    """Refuse, besides, what no agent may say: the run's own records, adb's conditions, a start without times.

    Raises:
        BenchError: as :func:`check_record`.
    """
    if record["kind"] in _OWN_KINDS:
        raise BenchError(f"{where}: a record of the kind {record['kind']} is the run's own, no agent's")
    if record.get("source") == "adb":
        raise BenchError(f"{where}: an agent's record has the source adb")
    check_record(record, where)
    if record["kind"] == "start" and None in (record["load_us"], record["first_us"]):
        raise BenchError(f"{where}: a start without its times")  # only stock programs may not tell them
