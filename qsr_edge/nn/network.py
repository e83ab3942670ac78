"""What the training loop asks of a network, of whatever architecture."""

from abc import ABC, abstractmethod
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from qsr_edge.errors import TrainingError
from qsr_edge.nn.config import NetworkConfig
from qsr_edge.nn.registry import ARCHITECTURES, load_attribute


class SuperResolutionNetwork(nn.Module, ABC):
    """A network at several depths, float (``config.bits is None``) or quantized.

    Learned step sizes are parameters whose names end with ``step``: the optimizer gives them a learning rate relative
    to their value. Tensors are those of ``config.tensor_shapes()``; a float network may have more.
    """

    config: NetworkConfig

    @abstractmethod
    def forward(self, codes: Tensor, depth: int) -> Tensor:
        """Upscale.

        Args:
            codes: (N, 3, H, W) float32, levels of the RGB image minus 128.
            depth: number of blocks, one of ``config.depths``.

        Returns:
            (N, 3, rH, rW) float32 levels minus 128, not rounded unless the architecture is integer throughout.
        """

    @abstractmethod
    def calibrate(self, codes: Tensor) -> None:
        """Set first step sizes from the float forward pass on ``codes``: (N, 3, H, W)."""

    @abstractmethod
    def normalize_importance(self, codes: Tensor) -> None:
        """Make the blocks' importances comparable before training, the function unchanged."""

    @abstractmethod
    def importance_order(self) -> tuple[int, ...]:
        """Block indices, most important first."""

    @abstractmethod
    def is_warm_startable(self, name: str, *, same_scale: bool) -> bool:
        """Whether a tensor of a network of the same size is taken over; step sizes are not, they are calibrated."""

    @torch.no_grad()
    def start_from(self, config: NetworkConfig, tensors: Mapping[str, Tensor]) -> None:
        """Take over what fits from a network of another bit width or scale factor.

        Raises:
            TrainingError: if the architectures or sizes differ.
        """
        if config.architecture is not self.config.architecture:
            raise TrainingError(
                f"the start is a {config.architecture.value}, the recipe's network a {self.config.architecture.value}; "
                "use a start of the same architecture"
            )
        fields = self.config.size_fields
        theirs, ours = ([getattr(of, field) for field in fields] for of in (config, self.config))
        if theirs != ours:
            start = " and ".join(f"{value} {field}" for value, field in zip(theirs, fields, strict=True))
            recipe = " and ".join(map(str, ours))
            raise TrainingError(f"the start has {start}, the recipe {recipe}; use a start of the same size")
        same_scale = config.scale == self.config.scale
        known = self.state_dict().keys()
        taken = {
            name: tensor
            for name, tensor in tensors.items()
            if name in known and self.is_warm_startable(name, same_scale=same_scale)
        }
        self.load_state_dict(taken, strict=False)


def make_network(config: NetworkConfig) -> SuperResolutionNetwork:
    """A network of this configuration, with random weights."""
    network: SuperResolutionNetwork = load_attribute(ARCHITECTURES.find(config.architecture).network)(config)
    return network
