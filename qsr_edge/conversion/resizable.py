"""A model file whose input size is written into its bytes: for runtimes that take fixed shapes only.

The file states the size of every activation. Where it does so is known, so that any program, in any language, makes
the model of another size by writing a few integers: no file has to be converted anew, and none is kept per size.
"""

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from qsr_edge.errors import BackendError

_SIZE = struct.Struct("<ii")


@dataclass(frozen=True, slots=True, kw_only=True)
class SizePlace:
    """Where a file states the size of activations.

    Attributes:
        offset: of the height, a little-endian int32, in bytes; the width follows it.
        factor: height and width stand there times this: 1 before the upscaling, r after it.
    """

    offset: int
    factor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ResizableModel:
    """One depth as a file of its own, of a fixed input size that can be set.

    Attributes:
        content: the file; it takes images of ``size_px``.
        size_px: (height, width) that it takes as it is.
        places: everything in it that depends on the size.
    """

    content: bytes
    size_px: tuple[int, int]
    places: tuple[SizePlace, ...]

    def sized(self, height_px: int, width_px: int) -> bytes:
        """The file for images of (height_px, width_px), at least 1 each.

        Raises:
            BackendError: if a side is less than 1.
        """
        if min(height_px, width_px) < 1:
            raise BackendError(f"the input size is {width_px}x{height_px}, expected at least 1 pixel a side")
        content = bytearray(self.content)
        for place in self.places:
            _SIZE.pack_into(content, place.offset, height_px * place.factor, width_px * place.factor)
        return bytes(content)


@runtime_checkable
class MakesResizable(Protocol):
    """A back end whose files, of any size or of a fixed one, can be rewritten as :class:`ResizableModel`."""

    def resizable(self, path: Path, depth: int, size_px: tuple[int, int]) -> ResizableModel:
        """One depth of a file, with the same nodes and constants, for images of ``size_px`` (height, width).

        Raises:
            BackendError: if the file is damaged or has no such depth, or the back end's SDK is missing.
        """
        ...
