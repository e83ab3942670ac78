"""Reading flatbuffers from outside without trusting a single offset.

The runtimes do not verify a file before they use it, and flatbuffers' Python package neither: both would follow a
damaged offset out of the file. Here every access is checked against the file's bounds.
"""

import struct
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qsr_edge.errors import BackendError

_OFFSET = struct.Struct("<I")
_SIGNED_OFFSET = struct.Struct("<i")
_VTABLE_ENTRY = struct.Struct("<H")
_VTABLE_HEADER = 4


class DamagedError(BackendError):
    """A flatbuffer that is cut, altered, or not what was expected; the message does not name the file yet."""


class Span:
    """The bytes of a file."""

    def __init__(self, content: bytes):
        """Wrap ``content``."""
        self.content = content

    def unpack(self, layout: struct.Struct, position: int) -> Any:
        """The one scalar of ``layout`` at ``position``.

        Raises:
            DamagedError: if it is not wholly in the file.
        """
        if position < 0 or position + layout.size > len(self.content):
            raise DamagedError(f"an offset points to byte {position} of {len(self.content)}")
        return layout.unpack_from(self.content, position)[0]

    def follow(self, position: int) -> int:
        """Where the offset at ``position`` points to."""
        return position + int(self.unpack(_OFFSET, position))


class Table:
    """A flatbuffers table. Fields are addressed by slot: their number in the schema."""

    def __init__(self, span: Span, position: int):
        """Read the table at ``position``.

        Raises:
            DamagedError: if its field offsets are not wholly in the file.
        """
        self._span = span
        self._position = position
        vtable = position - int(span.unpack(_SIGNED_OFFSET, position))
        size = int(span.unpack(_VTABLE_ENTRY, vtable))
        if size < _VTABLE_HEADER or size % 2:
            raise DamagedError(f"a table of fields at byte {vtable} has {size} bytes")
        entries = range(vtable + _VTABLE_HEADER, vtable + size, _VTABLE_ENTRY.size)
        self._fields = [int(span.unpack(_VTABLE_ENTRY, entry)) for entry in entries]

    @classmethod
    def root(cls, content: bytes) -> "Table":
        """The outermost table of a file."""
        span = Span(content)
        return cls(span, span.follow(0))

    def slots(self) -> frozenset[int]:
        """The slots that are present."""
        return frozenset(slot for slot, offset in enumerate(self._fields) if offset)

    def expect_slots(self, allowed: Iterable[int], what: str) -> None:
        """Refuse fields that qsr-edge never writes.

        Raises:
            DamagedError: naming the first.
        """
        foreign = self.slots() - frozenset(allowed)
        if foreign:
            raise DamagedError(f"{what} has field {min(foreign)}, which qsr-edge never writes")

    def scalar(self, slot: int, layout: str, default: int = 0) -> int:
        """An integer; ``layout`` is a ``struct`` format character."""
        position = self._at(slot)
        return default if position is None else int(self._span.unpack(struct.Struct(f"<{layout}"), position))

    def table(self, slot: int) -> "Table | None":
        """A nested table."""
        position = self._at(slot)
        return None if position is None else Table(self._span, self._span.follow(position))

    def tables(self, slot: int) -> list["Table"]:
        """A vector of tables; empty if absent."""
        start, count = self._vector(slot, _OFFSET.size)
        return [Table(self._span, self._span.follow(start + _OFFSET.size * i)) for i in range(count)]

    def array(self, slot: int, dtype: str) -> NDArray[Any]:
        """A vector of scalars, as a view of the file; empty if absent. ``dtype``: for example ``<i4``."""
        start, count = self._vector(slot, np.dtype(dtype).itemsize)
        return np.frombuffer(self._span.content, dtype, count, start) if count else np.zeros(0, dtype)

    def text(self, slot: int) -> str:
        """A string; empty if absent."""
        start, count = self._vector(slot, 1)
        content = self._span.content[start : start + count]
        # Native readers take it for a C string as well.
        if self._at(slot) is not None and self._span.content[start + count : start + count + 1] != b"\0":
            raise DamagedError(f"a name at byte {start} is not terminated")
        try:
            return content.decode()
        except UnicodeDecodeError as error:
            raise DamagedError(f"a name at byte {start} is not UTF-8") from error

    def _at(self, slot: int) -> int | None:
        offset = self._fields[slot] if slot < len(self._fields) else 0
        return self._position + offset if offset else None

    def _vector(self, slot: int, item_bytes: int) -> tuple[int, int]:
        position = self._at(slot)
        if position is None:
            return 0, 0
        start = self._span.follow(position)
        count = int(self._span.unpack(_OFFSET, start))
        start += _OFFSET.size
        if start + count * item_bytes > len(self._span.content):
            raise DamagedError(f"{count} items at byte {start} go beyond the end at byte {len(self._span.content)}")
        return start, count
