"""What the selector promises, for any policy, table, state and sample; and the default policy by example."""

import json
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qsr_edge.codec import Decoder, encode
from qsr_edge.errors import PolicyError
from qsr_edge.selector import (
    Decision,
    LatencyEntry,
    LatencyTable,
    Policy,
    Rule,
    Sample,
    Sensor,
    State,
    default_policy,
    estimated_table,
    step,
)
from qsr_edge.selector.latency import LatencyTracker, observe, predicted_us

DEPTHS = (2, 4, 8)
TABLE = estimated_table({2: 41_284, 4: 78_212, 8: 152_068})
POLICY = default_policy(DEPTHS)
COOL = Sample(
    time_ms=0,
    pixels=57_600,
    battery_percent=80,
    charging=False,
    power_save=False,
    thermal_status=0,
    headroom_milli=500,
)


def optional(strategy: st.SearchStrategy) -> st.SearchStrategy:
    return st.none() | strategy


CONDITIONS = {
    "thermal_status_at_least": st.integers(1, 6),
    "headroom_milli_at_least": st.integers(800, 1100),
    "battery_percent_below": st.integers(1, 100),
    "charging": st.booleans(),
    "power_save": st.booleans(),
}


@st.composite
def rules(draw: st.DrawFn, name: str) -> Rule:
    kinds = draw(st.sets(st.sampled_from(sorted(CONDITIONS)), min_size=1, max_size=3))
    return Rule(
        name=name,
        max_depth=draw(st.sampled_from(DEPTHS)),
        unknown_counts=draw(st.booleans()),
        **{kind: draw(CONDITIONS[kind]) for kind in kinds},
    )


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    return Policy(
        initial_depth=draw(st.sampled_from(DEPTHS)),
        dwell_ms=draw(st.sampled_from([0, 1, 1000, 5000])),
        max_gap_ms=draw(st.sampled_from([0, 1000, 10_000])),
        latency_margin_milli=draw(st.sampled_from([0, 150, 900])),
        headroom_margin_milli=draw(st.sampled_from([0, 50, 300])),
        battery_margin_percent=draw(st.sampled_from([0, 3, 50])),
        rules=tuple(draw(rules(f"rule-{i}")) for i in range(draw(st.integers(0, 4)))),
    )


@st.composite
def samples(draw: st.DrawFn, *, complete: bool = False) -> Sample:
    def value(strategy: st.SearchStrategy):
        return draw(strategy if complete else optional(strategy))

    return Sample(
        time_ms=draw(st.integers(0, 12_000)),
        pixels=draw(st.sampled_from([1, 57_600, 1 << 27])),
        budget_us=draw(optional(st.sampled_from([1, 15_000, 20_000, 33_333, 60_000]))),
        latency_ratio_milli=draw(optional(st.sampled_from([10, 900, 1000, 1200, 2000, 100_000]))),
        battery_percent=value(st.integers(0, 100)),
        charging=value(st.booleans()),
        power_save=value(st.booleans()),
        thermal_status=value(st.integers(0, 6)),
        headroom_milli=value(st.integers(700, 1200)),
    )


@st.composite
def states(draw: st.DrawFn, policy: Policy) -> State:
    """A state that the policy can be in: reached by a short trace."""
    decision = Decision(state=step(policy, TABLE, None, draw(samples())).state, reasons=())
    for sample in draw(st.lists(samples(), max_size=4)):
        decision = step(policy, TABLE, decision.state, sample)
    return decision.state


@st.composite
def situations(draw: st.DrawFn) -> tuple[Policy, State | None, Sample]:
    policy = draw(policies())
    return policy, draw(st.none() | states(policy)), draw(samples())


def run(policy: Policy, samples: list[Sample], state: State | None = None) -> list[Decision]:
    decisions = []
    for sample in samples:
        decisions.append(step(policy, TABLE, state, sample))
        state = decisions[-1].state
    return decisions


def worse(sample: Sample, field: str, change: Callable[[int], int]) -> Sample:
    value = getattr(sample, field)
    return sample if value is None else replace(sample, **{field: change(value)})


