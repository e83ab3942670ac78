"""What is read from samples of several vendors' dumps, and from anything else."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qsr_edge.bench.android.dumpsys import Thermal, parse_battery, parse_condition, parse_thermal
from qsr_edge.bench.protocol.condition import Condition

SAMPLES = Path(__file__).resolve().parents[1] / "dumpsys"

BATTERY = {
    "none": Condition(plugged_in=True),
    "pixel_android10": Condition(battery_percent=77, battery_temperature_mc=26_200, plugged_in=True, voltage_mv=4163),
    "pixel_android14": Condition(battery_percent=81, battery_temperature_mc=28_700, plugged_in=True, voltage_mv=4214),
    "pixel_android15_unplugged": Condition(
        battery_percent=46, battery_temperature_mc=31_800, plugged_in=False, voltage_mv=3848
    ),
    "rows_missing": Condition(battery_percent=57, plugged_in=True),
    "samsung_android10": Condition(
        battery_percent=88, battery_temperature_mc=29_700, plugged_in=True, voltage_mv=4236, current_ua=334_000
    ),
    "samsung_android12": Condition(
        battery_percent=74, battery_temperature_mc=28_100, plugged_in=True, voltage_mv=4098, current_ua=271_000
    ),
    "scale_255": Condition(battery_percent=80, battery_temperature_mc=33_100, plugged_in=True, voltage_mv=4180),
    "sentinels": Condition(plugged_in=True),
    "updates_stopped": Condition(),
    "xiaomi_android11": Condition(battery_percent=69, battery_temperature_mc=29_300, plugged_in=True, voltage_mv=4051),
    "xiaomi_android16": Condition(battery_percent=79, battery_temperature_mc=35_100, plugged_in=True, voltage_mv=4219),
}
THERMAL = {
    "hal_empty": Thermal(),
    "hal_not_ready": Thermal(),
    "override": Thermal(temperature_mc=33_600, battery_temperature_mc=27_900),
    "permission_denied": Thermal(),
    "pixel_android10": Thermal(status=0, temperature_mc=29_118, battery_temperature_mc=27_600),
    "pixel_android14": Thermal(status=0, temperature_mc=34_612, battery_temperature_mc=28_700),
    "pixel_android15_moderate": Thermal(status=2, temperature_mc=43_551, battery_temperature_mc=38_400),
    "samsung_android12": Thermal(status=0, temperature_mc=31_200, battery_temperature_mc=27_400),
    "samsung_android14": Thermal(status=0, temperature_mc=29_400, battery_temperature_mc=26_000),
    # Its skin sensor gives -99.9 now: no CPU stands for it, or the next value would look like a rise.
    "sentinels": Thermal(status=0),
    "service_missing": Thermal(),
    "xiaomi_android11": Thermal(status=0, temperature_mc=33_871, battery_temperature_mc=29_000),
    "xiaomi_android16": Thermal(status=0, temperature_mc=35_018, battery_temperature_mc=33_100),
}


def sample(kind: str, name: str) -> str:
    return (SAMPLES / f"{kind}_{name}.txt").read_text()


def test_every_sample_is_looked_at() -> None:
    names = {path.stem for path in SAMPLES.glob("*.txt")}
    assert names == {f"battery_{name}" for name in BATTERY} | {f"thermal_{name}" for name in THERMAL}


@pytest.mark.parametrize("name", BATTERY)
def test_battery(name: str) -> None:
    assert parse_battery(sample("battery", name)) == BATTERY[name]


@pytest.mark.parametrize("name", THERMAL)
def test_thermal(name: str) -> None:
    assert parse_thermal(sample("thermal", name)) == THERMAL[name]


def test_both_together() -> None:
    told = parse_condition(sample("battery", "rows_missing"), sample("thermal", "pixel_android15_moderate"))
    assert told == Condition(
        thermal_status=2,
        temperature_mc=43_551,
        # The battery's service does not tell it here; the thermal service does.
        battery_temperature_mc=38_400,
        battery_percent=57,
        plugged_in=True,
    )


@pytest.mark.parametrize(
    ("row", "status", "current_ua"),
    [
        ("334", 2, 334_000),
        ("-512", 3, -512_000),
        # Some count what is drawn as positive.
        ("512", 3, -512_000),
        ("-512000", 3, -512_000),
        ("890123", 2, 890_123),
        ("[271]", 2, 271_000),
        ("99999999999", 2, None),
        ("unknown", 2, None),
    ],
)
def test_current_in_milliamperes_or_microamperes(row: str, status: int, current_ua: int | None) -> None:
    assert parse_battery(f"  status: {status}\n  current now: {row}\n").current_ua == current_ua


def test_a_phone_without_skin_sensors_has_its_hottest_chip() -> None:
    text = (
        "Thermal Status: 1\nHAL Ready: true\nCurrent temperatures from HAL:\n"
        "\tTemperature{mValue=41.5, mType=0, mName=CPU2, mStatus=0}\n"
        "\tTemperature{mValue=44.25, mType=9, mName=NPU, mStatus=0}\n"
    )
    assert parse_thermal(text) == Thermal(status=1, temperature_mc=44_250)


_TEXTS = [path.read_text() for path in sorted(SAMPLES.glob("*.txt"))]


def check_possible(condition: Condition) -> None:
    for temperature_mc in (condition.temperature_mc, condition.battery_temperature_mc):
        assert temperature_mc is None or -40_000 <= temperature_mc <= 150_000
    assert condition.battery_percent is None or 0 <= condition.battery_percent <= 100
    assert condition.thermal_status is None or 0 <= condition.thermal_status <= 6
    assert condition.voltage_mv is None or 0 < condition.voltage_mv <= 30_000


@given(st.text(), st.text())
def test_any_text(battery: str, thermal: str) -> None:
    check_possible(parse_condition(battery, thermal))


@given(st.data())
def test_samples_cut_and_changed(data: st.DataObject) -> None:
    text = data.draw(st.sampled_from(_TEXTS))
    lines = text.splitlines(keepends=True)
    kept = [line for line in lines if data.draw(st.integers(0, 9))]
    changed = list("".join(kept))
    for _ in range(data.draw(st.integers(0, 8))):
        if changed:
            index = data.draw(st.integers(0, len(changed) - 1))
            changed[index] = data.draw(
                st.sampled_from(["", "9", "-", ".", "E", ":", "\n", "}", "[", "٣", "\0", "999999"])
            )
    cut = "".join(changed)[: data.draw(st.integers(0, len(changed)))]
    check_possible(parse_condition(cut, cut))


@pytest.mark.parametrize(
    ("text", "voltage_mv"),
    [("4200", 4200), ("2500", 2500), ("13", None), ("4", None), ("0", None), ("4200000", None), ("-4200", None)],
)
def test_a_voltage_that_is_not_in_millivolts_is_left_out(text: str, voltage_mv: int | None) -> None:
    assert parse_battery(f"  voltage: {text}").voltage_mv == voltage_mv


@pytest.mark.parametrize(
    ("number", "name", "counts_as"),
    [
        (3, "TYPE_BATTERY", "battery"),
        (4, "TYPE_SKIN", "skin"),
        (3, "SKIN", "skin"),
        (1, "skin", "skin"),
        (3, "battery", "battery"),
        (3, "TYPE_USB_PORT", ""),
        (3, "fps-therm-monitor", "skin"),
        (8, "soc", ""),
        (2, "SUBBAT", "battery"),
    ],
)
def test_a_sensor_is_what_its_name_says(number: int, name: str, counts_as: str) -> None:
    heat = parse_thermal(
        "HAL Ready: true\nCurrent temperatures from HAL:\n"
        f"\tTemperature{{mValue=31.5, mType={number}, mName={name}, mStatus=0}}\n"
    )
    assert (heat.temperature_mc == 31_500) == (counts_as == "skin")
    assert (heat.battery_temperature_mc == 31_500) == (counts_as == "battery")


def test_the_time_taken_does_not_grow_faster_than_the_text() -> None:
    # Cubic, as it was, this took years.
    for line in (" " * 1_000_000, " :" * 500_000, "Temperature{mValue=" * 50_000, "a" + " " * 1_000_000 + "b"):
        assert parse_battery(line).voltage_mv is None
        assert parse_thermal(line).temperature_mc is None
