"""The state of a device that latencies depend on: heat, battery, clocks."""

from dataclasses import dataclass

from qsr_edge.bench.protocol.job import Gate
from qsr_edge.codec import encode


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """What a device tells of its state; None for what it does not tell.

    Attributes:
        thermal_status: Android's 0 (none) to 6 (shutdown).
        headroom_milli: thermal headroom in thousandths; 1000 is where status 3 begins.
        temperature_mc: hottest zone, or skin, in thousandths of a degree Celsius.
        battery_temperature_mc: of the battery.
        battery_percent: 0 to 100.
        plugged_in: whether it is fed from outside.
        power_save: whether the user asked it to save power.
        current_ua: of the battery in microamperes, negative while discharging.
        voltage_mv: of the battery in millivolts.
        load_milli: processes that want to run, in thousandths.
        cpu_khz: current frequency of each core.
    """

    thermal_status: int | None = None
    headroom_milli: int | None = None
    temperature_mc: int | None = None
    battery_temperature_mc: int | None = None
    battery_percent: int | None = None
    plugged_in: bool | None = None
    power_save: bool | None = None
    current_ua: int | None = None
    voltage_mv: int | None = None
    load_milli: int | None = None
    cpu_khz: tuple[int, ...] | None = None

    def as_json(self) -> dict[str, object]:
        """JSON values; what is unknown is left out."""
        table: dict[str, object] = encode(self)
        return table


def above_gate(condition: Condition, gate: Gate) -> str | None:
    """Why a device is not to be measured yet, or None. What it does not tell cannot keep it."""
    status, limit_mc = condition.thermal_status, gate.max_temperature_mc
    if status is not None and status > gate.max_thermal_status:
        return f"thermal status {status}, expected at most {gate.max_thermal_status}"
    battery_mc = condition.battery_temperature_mc
    temperature_mc = condition.temperature_mc if battery_mc is None else battery_mc
    if limit_mc is not None and temperature_mc is not None and temperature_mc > limit_mc:
        return f"{temperature_mc / 1000:.1f} degrees, expected at most {limit_mc / 1000:.1f}"
    return None
