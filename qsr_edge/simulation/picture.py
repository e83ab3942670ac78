"""The picture of a simulation: depth, heat, latency, battery and quality over time, a line for each strategy."""

import io
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure

from qsr_edge.simulation.phone import SEVERE_C
from qsr_edge.simulation.run import Outcome
from qsr_edge.simulation.scenario import Scenario

# Okabe and Ito's colours, which people with colour vision deficiency can tell apart.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_AVERAGED_S = 15


def _smoothed(values: Sequence[float]) -> np.ndarray:
    """A running mean, so that noise from second to second does not hide the course."""
    kernel = np.ones(min(_AVERAGED_S, len(values)))
    padded = np.convolve(values, kernel, "same")
    return padded / np.convolve(np.ones(len(values)), kernel, "same")


def draw(
    scenario: Scenario, outcomes: Sequence[Outcome], quality_db: Mapping[int, float], *, format: str = "png"
) -> bytes:
    """The picture as the bytes of a file.

    Args:
        scenario: that was simulated.
        outcomes: the first one is drawn boldest.
        quality_db: PSNR by depth; if it is empty there is no quality panel.
        format: ``"png"`` or ``"svg"``.
    """
    panels = ["depth", "skin, °C", "latency, ms", "battery, %", *(["PSNR, dB"] if quality_db else [])]
    figure = Figure(figsize=(10, 2.1 * len(panels)), layout="constrained")
    axes = figure.subplots(len(panels), 1, sharex=True)
    minutes = np.arange(scenario.seconds) / 60
    for i, outcome in enumerate(outcomes):
        style = {
            "color": _COLOURS[i % len(_COLOURS)],
            "linewidth": 2.2 if i == 0 else 1.1,
            "zorder": 3 if i == 0 else 2,
        }
        seconds = outcome.seconds
        # Lines of equal depth would hide each other.
        shift = 0.06 * (i - (len(outcomes) - 1) / 2)
        axes[0].step(
            minutes, [second.depth + shift for second in seconds], label=outcome.strategy, where="post", **style
        )
        axes[1].plot(minutes, [second.skin_c for second in seconds], **style)
        axes[2].plot(minutes, _smoothed([second.latency_us / 1000 for second in seconds]), **style)
        axes[3].plot(minutes, [second.battery_percent for second in seconds], **style)
        if quality_db:
            axes[4].plot(minutes, _smoothed([quality_db[second.depth] for second in seconds]), **style)
    axes[0].set_yticks(sorted({second.depth for outcome in outcomes for second in outcome.seconds}))
    axes[0].legend(ncols=len(outcomes), fontsize=8, loc="lower left", bbox_to_anchor=(0, 1.0), frameon=False)
    axes[1].axhline(SEVERE_C, color="#888888", linestyle=":", zorder=1)
    axes[1].annotate("the system throttles", (0, SEVERE_C), fontsize=7, color="#555555", va="bottom")
    if scenario.frames_per_second:
        budget_ms = 1000 / scenario.frames_per_second
        axes[2].axhline(budget_ms, color="#888888", linestyle=":", zorder=1)
        axes[2].annotate("budget of a frame", (0, budget_ms), fontsize=7, color="#555555", va="bottom")
    for axis, label in zip(axes, panels, strict=True):
        axis.set_ylabel(label)
        axis.grid(color="#eeeeee")
    axes[1].margins(y=0.12)
    axes[2].margins(y=0.12)
    start = 0
    for phase in scenario.phases[:-1]:
        start += phase.seconds
        for axis in axes:
            axis.axvline(start / 60, color="#bbbbbb", linewidth=0.8, zorder=1)
    axes[-1].set_xlabel(f"minutes; latency{' and PSNR' if quality_db else ''}: mean of {_AVERAGED_S} s")
    figure.suptitle(f"Simulated, not measured on a phone: {scenario.name}", fontsize=11)
    buffer = io.BytesIO()
    with rc_context({"svg.hashsalt": scenario.name}):
        figure.savefig(buffer, format=format, dpi=130, metadata={"Date": None} if format == "svg" else None)
    return buffer.getvalue()
