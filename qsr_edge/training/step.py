"""One step of a run: gradients, Adam and the running average; launched op by op, or replayed as a CUDA graph."""

import math
from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

from qsr_edge.errors import TrainingError
from qsr_edge.recipe.train import TrainRecipe
from qsr_edge.training.distributed import World
from qsr_edge.training.state import TrainingState

SMALLEST_STEP = 1e-8
"""Learned step sizes stay above this."""
CHECK_EVERY = 50
"""Replayed steps between looks at the loss: each look waits until the device is done."""
_WARM_UP_RUNS = 3


class Step(Protocol):
    """Trains on one batch."""

    def __call__(self, codes: Tensor, target: Tensor, depth: int | None) -> float:
        """Take a step.

        Args:
            codes: (N, 3, H, W) float32, levels of the low-resolution patches minus 128.
            target: (N, 3, rH, rW) float32, levels of the high-resolution patches minus 128.
            depth: a shallower depth to train too; None for the deepest alone.

        Returns:
            The deepest depth's mean absolute error, 1 = 255 levels, as it was last looked at; NaN before.

        Raises:
            TrainingError: if the loss or its gradient is not finite.
        """
        ...


def learning_rate_factor(iteration: int, iterations: int) -> float:
    """The share of the first learning rate after ``iteration`` steps: a cosine from 1 to 0.01."""
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * iteration / iterations))


def _decay(recipe: TrainRecipe, iteration: int) -> float:
    """The running average's decay after ``iteration`` steps: less at first, so that the start is forgotten."""
    return min(recipe.ema_decay, iteration / (iteration + 10))


def refuse_infinite(recipe: TrainRecipe, iteration: int, *values: float) -> None:
    """Refuse to go on from what is not a number.

    Raises:
        TrainingError: if a value is infinite or none.
    """
    if not all(map(math.isfinite, values)):
        raise TrainingError(
            f"{recipe.name}: the loss or its gradient is not finite at iteration {iteration}; "
            "start anew with a lower learning_rate and another output; the last saved state is intact"
        )


@torch.no_grad()
def _clamp_steps(state: TrainingState) -> None:
    for name, parameter in state.network.named_parameters():
        if name.endswith("step"):
            parameter.clamp_(min=SMALLEST_STEP)


class EagerStep:
    """Launches every operation anew: on any device, in several processes too."""

    def __init__(self, state: TrainingState, recipe: TrainRecipe, objective: torch.nn.Module, world: World):
        """Train ``state`` by ``objective``, whose gradients ``world`` averages."""
        self._state, self._recipe, self._objective, self._world = state, recipe, objective, world
        for group in state.optimizer.param_groups:
            group["capturable"], group["foreach"] = False, None  # a state that captured steps saved says otherwise

    def __call__(self, codes: Tensor, target: Tensor, depth: int | None) -> float:
        """See :class:`Step`."""
        state, recipe = self._state, self._recipe
        loss, error = self._objective(codes, target, depth)
        factor = learning_rate_factor(state.iteration, recipe.iterations)
        for group in state.optimizer.param_groups:
            group["lr"] = group["initial_lr"] * factor
        state.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(state.network.parameters(), recipe.gradient_clip)
        value = self._world.mean(error)
        refuse_infinite(recipe, state.iteration, value, norm.item())
        state.optimizer.step()
        state.iteration += 1
        _clamp_steps(state)
        with torch.no_grad():
            for name, tensor in state.network.state_dict().items():
                state.average[name].lerp_(tensor, 1 - _decay(recipe, state.iteration))
        return value


class Recording(Protocol):
    """A sequence of operations that can be run again on the same tensors."""

    def replay(self) -> None:
        """Run them."""
        ...


def cuda_graph(function: Callable[[], None]) -> Recording:
    """``function`` as a CUDA graph: run a few times on a stream of its own, then captured."""
    stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(_WARM_UP_RUNS):
            function()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        function()
    return graph


