"""What a ``quantsr_c`` network is, without torch: the paper's convolutional network."""

from dataclasses import dataclass
from typing import ClassVar

from qsr_edge.nn.config import MAX_CHANNELS, ArchitectureName, NetworkConfig, Shapes
from qsr_edge.quant.arithmetic import Profile

RGB_MEAN = (0.4488, 0.4371, 0.4040)
"""Mean of DIV2K's pixels in [0, 1], which the network subtracts from its input and adds to its output."""


def upsampling_factors(scale: int) -> tuple[int, ...]:
    """Pixel shuffles of the upsampler, one after the other: x4 is two by 2, x2 and x3 are one."""
    return (2, 2) if scale == 4 else (scale,)


def nested_depths(blocks: int) -> tuple[int, ...]:
    """Kept blocks of the official versions 2, 1 and 0, ascending: N/4 + 1, N/2 + 1 and all of N."""
    return tuple(sorted({min(blocks // 4 + 1, blocks), min(blocks // 2 + 1, blocks), blocks}))


def shortcut_order(shortcuts: list[float]) -> tuple[int, ...]:
    """Block indices by ``|shortcut|``, smallest first: what passes by a block least needs the block most.

    The published order of the released file begins with late blocks and ends with the first ones, and in networks
    trained here the blocks that every depth keeps come to have the smallest shortcuts; no paper says it.
    """
    return tuple(sorted(range(len(shortcuts)), key=lambda i: (abs(shortcuts[i]), i)))


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantsrCConfig(NetworkConfig):
    """Shape and arithmetic of a ``quantsr_c`` network.

    Only the body is quantized by training. A *calibrated* network also knows the step sizes of everything else, and can
    be lowered to integers.

    Attributes:
        channels: width of the residual stream.
        signed: for each body convolution, conv1 and conv2 of block 0 first, 1 if its input has signed codes, else 0;
            empty for 1, 0, 1, 0, ...: the stream is signed, what leaves the ReLU is not.
        calibrated: 1 if the step sizes of residual stream, head, upsampler and tail are among the tensors, else 0.
    """

    architecture: ClassVar[ArchitectureName] = ArchitectureName.QUANTSR_C
    size_fields: ClassVar[tuple[str, ...]] = ("channels", "blocks")

    channels: int = 64
    blocks: int = 32
    depths: tuple[int, ...] = (9, 17, 32)
    order: tuple[int, ...] = tuple(range(32))
    profile: Profile = Profile.SCALED
    signed: tuple[int, ...] = ()
    calibrated: int = 0

    def __post_init__(self) -> None:
        """See :class:`NetworkConfig`."""
        NetworkConfig.__post_init__(self)  # a slotted dataclass is made anew, which super() does not know
        self.refuse(
            {
                "channels": (1 <= self.channels <= MAX_CHANNELS, f"1 to {MAX_CHANNELS}"),
                "profile": (self.profile is Profile.SCALED, Profile.SCALED),
                "signed": (
                    len(self.signed) in (0, 2 * self.blocks) and set(self.signed) <= {0, 1},
                    f"{2 * self.blocks} entries of 0 or 1, or none",
                ),
                "calibrated": (
                    self.calibrated in (0, 1) and (self.calibrated == 0 or self.bits is not None),
                    "0, or 1 for a quantized network",
                ),
            }
        )

    def has_signed_input(self, block: int, conv: int) -> bool:
        """Whether the input of a block's convolution 0 or 1 has signed codes."""
        return bool(self.signed[2 * block + conv]) if self.signed else conv == 0

    def tensor_shapes(self) -> Shapes:
        """See :class:`NetworkConfig`; convolution weights are OIHW."""
        width = self.channels
        shapes: Shapes = {}

        def convolution(name: str, inputs: int, outputs: int) -> None:
            shapes[f"{name}.weight"] = (outputs, inputs, 3, 3)
            shapes[f"{name}.bias"] = (outputs,)

        convolution("conv_first", 3, width)
        for i in range(self.blocks):
            shapes[f"body.{i}.shortcut"] = ()
            for conv in ("conv1", "conv2"):
                name = f"body.{i}.{conv}"
                convolution(name, width, width)
                if self.bits:
                    shapes[f"{name}.activation.step"] = ()
                    shapes[f"{name}.activation.shift"] = (width,)
                    shapes[f"{name}.weight_quantizer.step"] = ()
        convolution("conv_after_body", width, width)
        for k, factor in enumerate(upsampling_factors(self.scale)):
            convolution(f"upsample.{k}", width, factor**2 * width)
            if self.calibrated:
                shapes[f"upsample.{k}.output_step"] = (width,)
        convolution("conv_last", width, 3)
        if self.calibrated:
            shapes["stream_step"] = (width,)
            shapes["features_step"] = (width,)
        return shapes
