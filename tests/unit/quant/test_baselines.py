"""Quantizers that RLQ is compared with, against gradients derived by hand."""

import pytest

torch = pytest.importorskip("torch")

from qsr_edge.nn.fake_quantized import QuantizerName, activation_quantizer, weight_quantizer
from qsr_edge.quant.arithmetic import CodeRange
from qsr_edge.quant.baselines import LearnedClip, MinMax
from qsr_edge.quant.rlq import RLQ

SIGNED, UNSIGNED = CodeRange.signed(4), CodeRange.unsigned(4)


def test_min_max_takes_the_smallest_step_that_clips_nothing() -> None:
    weight = torch.tensor([[0.7, -0.8], [2.1, -0.4], [0.0, -1.6]]).reshape(3, 2, 1, 1)
    codes, step = MinMax(SIGNED, per_channel=True).quantize(weight)
    assert step.flatten().tolist() == pytest.approx([0.1, 0.3, 0.2])
    assert codes.flatten().tolist() == [7, -8, 7, -1, 0, -8]
    x = torch.tensor([0.0, 3.0]).reshape(1, 1, 1, 2)
    quantizer = MinMax(UNSIGNED, per_channel=False)
    quantizer.calibrate(x)
    with torch.no_grad():
        assert quantizer.quantize(10 * x)[1].item() == pytest.approx(0.2)  # measuring does not move the average
    assert quantizer.quantize(10 * x)[1].item() == pytest.approx(0.2 + 0.01 * 1.8)


def test_min_max_is_straight_through() -> None:
    weight = torch.tensor([0.7, -0.33]).reshape(1, 2, 1, 1).requires_grad_()
    codes, step = MinMax(SIGNED, per_channel=True).quantize(weight)
    (codes * step).sum().backward()
    assert weight.grad is not None
    assert weight.grad.flatten().tolist() == pytest.approx([1, 1])


def test_learned_bounds_get_their_gradient_from_clipped_values_alone() -> None:
    quantizer = LearnedClip(SIGNED)
    with torch.no_grad():
        quantizer.step.fill_(0.5)
    x = torch.tensor([0.3, 10.0, -15.0]).reshape(1, 1, 3, 1).requires_grad_()
    codes, step = quantizer.quantize(x)
    assert (codes * step).flatten().tolist() == pytest.approx([0.5, 3.5, -4.0])
    (codes * step * torch.tensor([1.0, 1.0, 2.0]).reshape(1, 1, 3, 1)).sum().backward()
    assert x.grad is not None
    assert x.grad.flatten().tolist() == pytest.approx([1, 0, 0])
    assert quantizer.step.grad is not None
    assert quantizer.step.grad.item() == pytest.approx((7 - 2 * 8) / (3 * 7) ** 0.5)


def test_lsq_is_rlq_with_the_published_gradient() -> None:
    quantizer = RLQ(SIGNED, redistributed=False)
    with torch.no_grad():
        quantizer.step.fill_(0.5)
    x = torch.tensor([0.3, 10.0, -15.0]).reshape(1, 1, 3, 1).requires_grad_()
    quantizer(x).sum().backward()
    # Esser et al., equation 3: -v/s + round(v/s) inside, the bound outside.
    assert quantizer.step.grad is not None
    assert quantizer.step.grad.item() == pytest.approx((1 - 0.6 + 7 - 8) / (3 * 7) ** 0.5, rel=1e-5)
    assert x.grad is not None
    assert x.grad.flatten().tolist() == [1, 0, 0]


def test_the_ablation_leaves_out_one_thing_each() -> None:
    def parts(name: QuantizerName) -> tuple[bool, bool]:
        activation = activation_quantizer(name, SIGNED, 3)
        weight = weight_quantizer(name, 4, 3)
        assert isinstance(activation, RLQ)
        assert isinstance(weight, RLQ)
        assert activation.redistributed is weight.redistributed
        assert weight.shift is None
        after_relu = activation_quantizer(name, UNSIGNED, 3)
        assert isinstance(after_relu, RLQ)
        assert after_relu.shift is None
        return activation.redistributed, activation.shift is not None

    assert parts(QuantizerName.LSQ) == (False, False)
    assert parts(QuantizerName.RLQ_WITHOUT_PHI) == (False, True)
    assert parts(QuantizerName.RLQ_WITHOUT_SHIFT) == (True, False)
    assert parts(QuantizerName.RLQ) == (True, True)
    pact = weight_quantizer(QuantizerName.LEARNED_CLIP, 4, 3)
    assert isinstance(pact, MinMax)
