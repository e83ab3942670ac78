"""Files from outside as typed records, and records as JSON: one strict decoder for policies, manifests, recipes, jobs.

A record is a dataclass whose fields are str, int, float, bool, enumerations of strings, free tables
(``dict[str, object]``), tables by name (``dict[str, T]``), other records, tuples of these, or any of these or None.
What a field's type does not say (a range, what fits what), the record's own ``__post_init__`` refuses with a
:class:`~qsr_edge.errors.QsrError`.
"""

import json
import math
import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from enum import StrEnum
from functools import cache
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from qsr_edge.errors import QsrError, one_line

T = TypeVar("T")
_MAX_NESTING = 100
"""Levels of tables and lists. A checkpoint's provenance has two for each training that it comes from."""
_INTEGER_LIMIT = 1 << 63
"""Python's integers have no end, but what counts with them here has, and so do other languages' integers."""


def encode(value: object) -> Any:
    """A record as JSON values: objects for records, lists for tuples; None is left out, there are no nulls."""
    if is_dataclass(value) and not isinstance(value, type):
        entries = {entry.name: getattr(value, entry.name) for entry in fields(value)}
        return {key: encode(entry) for key, entry in entries.items() if entry is not None}
    if isinstance(value, tuple):
        return [encode(entry) for entry in value]
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoder:
    """Reads one kind of file; every refusal is one line: the source, the place in it, what was got and expected.

    Attributes:
        error: what a refusal is raised as.
        ignores_unknown_keys: for formats whose newer minor versions may add keys.
        takes_null: for formats that write null where a record has None.
    """

    error: type[QsrError]
    ignores_unknown_keys: bool = False
    takes_null: bool = False

    def parse_json(self, content: bytes, source: str, *, limit_bytes: int) -> object:
        """JSON in UTF-8: no key twice in one object, no number that is not finite, no half of a surrogate pair.

        Args:
            content: the file.
            source: its name, for messages.
            limit_bytes: what is longer is no such file.

        Raises:
            QsrError: of the type ``error``.
        """
        if len(content) > limit_bytes:
            raise self.error(f"{source}: more than {limit_bytes} bytes, expected at most that")
        try:
            text = content.decode("utf-8")
            value = json.loads(text, object_pairs_hook=_unique_keys, parse_float=_finite, parse_constant=_finite)
            if "\\u" in text:  # by an escape, half of a character may have come in, which could be printed nowhere
                json.dumps(value, ensure_ascii=False).encode()
            _check_nesting(value)
        except (ValueError, RecursionError) as error:
            raise self.error(f"{source}: not valid JSON in UTF-8 ({_reason(error)})") from error
        return value

    def parse_toml(self, content: bytes, source: str) -> dict[str, object]:
        """TOML; arguments and errors as :meth:`parse_json`."""
        try:
            table = tomllib.loads(content.decode("utf-8"))
            _check_nesting(table)
        except (ValueError, RecursionError) as error:
            raise self.error(f"{source}: not valid TOML in UTF-8 ({_reason(error)})") from error
        return table

    def decode(self, kind: type[T], value: object, source: str) -> T:
        """Parsed values as a record.

        7 serves for the float 7.0 and 7.0 for the integer 7, as in JSON Schema; nothing else is converted.

        Args:
            kind: the record.
            value: what a parser of JSON or TOML gave.
            source: name of the file, for messages.

        Raises:
            QsrError: of the type ``error``: unknown or missing keys, wrong types, and what the record itself refuses.
        """
        record: T = self._decode(kind, value, source, "")
        return record

    def _decode(self, kind: Any, value: object, source: str, place: str) -> Any:
        where = f"{source}: {place}" if place else source
        if get_origin(kind) in (UnionType, Union):  # the latter where one of them has annotations
            if value is not None:
                return self._decode(get_args(kind)[0], value, source, place)
            if not self.takes_null:
                raise self.error(f"{where}: got null; leave out what is unknown")
            return None
        if is_dataclass(kind):
            return self._record(kind, value, source, place)
        if get_origin(kind) is tuple:
            if not isinstance(value, list):
                raise self.error(f"{where}: got {_shown(value)}, expected a list")
            kinds = get_args(kind)
            if kinds[0] is int and all(type(entry) is int for entry in value) and kinds[-1] is Ellipsis:
                return tuple(value)  # a bench's file has millions of latencies
            if kinds[-1] is Ellipsis:
                kinds = kinds[:1] * len(value)
            if len(value) != len(kinds):
                raise self.error(f"{where}: got {len(value)} entries, expected {len(kinds)}")
            entries = enumerate(zip(kinds, value, strict=True))
            return tuple(self._decode(item, entry, source, f"{place}[{i}]") for i, (item, entry) in entries)
        if get_origin(kind) is dict:
            if not isinstance(value, Mapping):
                raise self.error(f"{where}: got {_shown(value)}, expected a table")
            item = get_args(kind)[1]
            if item is object:
                return dict(value)
            return {key: self._decode(item, entry, source, f"{place}[{key!r}]") for key, entry in value.items()}
        if issubclass(kind, StrEnum):
            if value not in tuple(kind):
                raise self.error(f"{where}: got {_shown(value)}, expected one of {', '.join(kind)}")
            return kind(value)
        if type(value) is int and not -_INTEGER_LIMIT <= value < _INTEGER_LIMIT:
            raise self.error(f"{where}: got {_shown(value)}, expected a number of at most 64 bits")
        if kind is float and type(value) is int:
            return float(value)
        if kind is int and type(value) is float and value.is_integer():
            return int(value)
        if type(value) is not kind:  # the type itself: a bool is an int to isinstance
            wanted = "true or false" if kind is bool else kind.__name__
            raise self.error(f"{where}: got {_shown(value)}, expected {wanted}")
        return value

    def _record(self, kind: Any, value: object, source: str, place: str) -> Any:
        where = f"{source}: {place}" if place else source
        hints, required = _described(kind)
        if not isinstance(value, Mapping):
            raise self.error(f"{where}: got {_shown(value)}, expected a table with the keys {', '.join(hints)}")
        unknown = sorted(map(str, value.keys() - hints.keys()))
        if unknown and not self.ignores_unknown_keys:
            raise self.error(f"{where}: the key {_shown(unknown[0])} is not known, expected {', '.join(hints)}")
        inside = f"{place}." if place else ""
        values = {
            name: self._decode(hint, value[name], source, f"{inside}{name}")
            for name, hint in hints.items()
            if name in value
        }
        missing = [name for name in required if name not in value]
        if missing:
            raise self.error(f"{where}: missing {', '.join(missing)}")
        try:
            return kind(**values)
        except QsrError as error:
            raise self.error(f"{where}: {one_line(error, 1000)}") from error


