"""Policies and states as JSON: one strict reader for files from outside."""

import json
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from qsr_edge.errors import PolicyError
from qsr_edge.selector.decision import Sensor
from qsr_edge.selector.policy import Policy

T = TypeVar("T")
POLICY_LIMIT_BYTES = 1 << 16


def to_json(value: object) -> Any:
    """A record of this package as JSON values; None is left out."""
    if is_dataclass(value) and not isinstance(value, type):
        entries = {entry.name: getattr(value, entry.name) for entry in fields(value)}
        return {key: to_json(entry) for key, entry in entries.items() if entry is not None}
    if isinstance(value, tuple):
        return [to_json(entry) for entry in value]
    return value


def from_json(kind: type[T], value: object, where: str) -> T:
    """JSON values as a record; unknown and missing keys and wrong types are errors.

    Args:
        kind: Policy, Rule, Sample, State or LatencyTable.
        value: what a JSON parser gave.
        where: for messages.

    Raises:
        PolicyError: naming the key, what was got and what was expected.
    """
    record: T = _decode(kind, value, where)
    return record


def _decode(kind: Any, value: Any, where: str) -> Any:
    if is_dataclass(kind):
        if not isinstance(value, Mapping):
            raise PolicyError(f"{where}: got {_shown(value)}, expected an object")
        hints = get_type_hints(kind)
        unknown = sorted(map(str, value.keys() - hints.keys()))
        if unknown:
            raise PolicyError(f"{where}: the key {_shown(unknown[0])} is not known, expected {', '.join(hints)}")
        missing = [entry.name for entry in fields(kind) if entry.default is MISSING and entry.name not in value]
        if missing:
            raise PolicyError(f"{where}: missing {', '.join(missing)}")
        values = {name: _decode(hints[name], entry, f"{where}.{name}") for name, entry in value.items()}
        try:
            return kind(**values)  # type: ignore[operator]
        except PolicyError as error:
            raise PolicyError(f"{where}: {error}") from None
    if get_origin(kind) is UnionType:
        if value is None:
            raise PolicyError(f"{where}: got null; leave out what is unknown")
        return _decode(get_args(kind)[0], value, where)
    if get_origin(kind) is tuple:
        if not isinstance(value, list):
            raise PolicyError(f"{where}: got {_shown(value)}, expected a list")
        return tuple(_decode(get_args(kind)[0], entry, f"{where}[{i}]") for i, entry in enumerate(value))
    if kind is Sensor:
        if value not in tuple(Sensor):
            raise PolicyError(f"{where}: got {_shown(value)}, expected one of {', '.join(Sensor)}")
        return Sensor(value)
    if type(value) is not kind:
        raise PolicyError(
            f"{where}: got {_shown(value)}, expected {'true or false' if kind is bool else kind.__name__}"
        )
    return value


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}..."


def _unique_keys(pairs: list[tuple[str, object]]) -> dict[str, object]:
    table = dict(pairs)
    if len(table) != len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"the key {next(key for key in keys if keys.count(key) > 1)!r} is there twice")
    return table


def read_policy(path: Path) -> Policy:
    """Read a policy from a JSON file.

    Raises:
        PolicyError: naming the file and the key.
        OSError: if it cannot be read.
    """
    with path.open("rb") as file:
        content = file.read(POLICY_LIMIT_BYTES + 1)
    if len(content) > POLICY_LIMIT_BYTES:
        raise PolicyError(f"{path}: more than {POLICY_LIMIT_BYTES} bytes, which is no policy")
    try:
        table = json.loads(content.decode("utf-8"), object_pairs_hook=_unique_keys)
    except (ValueError, RecursionError) as error:
        raise PolicyError(f"{path}: not valid JSON in UTF-8 ({' '.join(str(error).split())[:200]})") from error
    return from_json(Policy, table, str(path))
