"""The policy: which conditions cap the depth, and how patient a step up is. Data, the same for every language."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from qsr_edge.errors import PolicyError

MAX_THERMAL_STATUS = 6
"""Android's ``THERMAL_STATUS_SHUTDOWN``; 1 light, 2 moderate, 3 severe, 4 critical, 5 emergency."""
MAX_HEADROOM_MILLI = 10_000
MAX_TIME_MS = 1 << 52
RESERVED_NAMES = ("latency", "dwell")
"""Reasons that are no rule's; nor may a rule's name begin as those of unknown sensors do."""
UNKNOWN_PREFIX = "unknown-"
_NAME = re.compile(r"[a-z][a-z0-9-]{0,63}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A cap that holds while all its conditions do; a condition that is None is none.

    Attributes:
        name: lower-case letters, digits and hyphens; what a decision gives as its reason.
        max_depth: the cap, in residual blocks.
        unknown_counts: whether a sensor that never told anything meets its condition.
        thermal_status_at_least: Android's scale, 1 to 6.
        headroom_milli_at_least: thermal headroom in thousandths; 1000 is where status 3 begins.
        battery_percent_below: 1 to 100.
        charging: the state that meets the condition.
        power_save: the state that meets the condition.
    """

    name: str
    max_depth: int
    unknown_counts: bool
    thermal_status_at_least: int | None = None
    headroom_milli_at_least: int | None = None
    battery_percent_below: int | None = None
    charging: bool | None = None
    power_save: bool | None = None

    def __post_init__(self) -> None:
        """Refuse what can be no rule.

        Raises:
            PolicyError: naming the rule, what was got and what was expected.
        """
        if not _NAME.fullmatch(self.name) or self.name in RESERVED_NAMES or self.name.startswith(UNKNOWN_PREFIX):
            raise PolicyError(
                f"a rule is called {self.name!r}, expected lower-case letters, digits and hyphens, not "
                f"{', '.join(RESERVED_NAMES)} nor {UNKNOWN_PREFIX}..."
            )
        for value, low, high, what in (
            (self.max_depth, 1, 64, "max_depth"),
            (self.thermal_status_at_least, 1, MAX_THERMAL_STATUS, "thermal_status_at_least"),
            (self.headroom_milli_at_least, 1, MAX_HEADROOM_MILLI, "headroom_milli_at_least"),
            (self.battery_percent_below, 1, 100, "battery_percent_below"),
        ):
            if value is not None and not low <= value <= high:
                raise PolicyError(f"rule {self.name}: {what} = {value}, expected {low} to {high}")
        conditions = (
            self.thermal_status_at_least,
            self.headroom_milli_at_least,
            self.battery_percent_below,
            self.charging,
            self.power_save,
        )
        if all(condition is None for condition in conditions):
            raise PolicyError(f"rule {self.name}: has no condition, so it would hold always; give it one")


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What a selector obeys.

    Attributes:
        initial_depth: before the first sample.
        dwell_ms: how long a step up must have been permitted.
        max_gap_ms: samples farther apart prove nothing of the time between them; the dwell begins anew.
        latency_margin_milli: a step up needs the deeper model to need this much less than the budget, in thousandths.
        headroom_margin_milli: a headroom condition is over only so far below its threshold.
        battery_margin_percent: a battery condition is over only so far above its threshold.
        rules: in the order in which decisions name them.
    """

    initial_depth: int
    dwell_ms: int
    max_gap_ms: int
    latency_margin_milli: int
    headroom_margin_milli: int
    battery_margin_percent: int
    rules: tuple[Rule, ...]

    def __post_init__(self) -> None:
        """Refuse what can be no policy.

        Raises:
            PolicyError: naming the value, what was got and what was expected.
        """
        for value, low, high, what in (
            (self.initial_depth, 1, 64, "initial_depth"),
            (self.dwell_ms, 0, MAX_TIME_MS, "dwell_ms"),
            (self.max_gap_ms, 0, MAX_TIME_MS, "max_gap_ms"),
            (self.latency_margin_milli, 0, 999, "latency_margin_milli"),
            (self.headroom_margin_milli, 0, MAX_HEADROOM_MILLI, "headroom_margin_milli"),
            (self.battery_margin_percent, 0, 100, "battery_margin_percent"),
        ):
            if not low <= value <= high:
                raise PolicyError(f"{what} = {value}, expected {low} to {high}")
        names = [rule.name for rule in self.rules]
        if len(set(names)) != len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise PolicyError(f"two rules are called {twice!r}, expected names that differ")

    def check_depths(self, depths: Sequence[int]) -> None:
        """See that every depth that the policy names is offered.

        Raises:
            PolicyError: naming the one that is not.
        """
        named = [("initial_depth", self.initial_depth), *((f"rule {r.name}", r.max_depth) for r in self.rules)]
        for what, depth in named:
            if depth not in depths:
                raise PolicyError(f"{what} names the depth {depth}, expected one of {', '.join(map(str, depths))}")


def default_policy(depths: Sequence[int]) -> Policy:
    """The policy of a bundle that brings none.

    Reasons, for a phone whose maker has to answer for heat in the hand and an empty battery:

    - Thermal status ``moderate`` (the system's work is not yet impaired) costs one step of depth, ``severe`` (the
      system throttles) goes to the shallowest. Headroom does the same a little earlier, so that ``severe`` is avoided
      rather than met.
    - A phone that never tells its thermal status is treated as moderately hot. One without headroom still has status.
    - Power save mode is the user's own word: shallowest. So are the last 10 % of an unplugged battery; below 20 %,
      where systems begin to warn, one step.
    - A step up waits for 10 s: a phone's skin changes over minutes, and a change of depth can be seen.

    Args:
        depths: what the bundle offers, ascending.
    """
    shallowest, deepest = depths[0], depths[-1]
    middle = depths[(len(depths) - 1) // 2]
    candidates = (
        Rule(name="thermal-severe", max_depth=shallowest, unknown_counts=False, thermal_status_at_least=3),
        Rule(name="thermal-moderate", max_depth=middle, unknown_counts=True, thermal_status_at_least=2),
        Rule(name="headroom-gone", max_depth=shallowest, unknown_counts=False, headroom_milli_at_least=1000),
        Rule(name="headroom-small", max_depth=middle, unknown_counts=False, headroom_milli_at_least=900),
        Rule(name="power-save", max_depth=shallowest, unknown_counts=False, power_save=True),
        Rule(
            name="battery-very-low",
            max_depth=shallowest,
            unknown_counts=False,
            battery_percent_below=10,
            charging=False,
        ),
        Rule(name="battery-low", max_depth=middle, unknown_counts=False, battery_percent_below=20, charging=False),
    )

    def matters(rule: Rule) -> bool:
        others = [other for other in candidates if other != rule and _implies(rule, other)]
        return rule.max_depth < deepest and all(other.max_depth > rule.max_depth for other in others)

    rules = tuple(rule for rule in candidates if matters(rule))
    return Policy(
        initial_depth=middle,
        dwell_ms=10_000,
        max_gap_ms=3_000,
        latency_margin_milli=150,
        headroom_margin_milli=50,
        battery_margin_percent=3,
        rules=rules,
    )


def _implies(strict: Rule, loose: Rule) -> bool:
    """Whether ``loose`` holds whenever ``strict`` does."""
    if strict.unknown_counts and not loose.unknown_counts:
        return False
    for ours, theirs, more in (
        (strict.thermal_status_at_least, loose.thermal_status_at_least, 1),
        (strict.headroom_milli_at_least, loose.headroom_milli_at_least, 1),
        (strict.battery_percent_below, loose.battery_percent_below, -1),
    ):
        if theirs is not None and (ours is None or (ours - theirs) * more < 0):
            return False
    pairs = ((strict.charging, loose.charging), (strict.power_save, loose.power_save))
    return all(theirs is None or ours is theirs for ours, theirs in pairs)


def findings(policy: Policy, depths: Sequence[int]) -> tuple[str, ...]:
    """What is allowed and cannot be meant: rules that change nothing, contradict another, or never end.

    Args:
        policy: one that names only depths of ``depths``.
        depths: what the bundle offers, ascending.
    """
    found = []
    for i, rule in enumerate(policy.rules):
        if rule.max_depth >= depths[-1]:
            found.append(f"rule {rule.name} caps at the deepest model, {depths[-1]}, so it changes nothing")
            continue
        for j, other in enumerate(policy.rules):
            if i == j or not _implies(rule, other) or other.max_depth > rule.max_depth:
                continue
            if other.max_depth < rule.max_depth:
                found.append(
                    f"rule {rule.name} contradicts {other.name}: {other.name} holds whenever it does, and caps at "
                    f"{other.max_depth}, not {rule.max_depth}"
                )
                break
            if not _implies(other, rule) or j < i:
                found.append(f"rule {rule.name} can never matter: {other.name} holds whenever it does, at the same cap")
                break
        threshold = rule.headroom_milli_at_least
        if threshold is not None and threshold <= policy.headroom_margin_milli:
            found.append(f"rule {rule.name} never ends: its headroom less the margin is not above 0")
    return tuple(found)
