"""Draws the plots of docs/rlq.md from the project's own functions and writes them beside itself."""

from pathlib import Path

import torch
from matplotlib import rcParams
from matplotlib.figure import Figure

from qsr_edge.quant.arithmetic import CodeRange
from qsr_edge.quant.calibration import least_error_step
from qsr_edge.quant.rlq import RLQ
from qsr_edge.quant.rounding import clipped_round, phi, phi_slope

FOLDER = Path(__file__).parent


def save(figure: Figure, name: str) -> None:
    """Write an SVG that is the same at every run."""
    rcParams["svg.hashsalt"] = name
    figure.savefig(FOLDER / f"{name}.svg", metadata={"Date": None})


def forward_and_backward() -> None:
    """The staircase that is computed, phi, and the slopes that stand in for the staircase's."""
    u = torch.linspace(-2.2, 2.2, 2201)
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot(u, clipped_round(u, -2, 1), label="forward: round and clip to [-2, 1]", drawstyle="steps-mid")
    left.plot(u, phi(u.clamp(-2, 1)), label="phi of the clipped value: backward only")
    left.set(xlabel="u, in steps", ylabel="code", title="2 bits, signed")
    left.legend(fontsize=8)
    inside = (u >= -2) & (u <= 1)
    right.plot(u, torch.where(inside, phi_slope(u), 0.0), label="phi (RLQ)")
    right.plot(u, inside.float(), "--", label="straight-through (LSQ)")
    right.set(xlabel="u, in steps", ylabel="gradient factor", title="what a gradient is multiplied by", ylim=(0, 1.3))
    right.legend(fontsize=8, loc="lower center")
    save(figure, "phi")


def polynomial_error() -> None:
    """Print how far the polynomial for phi's slope is off, against automatic differentiation of phi in float64."""
    u = (torch.arange(200_000, dtype=torch.float64) + 0.5) / 200_000
    u.requires_grad_()
    (exact,) = torch.autograd.grad(phi(u).sum(), u)
    print(f"largest error of the slope's polynomial: {(phi_slope(u.detach()) - exact).abs().max():.1e}")
    print(f"slope at the threshold {exact.max():.4f}, at the integers {exact.min():.4f}, mean {exact.mean():.6f}")


def shift() -> None:
    """Codes of a channel whose values are not centred, with and without RLQ's shift."""
    torch.manual_seed(0)
    x = 1.6 + 0.5 * torch.randn(20_000, 1)
    figure = Figure(figsize=(9, 3.0), layout="constrained")
    for axes, offset in zip(figure.subplots(1, 2, sharey=True), (0.0, -1.6), strict=True):
        quantizer = RLQ(CodeRange.signed(3), shift_channels=1)
        quantizer.calibrate(x + offset)
        with torch.no_grad():
            quantizer.shift.fill_(offset)
            codes, step = quantizer.quantize(x)
        used = [(codes == code).float().mean().item() for code in range(-4, 4)]
        error = (codes * step - (x + offset)).square().mean().sqrt().item()
        axes.bar(range(-4, 4), used)
        axes.set(
            xlabel="code",
            title=f"shift {offset:+.1f}: step {step.item():.2f}, rms error {error:.3f}",
            xticks=range(-4, 4),
        )
        axes.set_ylabel("share of values" if offset == 0 else "")
        print(f"shift {offset:+.1f}: {sum(u > 0.005 for u in used)} codes used, rms error {error:.4f}")
    save(figure, "shift")


def portable_steps() -> None:
    """Error of Gaussian weights when the step size must be a power of two times a given unit."""
    torch.manual_seed(0)
    w = torch.randn(50_000)
    figure = Figure(figsize=(6, 3.4), layout="constrained")
    axes = figure.subplots()
    for bits in (2, 3, 4):
        code_range = CodeRange.signed(bits)

        def error(step: torch.Tensor, code_range: CodeRange = code_range) -> float:
            codes = clipped_round(w / step, code_range.q_min, code_range.q_max)
            return (codes * step - w).square().mean().item()

        ideal = least_error_step(w, code_range)
        positions = torch.linspace(0, 1, 41)
        # The unit step_out / step_in lies anywhere between two powers of two; the nearest two grid points compete.
        ratios = [min(error(ideal * 2**-p), error(ideal * 2 ** (1 - p))) / error(ideal) for p in positions]
        decibels = 10 * torch.tensor(ratios).log10()
        axes.plot(positions, decibels, label=f"{bits} bits")
        print(f"{bits} bits: squared error grows by at most {decibels.max():.2f} dB, on average {decibels.mean():.2f}")
    axes.set(
        xlabel="where the free step lies between two powers of two (log2)",
        ylabel="squared error, dB over the free step's",
    )
    axes.legend()
    save(figure, "portable")


if __name__ == "__main__":
    forward_and_backward()
    polynomial_error()
    shift()
    portable_steps()
