"""What a ``quantsr_t`` network is, without torch."""

from dataclasses import dataclass
from typing import ClassVar

from qsr_edge.nn.config import ArchitectureName, NetworkConfig, Shapes
from qsr_edge.quant.arithmetic import Profile

MLP_RATIO = 2
"""Width of the hidden layer in units of the channels, in every light SwinIR."""
RGB_MEAN = (0.4488, 0.4371, 0.4040)
"""Mean of DIV2K, which SwinIR subtracts; in [0, 1]."""
EDGE_BITS = 8
"""Bit width of the weights of the first convolution, the one after the body and the last; and of the second's input."""
MASKED = -100.0
"""What is added to a score between pixels that only the cyclic shift has brought together, as SwinIR does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SwinConfig(NetworkConfig):
    """Shape of a ``quantsr_t`` network: the light SwinIR, a block being one Swin transformer layer.

    Attributes:
        channels: width of the residual stream.
        groups: residual Swin transformer blocks (RSTBs), each with as many layers and a 3x3 convolution.
        heads: attention heads of every layer.
        window_px: side of an attention window; layers of odd index in a group shift theirs by half of it.
    """

    architecture: ClassVar[ArchitectureName] = ArchitectureName.QUANTSR_T
    size_fields: ClassVar[tuple[str, ...]] = ("channels", "blocks", "groups", "heads", "window_px")

    channels: int = 60
    blocks: int = 24
    depths: tuple[int, ...] = (6, 12, 24)
    order: tuple[int, ...] = tuple(range(24))
    groups: int = 4
    heads: int = 6
    window_px: int = 8
    profile: Profile = Profile.SCALED

    def __post_init__(self) -> None:
        """See :class:`~qsr_edge.nn.config.NetworkConfig`."""
        NetworkConfig.__post_init__(self)
        self.refuse(
            {
                # Sums of squares in the integer layer normalization must stay below 2^31.
                "channels": (1 <= self.channels <= 120, "1 to 120"),
                "groups": (self.groups >= 1 and self.blocks % self.groups == 0, f"a divisor of blocks = {self.blocks}"),
                "heads": (
                    self.heads >= 1 and self.channels % self.heads == 0,
                    f"a divisor of channels = {self.channels}",
                ),
                "window_px": (self.window_px in (4, 8), "4 or 8"),
                "profile": (not self.bits or self.profile is Profile.SCALED, Profile.SCALED),
            }
        )

    @property
    def layers(self) -> int:
        """Layers of one group."""
        return self.blocks // self.groups

    def kept_layers(self, depth: int) -> tuple[tuple[int, ...], ...]:
        """For each group the indices of the layers that a depth keeps; a group without any is left out whole."""
        kept = self.kept_blocks(depth)
        return tuple(
            tuple(i - group * self.layers for i in kept if i // self.layers == group) for group in range(self.groups)
        )

    def tensor_shapes(self) -> Shapes:
        """See :class:`~qsr_edge.nn.config.NetworkConfig`; convolution weights are OIHW, names are SwinIR's."""
        width, hidden = self.channels, MLP_RATIO * self.channels
        shapes: Shapes = {}

        def weights(
            name: str, outputs: int, inputs: int, *kernel: int, shifted: bool = True, step: bool = True
        ) -> None:
            shapes[f"{name}.weight"] = (outputs, inputs, *kernel)
            shapes[f"{name}.bias"] = (outputs,)
            if self.bits:
                shapes[f"{name}.weight_quantizer.step"] = (outputs, 1, *[1] * len(kernel))
                if step:
                    shapes[f"{name}.activation.step"] = ()
                if step and shifted:
                    shapes[f"{name}.activation.shift"] = (inputs,)

        def norm(name: str) -> None:
            shapes[f"{name}.weight"] = (width,)
            shapes[f"{name}.bias"] = (width,)

        def steps(*names: str) -> None:
            if self.bits:
                shapes.update({f"{name}.step": () for name in names})

        weights("conv_first", width, 3, 3, 3, step=False)
        norm("patch_embed.norm")
        for group in range(self.groups):
            for layer in range(self.layers):
                name = f"layers.{group}.residual_group.blocks.{layer}"
                shapes[f"{name}.importance"] = ()
                shapes[f"{name}.attn.relative_position_bias_table"] = ((2 * self.window_px - 1) ** 2, self.heads)
                norm(f"{name}.norm1")
                weights(f"{name}.attn.qkv", 3 * width, width)
                steps(f"{name}.attn.query", f"{name}.attn.key", f"{name}.attn.value")
                weights(f"{name}.attn.proj", width, width)
                norm(f"{name}.norm2")
                weights(f"{name}.mlp.fc1", hidden, width)
                steps(f"{name}.mlp.hidden")
                weights(f"{name}.mlp.fc2", width, hidden)
            weights(f"layers.{group}.conv", width, width, 3, 3)
        norm("norm")
        weights("conv_after_body", width, width, 3, 3, shifted=False)
        weights("upsample.0", 3 * self.scale**2, width, 3, 3, step=False)
        steps("shallow", "stream")
        return shapes
