"""One decision: (policy, table, state, sample) -> (state, depth, reasons). No clock, no floats, no randomness.

Down at once, up one level at a time: a step up must have been permitted, with margins, for the policy's dwell. A
sensor that was known and is not now never permits one. ``docs/selector.md`` tells it in prose;
``tests/vectors/selector`` holds traces that every implementation must reproduce.
"""

from dataclasses import dataclass
from enum import StrEnum

from qsr_edge.errors import PolicyError
from qsr_edge.selector.latency import (
    MAX_PIXELS,
    MAX_RATIO_MILLI,
    MIN_RATIO_MILLI,
    LatencyTable,
    predicted_us,
)
from qsr_edge.selector.policy import (
    MAX_HEADROOM_MILLI,
    MAX_THERMAL_STATUS,
    MAX_TIME_MS,
    UNKNOWN_PREFIX,
    Policy,
    Rule,
)

MAX_BUDGET_US = 1 << 40


class Sensor(StrEnum):
    """What a sample may know, in the order in which states and reasons name it."""

    BATTERY = "battery"
    CHARGING = "charging"
    POWER_SAVE = "power-save"
    THERMAL_STATUS = "thermal-status"
    HEADROOM = "headroom"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What is known at one moment; None is unknown.

    Attributes:
        time_ms: of a clock that does not run backwards; if it does, a dwell begins anew.
        pixels: of the input of a frame, 1 to 2^27.
        budget_us: that a frame may take, up to 2^40; None for no deadline.
        latency_ratio_milli: observed latency over the table's, in thousandths; None for the last known.
        battery_percent: 0 to 100.
        charging: whether power comes in.
        power_save: whether the user asked to save power.
        thermal_status: Android's scale, 0 to 6; Apple's nominal, fair, serious, critical are 0, 2, 3, 4.
        headroom_milli: Android's thermal headroom in thousandths, 0 to 10,000.
    """

    time_ms: int
    pixels: int
    budget_us: int | None = None
    latency_ratio_milli: int | None = None
    battery_percent: int | None = None
    charging: bool | None = None
    power_save: bool | None = None
    thermal_status: int | None = None
    headroom_milli: int | None = None

    def __post_init__(self) -> None:
        """Refuse values out of their ranges.

        Raises:
            PolicyError: naming the value.
        """
        for value, low, high, what in (
            (self.time_ms, -MAX_TIME_MS, MAX_TIME_MS, "time_ms"),
            (self.pixels, 1, MAX_PIXELS, "pixels"),
            (self.budget_us, 1, MAX_BUDGET_US, "budget_us"),
            (self.latency_ratio_milli, 0, MAX_TIME_MS, "latency_ratio_milli"),
            (self.battery_percent, 0, 100, "battery_percent"),
            (self.thermal_status, 0, MAX_THERMAL_STATUS, "thermal_status"),
            (self.headroom_milli, 0, MAX_HEADROOM_MILLI, "headroom_milli"),
        ):
            if value is not None and not low <= value <= high:
                raise PolicyError(f"sample: {what} = {value}, expected {low} to {high}")

    def known(self, sensor: Sensor) -> bool:
        """Whether a sensor tells something."""
        return {
            Sensor.BATTERY: self.battery_percent,
            Sensor.CHARGING: self.charging,
            Sensor.POWER_SAVE: self.power_save,
            Sensor.THERMAL_STATUS: self.thermal_status,
            Sensor.HEADROOM: self.headroom_milli,
        }[sensor] is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What a selector remembers; an app may save it and go on later.

    Attributes:
        depth: that runs.
        time_ms: of the last sample.
        active: names of the rules that hold, in the policy's order.
        known: sensors that have told something since the beginning, in the order of ``Sensor``.
        ratio_milli: observed latency over the table's, in thousandths.
        permitted_since_ms: since when a step up is permitted; None if it is not.
    """

    depth: int
    time_ms: int
    active: tuple[str, ...] = ()
    known: tuple[Sensor, ...] = ()
    ratio_milli: int = 1000
    permitted_since_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What ``step`` gives: the new state, with the depth to run, and why it is not deeper (nothing at the deepest)."""

    state: State
    reasons: tuple[str, ...]


class _Condition(StrEnum):
    HOLDS = "holds"
    CLEAR = "clear"
    OPEN = "open"
    """Neither: between threshold and margin, or not known now."""


def _at_least(value: int, threshold: int, margin: int) -> _Condition:
    if value >= threshold:
        return _Condition.HOLDS
    return _Condition.CLEAR if value <= threshold - margin else _Condition.OPEN


def _below(value: int, threshold: int, margin: int) -> _Condition:
    if value < threshold:
        return _Condition.HOLDS
    return _Condition.CLEAR if value >= min(threshold + margin, 100) else _Condition.OPEN


def _equal(value: bool, wanted: bool) -> _Condition:
    return _Condition.HOLDS if value == wanted else _Condition.CLEAR


def _conditions(rule: Rule, policy: Policy, sample: Sample) -> dict[Sensor, _Condition | None]:
    """Every condition of a rule, None where its sensor tells nothing."""
    found: dict[Sensor, _Condition | None] = {}
    if rule.battery_percent_below is not None:
        value = sample.battery_percent
        margin = policy.battery_margin_percent
        found[Sensor.BATTERY] = None if value is None else _below(value, rule.battery_percent_below, margin)
    if rule.charging is not None:
        found[Sensor.CHARGING] = None if sample.charging is None else _equal(sample.charging, rule.charging)
    if rule.power_save is not None:
        found[Sensor.POWER_SAVE] = None if sample.power_save is None else _equal(sample.power_save, rule.power_save)
    if rule.thermal_status_at_least is not None:
        value = sample.thermal_status
        # Statuses are whole levels: one below the threshold is clear.
        found[Sensor.THERMAL_STATUS] = None if value is None else _at_least(value, rule.thermal_status_at_least, 1)
    if rule.headroom_milli_at_least is not None:
        value = sample.headroom_milli
        margin = policy.headroom_margin_milli
        found[Sensor.HEADROOM] = None if value is None else _at_least(value, rule.headroom_milli_at_least, margin)
    return found


def _holds(rule: Rule, policy: Policy, sample: Sample, *, active: bool, known: frozenset[Sensor]) -> bool:
    never_known = _Condition.HOLDS if rule.unknown_counts else _Condition.CLEAR
    conditions = [
        condition if condition is not None else _Condition.OPEN if sensor in known else never_known
        for sensor, condition in _conditions(rule, policy, sample).items()
    ]
    if all(condition is _Condition.HOLDS for condition in conditions):
        return True
    return active and _Condition.CLEAR not in conditions


def step(policy: Policy, table: LatencyTable, state: State | None, sample: Sample) -> Decision:
    """Decide.

    Args:
        policy: one that names only depths of the table.
        table: latency of every depth that may run.
        state: of the decision before; None at the beginning.
        sample: what is known now.

    Raises:
        PolicyError: if policy or state name a depth that the table does not.
    """
    depths = table.depths
    policy.check_depths(depths)
    before = state or State(depth=policy.initial_depth, time_ms=sample.time_ms)
    if before.depth not in depths:
        raise PolicyError(f"the state names the depth {before.depth}, expected one of {', '.join(map(str, depths))}")
    ratio = before.ratio_milli
    if sample.latency_ratio_milli is not None:
        ratio = min(max(sample.latency_ratio_milli, MIN_RATIO_MILLI), MAX_RATIO_MILLI)
    known_before = frozenset(before.known)
    holding = tuple(
        rule
        for rule in policy.rules
        if _holds(rule, policy, sample, active=rule.name in before.active, known=known_before)
    )
    known = tuple(sensor for sensor in Sensor if sensor in known_before or sample.known(sensor))

    def fits(depth: int, margin_milli: int) -> bool:
        if sample.budget_us is None:
            return True
        needed = predicted_us(table, depth, sample.pixels, ratio)
        return needed * 1000 <= sample.budget_us * (1000 - margin_milli)

    cap = min((depths[-1], *(rule.max_depth for rule in holding)))
    limit = min(cap, max((depth for depth in depths if fits(depth, 0)), default=depths[0]))
    lost = _lost_sensors(policy, sample, known)
    depth, since = before.depth, None
    if limit < depth:
        depth = limit
    else:
        deeper = _next_deeper(depths, depth)
        if deeper is not None and deeper <= cap and fits(deeper, policy.latency_margin_milli) and not lost:
            since = _permitted_since(before, sample, policy)
            if sample.time_ms - since >= policy.dwell_ms:
                depth, since = deeper, sample.time_ms
    after = State(
        depth=depth,
        time_ms=sample.time_ms,
        active=tuple(rule.name for rule in holding),
        known=known,
        ratio_milli=ratio,
        permitted_since_ms=since,
    )
    deeper = _next_deeper(depths, depth)
    if deeper is None:
        return Decision(state=after, reasons=())
    reasons = [rule.name for rule in holding if rule.max_depth < deeper]
    if not fits(deeper, policy.latency_margin_milli):
        reasons.append("latency")
    reasons += [f"{UNKNOWN_PREFIX}{sensor}" for sensor in lost]
    return Decision(state=after, reasons=tuple(reasons) or ("dwell",))


def _next_deeper(depths: tuple[int, ...], depth: int) -> int | None:
    return next((candidate for candidate in depths if candidate > depth), None)


def _permitted_since(before: State, sample: Sample, policy: Policy) -> int:
    gap = sample.time_ms - before.time_ms
    if before.permitted_since_ms is None or not 0 <= gap <= policy.max_gap_ms:
        return sample.time_ms
    return before.permitted_since_ms


def _lost_sensors(policy: Policy, sample: Sample, known: tuple[Sensor, ...]) -> tuple[Sensor, ...]:
    """Sensors that some rule asks, that were known, and are not now."""
    asked = {sensor for rule in policy.rules for sensor in _conditions(rule, policy, sample)}
    return tuple(sensor for sensor in known if sensor in asked and not sample.known(sensor))
