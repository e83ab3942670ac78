"""The state of a device that latencies depend on: heat, battery, clocks."""

from dataclasses import dataclass
from typing import Annotated

from qsr_edge.bench.protocol.fields import MAX_COUNT, Checked, Count, Percent, Signed, Status, Within
from qsr_edge.codec import encode

THERMAL_NAMES = ("none", "light", "moderate", "severe", "critical", "emergency", "shutdown")
"""Android's names of the thermal statuses 0 to 6."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition(Checked):
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

    thermal_status: Status | None = None
    headroom_milli: Signed | None = None
    temperature_mc: Signed | None = None
    battery_temperature_mc: Signed | None = None
    battery_percent: Percent | None = None
    plugged_in: bool | None = None
    power_save: bool | None = None
    current_ua: Signed | None = None
    voltage_mv: Signed | None = None
    load_milli: Count | None = None
    cpu_khz: Annotated[tuple[int, ...], Within(0, MAX_COUNT)] | None = None

    def as_json(self) -> dict[str, object]:
        """JSON values; what is unknown is left out."""
        table: dict[str, object] = encode(self)
        return table