class CapturedStep:
    """Replays a step that was captured once for each depth: on a GPU, launching the operations takes longer than they.

    What changes from step to step lies in tensors that the capture knows: the batch, the learning rates, the average's
    share. Capturing runs the step, so whatever it changed is put back.
    """

    def __init__(
        self,
        state: TrainingState,
        recipe: TrainRecipe,
        objective: torch.nn.Module,
        *,
        capture: Callable[[Callable[[], None]], Recording] = cuda_graph,
    ):
        """Train ``state`` by ``objective``.

        Args:
            state: on the device of its network; its optimizer's learning rates become tensors.
            recipe: the settings.
            objective: the loss.
            capture: makes a recording of a function that it may run several times.
        """
        self._state, self._recipe, self._objective, self._capture = state, recipe, objective, capture
        device = next(state.network.parameters()).device
        self._share = torch.zeros((), device=device)
        self._loss, self._norm = torch.zeros((), device=device), torch.zeros((), device=device)
        self._recordings: dict[int | None, tuple[Recording, Tensor, Tensor]] = {}
        self._value = math.nan
        for group in state.optimizer.param_groups:
            group["lr"] = torch.tensor(float(group["lr"]), device=device)
            group["capturable"] = device.type == "cuda"
            group["foreach"] = device.type == "cuda"
        for moments in state.optimizer.state.values():
            # Eager steps count on the CPU.
            moments["step"] = moments["step"].to(device)
        self._parameters = [parameter for parameter in state.network.parameters() if parameter.requires_grad]
        self._make_moments()

    def __call__(self, codes: Tensor, target: Tensor, depth: int | None) -> float:
        """See :class:`Step`; the loss is looked at every :data:`CHECK_EVERY` steps."""
        state = self._state
        if depth not in self._recordings:
            self._recordings[depth] = self._recorded(codes, target, depth)
        recording, static_codes, static_target = self._recordings[depth]
        static_codes.copy_(codes)
        static_target.copy_(target)
        factor = learning_rate_factor(state.iteration, self._recipe.iterations)
        for group in state.optimizer.param_groups:
            group["lr"].fill_(group["initial_lr"] * factor)
        self._share.fill_(1 - _decay(self._recipe, state.iteration + 1))
        recording.replay()
        state.iteration += 1
        if state.iteration % CHECK_EVERY == 0:
            # What is not finite stays so: the latest loss tells of all before it.
            self._value = self._loss.item()
            refuse_infinite(self._recipe, state.iteration, self._value, self._norm.item())
        return self._value

    def _update(self, codes: Tensor, target: Tensor, depth: int | None) -> None:
        state = self._state
        state.optimizer.zero_grad(set_to_none=False)
        loss, error = self._objective(codes, target, depth)
        loss.backward()
        self._norm.copy_(torch.nn.utils.clip_grad_norm_(self._parameters, self._recipe.gradient_clip))
        self._loss.copy_(error)
        state.optimizer.step()
        _clamp_steps(state)
        with torch.no_grad():
            for name, tensor in state.network.state_dict().items():
                state.average[name].lerp_(tensor, self._share)

    def _recorded(self, codes: Tensor, target: Tensor, depth: int | None) -> tuple[Recording, Tensor, Tensor]:
        static_codes, static_target = codes.clone(memory_format=torch.preserve_format), target.clone()
        tensors = self._changed()
        before = [tensor.detach().clone() for tensor in tensors]
        recording = self._capture(lambda: self._update(static_codes, static_target, depth))
        with torch.no_grad():
            for tensor, value in zip(tensors, before, strict=True):
                tensor.copy_(value)
        return recording, static_codes, static_target

    def _changed(self) -> list[Tensor]:
        """Everything that a step writes."""
        state = self._state
        moments = [value for parameter in self._parameters for value in state.optimizer.state[parameter].values()]
        return [*state.network.state_dict().values(), *state.average.values(), *moments]

    def _make_moments(self) -> None:
        """Give the optimizer its state before it is captured: a step by gradients of zero changes no parameter."""
        fresh = [parameter for parameter in self._parameters if parameter not in self._state.optimizer.state]
        for parameter in self._parameters:
            parameter.grad = torch.zeros_like(parameter)
        if not fresh:
            return
        self._state.optimizer.step()
        for parameter in fresh:
            for value in self._state.optimizer.state[parameter].values():
                value.zero_()
