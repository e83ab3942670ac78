"""The weight file of an .mlpackage, ``weights/weight.bin``: Core ML's blob storage, version 2.

A header of 64 bytes (number of blobs, version) and, for each blob, a record of 64 bytes (marker, type, size, offset of
the data, unused bits at its end) followed by the data, all aligned to 64 bytes and little-endian. Elements of less than
8 bits follow each other bit by bit, the lowest bit first. Programs refer to a blob by the offset of its record.
"""

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qsr_edge.errors import BackendError

VERSION = 2
ALIGNMENT = 64
_HEADER = struct.Struct("<II")
_RECORD = struct.Struct("<IIQQQ")
_MARKER = 0xDEADBEEF
_REMEDY = "convert anew"


@dataclass(frozen=True, slots=True, kw_only=True)
class ElementType:
    """How elements of a type are stored.

    Attributes:
        name: as MIL calls it.
        bits: of one element.
        dtype: numpy's type that holds them.
        code: of the type in blob records; None if blobs cannot hold it.
        signed: whether elements of less than 8 bits are in two's complement.
    """

    name: str
    bits: int
    dtype: Any
    code: int | None
    signed: bool = False


FLOAT16 = ElementType(name="fp16", bits=16, dtype=np.float16, code=1)
FLOAT32 = ElementType(name="fp32", bits=32, dtype=np.float32, code=2)
UINT8 = ElementType(name="uint8", bits=8, dtype=np.uint8, code=3)
INT8 = ElementType(name="int8", bits=8, dtype=np.int8, code=4)
INT4 = ElementType(name="int4", bits=4, dtype=np.int8, code=8, signed=True)
UINT2 = ElementType(name="uint2", bits=2, dtype=np.uint8, code=10)
UINT4 = ElementType(name="uint4", bits=4, dtype=np.uint8, code=11)
UINT3 = ElementType(name="uint3", bits=3, dtype=np.uint8, code=12)
UINT6 = ElementType(name="uint6", bits=6, dtype=np.uint8, code=13)
INT32 = ElementType(name="int32", bits=32, dtype=np.int32, code=14)
BOOL = ElementType(name="bool", bits=8, dtype=np.bool_, code=None)


def unpack_elements(content: bytes, kind: ElementType, count: int) -> NDArray[Any]:
    """``count`` elements from their bytes, flat; the bytes must be as many as the elements take."""
    if kind.bits >= 8:
        stored: NDArray[Any] = np.frombuffer(content, np.dtype(kind.dtype).newbyteorder("<"))
        return stored.astype(kind.dtype)
    bits = np.unpackbits(np.frombuffer(content, np.uint8), bitorder="little")[: count * kind.bits]
    codes: NDArray[Any] = (bits.reshape(count, kind.bits).astype(np.uint8) << np.arange(kind.bits, dtype=np.uint8)).sum(
        axis=1, dtype=np.uint8
    )
    if not kind.signed:
        return codes
    sign = 1 << (kind.bits - 1)
    return ((codes.astype(np.int16) ^ sign) - sign).astype(np.int8)


class WeightBlobs:
    """The blobs of a file."""

    def __init__(self, content: bytes, source: str):
        """Check the header.

        Raises:
            BackendError: if it is no weight file of a known version.
        """
        self._content = content
        self._source = source
        if len(content) < ALIGNMENT:
            raise BackendError(f"{source}: {len(content)} bytes, expected a header of {ALIGNMENT}: cut; {_REMEDY}")
        self.count, version = _HEADER.unpack_from(content)
        if version != VERSION:
            raise BackendError(f"{source}: weight storage of version {version}, expected {VERSION}; {_REMEDY}")

    def read(self, offset: int, kind: ElementType, count: int) -> NDArray[Any]:
        """The elements of the blob whose record is at ``offset``, flat.

        Raises:
            BackendError: if there is no such blob, or it is of another type or size than the program says.
        """
        where = f"{self._source}: the blob at {offset}"
        if offset < ALIGNMENT or offset % ALIGNMENT or offset + ALIGNMENT > len(self._content):
            raise BackendError(f"{where} is outside the file of {len(self._content)} bytes, or not aligned; {_REMEDY}")
        marker, code, size, start, unused_bits = _RECORD.unpack_from(self._content, offset)
        if marker != _MARKER:
            raise BackendError(f"{where} has no record, its marker is {marker:#x}; {_REMEDY}")
        if code != kind.code:
            raise BackendError(f"{where} is of type {code}, expected {kind.code} ({kind.name}); {_REMEDY}")
        bits = count * kind.bits
        if size != -(-bits // 8) or unused_bits != size * 8 - bits:
            raise BackendError(f"{where} has {size} bytes, {unused_bits} bits unused, expected {bits} bits; {_REMEDY}")
        if start % ALIGNMENT or start < offset + ALIGNMENT or start + size > len(self._content):
            raise BackendError(f"{where} has its data at {start} to {start + size}, outside the file; {_REMEDY}")
        return unpack_elements(self._content[start : start + size], kind, count)
