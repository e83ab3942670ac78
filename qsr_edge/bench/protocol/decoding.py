"""Lines as records and records as lines: the one place that knows the JSON of docs/device-protocol.md."""

import json
from dataclasses import MISSING, fields, is_dataclass
from enum import StrEnum

from qsr_edge.bench.protocol.header import SCHEMA, DeviceInfo, RunHeader
from qsr_edge.bench.protocol.records import (
    AS_NULL,
    Agent,
    Averages,
    ConditionRecord,
    Damaged,
    End,
    Error,
    Event,
    Fault,
    Image,
    Part,
    Placement,
    Quality,
    Record,
    Start,
    Steady,
    Sustained,
    Unknown,
    Waiting,
    WarmUp,
)
from qsr_edge.codec import Decoder
from qsr_edge.errors import BenchError, one_line

KINDS: dict[str, type[Record]] = {
    kind.kind: kind
    for kind in (
        RunHeader,
        Part,
        Agent,
        Waiting,
        ConditionRecord,
        Start,
        Placement,
        WarmUp,
        Image,
        Steady,
        Averages,
        Sustained,
        Quality,
        Event,
        Error,
        Damaged,
        Fault,
        End,
    )
}
"""Every kind of record."""
OWN = (RunHeader, Part, Quality, Damaged, Fault)
"""Those that only the run itself writes; an end may be either's."""
MAX_LINE_BYTES = 1 << 28
_DECODER = Decoder(error=BenchError, ignores_unknown_keys=True, takes_null=True)


class _OtherSchemaError(BenchError):
    """A header of another form, which is not damaged."""


def decode_record(line: bytes, source: str) -> Record:
    """A line of a results file.

    Args:
        line: without its newline.
        source: name of the file and the line, for messages.

    Raises:
        BenchError: if it is no record, or one that is not what docs/device-protocol.md says: naming the source, the
            key, what was got and what was expected.
    """
    try:
        return _decoded(line)
    except _OtherSchemaError as error:
        raise BenchError(f"{source}: {error}; measure anew with this release") from error
    except BenchError as error:
        told = one_line(error).removeprefix(": ")
        raise BenchError(f"{source}: damaged ({told}); delete that line, or measure anew") from error


def decode_agent_record(line: bytes, source: str) -> Record:
    """A line of an agent's, which may not say all that a run may.

    Raises:
        BenchError: as :func:`decode_record`; and for the run's own records, adb's conditions, a start without times.
    """
    record = decode_record(line, source)
    if isinstance(record, OWN):
        raise BenchError(f"{source}: a record of the kind {record.kind} is the run's own, no agent's")
    if isinstance(record, ConditionRecord | Placement) and record.source == "adb":
        raise BenchError(f"{source}: an agent's record has the source adb")
    if isinstance(record, Start) and None in (record.load_us, record.first_us):
        raise BenchError(f"{source}: a start without its times")  # only stock programs may not tell them
    return record


def _decoded(line: bytes) -> Record:
    table = _DECODER.parse_json(line, "", limit_bytes=MAX_LINE_BYTES)
    if not isinstance(table, dict) or not isinstance(table.get("kind"), str):
        raise BenchError("no record")
    kind = KINDS.get(table["kind"])
    if kind is None:
        received_ms = table.get("received_ms")
        return Unknown(called=table["kind"], received_ms=received_ms if type(received_ms) is int else None)
    if kind is RunHeader:
        if table.get("schema") != SCHEMA:
            raise _OtherSchemaError(f"has schema {one_line(repr(table.get('schema')), 60)}, expected {SCHEMA}")
        device = table.get("device")
        if isinstance(device, dict):
            table["device"] = _with_more(device)
    return _DECODER.decode(kind, table, kind.kind)


_DEVICE = tuple(entry.name for entry in fields(DeviceInfo))


def _with_more(device: dict[str, object]) -> dict[str, object]:
    """A header's device, with what else it tells as pairs of texts."""
    known = {key: value for key, value in device.items() if key in _DEVICE and key != "more"}
    more = [(key, value) for key, value in device.items() if key not in known and value is not None]
    return {**known, "more": [[key, value if isinstance(value, str) else json.dumps(value)] for key, value in more]}


def encode_record(record: Record) -> dict[str, object]:
    """A record as a JSON object, its kind first."""
    name = record.called if isinstance(record, Unknown) else record.kind
    return {"kind": name, **_object(record)}


def encode_device(device: DeviceInfo) -> dict[str, object]:
    """What a device is, as a header has it."""
    return _object(device)


def encode_line(record: Record) -> bytes:
    """A record as a line, its newline included."""
    return (json.dumps(encode_record(record), ensure_ascii=False) + "\n").encode()


def _object(value: object) -> dict[str, object]:
    """A record's fields. None is left out, unless the protocol has a null there."""
    found: dict[str, object] = {}
    for entry in fields(value):  # type: ignore[arg-type]
        part = getattr(value, entry.name)
        if part is not None or entry.default is MISSING or entry.metadata == AS_NULL:
            found[entry.name] = _json(part)
    if isinstance(value, DeviceInfo):
        del found["more"]
        found |= dict(value.more)
    return found


def _json(value: object) -> object:
    if is_dataclass(value):
        return _object(value)
    if isinstance(value, tuple):
        return [_json(entry) for entry in value]
    return value.value if isinstance(value, StrEnum) else value
