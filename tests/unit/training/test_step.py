"""A step that is replayed computes what one does whose operations are launched one by one."""

import copy
import dataclasses
import math
from collections.abc import Callable

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from qsr_edge.errors import TrainingError
from qsr_edge.nn.network import make_network
from qsr_edge.recipe.train import TrainRecipe
from qsr_edge.training.distributed import ALONE
from qsr_edge.training.loop import make_optimizer
from qsr_edge.training.objective import Objective
from qsr_edge.training.state import TrainingState
from qsr_edge.training.step import CapturedStep, EagerStep

RECIPE = TrainRecipe(
    name="steps", scale=2, bits=4, iterations=200, channels=4, blocks=2, depths=(1, 2), batch=2, patch_px=8,
    learning_rate=2e-3,
)  # fmt: skip


class RecordingStandIn:
    """In place of a CUDA graph: runs the function while recording, as a capture warms up, and again at each replay."""

    def __init__(self, function: Callable[[], None]):
        self.replay = function
        function()
        function()


def _state(recipe: TrainRecipe) -> TrainingState:
    torch.manual_seed(1)
    network = make_network(recipe.config())
    network.calibrate(torch.randint(-128, 128, (2, 3, 8, 8)).float())
    average = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    return TrainingState(
        network=network, optimizer=make_optimizer(network, recipe), average=average, settings="", images=""
    )


def _batches(count: int) -> list[tuple[torch.Tensor, torch.Tensor, int | None]]:
    rng = np.random.default_rng(2)
    return [
        (
            torch.from_numpy(rng.integers(-128, 128, (2, 3, 8, 8)).astype(np.float32)),
            torch.from_numpy(rng.integers(-128, 128, (2, 3, 16, 16)).astype(np.float32)),
            (None, 1)[i % 2],
        )
        for i in range(count)
    ]


@pytest.mark.parametrize("bits", [0, 4])
def test_a_replayed_step_is_the_step(bits: int) -> None:
    recipe = dataclasses.replace(RECIPE, bits=bits)
    eager, captured = _state(recipe), _state(recipe)
    first = EagerStep(eager, recipe, Objective(eager.network, recipe), ALONE)
    second = CapturedStep(captured, recipe, Objective(captured.network, recipe), capture=RecordingStandIn)
    start = copy.deepcopy(eager.network.state_dict())
    for batch in _batches(5):
        first(*batch)
        second(*batch)
    assert eager.iteration == captured.iteration == 5
    for ours, theirs in (
        (eager.network.state_dict(), captured.network.state_dict()),
        (eager.average, captured.average),
    ):
        for name, tensor in ours.items():
            torch.testing.assert_close(theirs[name], tensor, rtol=2e-5, atol=2e-6, msg=name)
    assert any(not torch.equal(tensor, start[name]) for name, tensor in eager.network.state_dict().items())


def test_the_loss_is_looked_at_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qsr_edge.training.step.CHECK_EVERY", 3)
    recipe = dataclasses.replace(RECIPE, bits=0)
    state = _state(recipe)
    step = CapturedStep(state, recipe, Objective(state.network, recipe), capture=RecordingStandIn)
    codes, target, depth = _batches(1)[0]
    seen = [step(codes, target, depth) for _ in range(3)]
    assert all(map(math.isnan, seen[:-1]))
    assert 0 < seen[-1] < 1
    for _ in range(2):
        step(codes * math.nan, target, depth)
    with pytest.raises(TrainingError, match="not finite at iteration 6"):
        step(codes, target, depth)


def test_a_state_of_captured_steps_goes_on_with_eager_ones() -> None:
    recipe = dataclasses.replace(RECIPE, bits=0)
    state, other = _state(recipe), _state(recipe)
    step = CapturedStep(state, recipe, Objective(state.network, recipe), capture=RecordingStandIn)
    batches = _batches(4)
    for batch in batches[:2]:
        step(*batch)
    other.network.load_state_dict(state.network.state_dict())
    other.optimizer.load_state_dict(copy.deepcopy(state.optimizer.state_dict()))
    other.average = {name: tensor.clone() for name, tensor in state.average.items()}
    other.iteration = state.iteration
    eager = EagerStep(other, recipe, Objective(other.network, recipe), ALONE)
    for batch in batches[2:]:
        step(*batch)
        eager(*batch)
    for name, tensor in state.network.state_dict().items():
        torch.testing.assert_close(other.network.state_dict()[name], tensor, rtol=2e-5, atol=2e-6, msg=name)
