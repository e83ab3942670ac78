"""The training loop: float or quantization-aware, depth-dynamic, resumable.

Each step minimizes L1(deepest) + shallow_weight * L1(one shallower depth drawn at random), both against the
high-resolution image.
"""

import hashlib
import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from qsr_edge.errors import OutputExistsError, TrainingError
from qsr_edge.metrics import psnr_y
from qsr_edge.nn.checkpoint import Checkpoint, write_checkpoint
from qsr_edge.nn.config import IMAGE_ZERO, EdgeConfig
from qsr_edge.nn.quantsr_c_edge import QuantsrCEdge
from qsr_edge.recipe.train import TrainRecipe
from qsr_edge.training.patches import ImagePair, sample_batch
from qsr_edge.training.state import TrainingState, checkpoint_from_network, warm_start, with_order

_CALIBRATION_PATCHES = 32
_SMALLEST_STEP = 1e-8
_CALIBRATION_STREAM = 1 << 32
"""Seed-sequence words apart from every iteration's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """What a running training tells."""

    iteration: int
    iterations: int
    loss: float
    validation_psnr_db: float | None


def initial_network(recipe: TrainRecipe, start: Checkpoint | None, pairs: list[ImagePair]) -> QuantsrCEdge:
    """A network ready for the first step: warm-started; calibrated, or its importances normalized, on patches."""
    torch.manual_seed(recipe.seed)
    config = EdgeConfig(
        scale=recipe.scale,
        channels=recipe.channels,
        blocks=recipe.blocks,
        depths=recipe.depths,
        order=start.config.order if start and start.config.blocks == recipe.blocks else tuple(range(recipe.blocks)),
        bits=recipe.bits or None,
        profile=recipe.profile,
    )
    network = QuantsrCEdge(config)
    if start is not None:
        warm_start(network, start)
    rng = np.random.default_rng([recipe.seed, _CALIBRATION_STREAM])
    low, _ = sample_batch(pairs, rng, batch=_CALIBRATION_PATCHES, patch_px=recipe.patch_px, scale=recipe.scale)
    if config.bits:
        network.calibrate(torch.from_numpy(low))
    elif recipe.order_iteration:
        network.normalize_importance(torch.from_numpy(low))
    return network


def make_optimizer(network: QuantsrCEdge, recipe: TrainRecipe) -> torch.optim.Adam:
    """Adam; a step size's learning rate is relative to its first value, since Adam's updates are absolute."""
    steps = [p for name, p in network.named_parameters() if name.endswith("step") and p.requires_grad]
    weights = [p for name, p in network.named_parameters() if not name.endswith("step")]
    groups = [{"params": weights, "lr": recipe.learning_rate}]
    groups += [{"params": [p], "lr": recipe.learning_rate * p.detach().mean().item()} for p in steps]
    for group in groups:
        group["initial_lr"] = group["lr"]
    return torch.optim.Adam(groups)


def _set_learning_rate(state: TrainingState, recipe: TrainRecipe) -> None:
    factor = 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * state.iteration / recipe.iterations))
    for group in state.optimizer.param_groups:
        group["lr"] = group["initial_lr"] * factor


def _step(state: TrainingState, recipe: TrainRecipe, pairs: list[ImagePair]) -> float:
    rng = np.random.default_rng([recipe.seed, state.iteration])
    low, high = sample_batch(pairs, rng, batch=recipe.batch, patch_px=recipe.patch_px, scale=recipe.scale)
    codes, target = torch.from_numpy(low), torch.from_numpy(high)
    network = state.network
    loss = (network(codes, recipe.depths[-1]) - target).abs().mean()
    value: float = loss.item() / 255
    if len(recipe.depths) > 1 and recipe.shallow_weight:
        depth = recipe.depths[int(rng.integers(len(recipe.depths) - 1))]
        loss = loss + recipe.shallow_weight * (network(codes, depth) - target).abs().mean()
    _set_learning_rate(state, recipe)
    state.optimizer.zero_grad(set_to_none=True)
    (loss / 255).backward()
    norm = torch.nn.utils.clip_grad_norm_(network.parameters(), recipe.gradient_clip)
    if not (math.isfinite(value) and math.isfinite(norm.item())):
        raise TrainingError(
            f"{recipe.name}: the loss or its gradient is not finite at iteration {state.iteration}; "
            "start anew with a lower learning_rate and another output; the last saved state is intact"
        )
    state.optimizer.step()
    state.iteration += 1
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.endswith("step"):
                parameter.clamp_(min=_SMALLEST_STEP)
    decay = min(recipe.ema_decay, state.iteration / (state.iteration + 10))
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            state.average[name].lerp_(tensor, 1 - decay)
    return value


@torch.no_grad()
def validation_psnr_db(network: QuantsrCEdge, tensors: dict[str, Tensor], pairs: list[ImagePair], depth: int) -> float:
    """Mean luma PSNR in dB of the network with ``tensors`` on image pairs, rounded to uint8 as when deployed."""
    total = 0.0
    for pair in pairs:
        codes = torch.from_numpy(pair.lr.astype(np.float32).transpose(2, 0, 1)[None] - IMAGE_ZERO)
        image: Tensor = torch.func.functional_call(network, tensors, (codes, depth))
        levels = (torch.floor(image[0] + 0.5) + IMAGE_ZERO).clamp(0, 255).numpy().astype(np.uint8).transpose(1, 2, 0)
        total += psnr_y(np.ascontiguousarray(levels), pair.hr, border_px=network.config.scale)
    return float(total / len(pairs))


def _description_of_run(recipe: TrainRecipe, pairs: list[ImagePair], start: Checkpoint | None) -> str:
    """Recipe, images and start as text; equal for equal runs."""
    images = hashlib.sha256()
    for pair in pairs:
        images.update(repr(pair.hr.shape).encode())
        images.update(pair.hr.tobytes())
    weights = hashlib.sha256()
    if start is not None:
        for name, array in sorted(start.tensors.items()):
            weights.update(name.encode())
            weights.update(array.tobytes())
        weights.update(repr(start.config).encode())
    table = {"recipe": asdict(recipe), "images": images.hexdigest(), "start": weights.hexdigest()}
    return json.dumps(table, sort_keys=True)


def state_path(output: Path) -> Path:
    """Where a run that will write ``output`` keeps its state meanwhile."""
    return output.with_name(output.name + ".state")


def check_output(output: Path) -> None:
    """Refuse an output before any work is spent on it.

    Raises:
        TrainingError: if its folder is missing.
        OutputExistsError: if it exists and is no run that can be resumed.
    """
    if not output.parent.is_dir():
        raise TrainingError(f"{output}: there is no folder {output.parent}; make it first")
    if output.exists() and not state_path(output).exists():
        raise OutputExistsError(f"{output}: exists already; choose another output, or move it away")


def train(
    recipe: TrainRecipe,
    pairs: list[ImagePair],
    output: Path,
    *,
    start: Checkpoint | None = None,
    data_description: str = "",
    save_every: int = 500,
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> Checkpoint:
    """Run a recipe to its end, going on from ``<output>.state`` if that is there.

    Args:
        recipe: the settings.
        pairs: image pairs; the last ``recipe.validation_images`` only show progress.
        output: checkpoint to write; the running average of the weights.
        start: network to start from; random weights otherwise.
        data_description: what the images are, for the provenance.
        save_every: iterations between saved states.
        on_progress: called after every step; PSNR only after a save.

    Returns:
        The checkpoint that was written.

    Raises:
        TrainingError: too few images, a start or a saved state that does not fit, or a loss that is not finite.
        OutputExistsError: if the output exists and is not this run's.
    """
    if len(pairs) <= recipe.validation_images:
        raise TrainingError(
            f"{recipe.name}: {len(pairs)} images are too few to hold out {recipe.validation_images}; give more"
        )
    check_output(output)
    state_file = state_path(output)
    held_out, pairs = pairs[-recipe.validation_images :], pairs[: -recipe.validation_images]
    network = initial_network(recipe, start, pairs)
    state = TrainingState(
        network=network,
        optimizer=make_optimizer(network, recipe),
        average={name: tensor.clone() for name, tensor in network.state_dict().items()},
        run=_description_of_run(recipe, pairs, start),
    )
    if state_file.exists():
        state.load(state_file)
    while state.iteration < recipe.iterations:
        loss = _step(state, recipe, pairs)
        if state.iteration == recipe.order_iteration:
            network.config = with_order(network.config, network.importance_order())
        psnr_db = None
        if state.iteration % save_every == 0 or state.iteration == recipe.iterations:
            state.save(state_file)
            psnr_db = validation_psnr_db(network, state.average, held_out, recipe.blocks)
        on_progress(
            Progress(iteration=state.iteration, iterations=recipe.iterations, loss=loss, validation_psnr_db=psnr_db)
        )
    images = len(pairs)
    provenance: dict[str, object] = {
        "recipe": asdict(recipe),
        "data": data_description,
        "training_images": images,
        "epochs": round(recipe.iterations * recipe.batch / images, 1),
        "start": start.provenance if start else None,
        "torch": torch.__version__,
    }
    checkpoint = checkpoint_from_network(network, state.average, provenance)
    write_checkpoint(output, checkpoint)
    return checkpoint
