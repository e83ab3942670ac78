"""What ``dumpsys`` tells of battery and heat: samples in vendors' layouts, with the simulated state filled in."""

import re
from dataclasses import dataclass, field

from tests.support.phone_simulator.models import SAMPLES, Model

SKIN = 3
BATTERY = 2

_TEMPERATURE = re.compile(r"Temperature\{mValue=[^,]*, mType=(-?\d+), mName=([^,}]*), mStatus=\d+\}")


@dataclass(slots=True, kw_only=True)
class Battery:
    """Settable at any time. ``dumpsys`` rounds as Android does: whole percent, tenths of a degree."""

    percent: int = 81
    temperature_mc: int = 28_700
    voltage_mv: int = 4214
    plugged_in: bool = True


@dataclass(slots=True, kw_only=True)
class Thermal:
    """Settable at any time.

    Args:
        status: 0 (none) to 6 (shutdown).
        temperature_mc: Of the skin.
        values: Other sensors by name, in Android's words, such as ``{"BIG": "71.0", "VIRTUAL-SKIN": "NaN"}``.
    """

    status: int = 0
    temperature_mc: int = 34_600
    values: dict[str, str] = field(default_factory=dict)


def _tenths(temperature_mc: int) -> int:
    return round(temperature_mc / 100)


def battery_text(model: Model, battery: Battery) -> str:
    """Rows that the sample lacks stay missing."""
    new = {
        "USB powered": str(battery.plugged_in).lower(),
        "AC powered": "false",
        "status": "2" if battery.plugged_in else "3",
        "level": str(battery.percent),
        "voltage": str(battery.voltage_mv),
        "temperature": str(_tenths(battery.temperature_mc)),
    }
    lines = []
    for line in (SAMPLES / model.battery_sample).read_text().splitlines():
        key, separator, _ = line.partition(": ")
        value = new.get(key.strip())
        lines.append(line if value is None or not separator else f"{key}: {value}")
    return "\n".join(lines) + "\n"


def thermal_text(model: Model, thermal: Thermal, battery: Battery) -> str:
    """The current temperatures are the state's; those that Android cached stay the sample's, stale as on a phone."""

    def current(match: re.Match[str]) -> str:
        kind, name = int(match[1]), match[2]
        if name in thermal.values:
            value = thermal.values[name]
        elif kind in (SKIN, BATTERY):
            value = f"{(thermal.temperature_mc if kind == SKIN else battery.temperature_mc) / 1000:.1f}"
        else:
            return match[0]
        status = thermal.status if kind == SKIN else 0
        return f"Temperature{{mValue={value}, mType={kind}, mName={name}, mStatus={status}}}"

    text = (SAMPLES / model.thermal_sample).read_text()
    text = re.sub(r"^Thermal Status: \d+", f"Thermal Status: {thermal.status}", text, flags=re.MULTILINE)
    before, heading, after = text.partition("Current temperatures from HAL:")
    return before + heading + _TEMPERATURE.sub(current, after)
