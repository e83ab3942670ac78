"""The gate: a device is not measured before it is cool enough."""

import time
from collections.abc import Callable

from qsr_edge.bench.protocol.condition import Condition
from qsr_edge.bench.protocol.job import Gate
from qsr_edge.bench.protocol.records import Waiting
from qsr_edge.errors import BenchError

_LOOK_EVERY_S = 5.0


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


def pass_gate(
    gate: Gate | None, read_condition: Callable[[], Condition], on_waiting: Callable[[Waiting], None]
) -> None:
    """Wait until the device is not above the gate.

    Args:
        gate: None for none.
        read_condition: tells the device's state.
        on_waiting: takes a record each time that it is too hot.

    Raises:
        BenchError: after the gate's time, telling state and limits.
    """
    if gate is None:
        return
    deadline = time.monotonic() + gate.max_wait_ms / 1000
    while (reason := above_gate(read_condition(), gate)) is not None:
        left_s = deadline - time.monotonic()
        if left_s <= 0:
            waited_s = gate.max_wait_ms / 1000
            raise BenchError(
                f"{reason}, after {waited_s:.0f} s of waiting; let it cool, or wait longer with --cool-down"
            )
        on_waiting(Waiting(reason=reason))
        time.sleep(min(_LOOK_EVERY_S, left_s))
