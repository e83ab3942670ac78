"""Draw the figures of docs/rlq.md, and print the numbers that its text quotes.

    python docs/plots/rlq.py              # writes rlq_*.svg beside this file
    python docs/plots/rlq.py --format png --output /tmp

Every curve is computed by the functions that training uses. Needs matplotlib besides the extra ``train``.
"""

import math
from pathlib import Path

import click
import matplotlib as mpl
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from qsr_edge.nn.config import Profile
from qsr_edge.nn.quantized_conv import QuantizedConv
from qsr_edge.quant.calibration import initial_step, least_error_step
from qsr_edge.quant.codes import CodeRange
from qsr_edge.quant.rlq import RLQ
from qsr_edge.quant.rounding import clipped_round, phi, phi_slope

BLUE, ORANGE, GREEN, GREY = "#0072b2", "#d55e00", "#009e73", "#666666"
"""Told apart by readers with any colour vision, and on paper."""
ILLUSTRATED = CodeRange.signed(2)
"""Code range of the first two figures: small enough to show both clips."""
POSITIONS = 64
"""Places of the ideal step between two powers of two that are tried."""
SHIFT_BITS = 4

STYLE = {
    "svg.hashsalt": "qsr-edge",
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e4e4e4",
    "legend.frameon": False,
    "axes.titlesize": 9,
}


def gaussian_sample(count: int) -> Tensor:
    """Standard normal quantiles at ``count`` even probabilities: (count,) float32, the same on every machine."""
    probability = (torch.arange(count, dtype=torch.float64) + 0.5) / count
    return (math.sqrt(2) * torch.erfinv(2 * probability - 1)).float()


def decibels(ratio: Tensor | float) -> Tensor:
    """A ratio of powers in dB."""
    return 10 * torch.log10(torch.as_tensor(ratio))


def gradient_of_round(u: Tensor, *, redistributed: bool) -> Tensor:
    """What the backward pass multiplies a gradient with: (n,) for ``u`` (n,) in steps."""
    u = u.clone().requires_grad_()
    codes = clipped_round(u, ILLUSTRATED.q_min, ILLUSTRATED.q_max, redistributed=redistributed)
    (slope,) = torch.autograd.grad(codes.sum(), u)
    return slope


def draw_forward() -> Figure:
    """The staircase that is deployed and phi, which is not."""
    figure = Figure(figsize=(5.2, 3.4), layout="constrained")
    axes = figure.subplots()
    u = torch.linspace(-3.2, 2.2, 1081, dtype=torch.float64)
    inside = u.clamp(ILLUSTRATED.q_min, ILLUSTRATED.q_max)
    codes = clipped_round(u, ILLUSTRATED.q_min, ILLUSTRATED.q_max)
    for code in range(ILLUSTRATED.q_min, ILLUSTRATED.q_max + 1):
        at = u[codes == code]
        label = "forward: clip(round(u))" if code == ILLUSTRATED.q_min else None
        axes.plot([at[0], at[-1]], [code, code], color=BLUE, linewidth=2.4, label=label)
    axes.plot(u, phi(inside), color=ORANGE, linewidth=1.3, label="backward only: phi(clip(u))")
    axes.plot(u, inside, color=GREY, linewidth=0.9, linestyle=":", label="straight-through: clip(u)")
    axes.set(xlabel="u = (x + shift) / step, in steps", ylabel="integer code", yticks=range(-2, 2))
    axes.legend(loc="upper left")
    return figure


def draw_backward() -> Figure:
    """The factor on the gradient, for phi and for the straight-through estimator."""
    figure = Figure(figsize=(5.2, 3.0), layout="constrained")
    axes = figure.subplots()
    u = torch.linspace(-3.2, 2.2, 2161, dtype=torch.float64)
    axes.plot(u, gradient_of_round(u, redistributed=False), color=GREY, linewidth=1.2, linestyle="--", label="STE")
    axes.plot(u, gradient_of_round(u, redistributed=True), color=ORANGE, linewidth=1.6, label="slope of phi (RLQ)")
    for threshold in (-1.5, -0.5, 0.5):
        label = "rounding thresholds" if threshold == 0.5 else None
        axes.axvline(threshold, color=BLUE, linewidth=0.8, linestyle=":", label=label)
    axes.set(
        xlabel="u = (x + shift) / step, in steps",
        ylabel="d code / d u, in codes per step",
        ylim=(-0.04, 1.45),
        xticks=range(-3, 3),
    )
    axes.legend(loc="upper center", ncols=3)
    return figure


