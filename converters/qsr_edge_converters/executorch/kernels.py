"""Which kernels run a program: ``convert`` has placed its operators, and the file says where. Read without the SDK.

A .pte file is a flatbuffer. What is read of it are the methods' names and the delegates that each of them calls, by
ExecuTorch's ``program.fbs``; ``inspection`` decodes all of it, with the SDK.
"""

import struct
from collections.abc import Iterator
from enum import StrEnum

from qsr_edge.errors import BackendError, one_line

XNNPACK_DELEGATE = "XnnpackBackend"
_PROGRAM_METHODS = 1
_METHOD_NAME = 0
_METHOD_DELEGATES = 7
_DELEGATE_ID = 0


class KernelFamily(StrEnum):
    """What a method asks for.

    ``xnnpack``: it has a delegate, for all of it or a part; operators outside run in portable kernels.
    ``portable``: it has none. All its operators run in the kernels that the runtime is built with: portable ones, or
    optimized ones of the same operators.
    """

    XNNPACK = "xnnpack"
    PORTABLE = "portable"


class _Table:
    """A table of a flatbuffer: little-endian, its fields found by slots."""

    def __init__(self, content: bytes, position: int):
        self._content = content
        self._position = position

    def _number(self, kind: str, position: int) -> int:
        if position < 0:
            raise ValueError("an offset points before the file")
        number: int = struct.unpack_from(kind, self._content, position)[0]
        return number

    def _target(self, position: int) -> int:
        return position + self._number("<I", position)

    def _field(self, slot: int) -> int | None:
        slots = self._position - self._number("<i", self._position)
        place = 4 + 2 * slot
        offset = self._number("<H", slots + place) if place < self._number("<H", slots) else 0
        return self._target(self._position + offset) if offset else None

    def tables(self, slot: int) -> Iterator["_Table"]:
        """Those of a vector; none if the field is left out."""
        start = self._field(slot)
        if start is None:
            return
        for index in range(self._number("<I", start)):
            yield _Table(self._content, self._target(start + 4 + 4 * index))

    def text(self, slot: int) -> str:
        """A string; empty if the field is left out."""
        start = self._field(slot)
        if start is None:
            return ""
        end = start + 4 + self._number("<I", start)
        return self._content[start + 4 : end].decode()


def program_kernels(content: bytes, depth: int, name: str) -> KernelFamily:
    """The family that a program's depth asks for.

    Args:
        content: of a .pte file.
        depth: which of the file's depths.
        name: of the file, for messages.

    Raises:
        BackendError: if the file is damaged, has no such depth, or has a delegate other than XNNPACK's.
    """
    try:
        root = int.from_bytes(content[:4], "little")
        methods = {
            method.text(_METHOD_NAME): {delegate.text(_DELEGATE_ID) for delegate in method.tables(_METHOD_DELEGATES)}
            for method in _Table(content, root).tables(_PROGRAM_METHODS)
        }
    except (struct.error, ValueError) as error:
        raise BackendError(f"{name}: this ExecuTorch program is damaged ({error}); convert anew") from error
    delegates = methods.get("forward", methods.get(f"d{depth}"))
    if delegates is None:
        names = one_line(", ".join(sorted(methods))) or "none"
        raise BackendError(f"{name}: holds no depth {depth}; its methods are {names}")
    foreign = sorted(delegates - {XNNPACK_DELEGATE})
    if foreign:
        raise BackendError(f"{name}: a delegate for {one_line(foreign[0], 60)}, expected {XNNPACK_DELEGATE}")
    return KernelFamily.XNNPACK if delegates else KernelFamily.PORTABLE