@cache
def _described(kind: Any) -> tuple[Mapping[str, Any], tuple[str, ...]]:
    """The fields' types by name, and which of them have no default."""
    hints = get_type_hints(kind)
    entries = fields(kind)
    required = [entry.name for entry in entries if entry.default is MISSING and entry.default_factory is MISSING]
    return {entry.name: hints[entry.name] for entry in entries}, tuple(required)


def _check_nesting(value: object) -> None:
    """Refuse what is nested more deeply than any file of ours: whoever walks it would run out of stack."""
    level: list[Any] = [value] if isinstance(value, dict | list) else []
    depth = 0
    while level:
        depth += 1
        if depth > _MAX_NESTING:
            raise RecursionError
        entries = (entry for parent in level for entry in (parent.values() if isinstance(parent, dict) else parent))
        level = [entry for entry in entries if isinstance(entry, dict | list)]


def _reason(error: Exception) -> str:
    return "nested too deeply" if isinstance(error, RecursionError) else one_line(error)


def _shown(value: object) -> str:
    try:
        return one_line(repr(value), 60)
    except (ValueError, RecursionError):  # an integer of thousands of digits, lists in lists
        return f"{type(value).__name__} too large to show"


def _unique_keys(pairs: list[tuple[str, object]]) -> dict[str, object]:
    table = dict(pairs)
    if len(table) != len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"the key {next(key for key in keys if keys.count(key) > 1)!r} is there twice")
    return table


def _finite(text: str) -> float:
    """JSON has neither NaN nor infinity, and 1e999 would be written as one."""
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:20]} is not a finite number")
    return value
