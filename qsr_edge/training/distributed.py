"""One run in several processes, by torch's DistributedDataParallel under ``torchrun``; see docs/adr/0005.

Every process draws the same global batch from (seed, iteration) and trains on its own rows of it; gradients are
averaged. So a run in n processes computes what one process computes at the same global batch, up to the order of sums.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from qsr_edge.errors import TrainingError

_CPU = torch.device("cpu")


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """The processes of a run: this one's number, how many there are, and the device it trains on."""

    rank: int = 0
    size: int = 1
    device: torch.device = _CPU

    @property
    def is_first(self) -> bool:
        """Whether this process is the one that writes files and reports."""
        return self.rank == 0

    def wrapped(self, module: nn.Module) -> nn.Module:
        """``module`` with its gradients averaged over the processes."""
        if self.size == 1:
            return module
        devices = [self.device.index] if self.device.type == "cuda" else None
        return nn.parallel.DistributedDataParallel(module, device_ids=devices)

    def mean(self, value: Tensor) -> float:
        """The mean of a scalar over the processes."""
        if self.size > 1:
            torch.distributed.all_reduce(value)
        return value.item() / self.size

    def check_batch(self, batch: int) -> None:
        """Refuse a batch that the processes cannot share evenly.

        Raises:
            TrainingError: naming both numbers, and those that would do.
        """
        if batch % self.size:
            fitting = ", ".join(str(size) for size in range(1, batch + 1) if batch % size == 0)
            raise TrainingError(
                f"a batch of {batch} cannot be shared by {self.size} processes; start so many as divide it, one of "
                f"{fitting}, or use a recipe whose batch is a multiple of {self.size}"
            )


ALONE = World()
"""One process, on the CPU."""


@contextmanager
def world(device: str) -> Iterator[World]:
    """The processes that ``torchrun`` started, connected; a world of one without it.

    Args:
        device: ``"cpu"`` (connected by gloo) or ``"cuda"`` (one process per GPU, connected by NCCL).

    Raises:
        TrainingError: if there is no such device, or torchrun's settings are incomplete.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise TrainingError("torch finds no CUDA device here; use --device cpu")
    local = int(os.environ.get("LOCAL_RANK", "0"))
    chosen = torch.device("cuda", local) if device == "cuda" else torch.device("cpu")
    if "WORLD_SIZE" not in os.environ:
        yield World(device=chosen)
        return
    try:
        torch.distributed.init_process_group("nccl" if device == "cuda" else "gloo")
    except (ValueError, RuntimeError) as error:
        raise TrainingError(f"the processes cannot connect ({error}); start them with torchrun") from error
    try:
        yield World(rank=torch.distributed.get_rank(), size=torch.distributed.get_world_size(), device=chosen)
    finally:
        torch.distributed.destroy_process_group()
