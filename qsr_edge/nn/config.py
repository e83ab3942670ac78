"""What a network is, without torch: shared by training, checkpoints and lowering."""

from dataclasses import dataclass
from enum import StrEnum

from qsr_edge.errors import CheckpointError
from qsr_edge.quant.codes import BIT_WIDTHS, CodeRange

SCALE_FACTORS = (2, 3, 4)
IMAGE_STEP = 1 / 255
"""Step size of image codes: a code of 1 is one level of a uint8 image."""
IMAGE_ZERO = 128
"""Level of a uint8 image that has code 0: codes are levels minus 128, so that they fit int8."""
STREAM_RANGE = CodeRange.signed(8)
"""Codes of the residual stream and of the image."""
RATIO_MANTISSA = CodeRange(16, 31)
"""Integer mantissas of the ratio stream step / block step: five bits, an error of at most 1/32 that training sees."""
EDGE_WEIGHT_BITS = 6
"""Weight bits of head and tail, at every body bit width."""


class Profile(StrEnum):
    """How requantization is computed; see docs/numerics.md."""

    PORTABLE = "portable"
    SCALED = "scaled"


class ArchitectureName(StrEnum):
    """Architectures by the name that checkpoints carry."""

    QUANTSR_C_EDGE = "quantsr_c_edge"


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeConfig:
    """Shape and arithmetic of a ``quantsr_c_edge`` network.

    Attributes:
        scale: upscaling factor r.
        channels: width of the residual stream.
        blocks: number of residual blocks.
        depths: block counts that a model is emitted for, ascending; the last is ``blocks``.
        order: block indices by learned importance, most important first; depth d keeps the first d, in index order.
        bits: bit width of body weights and activations; None for a float network.
        profile: arithmetic of the requantization.
        depth_biases: whether each depth adds its own bias to the tail's.
    """

    scale: int
    channels: int = 32
    blocks: int = 8
    depths: tuple[int, ...] = (2, 4, 8)
    order: tuple[int, ...] = (0, 4, 2, 6, 1, 5, 3, 7)
    bits: int | None = None
    profile: Profile = Profile.PORTABLE
    depth_biases: bool = False

    def __post_init__(self) -> None:
        """Refuse what no network can have.

        Raises:
            CheckpointError: naming the field, what was got and what was expected.
        """
        problems = {
            "scale": self.scale in SCALE_FACTORS,
            "channels": 1 <= self.channels <= 256,
            "blocks": 1 <= self.blocks <= 64,
            "depths": bool(self.depths)
            and list(self.depths) == sorted(set(self.depths))
            and self.depths[0] >= 1
            and self.depths[-1] == self.blocks,
            "order": sorted(self.order) == list(range(self.blocks)),
            "bits": self.bits is None or self.bits in BIT_WIDTHS,
        }
        for field, ok in problems.items():
            if not ok:
                raise CheckpointError(f"network configuration: {field} = {getattr(self, field)!r} is not possible")
        if self.bits == 8 and self.profile is Profile.PORTABLE:
            raise CheckpointError("network configuration: 8-bit weights leave no guard bit, use the profile 'scaled'")

    def kept_blocks(self, depth: int) -> tuple[int, ...]:
        """Indices of the blocks that a depth keeps, ascending.

        Raises:
            CheckpointError: if the network is not emitted at this depth.
        """
        if depth not in self.depths:
            raise CheckpointError(f"depth {depth} is not offered; this network has {', '.join(map(str, self.depths))}")
        return tuple(sorted(self.order[:depth]))
