"""Weights as Core ML stores them: packed codes that the runtime expands.

Codes of 4 bits are stored as int4 with a scale per output channel, or as indices into a table of int8 codes, the form
that Apple documents for int8 x int8 products on the Neural Engine. 2, 3 and 6 bits have the table form only, 8 bits the
plain one. Opset iOS17 knows only int8 codes; iOS18 all of them.
"""

from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qsr_edge_converters.coreml.sdk import mb, mil

INDEX_BITS = (2, 3, 4, 6)
"""Widths of indices that Core ML packs; codes of other widths take the next one, or 8."""
_INDEX_TYPES = {2: "uint2", 3: "uint3", 4: "uint4", 6: "uint6"}
_INT8_BITS = 8


class Packing(StrEnum):
    """How codes are stored."""

    PLAIN = "int8, opset iOS17"
    TABLE = "indices into a table of int8"
    INT4 = "int4 where it fits, else a table"


def stored_bits(weight_bits: int, packing: Packing) -> int:
    """Bits that a code of so many bits takes in the file."""
    if packing is Packing.PLAIN:
        return _INT8_BITS
    return next((bits for bits in INDEX_BITS if bits >= weight_bits), _INT8_BITS)


def packed_weights(
    codes: NDArray[np.int8], weight_bits: int, scales: NDArray[Any], packing: Packing, *, name: str
) -> Any:
    """A MIL expression that expands to ``codes * scales``.

    Args:
        codes: (O, I, K, K) int8, each in the signed range of ``weight_bits``.
        weight_bits: 1 to 8.
        scales: (O,) float16 or float32; the expression has that type.
        packing: how codes are stored.
        name: of the expression.
    """
    bits = stored_bits(weight_bits, packing)
    if packing is Packing.PLAIN:
        return mb.constexpr_affine_dequantize(
            quantized_data=codes, zero_point=np.int8(0), scale=scales, axis=np.int32(0), name=name
        )
    scale = scales.reshape(-1, 1, 1, 1)
    if bits == _INT8_BITS:
        return mb.constexpr_blockwise_shift_scale(data=codes, scale=scale, name=name)
    if bits == 4 and packing is Packing.INT4:
        int4 = codes.astype(mil.types.np_int4_dtype)
        return mb.constexpr_blockwise_shift_scale(data=int4, scale=scale, name=name)
    lowest = -(1 << (bits - 1))
    indices = (codes.astype(np.int16) - lowest).astype(mil.types.type_mapping.string_to_nptype(_INDEX_TYPES[bits]))
    table = np.arange(lowest, lowest + (1 << bits), dtype=np.int8).reshape(1, 1, 1, 1, -1, 1)
    looked_up = mb.constexpr_lut_to_dense(indices=indices, lut=table, name=f"{name}_codes")
    return mb.constexpr_blockwise_shift_scale(data=looked_up, scale=scale, name=name)
