"""The few integer operations that a ``quantsr_t`` graph consists of, and their golden implementation in numpy.

A graph is a program over these operations (:mod:`qsr_edge.graph.swin_program`); whoever implements them can run it, or
write it down for a runtime. Every value is an int32 tensor of a known shape and no result leaves int32; operands of
:meth:`IntegerOps.matmul` fit int8. There is no other arithmetic, and no float.
"""

from collections.abc import Sequence
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

V = TypeVar("V")
Int = NDArray[Any]
"""An integer array."""

_EXACT_IN_FLOAT32 = 1 << 24
_LARGEST_PRODUCT = 128 * 128


class IntegerOps(Protocol[V]):
    """Operations on int32 tensors; two operands have the same rank and are broadcast as numpy does."""

    def constant(self, values: Int) -> V:
        """A tensor known beforehand."""
        ...

    def shape(self, x: V) -> tuple[int, ...]:
        """Its shape."""
        ...

    def add(self, a: V, b: V) -> V:
        """``a + b``."""
        ...

    def subtract(self, a: V, b: V) -> V:
        """``a - b``."""
        ...

    def multiply(self, a: V, b: V) -> V:
        """``a * b``."""
        ...

    def shift_right(self, a: V, bits: Int) -> V:
        """``floor(a / 2^bits)``; ``bits``: an array of a's rank, known beforehand, 0 to 30."""
        ...

    def divide(self, a: V, b: V) -> V:
        """``floor(a / b)`` of non-negative ``a`` and positive ``b``."""
        ...

    def minimum(self, a: V, b: V) -> V:
        """The lesser of both."""
        ...

    def maximum(self, a: V, b: V) -> V:
        """The greater of both."""
        ...

    def where_less(self, a: V, b: V, then: V, otherwise: V) -> V:
        """``then`` where ``a < b``, else ``otherwise``; all four of one rank."""
        ...

    def sum_last(self, a: V) -> V:
        """Sum over the last dimension, which stays with size 1."""
        ...

    def max_last(self, a: V) -> V:
        """Maximum over the last dimension, which stays with size 1."""
        ...

    def matmul(self, a: V, b: V) -> V:
        """(B, M, K) times (B, K, N) -> (B, M, N); operands in [-128, 127]."""
        ...

    def lookup(self, a: V, table: Int) -> V:
        """``table[a + 128]``; a in [-128, 127], ``table``: 256 entries that fit int16."""
        ...

    def reshape(self, a: V, shape: Sequence[int]) -> V:
        """The same values in another shape."""
        ...

    def transpose(self, a: V, axes: Sequence[int]) -> V:
        """Dimensions in another order; at most five, as Core ML has no more."""
        ...

    def cut(self, a: V, axis: int, start: int, stop: int) -> V:
        """A range of one dimension."""
        ...

    def concatenate(self, parts: Sequence[V], axis: int) -> V:
        """Parts put together along one dimension."""
        ...


class NumpyOps:
    """The golden implementation: int32 arrays."""

    def constant(self, values: Int) -> Int:
        """See :class:`IntegerOps`."""
        return values.astype(np.int32)

    def shape(self, x: Int) -> tuple[int, ...]:
        """See :class:`IntegerOps`."""
        return x.shape

    def add(self, a: Int, b: Int) -> Int:
        """See :class:`IntegerOps`."""
        return np.asarray(a + b)

    def subtract(self, a: Int, b: Int) -> Int:
        """See :class:`IntegerOps`."""
        return np.asarray(a - b)

    def multiply(self, a: Int, b: Int) -> Int:
        """See :class:`IntegerOps`."""
        return np.asarray(a * b)

    def shift_right(self, a: Int, bits: Int) -> Int:
        """See :class:`IntegerOps`."""
        return np.asarray(a >> bits.astype(a.dtype))

    def divide(self, a: Int, b: Int) -> Int:
        """See :class:`IntegerOps`."""
        return np.asarray(a // b)

    def minimum(self, a: Int, b: Int) -> Int:
        """See :class:`IntegerOps`."""
        return np.asarray(np.minimum(a, b))

    def maximum(self, a: Int, b: Int) -> Int:
        """See :class:`IntegerOps`."""
        return np.asarray(np.maximum(a, b))

    def where_less(self, a: Int, b: Int, then: Int, otherwise: Int) -> Int:
        """See :class:`IntegerOps`."""
        return np.where(a < b, then, otherwise)

    def sum_last(self, a: Int) -> Int:
        """See :class:`IntegerOps`."""
        return np.asarray(a.sum(-1, keepdims=True, dtype=a.dtype))

    def max_last(self, a: Int) -> Int:
        """See :class:`IntegerOps`."""
        return np.asarray(a.max(-1, keepdims=True))

    def matmul(self, a: Int, b: Int) -> Int:
        """See :class:`IntegerOps`; by BLAS on integer-valued floats, exact because every partial sum is."""
        exact = a.shape[-1] * _LARGEST_PRODUCT < _EXACT_IN_FLOAT32
        dtype = np.float32 if exact else np.float64
        return np.asarray(a.astype(dtype) @ b.astype(dtype)).astype(a.dtype)

    def lookup(self, a: Int, table: Int) -> Int:
        """See :class:`IntegerOps`."""
        return np.asarray(table.astype(a.dtype)[a + 128])

    def reshape(self, a: Int, shape: Sequence[int]) -> Int:
        """See :class:`IntegerOps`."""
        return a.reshape(tuple(shape))

    def transpose(self, a: Int, axes: Sequence[int]) -> Int:
        """See :class:`IntegerOps`."""
        return a.transpose(tuple(axes))

    def cut(self, a: Int, axis: int, start: int, stop: int) -> Int:
        """See :class:`IntegerOps`."""
        return a[(slice(None),) * axis + (slice(start, stop),)]

    def concatenate(self, parts: Sequence[Int], axis: int) -> Int:
        """See :class:`IntegerOps`."""
        return np.concatenate(list(parts), axis)
