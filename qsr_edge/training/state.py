"""What a run needs to go on after being stopped, and the move from one network to the next bit width."""

import dataclasses
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from qsr_edge.errors import CheckpointError, TrainingError
from qsr_edge.files import atomic_write
from qsr_edge.nn.checkpoint import Checkpoint, expected_shapes
from qsr_edge.nn.network import SuperResolutionNetwork, make_network


def network_from_checkpoint(checkpoint: Checkpoint) -> SuperResolutionNetwork:
    """The trained network as a torch module."""
    network = make_network(checkpoint.config)
    tensors = {name: torch.from_numpy(np.array(array)) for name, array in checkpoint.tensors.items()}
    result = network.load_state_dict(tensors, strict=False)
    # A float checkpoint has no step sizes, and the module has them all the same: only what should be there can be lost.
    lost = set(result.missing_keys) & expected_shapes(checkpoint.config).keys()
    if lost or result.unexpected_keys:
        names = ", ".join(sorted(lost.union(result.unexpected_keys)))
        raise CheckpointError(f"the checkpoint does not fit its configuration: {names}; train it anew")
    return network


def checkpoint_from_network(
    network: SuperResolutionNetwork, tensors: dict[str, Tensor], provenance: dict[str, object]
) -> Checkpoint:
    """A checkpoint of the network's configuration with ``tensors`` (its state, or the average of it)."""
    names = expected_shapes(network.config)
    return Checkpoint(
        config=network.config,
        tensors={name: tensors[name].detach().cpu().numpy().astype(np.float32) for name in names},
        provenance=provenance,
    )


def warm_start(network: SuperResolutionNetwork, start: Checkpoint) -> None:
    """Take over what fits from a network of another bit width or scale factor.

    Raises:
        TrainingError: if the architectures or sizes differ.
    """
    network.start_from(start.config, {name: torch.from_numpy(np.array(a)) for name, a in start.tensors.items()})


@dataclass(slots=True)
class TrainingState:
    """Everything that a step changes."""

    network: SuperResolutionNetwork
    optimizer: torch.optim.Optimizer
    average: dict[str, Tensor]
    settings: str
    """Recipe and start as text: a state made with others must not be resumed."""
    images: str
    """Digest of the training images, for the same reason."""
    iteration: int = 0

    def save(self, path: Path) -> None:
        """Write atomically: a run killed at any moment leaves the previous state whole."""
        buffer = io.BytesIO()
        state = {
            "settings": self.settings,
            "images": self.images,
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
        state = read_state(path, self.settings)
        if state["images"] != self.images:
            raise TrainingError(f"{path}: this training state is of a run with another set of images; {_ANOTHER}")
        try:
            self.network.load_state_dict(state["network"])
            self.optimizer.load_state_dict(state["optimizer"])
            device = next(self.network.parameters()).device
            self.average = {name: tensor.to(device) for name, tensor in state["average"].items()}
            self.iteration = int(state["iteration"])
            self.network.config = dataclasses.replace(self.network.config, order=tuple(state["order"]))
        except Exception as error:
            raise TrainingError(f"{path}: {_DAMAGED}") from error


_DAMAGED = "this training state is damaged; delete it to start anew"
_ANOTHER = "choose another output, or delete it to start anew"


def read_state(path: Path, settings: str) -> dict[str, Any]:
    """Read a saved state of a run with these settings, executing nothing that is in the file.

    Raises:
        TrainingError: if the file is damaged, or of a run with another recipe or start.
        OSError: if it cannot be read; it may be whole then.
    """
    content = path.read_bytes()
    try:
        state: dict[str, Any] = torch.load(io.BytesIO(content), weights_only=True, map_location="cpu")
        found, _, _ = str(state["settings"]), str(state["images"]), int(state["iteration"])
    except Exception as error:  # torch raises many kinds for a damaged file; all mean the same to the user
        raise TrainingError(f"{path}: {_DAMAGED}") from error
    if found != settings:
        raise TrainingError(f"{path}: this training state is of a run with another recipe or start; {_ANOTHER}")
    return state
