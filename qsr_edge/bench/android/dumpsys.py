"""What ``dumpsys battery`` and ``dumpsys thermalservice`` say of a phone's state.

They are no interface: vendors leave rows out, add their own, and print figures for what is unknown. So a value counts
only if it is a possible one, whatever else the text holds, and nothing here raises for any text.

AOSP's own rows are those of ``BatteryService.dumpInternal`` and ``ThermalManagerService.dumpInternal`` (Android 10 on).
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from qsr_edge.bench.protocol.condition import Condition

_INTEGER = re.compile(r"[+-]?\d{1,18}", re.ASCII)
_TEMPERATURE = re.compile(
    r"Temperature\{mValue=([^,{}]+), mType=(-?\d{1,9}), mName=([^,{}]*), mStatus=-?\d+\}", re.ASCII
)
_PLAIN_NAME = re.compile(r"(CPU|GPU|BATTERY|SKIN|NPU|TPU)[0-9]*")
_OTHER_TYPE = -1
_CURRENT = "Current temperatures from HAL"
_CACHED = "Cached temperatures"
_STOPPED = "UPDATES STOPPED"
_DISCHARGING = 3
# Outside of these a figure is a sentinel (-99.9, absolute zero, the least float) or no temperature.
_COLDEST_MC = -40_000
_HOTTEST_MC = 150_000
# An empty cell has more than 2 V. Less is volts, as some vendors' drivers tell.
_MIN_VOLTAGE_MV = 2_000
_MAX_VOLTAGE_MV = 30_000
_MAX_CURRENT_MA = 20_000
_POWERED = ("ac powered", "usb powered", "wireless powered", "dock powered")


class TemperatureType(IntEnum):
    """``android.os.Temperature``'s types that count here; 6 to 8 are no temperatures."""

    CPU = 0
    GPU = 1
    BATTERY = 2
    SKIN = 3
    NPU = 9
    TPU = 10
    SOC = 13


