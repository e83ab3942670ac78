"""Every architecture, by the name that checkpoints and recipes carry. Nothing here imports torch or a lowering pass."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from qsr_edge.errors import ArchitectureError, CheckpointError
from qsr_edge.nn.config import ArchitectureName, EdgeConfig, NetworkConfig
from qsr_edge.nn.quantsr_c_config import QuantsrCConfig
from qsr_edge.nn.swin_config import SwinConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """One architecture.

    Attributes:
        config_type: its configuration; it names the architecture and lists the tensors of a checkpoint.
        network: ``module:class`` of the torch module, a :class:`qsr_edge.nn.network.SuperResolutionNetwork`.
        lowering: ``module:function`` from a checkpoint to a :class:`qsr_edge.lowering.network.LoweredNetwork`.
        model_stem: what files made from such a network are called first.
    """

    config_type: type[NetworkConfig]
    network: str
    lowering: str
    model_stem: str

    @property
    def name(self) -> ArchitectureName:
        """The name that checkpoints carry."""
        return self.config_type.architecture


def load_attribute(path: str) -> Any:
    """What ``module:attribute`` names; the module is imported now, not before."""
    module, _, attribute = path.partition(":")
    return getattr(import_module(module), attribute)


class ArchitectureRegistry:
    """Architectures by name."""

    def __init__(self, architectures: Iterable[Architecture] = ()):
        """Register these, in this order."""
        self._by_name: dict[ArchitectureName, Architecture] = {}
        for architecture in architectures:
            self.add(architecture)

    def add(self, architecture: Architecture) -> None:
        """Register one more.

        Raises:
            ArchitectureError: if its name is taken; the registry is unchanged then.
        """
        if architecture.name in self._by_name:
            raise ArchitectureError(f"the architecture {architecture.name.value!r} is registered already")
        self._by_name[architecture.name] = architecture

    def find(self, name: object) -> Architecture:
        """The architecture of this name.

        Raises:
            CheckpointError: if there is none, naming those there are.
        """
        if not isinstance(name, str) or name not in self._by_name:
            known = ", ".join(architecture.name for architecture in self)
            raise CheckpointError(f"unknown architecture {name!r}; known are {known}")
        return self._by_name[ArchitectureName(name)]

    def __iter__(self) -> Iterator[Architecture]:
        """The architectures, in order of registration."""
        return iter(self._by_name.values())


ARCHITECTURES = ArchitectureRegistry(
    (
        Architecture(
            config_type=EdgeConfig,
            network="qsr_edge.nn.quantsr_c_edge:QuantsrCEdge",
            lowering="qsr_edge.lowering.edge:lower_checkpoint",
            model_stem="qsr-edge",
        ),
        Architecture(
            config_type=QuantsrCConfig,
            network="qsr_edge.nn.quantsr_c:QuantsrC",
            lowering="qsr_edge.lowering.quantsr_c:lower_checkpoint",
            model_stem="quantsr-c",
        ),
        Architecture(
            config_type=SwinConfig,
            network="qsr_edge.nn.quantsr_t:QuantsrT",
            lowering="qsr_edge.lowering.swin:lower_checkpoint",
            model_stem="quantsr-t",
        ),
    )
)
"""The visible list."""