WORSE = {
    "hotter": lambda s: worse(s, "thermal_status", lambda v: min(6, v + 1)),
    "closer to throttling": lambda s: worse(s, "headroom_milli", lambda v: v + 60),
    "emptier": lambda s: worse(s, "battery_percent", lambda v: max(0, v - 4)),
    "slower": lambda s: worse(s, "latency_ratio_milli", lambda v: 2 * v),
    "less time": lambda s: replace(s, budget_us=40_000 if s.budget_us is None else max(1, s.budget_us // 2)),
}


@pytest.mark.parametrize("kind", sorted(WORSE))
@given(situations())
def test_worse_never_gives_more(kind: str, situation: tuple[Policy, State | None, Sample]) -> None:
    policy, state, sample = situation
    assert step(policy, TABLE, state, WORSE[kind](sample)).state.depth <= step(policy, TABLE, state, sample).state.depth


UNKNOWN = {
    Sensor.BATTERY: "battery_percent",
    Sensor.CHARGING: "charging",
    Sensor.POWER_SAVE: "power_save",
    Sensor.THERMAL_STATUS: "thermal_status",
    Sensor.HEADROOM: "headroom_milli",
}


@pytest.mark.parametrize("sensor", list(Sensor))
@given(situations())
def test_a_sensor_that_falls_silent_never_raises_the_depth(
    sensor: Sensor, situation: tuple[Policy, State | None, Sample]
) -> None:
    policy, state, sample = situation
    decision = step(policy, TABLE, state, replace(sample, **{UNKNOWN[sensor]: None}))
    conditions = [name for name in CONDITIONS if name.startswith(UNKNOWN[sensor])]
    asked = any(getattr(rule, name) is not None for rule in policy.rules for name in conditions)
    if state is not None and sensor in state.known and asked:
        assert decision.state.depth <= state.depth
        if decision.state.depth < DEPTHS[-1]:
            assert f"unknown-{sensor}" in decision.reasons


@given(policies(), st.lists(samples(), min_size=1, max_size=40))
def test_one_step_up_per_dwell(policy: Policy, trace: list[Sample]) -> None:
    trace = sorted(trace, key=lambda sample: sample.time_ms)
    decisions = run(policy, trace)
    last_step_ms = None
    for before, after, sample in zip(decisions, decisions[1:], trace[1:], strict=False):
        if after.state.depth <= before.state.depth:
            continue
        levels = [DEPTHS.index(decision.state.depth) for decision in (before, after)]
        assert levels[1] - levels[0] == 1
        if last_step_ms is not None:
            assert sample.time_ms - last_step_ms >= policy.dwell_ms
        last_step_ms = sample.time_ms


@given(situations())
def test_constant_input_settles(situation: tuple[Policy, State | None, Sample]) -> None:
    """Within a dwell for each level; then nothing changes but the clock."""
    policy, state, sample = situation
    policy = replace(policy, max_gap_ms=10_000)
    trace = [replace(sample, time_ms=20_000 + 1000 * i) for i in range(30)]
    depths = [decision.state.depth for decision in run(policy, trace, state)]
    ups = sum(after > before for before, after in pairwise(depths))
    downs = sum(after < before for before, after in pairwise(depths))
    assert ups <= 2
    assert downs == 0  # after the first sample nothing pushes down that did not push before
    settled = 1 + 2 * (-(-policy.dwell_ms // 1000) + 1)
    assert len(set(depths[settled:])) == 1


@given(
    st.sampled_from(["thermal_status", "headroom_milli", "battery_percent", "latency_ratio_milli"]),
    st.lists(st.booleans(), min_size=20, max_size=60),
)
def test_flicker_across_a_threshold_does_not_oscillate(field: str, pattern: list[bool]) -> None:
    """At one sample a second and a dwell of 10 s, a flicker that is never quiet for a dwell steps down and stays."""
    values = {
        "thermal_status": (1, 2),
        "headroom_milli": (899, 900),
        "battery_percent": (20, 19),
        "latency_ratio_milli": (900, 2500),
    }[field]
    quiet = 0
    trace = []
    for i, high in enumerate(pattern):
        quiet = 0 if high or quiet == 8 else quiet + 1
        value = values[quiet == 0]
        trace.append(replace(COOL, time_ms=1000 * i, budget_us=30_000, **{field: value}))
    start = State(depth=8, time_ms=-1000, known=tuple(Sensor))
    depths = [8, *(decision.state.depth for decision in run(POLICY, trace, start))]
    changes = sum(after != before for before, after in pairwise(depths))
    ups = sum(after > before for before, after in pairwise(depths))
    assert ups == 0
    assert changes <= 2


@given(policies(), st.lists(samples(), min_size=2, max_size=12), st.data())
def test_a_saved_state_continues_alike(policy: Policy, trace: list[Sample], data: st.DataObject) -> None:
    stop = data.draw(st.integers(1, len(trace) - 1))
    whole = run(policy, trace)
    saved = json.dumps(encode(whole[stop - 1].state))
    assert (
        run(policy, trace[stop:], Decoder(error=PolicyError).decode(State, json.loads(saved), "state")) == whole[stop:]
    )


@given(situations())
def test_reasons_name_what_keeps_the_depth(situation: tuple[Policy, State | None, Sample]) -> None:
    policy, state, sample = situation
    decision = step(policy, TABLE, state, sample)
    assert (decision.reasons == ()) == (decision.state.depth == DEPTHS[-1])
    assert len(set(decision.reasons)) == len(decision.reasons)
    named = {rule.name: rule for rule in policy.rules}
    deeper = next((depth for depth in DEPTHS if depth > decision.state.depth), None)
    for reason in decision.reasons:
        if reason in named:
            assert reason in decision.state.active
            assert named[reason].max_depth < deeper
    if decision.reasons == ("dwell",):
        later = replace(sample, time_ms=sample.time_ms + policy.dwell_ms)
        patient = replace(policy, max_gap_ms=policy.dwell_ms + 1)
        assert step(patient, TABLE, decision.state, later).state.depth >= decision.state.depth


def test_a_cool_phone_climbs_to_the_deepest() -> None:
    decisions = run(POLICY, [replace(COOL, time_ms=1000 * i) for i in range(22)])
    assert [d.state.depth for d in decisions] == [4] * 10 + [8] * 12
    assert [d.reasons for d in decisions[:2]] == [("dwell",), ("dwell",)]
    assert decisions[-1].reasons == ()


@pytest.mark.parametrize(
    ("change", "depth", "reason"),
    [
        ({"thermal_status": 2}, 4, "thermal-moderate"),
        ({"thermal_status": 3}, 2, "thermal-severe"),
        ({"headroom_milli": 900}, 4, "headroom-small"),
        ({"headroom_milli": 1000}, 2, "headroom-gone"),
        ({"power_save": True}, 2, "power-save"),
        ({"battery_percent": 19}, 4, "battery-low"),
        ({"battery_percent": 9}, 2, "battery-very-low"),
        ({"battery_percent": 9, "charging": True}, 8, None),
        ({"budget_us": 20_000}, 2, "latency"),
    ],
)
def test_the_default_policy(change: dict, depth: int, reason: str | None) -> None:
    deepest = State(depth=8, time_ms=0, known=tuple(Sensor))
    decision = step(POLICY, TABLE, deepest, replace(COOL, **change))
    assert decision.state.depth == depth
    assert reason in decision.reasons if reason else decision.reasons == ()


def test_a_phone_that_never_tells_its_heat_stays_in_the_middle() -> None:
    silent = Sample(time_ms=0, pixels=57_600)
    decisions = run(POLICY, [replace(silent, time_ms=1000 * i) for i in range(60)])
    assert {decision.state.depth for decision in decisions} == {4}
    assert decisions[-1].reasons == ("thermal-moderate",)


def test_time_that_runs_backwards_or_stops_begins_the_dwell_anew() -> None:
    state = run(POLICY, [replace(COOL, time_ms=1000 * i) for i in range(10)])[-1].state
    assert state.permitted_since_ms == 0
    for jump in (-1, POLICY.max_gap_ms + 1):
        after = step(POLICY, TABLE, state, replace(COOL, time_ms=state.time_ms + jump))
        assert after.state.permitted_since_ms == after.state.time_ms
        assert after.state.depth == 4


def test_no_value_leaves_64_bits() -> None:
    slow = LatencyTable(source="slowest", entries=(LatencyEntry(depth=2, us_per_megapixel=10**9),))
    assert predicted_us(slow, 2, 1 << 27, 100_000) * 1000 < 1 << 63
    assert 10**9 * (1 << 27) < 1 << 63
    assert (1 << 40) * 1000 < 1 << 63


def test_the_tracker_is_not_misled_by_a_first_frame_or_an_outlier() -> None:
    tracker = LatencyTracker()
    expected = predicted_us(TABLE, 8, 57_600, 1000)
    for factor in (20, 1, 1, 9, 1, 1):
        tracker = observe(tracker, TABLE, depth=8, pixels=57_600, latency_us=factor * expected)
    assert tracker.ratio_milli == 1000
    assert len(tracker.ratios_milli) == 5
    changed = observe(tracker, TABLE, depth=4, pixels=57_600, latency_us=10**9)
    assert changed.ratios_milli == tracker.ratios_milli


def test_unknown_depths_are_refused() -> None:
    with pytest.raises(PolicyError, match="initial_depth names the depth 4, expected one of 1, 2"):
        step(POLICY, estimated_table({1: 1, 2: 2}), None, COOL)
    with pytest.raises(PolicyError, match="the state names the depth 3"):
        step(POLICY, TABLE, State(depth=3, time_ms=0), COOL)
