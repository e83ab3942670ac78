"""Batches for the steps of a run: cut out on the CPU, or on the GPU from images that stay there.

Either way iteration i's patches depend on the recipe's seed and i alone, and they are the same ones.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from qsr_edge.data.degradation import Degradation
from qsr_edge.quant.arithmetic import IMAGE_ZERO
from qsr_edge.recipe.train import TrainRecipe
from qsr_edge.training.distributed import World
from qsr_edge.training.patches import Ahead, ImagePair, PatchDraw, draw_patches, plain_pairs, sample_batch, turned

_RESIDENT_SHARE = 0.5
"""The share of a device's free memory that its images may take; the network's activations need the rest."""

Batch = tuple[Tensor, Tensor, np.random.Generator]
"""Low- and high-resolution codes, (N, 3, P, P) channels last and (N, 3, rP, rP) float32; what else is drawn from."""


class Feed(Protocol):
    """Where a run's batches come from."""

    @property
    def waiting_s(self) -> float:
        """Seconds that the steps have waited for batches."""
        ...

    def take(self) -> Batch:
        """The next iteration's batch: the rows of this process, on its device."""
        ...


class _CpuFeed:
    def __init__(self, loader: Ahead[tuple[NDArray[np.float32], NDArray[np.float32]]], world: World):
        self._loader, self._world = loader, world

    @property
    def waiting_s(self) -> float:
        return self._loader.waiting_s

    def take(self) -> Batch:
        (low, high), rng = self._loader.take()
        codes, target = (torch.from_numpy(part[_rows(len(part), self._world)]) for part in (low, high))
        device = self._world.device
        return codes.to(device).contiguous(memory_format=torch.channels_last), target.to(device), rng


class _ResidentFeed:
    def __init__(self, loader: Ahead[tuple[PatchDraw, ...]], images: "ResidentImages", world: World):
        self._loader, self._images, self._world = loader, images, world

    @property
    def waiting_s(self) -> float:
        return self._loader.waiting_s

    def take(self) -> Batch:
        draws, rng = self._loader.take()
        low, high = self._images.cut(draws[_rows(len(draws), self._world)])
        return low.contiguous(memory_format=torch.channels_last), high, rng


def _rows(batch: int, world: World) -> slice:
    return slice(world.rank * batch // world.size, (world.rank + 1) * batch // world.size)


class ResidentImages:
    """Image pairs in a device's memory; patches are gathered there."""

    def __init__(self, pairs: Sequence[ImagePair], *, patch_px: int, scale: int, device: torch.device):
        """Copy ``pairs`` to ``device``; patches of ``patch_px`` low-resolution pixels will be cut."""
        self._device = device
        self._sides = [
            _ResidentSide([pair.lr for pair in pairs], patch_px, 1, device),
            _ResidentSide([pair.hr for pair in pairs], patch_px * scale, scale, device),
        ]

    def cut(self, draws: Sequence[PatchDraw]) -> tuple[Tensor, Tensor]:
        """The patches: codes (N, 3, P, P) and (N, 3, rP, rP) float32, as :func:`sample_batch` cuts them."""
        table = [(draw.image, draw.y, draw.x, 2 * draw.turns + draw.flip, *draw.colours) for draw in draws]
        columns = torch.tensor(table, dtype=torch.int64).to(self._device, non_blocking=True)
        low, high = (side.cut(columns) for side in self._sides)
        return low, high


class _ResidentSide:
    """The images of one resolution, one after the other, and where a patch's pixels lie from its first one."""

    def __init__(self, images: Sequence[NDArray[np.uint8]], side_px: int, factor: int, device: torch.device):
        ends = np.cumsum([image.size for image in images])
        self._factor = factor
        self._pixels = torch.from_numpy(np.concatenate([image.ravel() for image in images])).to(device)
        self._starts = torch.from_numpy(np.concatenate([[0], ends[:-1]])).to(device)
        self._widths = torch.tensor([image.shape[1] for image in images], dtype=torch.int64, device=device)
        places: NDArray[np.int64] = np.moveaxis(np.indices((side_px, side_px), np.int64), 0, -1)
        kinds = [turned(places, turns, flip) for turns in range(4) for flip in (False, True)]
        self._places = torch.from_numpy(np.stack(kinds)).to(device)

    def cut(self, columns: Tensor) -> Tensor:
        image, y, x, kind, *colours = columns.unbind(1)
        rows, places = self._widths[image].reshape(-1, 1, 1), self._places[kind]
        row = y.reshape(-1, 1, 1) * self._factor + places[..., 0]
        column = x.reshape(-1, 1, 1) * self._factor + places[..., 1]
        pixel = self._starts[image].reshape(-1, 1, 1) + (row * rows + column) * 3
        index = pixel.unsqueeze(1) + torch.stack(colours, dim=1).reshape(-1, 3, 1, 1)
        return self._pixels[index].float() - IMAGE_ZERO


def _fits(pairs: Sequence[ImagePair], device: torch.device) -> bool:
    free, _ = torch.cuda.mem_get_info(device)
    return sum(pair.hr.size + pair.lr.size for pair in pairs) <= free * _RESIDENT_SHARE


@contextmanager
def feed(recipe: TrainRecipe, images: Sequence[ImagePair], world: World, *, first: int) -> Iterator[Feed]:
    """Batches from iteration ``first`` on.

    On a GPU whose memory holds the images they are cut there; degraded inputs are always made on the CPU.
    """
    device = world.device
    if recipe.plain_colours:
        images = [*images, *plain_pairs(recipe.patch_px, recipe.scale)]
    if device.type == "cuda" and recipe.degradation is Degradation.NONE and _fits(images, device):
        resident = ResidentImages(images, patch_px=recipe.patch_px, scale=recipe.scale, device=device)
        draw = partial(
            draw_patches, images, batch=recipe.batch, patch_px=recipe.patch_px, permute_colours=recipe.permute_colours
        )
        with Ahead(draw, seed=recipe.seed, first=first) as draws:
            yield _ResidentFeed(draws, resident, world)
        return
    sample = partial(
        sample_batch,
        images,
        batch=recipe.batch,
        patch_px=recipe.patch_px,
        scale=recipe.scale,
        permute_colours=recipe.permute_colours,
        degradation=recipe.degradation,
    )
    with Ahead(sample, seed=recipe.seed, first=first) as batches:
        yield _CpuFeed(batches, world)
