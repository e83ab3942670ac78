"""The training loop: float or quantization-aware, depth-dynamic, resumable, in one process or several.

What a step minimizes stands in :mod:`qsr_edge.training.objective`.
"""

import dataclasses
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from qsr_edge.errors import OutputExistsError, TrainingError
from qsr_edge.files import hold
from qsr_edge.nn.checkpoint import Checkpoint, write_checkpoint
from qsr_edge.nn.network import SuperResolutionNetwork, make_network
from qsr_edge.recipe.train import TrainRecipe
from qsr_edge.training.distributed import ALONE, World
from qsr_edge.training.feed import feed
from qsr_edge.training.journal import Journal, picture_grid
from qsr_edge.training.objective import Objective, draws_depth
from qsr_edge.training.patches import TrainingImages, sample_batch
from qsr_edge.training.state import (
    TrainingState,
    checkpoint_from_network,
    network_from_checkpoint,
    read_state,
    warm_start,
)
from qsr_edge.training.step import CapturedStep, EagerStep, refuse_infinite
from qsr_edge.training.validation import upscaled, validation_psnr_db

_CALIBRATION_PATCHES = 32
_CALIBRATION_STREAM = 1 << 32
"""Seed-sequence words apart from every iteration's."""
_PICTURES = 4
"""Held-out images in a grid."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """What a running training tells.

    Attributes:
        iteration: steps done.
        iterations: steps in all.
        loss: mean absolute error of the deepest depth in this step's batch, 1 = 255 levels.
        waiting_share: share of the time since the start that was spent waiting for batches, in [0, 1].
        psnr_db: luma PSNR of the averaged weights on the held-out images by depth; None between validations.
    """

    iteration: int
    iterations: int
    loss: float
    waiting_share: float
    psnr_db: dict[int, float] | None = None


class StoppedError(TrainingError):
    """The run was asked to stop, and has saved its state."""


def calibration_patches(recipe: TrainRecipe, images: TrainingImages) -> Tensor:
    """Low-resolution codes to calibrate on, the same for every network of a recipe: (32, 3, P, P) float32."""
    rng = np.random.default_rng([recipe.seed, _CALIBRATION_STREAM])
    low, _ = sample_batch(images, rng, batch=_CALIBRATION_PATCHES, patch_px=recipe.patch_px, scale=recipe.scale)
    return torch.from_numpy(low)


def initial_network(recipe: TrainRecipe, start: Checkpoint | None, images: TrainingImages) -> SuperResolutionNetwork:
    """A network ready for the first step: warm-started; calibrated, or its importances normalized, on patches."""
    torch.manual_seed(recipe.seed)
    order = start.config.order if start and start.config.blocks == recipe.blocks else None
    network = make_network(recipe.config(order))
    if start is not None:
        warm_start(network, start)
    if recipe.bits:
        network.calibrate(calibration_patches(recipe, images))
    elif recipe.order_iteration:
        network.normalize_importance(calibration_patches(recipe, images))
    return network


def make_optimizer(network: torch.nn.Module, recipe: TrainRecipe) -> torch.optim.Adam:
    """Adam; a step size's learning rate is relative to its first value, since Adam's updates are absolute."""
    steps = [p for name, p in network.named_parameters() if name.endswith("step") and p.requires_grad]
    weights = [p for name, p in network.named_parameters() if not name.endswith("step")]
    groups = [{"params": weights, "lr": recipe.learning_rate}]
    groups += [{"params": [p], "lr": recipe.learning_rate * p.detach().mean().item()} for p in steps]
    for group in groups:
        group["initial_lr"] = group["lr"]
    return torch.optim.Adam(groups)


def _steps(
    state: TrainingState,
    recipe: TrainRecipe,
    images: TrainingImages,
    teacher: Callable[[Tensor], Tensor] | None,
    world: World,
) -> Iterator[Progress]:
    """Train to the end, handing over after every step."""
    world.check_batch(recipe.batch)
    objective = world.wrapped(Objective(state.network, recipe, teacher))
    captured = world.device.type == "cuda" and world.size == 1
    step = CapturedStep(state, recipe, objective) if captured else EagerStep(state, recipe, objective, world)
    started = time.monotonic()
    with feed(recipe, images, world, first=state.iteration) as batches:
        while state.iteration < recipe.iterations:
            codes, target, rng = batches.take()
            depth = recipe.depths[int(rng.integers(len(recipe.depths) - 1))] if draws_depth(recipe) else None
            loss = step(codes, target, depth)
            yield Progress(
                iteration=state.iteration,
                iterations=recipe.iterations,
                loss=loss,
                waiting_share=batches.waiting_s / max(time.monotonic() - started, 1e-9),
            )


def _first_state(
    network: SuperResolutionNetwork, recipe: TrainRecipe, settings: str = "", images: str = ""
) -> TrainingState:
    return TrainingState(
        network=network,
        optimizer=make_optimizer(network, recipe),
        average={name: tensor.clone() for name, tensor in network.state_dict().items()},
        settings=settings,
        images=images,
    )


def fit(
    network: SuperResolutionNetwork,
    recipe: TrainRecipe,
    images: TrainingImages,
    *,
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> dict[str, Tensor]:
    """Train a network in memory, in this process, without a file; the block order stays as it is.

    Args:
        network: warm-started and calibrated.
        recipe: the settings.
        images: all are trained on.
        on_progress: called after every step.

    Returns:
        The running average of the network's state.

    Raises:
        TrainingError: if the loss is not finite.
    """
    state = _first_state(network, recipe)
    for progress in _steps(state, recipe, images, None, ALONE):
        on_progress(progress)
    return state.average


def _digest(checkpoint: Checkpoint | None) -> str:
    if checkpoint is None:
        return ""
    weights = hashlib.sha256(repr(checkpoint.config).encode())
    for name, array in sorted(checkpoint.tensors.items()):
        weights.update(name.encode())
        weights.update(array.tobytes())
    return weights.hexdigest()


def _settings(recipe: TrainRecipe, start: Checkpoint | None, teacher: Checkpoint | None) -> str:
    """Recipe, start and teacher as text; equal for equal runs."""
    return json.dumps({"recipe": asdict(recipe), "start": _digest(start), "teacher": _digest(teacher)}, sort_keys=True)


def state_path(output: Path) -> Path:
    """Where a run that will write ``output`` keeps its state meanwhile."""
    return output.with_name(output.name + ".state")


def check_folder(output: Path) -> None:
    """Refuse an output in a folder that does not exist or cannot be written to.

    Raises:
        TrainingError: naming the folder.
    """
    if not output.parent.is_dir():
        raise TrainingError(f"{output}: there is no folder {output.parent}; make it first")
    if not os.access(output.parent, os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids):
        raise TrainingError(
            f"{output}: no permission to write in {output.parent}; choose another folder, or change its permissions"
        )


def check_output(
    output: Path, recipe: TrainRecipe, start: Checkpoint | None = None, teacher: Checkpoint | None = None
) -> None:
    """Refuse an output before any work is spent on it.

    Raises:
        TrainingError: if its folder is missing, or it belongs to a run with another recipe, start or teacher.
        OutputExistsError: if it exists and is no run that can be resumed.
    """
    check_folder(output)
    state = state_path(output)
    if state.exists():
        read_state(state, _settings(recipe, start, teacher))
    elif output.exists():
        raise OutputExistsError(f"{output}: exists already; choose another output, or move it away")


@contextmanager
def hold_output(output: Path) -> Iterator[None]:
    """Have an output and its state to oneself.

    Raises:
        TrainingError: if another run writes there.
    """
    busy = TrainingError(
        f"{output}: another qsr-edge train writes there now; wait for its end, or choose another output"
    )
    with hold(output, busy):
        yield


def _validate(
    state: TrainingState,
    recipe: TrainRecipe,
    held_out: TrainingImages,
    journal: Journal | None,
    stop_requested: Callable[[], bool],
) -> dict[int, float] | None:
    """PSNR by depth; None if a stop is requested meanwhile, which is not to wait for all the pictures."""
    pairs = list(held_out)
    images: dict[int, list[NDArray[np.uint8]]] = {depth: [] for depth in recipe.depths}
    for depth, found in images.items():
        for pair in pairs:
            if stop_requested():
                return None
            found.append(upscaled(state.network, state.average, pair.lr, depth))
    if journal:
        rows = [
            (np.array(pair.lr), [images[depth][i] for depth in recipe.depths], np.array(pair.hr))
            for i, pair in enumerate(pairs[:_PICTURES])
        ]
        journal.pictures(picture_grid(rows, recipe.scale), state.iteration)
    return {depth: validation_psnr_db(images[depth], pairs, recipe.scale) for depth in recipe.depths}


def train(
    recipe: TrainRecipe,
    images: TrainingImages,
    output: Path,
    *,
    start: Checkpoint | None = None,
    teacher: Checkpoint | None = None,
    data_description: str = "",
    save_every: int = 500,
    on_progress: Callable[[Progress], None] = lambda progress: None,
    stop_requested: Callable[[], bool] = lambda: False,
    journal: Journal | None = None,
    world: World = ALONE,
) -> Checkpoint:
    """Run a recipe to its end, going on from ``<output>.state`` if that is there.

    Args:
        recipe: the settings.
        images: image pairs; the last ``recipe.validation_images`` only show progress.
        output: checkpoint to write; the running average of the weights. The state is deleted then.
        start: network to start from; random weights otherwise.
        teacher: float network for ``recipe.teacher_weight``.
        data_description: what the images are, for the provenance.
        save_every: iterations between saved states, each with a validation.
        on_progress: called after every step, in the first process only.
        stop_requested: asked after every step.
        journal: where curves and pictures are kept.
        world: the processes that share this run.

    Returns:
        The checkpoint that was written.

    Raises:
        StoppedError: a stop was requested, and the state is saved.
        TrainingError: too few images, a start or a saved state that does not fit, a loss that is not finite, or
            another run that writes there.
        OutputExistsError: if the output exists and is not this run's.
    """
    if len(images) <= recipe.validation_images:
        small = f" ({len(images.left_out)} left out: {images.left_out[0]})" if images.left_out else ""
        raise TrainingError(
            f"{recipe.name}: {len(images)} images are too few to hold out {recipe.validation_images}{small}; "
            "give more, or set validation_images in the recipe"
        )
    if (teacher is not None) != (recipe.teacher_weight > 0):
        raise TrainingError(
            f"{recipe.name}: teacher_weight = {recipe.teacher_weight}, but "
            + ("a teacher was given; set teacher_weight in the recipe" if teacher else "no teacher; give --teacher")
        )
    # The first process writes for all.
    with hold_output(output) if world.is_first else nullcontext():
        check_output(output, recipe, start, teacher)
        held_out, trained_on = images[-recipe.validation_images :], images[: -recipe.validation_images]
        network = initial_network(recipe, start, trained_on).to(world.device)
        state = _first_state(network, recipe, _settings(recipe, start, teacher), images.digest)
        state_file = state_path(output)
        if state_file.exists():
            state.load(state_file)
        teaching = _teaching(recipe, teacher, world) if teacher else None
        for progress in _steps(state, recipe, trained_on, teaching, world):
            if state.iteration == recipe.order_iteration:
                network.config = dataclasses.replace(network.config, order=network.importance_order())
            if not world.is_first:
                continue
            stopped = stop_requested()
            if stopped or state.iteration % save_every == 0 or state.iteration == recipe.iterations:
                # A saved state is one to go on from: a step may have gone wrong since the loss was last looked at.
                refuse_infinite(recipe, state.iteration, *(p.detach().sum().item() for p in network.parameters()))
                state.save(state_file)
            if not stopped and (state.iteration % save_every == 0 or state.iteration == recipe.iterations):
                psnr_db = _validate(state, recipe, held_out, journal, stop_requested)
                progress, stopped = dataclasses.replace(progress, psnr_db=psnr_db), psnr_db is None
            if stopped and state.iteration < recipe.iterations:
                done = f"{state.iteration} of {recipe.iterations}"
                raise StoppedError(f"stopped at iteration {done}; the same command goes on from there")
            if journal:
                _note(journal, progress, state)
            on_progress(progress)
        checkpoint = checkpoint_from_network(
            network, state.average, _provenance(recipe, len(trained_on), start, teacher, data_description, world)
        )
        if world.is_first:
            write_checkpoint(output, checkpoint)
            state_file.unlink(missing_ok=True)
        return checkpoint


def _teaching(recipe: TrainRecipe, teacher: Checkpoint, world: World) -> Callable[[Tensor], Tensor]:
    if teacher.config.bits is not None or teacher.config.scale != recipe.scale:
        raise TrainingError(
            f"{recipe.name}: the teacher is x{teacher.config.scale} at {teacher.config.bits or 'float'} bits; "
            f"give a float checkpoint of x{recipe.scale}"
        )
    network = network_from_checkpoint(teacher).to(world.device)
    return lambda codes: network(codes, teacher.config.blocks)


def _note(journal: Journal, progress: Progress, state: TrainingState) -> None:
    values = {
        "loss": progress.loss,
        "learning_rate": state.optimizer.param_groups[0]["lr"],
        "waiting_share": progress.waiting_share,
    }
    for depth, psnr_db in (progress.psnr_db or {}).items():
        values[f"psnr_db/depth_{depth}"] = psnr_db
    journal.scalars(values, progress.iteration)


def _provenance(
    recipe: TrainRecipe,
    images: int,
    start: Checkpoint | None,
    teacher: Checkpoint | None,
    data_description: str,
    world: World,
) -> dict[str, object]:
    table: dict[str, object] = {
        "recipe": asdict(recipe),
        "data": data_description,
        "training_images": images,
        "epochs": round(recipe.iterations * recipe.batch / images, 1),
        "start": start.provenance if start else None,
        "torch": torch.__version__,
    }
    if teacher:
        table["teacher"] = teacher.provenance
    if world.size > 1:
        table["processes"] = world.size
    return table