_CHIP = (TemperatureType.CPU, TemperatureType.GPU, TemperatureType.NPU, TemperatureType.TPU, TemperatureType.SOC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Thermal:
    """What ``dumpsys thermalservice`` tells; None for what it does not.

    Attributes:
        status: 0 (none) to 6 (shutdown).
        temperature_mc: see :func:`parse_thermal`.
        battery_temperature_mc: of the battery, by the thermal service.
    """

    status: int | None = None
    temperature_mc: int | None = None
    battery_temperature_mc: int | None = None


def parse_condition(battery: str, thermal: str) -> Condition:
    """The state that both dumps tell together; the battery's own temperature goes before the thermal service's."""
    told, heat = parse_battery(battery), parse_thermal(thermal)
    battery_mc = told.battery_temperature_mc
    return Condition(
        thermal_status=heat.status,
        temperature_mc=heat.temperature_mc,
        battery_temperature_mc=heat.battery_temperature_mc if battery_mc is None else battery_mc,
        battery_percent=told.battery_percent,
        plugged_in=told.plugged_in,
        current_ua=told.current_ua,
        voltage_mv=told.voltage_mv,
    )


def parse_battery(text: str) -> Condition:
    """The battery's state.

    Of rows that come twice the first counts: AOSP's stand before the vendor's. After ``dumpsys battery unplug`` and the
    like the values are somebody's setting, so none counts. ``current now`` is Samsung's row, in mA; more than 20,000
    can only be uA. A voltage of less than 2,000 is not in mV, and is left out. Charge counters are in uAh or mAh and
    tell nothing that is needed here.
    """
    rows: dict[str, str] = {}
    for line in text.splitlines():
        if _STOPPED in line:
            return Condition()
        key, colon, value = line.partition(":")
        if colon and key.strip():
            rows.setdefault(key.strip().casefold(), value.strip().strip("[]"))
    powered = [rows[key].casefold() for key in _POWERED if key in rows]
    plugged_in = "true" in powered if powered else None
    if rows.get("present", "").casefold() == "false":
        return Condition(plugged_in=plugged_in)
    level, scale = _integer(rows, "level"), _integer(rows, "scale")
    percent = None if level is None else round(100 * level / (scale or 100))
    voltage_mv = _integer(rows, "voltage")
    tenths = _integer(rows, "temperature")
    return Condition(
        battery_percent=percent if percent is not None and level is not None and 0 <= percent <= 100 else None,
        battery_temperature_mc=None if tenths is None else _possible_mc(100 * tenths),
        plugged_in=plugged_in,
        current_ua=_current_ua(rows),
        voltage_mv=voltage_mv if voltage_mv is not None and _MIN_VOLTAGE_MV <= voltage_mv <= _MAX_VOLTAGE_MV else None,
    )


def _integer(rows: dict[str, str], key: str) -> int | None:
    text = rows.get(key, "")
    return int(text) if _INTEGER.fullmatch(text) else None


def _current_ua(rows: dict[str, str]) -> int | None:
    current = _integer(rows, "current now")
    if current is None:
        return None
    if abs(current) <= _MAX_CURRENT_MA:
        current *= 1000
    elif abs(current) > 1000 * _MAX_CURRENT_MA:
        return None
    # Vendors do not agree on the sign; the status tells.
    return -abs(current) if _integer(rows, "status") == _DISCHARGING else current


def parse_thermal(text: str) -> Thermal:
    """Thermal status and temperatures.

    Only what the HAL says now counts: cached temperatures are those of the last change of status, hours old perhaps.
    ``temperature_mc`` is the hottest sensor of type skin. A phone that lists none has the hottest of its CPU, GPU, NPU
    and SoC instead; one whose skin sensors give no possible value now has None, as the two must not be compared. 0.0 is
    what sensors that are not fitted give.

    A status that was set by ``cmd thermalservice override-status`` is none, nor is that of a service without its HAL or
    without any sensor.
    """
    rows: dict[str, str] = {}
    now: list[tuple[int, int | None]] = []
    section, seen_any = "", False
    for line in text.splitlines():
        for kind, value_mc in _temperatures(line):
            seen_any = seen_any or section in (_CURRENT, _CACHED)
            if section == _CURRENT:
                now.append((kind, value_mc))
        if not line.startswith((" ", "\t")):
            key, _, value = line.partition(":")
            section = key.strip()
            rows.setdefault(section, value.strip())
    status = rows.get("Thermal Status", "")
    is_real = rows.get("IsStatusOverride") != "true" and rows.get("HAL Ready") != "false" and seen_any
    skins = [value for kind, value in now if kind == TemperatureType.SKIN]
    chips = [value for kind, value in now if kind in _CHIP]
    batteries = [value for kind, value in now if kind == TemperatureType.BATTERY]
    return Thermal(
        status=int(status) if is_real and re.fullmatch(r"[0-6]", status, re.ASCII) else None,
        temperature_mc=_hottest(skins or chips),
        battery_temperature_mc=_hottest(batteries),
    )


def _temperatures(line: str) -> Iterator[tuple[int, int | None]]:
    """Type and value of each temperature in a line; None for a value that is not possible."""
    for match in _TEMPERATURE.finditer(line):
        try:
            value = float(match[1])
        except ValueError:
            value = math.nan
        is_value = math.isfinite(value) and value != 0 and abs(value) < 1000
        yield _type(int(match[2]), match[3]), _possible_mc(round(1000 * value)) if is_value else None


def _type(number: int, name: str) -> int:
    """A sensor's type: what its name says, where that is the name of a type, and else its number.

    One vendor counts its types one off. ``soc`` alone is no name of a type: it is the state of charge as often as the
    chip.
    """
    upper = name.strip().upper()
    if upper.startswith("TYPE_"):
        named = upper.removeprefix("TYPE_")
        return TemperatureType[named] if named in TemperatureType.__members__ else _OTHER_TYPE
    match = _PLAIN_NAME.fullmatch(upper)
    return TemperatureType[match[1]] if match else number


def _possible_mc(temperature_mc: int) -> int | None:
    return temperature_mc if _COLDEST_MC <= temperature_mc <= _HOTTEST_MC else None


def _hottest(values: list[int | None]) -> int | None:
    return max((value for value in values if value is not None), default=None)
