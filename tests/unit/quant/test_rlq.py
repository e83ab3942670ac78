import math

import pytest

torch = pytest.importorskip("torch")

from qsr_edge.quant.arithmetic import CodeRange
from qsr_edge.quant.calibration import initial_step, least_error_step
from qsr_edge.quant.rlq import RLQ
from qsr_edge.quant.rounding import clipped_round, phi, phi_slope

FINITE_DIFFERENCE_TOLERANCE = 1e-6
"""Central differences of phi in float64 with a step of 1e-5: error about step^2."""

RANGES = [CodeRange.signed(bits) for bits in (2, 3, 4, 8)] + [CodeRange.unsigned(bits) for bits in (2, 3, 4, 8)]


def test_code_ranges_are_the_papers() -> None:
    assert [(r.q_min, r.q_max) for r in RANGES] == [
        (-2, 1), (-4, 3), (-8, 7), (-128, 127), (0, 3), (0, 7), (0, 15), (0, 255),
    ]  # fmt: skip
    assert [r.bits for r in RANGES] == [2, 3, 4, 8] * 2


def test_phi_is_the_identity_at_integers_and_halves() -> None:
    points = torch.arange(-8, 9, dtype=torch.float64) / 2
    # floor() jumps at the integers, so approach them from the right, where phi starts at floor(u).
    assert torch.allclose(phi(points), points, atol=1e-12)


def test_phi_is_monotone_and_continuous() -> None:
    points = torch.linspace(-3, 3, 100_001, dtype=torch.float64)
    steps = phi(points).diff()
    assert (steps > 0).all()
    assert steps.max() < 1.1 * (points[1] - points[0])


def test_phi_slope_is_the_finite_difference_of_phi() -> None:
    points = torch.linspace(-2.97, 2.97, 331, dtype=torch.float64)
    points = points[(points - points.round()).abs() > 1e-3]
    step = 1e-5
    difference = (phi(points + step) - phi(points - step)) / (2 * step)
    assert torch.allclose(phi_slope(points), difference, atol=FINITE_DIFFERENCE_TOLERANCE)


def test_phi_slope_hand_values() -> None:
    at_threshold = 1 / (2 * math.tanh(0.5))
    at_integer = (1 - math.tanh(0.5) ** 2) / (2 * math.tanh(0.5))
    slopes = phi_slope(torch.tensor([0.5, 0.0, -1.5], dtype=torch.float64))
    assert slopes.tolist() == pytest.approx([at_threshold, at_integer, at_threshold])
    assert at_threshold == pytest.approx(1.0820, abs=1e-4)
    assert at_integer == pytest.approx(0.8509, abs=1e-4)


def test_rounding_sends_halves_up_or_to_even() -> None:
    halves = torch.tensor([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5])
    assert clipped_round(halves).tolist() == [-2, -1, 0, 1, 2, 3]
    assert clipped_round(halves, half_to_even=True).tolist() == [-2, -2, 0, 0, 2, 2]


@pytest.mark.parametrize("code_range", RANGES, ids=lambda r: f"{r.q_min}..{r.q_max}")
def test_forward_is_the_papers_formula(code_range: CodeRange) -> None:
    quantizer = RLQ(code_range, shift_channels=3)
    x = torch.randn(2, 3, 5, 5)
    with torch.no_grad():
        quantizer.step.fill_(0.37)
        assert quantizer.shift is not None
        quantizer.shift.copy_(torch.tensor([0.1, -0.2, 0.0]))
    expected = 0.37 * torch.floor(
        torch.clamp((x + torch.tensor([0.1, -0.2, 0.0]).reshape(1, 3, 1, 1)) / 0.37, code_range.q_min, code_range.q_max)
        + 0.5
    )
    assert torch.allclose(quantizer(x), expected)
    codes, _ = quantizer.quantize(x)
    assert codes.min() >= code_range.q_min
    assert codes.max() <= code_range.q_max
    assert torch.equal(codes, codes.round())


def test_gradients_are_the_hand_derived_ones() -> None:
    # step 0.5, 4 bits signed: u = 0.6, 20 (clipped at 7), -30 (clipped at -8)
    quantizer = RLQ(CodeRange.signed(4), shift_channels=1)
    with torch.no_grad():
        quantizer.step.fill_(0.5)
    x = torch.tensor([0.3, 10.0, -15.0]).reshape(1, 1, 3, 1).requires_grad_()
    quantizer(x).sum().backward()
    slope = (1 - math.tanh(0.1) ** 2) / (2 * math.tanh(0.5))
    assert x.grad is not None
    assert x.grad.flatten().tolist() == pytest.approx([slope, 0, 0])
    assert quantizer.shift is not None
    assert quantizer.shift.grad is not None
    assert quantizer.shift.grad.item() == pytest.approx(slope)
    # d(step * q)/d(step) = q + step * dq/dstep = (1 - 0.6 * slope) + 7 - 8, times 1 / sqrt(numel * q_max)
    assert quantizer.step.grad is not None
    assert quantizer.step.grad.item() == pytest.approx((1 - 0.6 * slope + 7 - 8) / math.sqrt(3 * 7), rel=1e-5)


def test_published_first_step_is_twice_the_mean_magnitude() -> None:
    x = torch.tensor([[1.0, -3.0], [0.0, 0.5]]).reshape(2, 2, 1, 1)
    assert initial_step(x, CodeRange.signed(4)).item() == pytest.approx(2 * 1.125 / math.sqrt(7))
    assert initial_step(x, CodeRange.signed(4), dim=(1, 2, 3)).tolist() == pytest.approx(
        [4 / math.sqrt(7), 0.5 / math.sqrt(7)]
    )
    assert initial_step(torch.zeros(4), CodeRange.signed(4)).item() > 0


@pytest.mark.parametrize("code_range", RANGES, ids=lambda r: f"{r.q_min}..{r.q_max}")
def test_calibrated_step_has_the_least_error(code_range: CodeRange) -> None:
    x = torch.randn(3, 500) * torch.tensor([[0.01], [1.0], [30.0]])
    if code_range.q_min == 0:
        x = x.abs()
    quantizer = RLQ(code_range, step_shape=(3, 1))
    quantizer.calibrate(x)
    best = quantizer.step.detach()

    def error(step: torch.Tensor) -> torch.Tensor:
        codes = torch.floor(x / step + 0.5).clamp(code_range.q_min, code_range.q_max)
        return (codes * step - x).square().sum(dim=1)

    for factor in (0.5, 2**-0.25, 2**0.25, 2.0):
        assert (error(best) <= error(best * factor)).all()
    assert (error(best) <= error(initial_step(x, code_range, dim=(1,)).reshape(3, 1))).all()
    assert least_error_step(torch.zeros(4), code_range).item() > 0
