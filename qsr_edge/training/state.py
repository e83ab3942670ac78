"""What a run needs to go on after being stopped, and the move from one network to the next bit width."""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from qsr_edge.data.atomic import atomic_write
from qsr_edge.errors import CheckpointError, TrainingError
from qsr_edge.nn.checkpoint import Checkpoint, expected_shapes
from qsr_edge.nn.config import EdgeConfig
from qsr_edge.nn.quantsr_c_edge import QuantsrCEdge


def network_from_checkpoint(checkpoint: Checkpoint) -> QuantsrCEdge:
    """The trained network as a torch module."""
    network = QuantsrCEdge(checkpoint.config)
    tensors = {name: torch.from_numpy(np.array(array)) for name, array in checkpoint.tensors.items()}
    result = network.load_state_dict(tensors, strict=False)
    # A float checkpoint has no step sizes, and the module has them all the same: only what should be there can be lost.
    lost = set(result.missing_keys) & expected_shapes(checkpoint.config).keys()
    if lost or result.unexpected_keys:
        names = ", ".join(sorted(lost.union(result.unexpected_keys)))
        raise CheckpointError(f"the checkpoint does not fit its configuration: {names}; train it anew")
    return network


def checkpoint_from_network(
    network: QuantsrCEdge, tensors: dict[str, Tensor], provenance: dict[str, object]
) -> Checkpoint:
    """A checkpoint of the network's configuration with ``tensors`` (its state, or the average of it)."""
    names = expected_shapes(network.config)
    return Checkpoint(
        config=network.config,
        tensors={name: tensors[name].detach().numpy().astype(np.float32) for name in names},
        provenance=provenance,
    )


def warm_start(network: QuantsrCEdge, start: Checkpoint) -> None:
    """Take over what fits from a network of another bit width or scale factor.

    Weights, biases, importances and shifts are taken; step sizes and exponents are not, they are calibrated anew.
    The tail is taken
    only at the same scale factor.

    Raises:
        TrainingError: if the widths or block counts differ.
    """
    if (start.config.channels, start.config.blocks) != (network.config.channels, network.config.blocks):
        raise TrainingError(
            f"the start has {start.config.channels} channels and {start.config.blocks} blocks, the recipe "
            f"{network.config.channels} and {network.config.blocks}; use a start of the same size"
        )
    taken = (".weight", ".bias", ".importance", ".shift")
    tensors = {name: torch.from_numpy(np.array(a)) for name, a in start.tensors.items() if name.endswith(taken)}
    if start.config.scale != network.config.scale:
        tensors = {name: tensor for name, tensor in tensors.items() if not name.startswith("tail.")}
        with torch.no_grad():
            network.tail.weight.mul_(0.1)
    known = network.state_dict().keys()
    network.load_state_dict({name: tensor for name, tensor in tensors.items() if name in known}, strict=False)


@dataclass(slots=True)
class TrainingState:
    """Everything that a step changes."""

    network: QuantsrCEdge
    optimizer: torch.optim.Optimizer
    average: dict[str, Tensor]
    run: str
    """What the run is made of, as text: a state of another recipe, start or number of images must not be resumed."""
    iteration: int = 0

    def save(self, path: Path) -> None:
        """Write atomically: a run killed at any moment leaves the previous state whole."""
        buffer = io.BytesIO()
        state = {
            "run": self.run,
            "iteration": self.iteration,
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average": self.average,
            "order": list(self.network.config.order),
        }
        torch.save(state, buffer)
        atomic_write(path, buffer.getvalue())

    def load(self, path: Path) -> None:
        """Restore a saved state.

        Raises:
            TrainingError: if the file is damaged or belongs to another run.
            OSError: if it cannot be read; it may be whole then.
        """
        content = path.read_bytes()
        try:
            state: dict[str, Any] = torch.load(io.BytesIO(content), weights_only=True)
            run = str(state["run"])
        except Exception as error:  # torch raises many kinds for a damaged file; all mean the same to the user
            raise TrainingError(f"{path}: this training state is damaged; delete it to start anew") from error
        if run != self.run:
            raise TrainingError(
                f"{path}: this training state is of a run with another recipe, start or set of images; "
                "choose another output, or delete it to start anew"
            )
        try:
            self.network.load_state_dict(state["network"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.average = state["average"]
            self.iteration = int(state["iteration"])
            self.network.config = with_order(self.network.config, tuple(state["order"]))
        except Exception as error:
            raise TrainingError(f"{path}: this training state is damaged; delete it to start anew") from error


def with_order(config: EdgeConfig, order: tuple[int, ...]) -> EdgeConfig:
    """The same configuration with another block order."""
    return EdgeConfig(
        scale=config.scale,
        channels=config.channels,
        blocks=config.blocks,
        depths=config.depths,
        order=order,
        bits=config.bits,
        profile=config.profile,
    )
