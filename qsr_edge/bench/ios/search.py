"""The iPhones and iPads that a tool lists, whatever their state."""

from collections.abc import Sequence

from qsr_edge.bench.discovery import DeviceOptions, Found
from qsr_edge.bench.ios.device import KIND, IphoneDevice
from qsr_edge.bench.ios.tools import find_iphone_tool


def ios_devices(options: DeviceOptions) -> Sequence[Found]:
    """What the tool lists; raises ``BenchError`` if there is none or it fails."""
    del options  # none concerns iPhones
    tool = find_iphone_tool()
    return [
        Found(
            kind=KIND,
            id=listed.udid,
            names=tuple(name for name in (listed.name, listed.model, listed.product_type, "iPhone") if name),
            state="not ready" if listed.remedy else "ready",
            remedy=listed.remedy,
            device=None if listed.remedy else IphoneDevice(tool, listed),
        )
        for listed in tool.listed()
    ]
