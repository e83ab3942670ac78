"""This machine, which is always there."""

from collections.abc import Sequence

from qsr_edge.bench.discovery import DeviceOptions, Found
from qsr_edge.bench.host.device import KIND, HostDevice


def host_devices(options: DeviceOptions) -> Sequence[Found]:
    """Itself alone."""
    del options  # none concerns this machine
    host = HostDevice()
    return [Found(kind=KIND, id=host.id, names=(), state="ready", remedy="", device=host)]
