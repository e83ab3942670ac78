"""The backward pass of rounding: its polynomial against autograd of phi, its bounds, and where it is zero."""

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from hypothesis import given
from hypothesis import strategies as st

from qsr_edge.quant.arithmetic import CodeRange
from qsr_edge.quant.rounding import clipped_round, phi, phi_slope

POLYNOMIAL_ERROR = 2e-7
"""Promised by phi_slope, in float64."""
FLOAT32_ERROR = 5e-7
"""The same in float32: four multiply-adds of numbers near 1 add a few units of 1.2e-7."""
SLOPE_AT_THRESHOLD = 1 / (2 * math.tanh(0.5))
SLOPE_AT_INTEGER = SLOPE_AT_THRESHOLD * (1 - math.tanh(0.5) ** 2)

RANGES = [CodeRange.signed(bits) for bits in (2, 3, 4, 8)] + [CodeRange.unsigned(bits) for bits in (2, 3, 4, 8)]


def _between_integers(lowest: int, highest: int, per_interval: int) -> torch.Tensor:
    """Float64 points of every unit interval of [lowest, highest], none of them an integer."""
    fractions = (torch.arange(per_interval, dtype=torch.float64) + 0.5) / per_interval
    return (torch.arange(lowest, highest, dtype=torch.float64).reshape(-1, 1) + fractions).flatten()


def _autograd_slope(u: torch.Tensor) -> torch.Tensor:
    u = u.clone().requires_grad_()
    (slope,) = torch.autograd.grad(phi(u).sum(), u)
    return slope


def test_polynomial_is_the_derivative_of_phi() -> None:
    # At the integers floor() jumps; phi has a kink there and autograd no business.
    points = _between_integers(-128, 128, 1000)
    assert (phi_slope(points) - _autograd_slope(points)).abs().max() <= POLYNOMIAL_ERROR


def test_polynomial_in_float32() -> None:
    # 256 points in each interval: their fractions are exact in float32.
    points = _between_integers(-128, 128, 256)
    slope = phi_slope(points.float())
    assert slope.dtype is torch.float32
    assert (slope.double() - _autograd_slope(points)).abs().max() <= FLOAT32_ERROR


def test_slope_stays_between_its_values_at_integers_and_at_thresholds() -> None:
    points = torch.linspace(-4, 4, 80_001, dtype=torch.float64)
    slope = phi_slope(points)
    assert slope.min() >= SLOPE_AT_INTEGER - POLYNOMIAL_ERROR
    assert slope.max() <= SLOPE_AT_THRESHOLD + POLYNOMIAL_ERROR
    # It rises from the integer to the threshold and falls back, alike on both sides.
    rising = phi_slope(torch.linspace(0, 0.5, 1001, dtype=torch.float64))
    assert (rising.diff() > 0).all()
    assert torch.allclose(rising[1:], phi_slope(torch.linspace(1, 0.5, 1001, dtype=torch.float64)[1:]), atol=1e-12)


def test_mean_slope_of_a_unit_interval_is_one() -> None:
    # Gauss-Legendre with ten nodes is exact for the polynomial's degree 8.
    nodes, weights = (torch.tensor(a) for a in np.polynomial.legendre.leggauss(10))
    for start in (-3, 0, 7):
        mean = (phi_slope(start + (nodes + 1) / 2) * weights).sum().item() / 2
        assert mean == pytest.approx(1, abs=POLYNOMIAL_ERROR)


@pytest.mark.parametrize("redistributed", [True, False], ids=["phi", "straight-through"])
@pytest.mark.parametrize("half_to_even", [False, True], ids=["half-up", "half-to-even"])
@pytest.mark.parametrize("code_range", RANGES, ids=lambda r: f"{r.q_min}..{r.q_max}")
def test_gradient_is_the_slope_inside_and_zero_outside(
    code_range: CodeRange, half_to_even: bool, redistributed: bool
) -> None:
    q_min, q_max = code_range.q_min, code_range.q_max
    inside = torch.cat([_between_integers(q_min, q_max, 7).float(), torch.tensor([float(q_min), float(q_max)])])
    # The clip comes before the rounding: codes within half a step of a bound get no gradient, though nothing is lost.
    outside = torch.tensor([q_min - 100.0, q_min - 0.25, q_max + 0.25, q_max + 100.0])
    u = torch.cat([inside, outside]).requires_grad_()
    upstream = torch.linspace(-2, 3, len(u))
    codes = clipped_round(u, q_min, q_max, half_to_even=half_to_even, redistributed=redistributed)
    codes.backward(upstream)
    slope = phi_slope(inside) if redistributed else torch.ones_like(inside)
    expected = torch.cat([slope * upstream[: len(inside)], torch.zeros(len(outside))])
    assert u.grad is not None
    assert torch.equal(u.grad, expected)
    assert codes.detach()[-4:].tolist() == [q_min, q_min, q_max, q_max]


def test_without_bounds_the_gradient_is_the_slope_everywhere() -> None:
    u = torch.tensor([-1e6 + 0.5, -0.5, 0.0, 0.5, 1e6]).requires_grad_()
    clipped_round(u).sum().backward()
    assert u.grad is not None
    thresholds, integers = u.grad[[0, 1, 3]], u.grad[[2, 4]]
    assert thresholds.tolist() == pytest.approx([SLOPE_AT_THRESHOLD] * 3)
    assert integers.tolist() == pytest.approx([SLOPE_AT_INTEGER] * 2)


@given(shift=st.integers(1, 12), accumulator=st.integers(-(2**20), 2**20))
def test_codes_are_the_integer_right_shift(shift: int, accumulator: int) -> None:
    # The portable profile's requantization; halves, which every shift meets, go up on both sides of zero.
    u = torch.tensor(float(accumulator)) * 2.0**-shift
    assert clipped_round(u).item() == (accumulator + (1 << (shift - 1))) >> shift
