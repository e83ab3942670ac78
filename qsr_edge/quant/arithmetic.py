"""Ranges of integer codes, the image's grid, and how sums become codes. No torch here: every package uses it."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Self

BIT_WIDTHS = (2, 3, 4, 8)
"""Bit widths of body weights and activations that networks are trained at."""
IMAGE_STEP = 1 / 255
"""Step size of image codes: a code of 1 is one level of a uint8 image."""
IMAGE_ZERO = 128
"""Level of a uint8 image that has code 0: codes are levels minus 128, so that they fit int8."""


class Profile(StrEnum):
    """How requantization is computed; see docs/numerics.md."""

    PORTABLE = "portable"
    SCALED = "scaled"


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


STREAM_RANGE = CodeRange.signed(8)
"""Codes of the residual stream and of the image."""
