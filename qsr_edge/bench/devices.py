"""Finding devices."""

from dataclasses import dataclass

from qsr_edge.bench.device import Device
from qsr_edge.bench.host import HostDevice
from qsr_edge.errors import BenchError


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceOptions:
    """How devices are reached."""


def find_devices(query: str, options: DeviceOptions) -> tuple[Device, ...]:
    """The devices that a query names."""
    if query == "host":
        return (HostDevice(),)
    raise BenchError(f"the device {query!r} cannot be reached by this release; use --device host")
