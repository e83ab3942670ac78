"""What a network is, without torch: shared by training, checkpoints and lowering."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from qsr_edge.errors import CheckpointError, one_line
from qsr_edge.quant.arithmetic import BIT_WIDTHS, CodeRange, Profile

SCALE_FACTORS = (2, 3, 4)
MAX_BLOCKS = 64
MAX_CHANNELS = 256
RATIO_MANTISSA = CodeRange(16, 31)
"""Integer mantissas of the ratio stream step / block step: five bits, an error of at most 1/32 that training sees."""
EDGE_WEIGHT_BITS = 6
"""Weight bits of head and tail, at every body bit width."""


class NetworkSize(StrEnum):
    """Members of the ``quantsr_c_edge`` family by what they cost, x2, for a pixel of the input."""

    NANO = "nano"
    """16 channels, 4 blocks: 21 thousand multiply-accumulates; for video and old phones."""
    EDGE = "edge"
    """32 channels, 8 blocks: 152 thousand."""
    PLUS = "plus"
    """48 channels, 14 blocks: 587 thousand; for photos."""


class ArchitectureName(StrEnum):
    """Architectures by the name that checkpoints carry."""

    QUANTSR_C_EDGE = "quantsr_c_edge"
    QUANTSR_C = "quantsr_c"
    QUANTSR_T = "quantsr_t"


Shapes = dict[str, tuple[int, ...]]
"""Shapes of tensors by name."""


def one_of(values: Sequence[int]) -> str:
    """What is possible, for a message."""
    return f"one of {', '.join(map(str, values))}"


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkConfig(ABC):
    """What all architectures have in common; each has a dataclass of its own that adds its shape.

    Attributes:
        architecture: the name that checkpoints carry.
        size_fields: fields that a network must share with the one it is warm-started from.
        late_fields: fields that older checkpoints lack; their defaults are meant then.
        scale: upscaling factor r.
        blocks: number of blocks that can be skipped.
        depths: block counts that a model is emitted for, ascending; the last is ``blocks``.
        order: block indices by learned importance, most important first; depth d keeps the first d, in index order.
        bits: bit width of body weights, and of body activations unless an architecture has a field for them; None for
            a float network.
        profile: arithmetic of the requantization.
    """

    architecture: ClassVar[ArchitectureName]
    size_fields: ClassVar[tuple[str, ...]] = ("blocks",)
    late_fields: ClassVar[tuple[str, ...]] = ()

    scale: int
    blocks: int
    depths: tuple[int, ...]
    order: tuple[int, ...]
    bits: int | None = None
    profile: Profile = Profile.PORTABLE

    def __post_init__(self) -> None:
        """Refuse what no network can have.

        Raises:
            CheckpointError: naming the field, what was got and what was expected.
        """
        self.refuse(
            {
                "scale": (self.scale in SCALE_FACTORS, one_of(SCALE_FACTORS)),
                "blocks": (1 <= self.blocks <= MAX_BLOCKS, f"1 to {MAX_BLOCKS}"),
                "depths": (
                    bool(self.depths)
                    and list(self.depths) == sorted(set(self.depths))
                    and self.depths[0] >= 1
                    and self.depths[-1] == self.blocks,
                    f"ascending block counts that end with {self.blocks}",
                ),
                "order": (
                    len(self.order) == self.blocks and sorted(self.order) == list(range(self.blocks)),
                    f"each of 0 to {self.blocks - 1} once",
                ),
                "bits": (
                    self.bits is None or self.bits in BIT_WIDTHS,
                    f"{one_of(BIT_WIDTHS)}, or 0 for a float network",
                ),
            }
        )
        if self.bits == 8 and self.profile is Profile.PORTABLE:
            raise CheckpointError("network configuration: 8-bit weights leave no guard bit, use the profile 'scaled'")

    def refuse(self, possible: Mapping[str, tuple[bool, str]]) -> None:
        """Refuse the first field that is not possible.

        Args:
            possible: by field whether it is, and what is expected.

        Raises:
            CheckpointError: naming the field and its value.
        """
        for field, (ok, expected) in possible.items():
            if not ok:
                got = getattr(self, field)
                shown = one_line(got if isinstance(got, StrEnum) else repr(got), 60)
                raise CheckpointError(f"network configuration: {field} = {shown} is not possible, expected {expected}")

    @property
    def body_activation_bits(self) -> int | None:
        """Bit width of the body's activations; None for a float network."""
        return self.bits

    @property
    def member(self) -> str:
        """Name of the family's member in file names, where that is not the usual one."""
        return ""

    @property
    def widths(self) -> str:
        """Bit widths of the body's weights and activations, as in file names: ``w4a8``, or ``fp32``."""
        return f"w{self.bits}a{self.body_activation_bits}" if self.bits else "fp32"

    @abstractmethod
    def tensor_shapes(self) -> Shapes:
        """Name and shape of every tensor that a checkpoint of this configuration holds, float32."""

    def kept_blocks(self, depth: int) -> tuple[int, ...]:
        """Indices of the blocks that a depth keeps, ascending.

        Raises:
            CheckpointError: if the network is not emitted at this depth.
        """
        if depth not in self.depths:
            raise CheckpointError(f"depth {depth} is not offered; this network has {', '.join(map(str, self.depths))}")
        return tuple(sorted(self.order[:depth]))


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeConfig(NetworkConfig):
    """Shape and arithmetic of a ``quantsr_c_edge`` network.

    Attributes:
        channels: width of the residual stream.
        depth_biases: whether each depth adds its own bias to the tail's.
        activation_bits: None: activations have as many bits as weights, and RLQ brings the residual stream to a grid of
            the block's own, as in the paper. 8: a block's first convolution reads the stream's own 8-bit codes, which
            saves that node; between its two convolutions codes have 8 bits too.
    """

    architecture: ClassVar[ArchitectureName] = ArchitectureName.QUANTSR_C_EDGE
    size_fields: ClassVar[tuple[str, ...]] = ("channels", "blocks")
    late_fields: ClassVar[tuple[str, ...]] = ("depth_biases", "activation_bits")

    channels: int = 32
    blocks: int = 8
    depths: tuple[int, ...] = (2, 4, 8)
    order: tuple[int, ...] = (0, 4, 2, 6, 1, 5, 3, 7)
    depth_biases: bool = False
    activation_bits: int | None = None

    def __post_init__(self) -> None:
        """See :class:`NetworkConfig`."""
        NetworkConfig.__post_init__(self)  # a slotted dataclass is made anew, which super() does not know
        self.refuse(
            {
                "channels": (1 <= self.channels <= MAX_CHANNELS, f"1 to {MAX_CHANNELS}"),
                "activation_bits": (
                    self.activation_bits is None or (self.activation_bits == 8 and self.bits is not None),
                    "8 in a quantized network, or none",
                ),
            }
        )

    @property
    def size(self) -> NetworkSize | None:
        """Member of the family; None for a shape that has no name."""
        return _SIZES.get((self.channels, self.blocks))

    @property
    def member(self) -> str:
        """See :class:`NetworkConfig`."""
        return "" if self.size in (None, NetworkSize.EDGE) else str(self.size)

    @property
    def reads_stream_codes(self) -> bool:
        """Whether a block's first convolution reads the residual stream's codes as they are."""
        return self.activation_bits is not None

    @property
    def body_activation_bits(self) -> int | None:
        """See :class:`NetworkConfig`."""
        return self.activation_bits or self.bits

    def tensor_shapes(self) -> Shapes:
        """See :class:`NetworkConfig`; convolution weights are OIHW."""
        width, outputs = self.channels, 3 * self.scale**2
        shapes: Shapes = {}

        def convolution(name: str, inputs: int, channels: int) -> None:
            shapes[f"{name}.weight"] = (channels, inputs, 3, 3)
            shapes[f"{name}.bias"] = (channels,)
            if self.bits:
                shapes[f"{name}.exponent" if self.profile is Profile.PORTABLE else f"{name}.step"] = (channels,)

        convolution("head", 3, width)
        for i in range(self.blocks):
            convolution(f"body.{i}.conv1", width, width)
            convolution(f"body.{i}.conv2", width, width)
            shapes[f"body.{i}.importance"] = ()
            if self.bits:
                if not self.reads_stream_codes:
                    shapes[f"body.{i}.quant1.step"] = ()
                    shapes[f"body.{i}.quant1.shift"] = (width,)
                shapes[f"body.{i}.quant2.step"] = ()
        convolution("tail", width, outputs)
        if self.depth_biases:
            shapes["tail_depth_bias"] = (len(self.depths), outputs)
        if self.bits:
            shapes["stream_step"] = ()
        return shapes


_SIZES = {(16, 4): NetworkSize.NANO, (32, 8): NetworkSize.EDGE, (48, 14): NetworkSize.PLUS}
"""The members of the family by channels and blocks."""