def _shifted_quantizer(x: Tensor, shift: float) -> RLQ:
    quantizer = RLQ(CodeRange.signed(SHIFT_BITS), shift_channels=1)
    if quantizer.shift is None:
        raise TypeError("asked for one channel of shifts")
    with torch.no_grad():
        quantizer.shift.fill_(shift)
    quantizer.calibrate(x + shift)
    return quantizer


def _shift_error(x: Tensor, shift: float) -> float:
    """Squared error of one channel at ``shift`` and its best step, relative to the channel's variance."""
    with torch.no_grad():
        return float((_shifted_quantizer(x, shift)(x) - shift - x).square().mean() / x.var())


def _draw_channel(top: Axes, bottom: Axes, x: Tensor, shift: float, title: str) -> None:
    quantizer = _shifted_quantizer(x, shift)
    code_range = quantizer.code_range
    with torch.no_grad():
        codes, step = quantizer.quantize(x)
    values = [code * step.item() - shift for code in range(code_range.q_min, code_range.q_max + 1)]
    count = [int((codes == code).sum()) for code in range(code_range.q_min, code_range.q_max + 1)]
    share = torch.tensor(count) / codes.numel()
    for i, value in enumerate(values):
        top.axvline(value, color=BLUE, linewidth=0.8, label="values of the codes" if i == 0 else None)
    top.hist(x.flatten().tolist(), bins=60, density=True, color=ORANGE, alpha=0.6, label="activations")
    error_db = float(decibels(_shift_error(x, shift)))
    top.set(title=f"{title}\nstep {step.item():.2f}, squared error {error_db:.1f} dB", xlabel="x, in its own units")
    bottom.bar(range(code_range.q_min, code_range.q_max + 1), (100 * share).tolist(), color=BLUE)
    bottom.set(xlabel="code", xticks=range(code_range.q_min, code_range.q_max + 1))
    bottom.tick_params(axis="x", labelsize=7)
    used = int((share > 0).sum())
    entropy = float(-(share[share > 0] * share[share > 0].log2()).sum())
    bottom.set_title(f"{used} of {len(count)} codes, entropy {entropy:.2f} bits")
    click.echo(f"shift {shift:+.3f}: step {step.item():.4f}, error {error_db:.2f} dB, {used} codes, {entropy:.2f} bits")


def draw_shift() -> Figure:
    """One skewed channel without a shift and with the best one."""
    # A log-normal with its mode near zero: one tail, as a stream channel has that fires on edges of one sign.
    x = (torch.exp(0.5 * gaussian_sample(1 << 14)) - 0.78).reshape(1, 1, 1 << 7, 1 << 7)
    shifts = torch.linspace(-3, 1, 161).tolist()
    best = min(shifts, key=lambda shift: _shift_error(x, shift))
    figure = Figure(figsize=(7.2, 4.4), layout="constrained")
    axes = figure.subplots(2, 2, sharey="row")
    _draw_channel(axes[0][0], axes[1][0], x, 0.0, "without a shift")
    _draw_channel(axes[0][1], axes[1][1], x, best, f"with a shift of {best:.2f}")
    for top in axes[0]:
        top.set_xlim(-2.3, 4.2)
    axes[0][0].set_ylabel("density, per unit of x")
    axes[1][0].set_ylabel("share of the pixels, %")
    axes[0][0].legend(loc="upper right")
    return figure


def _weight_errors(weight: Tensor, steps: Tensor, code_range: CodeRange) -> Tensor:
    """Mean squared error of each output channel: (O,) for a weight (O, I, 3, 3) and steps (O,)."""
    step = steps.reshape(-1, 1, 1, 1)
    codes = clipped_round(weight / step, code_range.q_min, code_range.q_max)
    return (codes * step - weight).square().mean(dim=(1, 2, 3))


