import dataclasses

import pytest

torch = pytest.importorskip("torch")

from torch import Tensor, nn

from qsr_edge.recipe.train import Precision, TrainRecipe
from qsr_edge.training.objective import Objective, draws_depth

RECIPE = TrainRecipe(
    name="r", scale=2, bits=0, iterations=1, blocks=4, depths=(1, 4), shallow_weight=0.5, distillation=0.25
)


class _Constant(nn.Module):
    """An image of one level per depth."""

    def __init__(self) -> None:
        super().__init__()
        self.config = RECIPE.config()
        self.levels = nn.ParameterDict({"1": nn.Parameter(torch.tensor(10.0)), "4": nn.Parameter(torch.tensor(4.0))})

    def forward(self, codes: Tensor, depth: int) -> Tensor:
        return self.levels[str(depth)].expand(1, 3, 2, 2)


def _gradients(network: _Constant) -> tuple[float, float]:
    shallow, deep = network.levels["1"].grad, network.levels["4"].grad
    return (0.0 if shallow is None else shallow.item() * 255, 0.0 if deep is None else deep.item() * 255)


def test_loss_and_gradients_are_the_formula() -> None:
    network = _Constant()
    loss, error = Objective(network, RECIPE)(torch.zeros(1, 3, 1, 1), torch.zeros(1, 3, 2, 2), 1)
    # deepest |4 - 0|; shallower 0.5 * (0.75 * |10 - 0| + 0.25 * |10 - 4|)
    assert loss.item() * 255 == pytest.approx(4 + 0.5 * (7.5 + 1.5))
    assert error.item() * 255 == pytest.approx(4)
    loss.backward()
    # Without the detached teacher the deepest would get 1 - 0.125.
    assert _gradients(network) == pytest.approx((0.5, 1.0))


def test_a_teacher_takes_its_share_and_learns_nothing() -> None:
    network, teacher = _Constant(), _Constant()
    recipe = dataclasses.replace(RECIPE, teacher_weight=0.4, shallow_weight=0.0)
    objective = Objective(network, recipe, lambda codes: teacher(codes, 4))
    loss, _ = objective(torch.zeros(1, 3, 1, 1), torch.full((1, 3, 2, 2), 5.0), None)
    assert loss.item() * 255 == pytest.approx(0.6 * 1 + 0.4 * 0)
    loss.backward()
    assert all(parameter.grad is None for parameter in teacher.parameters())
    assert len(list(objective.parameters())) == 2


def test_the_worst_pixel_of_plain_patches_counts_besides() -> None:
    network = _Constant()
    objective = Objective(network, dataclasses.replace(RECIPE, plain_weight=0.5, shallow_weight=0.0))
    target = torch.zeros(2, 3, 2, 2)
    target[1, 0, 0, 0] = 40.0  # not plain, so its worst pixel counts as any other
    loss, _ = objective(torch.zeros(2, 3, 1, 1), target, None)
    assert loss.item() * 255 == pytest.approx((23 * 4 + 36) / 24 + 0.5 * (4 + 0) / 2)


def test_no_depth_is_drawn_for_one_depth_or_no_weight() -> None:
    assert draws_depth(RECIPE)
    assert not draws_depth(dataclasses.replace(RECIPE, shallow_weight=0.0))
    assert not draws_depth(dataclasses.replace(RECIPE, depths=(4,)))


def test_bfloat16_changes_gradients_little_and_quantized_images_not_at_all() -> None:
    from qsr_edge.nn.quantsr_c_edge import QuantsrCEdge

    recipe = dataclasses.replace(RECIPE, bits=4, channels=16)
    network = QuantsrCEdge(recipe.config())
    codes = torch.randint(-128, 128, (2, 3, 12, 12)).float()
    target = torch.randint(-128, 128, (2, 3, 24, 24)).float()
    network.calibrate(codes)
    losses, gradients = [], []
    for precision in (Precision.FLOAT32, Precision.BFLOAT16):
        network.zero_grad()
        loss, _ = Objective(network, dataclasses.replace(recipe, precision=precision))(codes, target, 1)
        loss.backward()
        losses.append(loss.item())
        gradients.append(torch.cat([p.grad.flatten() for p in network.parameters() if p.grad is not None]))
    assert losses[0] == losses[1]
    assert not torch.equal(gradients[0], gradients[1])
    assert torch.nn.functional.cosine_similarity(gradients[0], gradients[1], dim=0) > 0.999
