"""Ranges of integer codes. No torch here: lowering and the back ends use it too."""

from dataclasses import dataclass
from typing import Self

BIT_WIDTHS = (2, 3, 4, 8)
"""Bit widths of body weights and activations that networks are trained at."""


@dataclass(frozen=True, slots=True)
class CodeRange:
    """Inclusive range of the integer codes of a tensor."""

    q_min: int
    q_max: int

    @classmethod
    def signed(cls, bits: int) -> Self:
        """Two's complement range of ``bits`` bits: [-2^(b-1), 2^(b-1) - 1]."""
        return cls(-(1 << (bits - 1)), (1 << (bits - 1)) - 1)

    @classmethod
    def unsigned(cls, bits: int) -> Self:
        """Range [0, 2^b - 1] of ``bits`` bits."""
        return cls(0, (1 << bits) - 1)

    @property
    def bits(self) -> int:
        """The least number of bits that holds every code of the range."""
        if self.q_min >= 0:
            return max(1, self.q_max.bit_length())
        return max(self.q_max.bit_length(), (-self.q_min - 1).bit_length()) + 1
