"""The simulated phone obeys its own physics, scenarios are read strictly, and the selector does what it is for."""

import math
from dataclasses import replace
from pathlib import Path

import pytest

from qsr_edge.errors import PolicyError
from qsr_edge.selector import LatencyTable, default_policy, estimated_table
from qsr_edge.simulation.phone import (
    ACTIVE_W,
    BATTERY_WH,
    RESISTANCE_K_PER_W,
    SEVERE_C,
    TIME_CONSTANT_S,
    Conditions,
    Phone,
)
from qsr_edge.simulation.run import FixedStrategy, NaiveStrategy, SelectorStrategy, simulate
from qsr_edge.simulation.scenario import Phase, Scenario, read_scenario, scenario_names

TABLE: LatencyTable = estimated_table({2: 41_284, 4: 78_212, 8: 152_068})
QUALITY = {2: 36.8, 4: 37.2, 8: 37.3}
INDOORS = Conditions(ambient_c=25.0, sun_w=0.0, other_w=1.0, charging_w=0.0)


def test_temperature_follows_the_closed_form() -> None:
    """T(t) = T_end + (T_0 - T_end) exp(-t / RC), as long as nothing throttles."""
    phone = Phone(skin_c=25.0, battery_percent=100, seed=0)
    for _ in range(400):
        phone.advance(0.5, INDOORS)
    end = 25.0 + RESISTANCE_K_PER_W * (1.0 + 0.5 * ACTIVE_W)
    assert phone.skin_c == pytest.approx(end + (25.0 - end) * math.exp(-400 / TIME_CONSTANT_S), abs=0.01)
    for _ in range(8000):
        phone.advance(0.5, INDOORS)
    assert phone.skin_c == pytest.approx(end, abs=0.001)


def test_energy_that_is_drawn_leaves_the_battery() -> None:
    phone = Phone(skin_c=25.0, battery_percent=50, seed=0)
    drawn = sum(phone.advance(1.0, replace(INDOORS, charging_w=2.0)) for _ in range(3600))
    assert drawn == pytest.approx(1.0 + ACTIVE_W)
    assert phone.battery_wh == pytest.approx(BATTERY_WH / 2 + 2.0 - drawn)


def test_statuses_have_hysteresis_and_throttling_slows() -> None:
    phone = Phone(skin_c=SEVERE_C + 1, battery_percent=50, seed=0)
    phone.read_sensors()
    assert phone.status == 3
    assert phone.clock == pytest.approx(0.8)
    phone.skin_c = SEVERE_C - 1.0
    phone.read_sensors()
    assert phone.status == 3
    phone.skin_c = SEVERE_C - 3.0
    phone.read_sensors()
    assert phone.status == 2
    assert phone.clock == 1.0
    phone.skin_c = SEVERE_C - 5.0
    phone.read_sensors()
    assert phone.status == 1
    assert phone.headroom_milli == pytest.approx(1000 * (1 - 5 / 30), abs=30)


def test_a_strategy_that_is_too_slow_misses_frames() -> None:
    scenario = replace(read_scenario("cold_start"), device_speed=0.2)
    slow, fast = (simulate(scenario, FixedStrategy(depth), TABLE, QUALITY) for depth in (8, 2))
    assert slow.missed_percent > 50
    assert fast.missed_percent < 40
    assert slow.frames + round(slow.missed_percent / 100 * (24 * 600)) == pytest.approx(24 * 600, abs=1)


@pytest.mark.parametrize("name", scenario_names())
def test_the_selector_does_what_it_is_for(name: str) -> None:
    scenario = read_scenario(name)
    policy = default_policy(TABLE.depths)
    selector = simulate(scenario, SelectorStrategy(policy, TABLE), TABLE, QUALITY)
    naive, deepest = (simulate(scenario, other, TABLE, QUALITY) for other in (NaiveStrategy(TABLE), FixedStrategy(8)))
    assert len(selector.seconds) == scenario.seconds
    assert selector.switches_per_minute <= naive.switches_per_minute
    assert selector.throttled_percent <= deepest.throttled_percent
    assert selector.missed_percent <= deepest.missed_percent
    assert QUALITY[2] <= selector.mean_psnr_db <= QUALITY[8]
    assert simulate(scenario, SelectorStrategy(policy, TABLE), TABLE, QUALITY) == selector


def test_without_quality_none_is_claimed() -> None:
    assert simulate(read_scenario("cold_start"), FixedStrategy(2), TABLE, {}).mean_psnr_db is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nam = 'x'", "the key 'nam' is not known"),
        ("name = 'x'", "missing"),
        ("name = ", "not valid TOML"),
        ("name = 5", "name: got 5, expected str"),
        ("phases = 3", "phases: got 3, expected a list"),
        (
            "[[phases]]\nseconds = 1\nambient_c = 20\nother_w = 'much'",
            r"phases\[0\]\.other_w: got 'much', expected float",
        ),
    ],
)
def test_scenarios_are_read_strictly(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(PolicyError, match=message):
        read_scenario(str(path))


def test_values_that_cannot_be_simulated_are_refused() -> None:
    scenario = read_scenario("cold_start")
    with pytest.raises(PolicyError, match="frames_per_second = 1000"):
        replace(scenario, frames_per_second=1000)
    with pytest.raises(PolicyError, match="other_w = -1"):
        replace(scenario, phases=(Phase(seconds=1, ambient_c=20.0, other_w=-1.0),))
    with pytest.raises(PolicyError, match="seconds of all phases = 0"):
        replace(scenario, phases=())
    with pytest.raises(PolicyError, match=r"no scenario is called 'sauna'; give one of cold_start, gallery_export"):
        read_scenario("sauna")
    assert isinstance(scenario, Scenario)
