"""A lumped model of a phone: one thermal mass, a battery, and throttling by the system.

    C dT/dt = P + S - (T - T_ambient) / R          T: skin temperature, P: power drawn, S: heat from the sun

Parameters, and where they come from:

- time constant RC = 540 s: published for the battery zone of a Galaxy S25+, fitted from its own sensors.
- R = 5 K/W: assumed. 4 W then hold the skin at 45 degrees in a room of 25; phones are said to sustain 3 to 5 W.
- skin thresholds of the thermal statuses 39, 43, 45, 47, 52, 55 degrees with 1.9 degrees of hysteresis: as AOSP's
  thermal HAL configurations for Pixel phones have them for the sensor VIRTUAL-SKIN.
- headroom = 1 - (T_severe - T) / 30: Android's ``ThermalManagerService`` (``DEGREES_BETWEEN_ZERO_AND_ONE``).
- throttling: assumed. From status 3 the system lowers the clock by 20 % per status; latency grows by as much, and
  dynamic power falls with the clock cubed (voltage follows frequency).
- power while the network runs: 3 W, one or two large CPU cores; assumed. Everything else a scenario says.
- battery: 18 Wh, 4,700 mAh at 3.85 V.
"""

from dataclasses import dataclass
from random import Random

STATUS_THRESHOLDS_C = (39.0, 43.0, 45.0, 47.0, 52.0, 55.0)
STATUS_HYSTERESIS_C = 1.9
SEVERE_C = STATUS_THRESHOLDS_C[2]
HEADROOM_SPAN_C = 30.0
TIME_CONSTANT_S = 540.0
RESISTANCE_K_PER_W = 5.0
ACTIVE_W = 3.0
CLOCK_LOST_PER_STATUS = 0.2
SENSOR_NOISE_C = 0.15
LATENCY_NOISE = 0.04
BATTERY_WH = 18.0
STEP_S = 1.0
SUBSTEPS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """What acts on the phone during a second.

    Attributes:
        ambient_c: temperature of the air.
        sun_w: heat absorbed from the sun.
        other_w: power of all but the network: screen, camera, radio.
        charging_w: power that comes in; 0 is unplugged. A tenth of it becomes heat.
    """

    ambient_c: float
    sun_w: float
    other_w: float
    charging_w: float


class Phone:
    """A phone's state, a second at a time."""

    def __init__(self, *, skin_c: float, battery_percent: float, seed: int):
        """Start at a temperature and a charge."""
        self.skin_c = skin_c
        self.battery_wh = BATTERY_WH * battery_percent / 100
        self.status = 0
        self._random = Random(seed)
        self._felt_c = skin_c

    @property
    def battery_percent(self) -> int:
        """The charge as systems show it: whole percent, rounded down."""
        return int(100 * self.battery_wh / BATTERY_WH)

    @property
    def headroom_milli(self) -> int:
        """Android's thermal headroom in thousandths, from the sensor as it was last read."""
        return max(0, round(1000 * (1 - (SEVERE_C - self._felt_c) / HEADROOM_SPAN_C)))

    @property
    def clock(self) -> float:
        """The CPU's frequency relative to an unthrottled one."""
        return max(0.2, 1.0 - CLOCK_LOST_PER_STATUS * max(0, self.status - 2))

    def read_sensors(self) -> None:
        """Read the skin sensor, with its noise, and set the thermal status with its hysteresis."""
        self._felt_c = self.skin_c + self._random.gauss(0, SENSOR_NOISE_C)
        reached = sum(self._felt_c >= threshold for threshold in STATUS_THRESHOLDS_C)
        left = sum(self._felt_c >= threshold - STATUS_HYSTERESIS_C for threshold in STATUS_THRESHOLDS_C)
        self.status = max(reached, min(self.status, left))

    def latency_us(self, table_us: float) -> int:
        """What a frame takes that the table says takes ``table_us`` at the full clock."""
        return max(1, round(table_us / self.clock * self._random.lognormvariate(0, LATENCY_NOISE)))

    def advance(self, busy: float, conditions: Conditions) -> float:
        """One second with the network running for a share ``busy`` of it; the energy drawn, in Wh."""
        network_w = ACTIVE_W * self.clock**3 * busy
        drawn_w = network_w + conditions.other_w
        heat_w = drawn_w + conditions.sun_w + 0.1 * conditions.charging_w
        for _ in range(SUBSTEPS):
            target_c = conditions.ambient_c + heat_w * RESISTANCE_K_PER_W
            self.skin_c += (target_c - self.skin_c) * STEP_S / SUBSTEPS / TIME_CONSTANT_S
        energy_wh = drawn_w * STEP_S / 3600
        self.battery_wh += conditions.charging_w * STEP_S / 3600 - energy_wh
        self.battery_wh = min(max(self.battery_wh, 0.0), BATTERY_WH)
        return energy_wh