@torch.no_grad()
def draw_portable() -> Figure:
    """What it costs to have only every power of two of a ratio as step size, for Gaussian weights."""
    figure = Figure(figsize=(5.6, 3.5), layout="constrained")
    axes = figure.subplots()
    sample = gaussian_sample(9 << 9)
    position = torch.arange(POSITIONS + 1) / POSITIONS
    for bits, color in ((2, BLUE), (3, ORANGE), (4, GREEN)):
        code_range = CodeRange.signed(bits)
        # The ideal step of unit weights, first; then one output channel for each place of it between 2^-5 and 2^-4.
        candidates = torch.exp2(torch.linspace(-4, 1, 2001))
        unit = sample.reshape(1, -1, 3, 3)
        errors = torch.stack([_weight_errors(unit, step.reshape(1), code_range)[0] for step in candidates])
        ideal = candidates[errors.argmin()]
        weight = sample.reshape(1, -1, 3, 3) * (torch.exp2(position - 5) / ideal).reshape(-1, 1, 1, 1)
        conv = QuantizedConv(
            weight.shape[1], len(weight), weight_range=code_range, profile=Profile.PORTABLE
        ).requires_grad_(False)
        conv.weight.copy_(weight)
        torch.nn.init.zeros_(conv.bias)
        conv.calibrate(torch.tensor(1.0), torch.tensor(1.0))
        best = _weight_errors(weight, torch.exp2(position - 5), code_range)
        portable = decibels(_weight_errors(weight, torch.exp2(-conv.exponent), code_range) / best)
        grid = decibels(
            _weight_errors(weight, least_error_step(weight, code_range, dim=(1, 2, 3)).flatten(), code_range) / best
        )
        published = decibels(_weight_errors(weight, initial_step(weight, code_range, dim=(1, 2, 3)), code_range) / best)
        mean = portable[:-1].mean().item()
        axes.plot(position, portable, color=color, linewidth=1.8, label=f"{bits} bits: mean {mean:.2f} dB")
        snr_db = -decibels(errors.min() / sample.square().mean()).item()
        click.echo(
            f"{bits} bits: ideal step {ideal:.4f} sigma, signal to error {snr_db:.2f} dB; portable: mean {mean:.3f} dB,"
            f" worst {portable.max():.3f} dB; least_error_step: worst {grid.max():.3f} dB;"
            f" initial_step: {published.max():.3f} dB"
        )
    axes.set(
        xlabel="position of the ideal step between two powers of two, in octaves",
        ylabel="error above that of the ideal step, in dB",
        xlim=(0, 1),
        ylim=(0, None),
    )
    axes.legend(loc="lower center", title="Gaussian weights, nearest grid step")
    return figure


def print_facts() -> None:
    """The numbers about phi and its polynomial that docs/rlq.md quotes."""
    fraction = (torch.arange(1 << 14, dtype=torch.float64) + 0.5) / (1 << 14)
    u = (torch.arange(-8, 8, dtype=torch.float64).reshape(-1, 1) + fraction).flatten().requires_grad_()
    (exact,) = torch.autograd.grad(phi(u).sum(), u)
    u = u.detach()
    halves = torch.arange(-16, 17, dtype=torch.float64) / 2
    at = phi_slope(torch.tensor([0.5, 0.0], dtype=torch.float64))
    click.echo(f"phi - identity at integers and halves: {(phi(halves) - halves).abs().max():.1e}")
    click.echo(f"largest distance of phi from the identity: {(phi(u) - u).abs().max():.4f} steps")
    click.echo(f"slope at the threshold {at[0]:.5f}, at the integers {at[1]:.5f}; ratio {at[0] / at[1]:.4f}")
    click.echo(f"slope is 1 at {u[(u > 0) & (u < 0.5)][(exact[(u > 0) & (u < 0.5)] - 1).abs().argmin()]:.4f}")
    click.echo(f"mean slope: phi {exact.mean():.9f}, polynomial {phi_slope(u).mean():.9f}")
    error = (phi_slope(u) - exact).abs().max()
    error32 = (phi_slope(u.float()).double() - exact).abs().max()
    click.echo(f"polynomial off by at most {error:.2e} in float64, {error32:.2e} in float32")


@click.command()
@click.option("--output", type=click.Path(file_okay=False, path_type=Path), default=Path(__file__).parent)
@click.option("--format", "file_format", type=click.Choice(["svg", "png"]), default="svg", show_default=True)
def main(output: Path, file_format: str) -> None:
    """Write the four figures to OUTPUT, this folder by default."""
    mpl.rcParams.update(STYLE)
    torch.set_num_threads(1)
    print_facts()
    figures = {
        "rlq_forward": draw_forward,
        "rlq_backward": draw_backward,
        "rlq_shift": draw_shift,
        "rlq_portable": draw_portable,
    }
    for name, draw in figures.items():
        path = output / f"{name}.{file_format}"
        metadata = {"Date": None} if file_format == "svg" else None
        draw().savefig(path, metadata=metadata, dpi=110)
        click.echo(f"{path}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
