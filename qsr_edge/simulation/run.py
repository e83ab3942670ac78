"""Running strategies through a scenario, and what came of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

from qsr_edge.selector.decision import Sample, State, step
from qsr_edge.selector.latency import LatencyTable, LatencyTracker, observe, predicted_us
from qsr_edge.selector.policy import Policy
from qsr_edge.simulation.phone import BATTERY_WH, STEP_S, Phone
from qsr_edge.simulation.scenario import Scenario

SEVERE = 3
"""The thermal status from which the system throttles."""


class Strategy(Protocol):
    """Chooses a depth once a second."""

    name: str

    def choose(self, sample: Sample) -> tuple[int, tuple[str, ...]]:
        """The depth for the next second, and why it is not deeper."""
        ...


class SelectorStrategy:
    """The selector under a policy."""

    def __init__(self, policy: Policy, table: LatencyTable):
        """Begin without a state."""
        self.name = "selector"
        self._policy, self._table = policy, table
        self._state: State | None = None

    def choose(self, sample: Sample) -> tuple[int, tuple[str, ...]]:
        """One decision."""
        decision = step(self._policy, self._table, self._state, sample)
        self._state = decision.state
        return decision.state.depth, decision.reasons


class FixedStrategy:
    """Always the same depth."""

    def __init__(self, depth: int):
        """Keep to a depth."""
        self.name = f"fixed {depth}"
        self._depth = depth

    def choose(self, sample: Sample) -> tuple[int, tuple[str, ...]]:
        """The depth."""
        return self._depth, ()


class NaiveStrategy:
    """What one writes first: thresholds on heat, battery and latency, without margins, dwell or memory."""

    def __init__(self, table: LatencyTable):
        """Choose among the table's depths."""
        self.name = "naive switch"
        self._table = table

    def choose(self, sample: Sample) -> tuple[int, tuple[str, ...]]:
        """The deepest depth that fits, one or more levels lower when hot or nearly empty."""
        depths = self._table.depths
        level = len(depths) - 1
        hot = sample.thermal_status or 0
        headroom = sample.headroom_milli or 0
        if hot >= SEVERE or headroom >= 1000 or sample.power_save:
            level = 0
        elif hot == SEVERE - 1 or headroom >= 900 or (sample.battery_percent or 100) < 20:
            level = min(level, (len(depths) - 1) // 2)
        ratio = sample.latency_ratio_milli or 1000
        budget = sample.budget_us
        while level and budget is not None and predicted_us(self._table, depths[level], sample.pixels, ratio) > budget:
            level -= 1
        return depths[level], ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Second:
    """One second of a run: what was chosen, and what the phone did.

    Attributes:
        depth: that ran.
        reasons: why it was not deeper.
        skin_c: at the second's end.
        status: thermal status.
        latency_us: of a frame.
        battery_percent: at the second's end.
        frames: that were delivered.
        missed: that were not ready in time.
    """

    depth: int
    reasons: tuple[str, ...]
    skin_c: float
    status: int
    latency_us: int
    battery_percent: float
    frames: int
    missed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A strategy's run through a scenario.

    Attributes:
        strategy: its name.
        seconds: each one.
        frames: delivered in time.
        missed_percent: of the frames that were due.
        mean_psnr_db: over delivered frames; None if the bundle does not know its quality.
        switches_per_minute: changes of depth.
        throttled_percent: time at thermal status 3 or above.
        hottest_c: highest skin temperature.
        energy_wh: drawn by the whole phone.
    """

    strategy: str
    seconds: tuple[Second, ...]
    frames: int
    missed_percent: float
    mean_psnr_db: float | None
    switches_per_minute: float
    throttled_percent: float
    hottest_c: float
    energy_wh: float


def simulate(
    scenario: Scenario, strategy: Strategy, table: LatencyTable, quality_db: Mapping[int, float], *, seed: int = 0
) -> Outcome:
    """Run a strategy.

    Args:
        scenario: what the phone goes through.
        strategy: that chooses a depth each second, from what was seen until then.
        table: latency of each depth, which the scenario's device is ``device_speed`` times as fast as.
        quality_db: PSNR by depth; may be empty.
        seed: of the sensors' noise; the same for all strategies that are to be compared.
    """
    phone = Phone(skin_c=scenario.skin_c, battery_percent=scenario.battery_percent, seed=seed)
    pixels = scenario.width_px * scenario.height_px
    fps = scenario.frames_per_second
    budget_us = round(1e6 / fps) if fps else None
    tracker = LatencyTracker()
    seconds: list[Second] = []
    energy_wh, psnr_sum = 0.0, 0.0
    for i in range(scenario.seconds):
        phase = scenario.phase_at(i)
        phone.read_sensors()
        sample = Sample(
            time_ms=1000 * i,
            pixels=pixels,
            budget_us=budget_us,
            latency_ratio_milli=tracker.ratio_milli,
            battery_percent=phone.battery_percent,
            charging=phase.charging_w > 0,
            power_save=phase.power_save,
            thermal_status=phone.status,
            headroom_milli=phone.headroom_milli,
        )
        depth, reasons = strategy.choose(sample)
        latency_us = phone.latency_us(predicted_us(table, depth, pixels, 1000) / scenario.device_speed)
        # Two observations: the tracker leaves out the first after a change of depth.
        for _ in range(2):
            tracker = observe(tracker, table, depth=depth, pixels=pixels, latency_us=latency_us)
        possible = int(1e6 * STEP_S / latency_us)
        due = fps or possible
        on_time = due if budget_us is None or latency_us <= budget_us else min(due, possible)
        energy_wh += phone.advance(min(1.0, due * latency_us / 1e6), phase.conditions)
        psnr_sum += on_time * quality_db.get(depth, 0.0)
        seconds.append(
            Second(
                depth=depth,
                reasons=reasons,
                skin_c=phone.skin_c,
                status=phone.status,
                latency_us=latency_us,
                battery_percent=100 * phone.battery_wh / BATTERY_WH,
                frames=on_time,
                missed=due - on_time,
            )
        )
    frames, missed = sum(second.frames for second in seconds), sum(second.missed for second in seconds)
    switches = sum(a.depth != b.depth for a, b in pairwise(seconds))
    return Outcome(
        strategy=strategy.name,
        seconds=tuple(seconds),
        frames=frames,
        missed_percent=100 * missed / max(1, frames + missed),
        mean_psnr_db=psnr_sum / frames if quality_db and frames else None,
        switches_per_minute=60 * switches / len(seconds),
        throttled_percent=100 * sum(second.status >= SEVERE for second in seconds) / len(seconds),
        hottest_c=max(second.skin_c for second in seconds),
        energy_wh=energy_wh,
    )
