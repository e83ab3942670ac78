"""Any browser, which is there once it is waited for: nothing can be known of it before it opens the page."""

from collections.abc import Sequence

from qsr_edge.bench.browser.device import BrowserDevice
from qsr_edge.bench.browser.told import KIND
from qsr_edge.bench.discovery import DeviceOptions, Found


def browser_devices(options: DeviceOptions) -> Sequence[Found]:
    """One, for whichever browser comes; nothing is served before it is asked what it is."""
    device = BrowserDevice(lan=options.lan, port=options.port, wait_s=options.wait_for_device_s, invite=options.invite)
    return [
        Found(
            kind=KIND,
            id=KIND,
            names=(),
            state="on demand",
            remedy="qsr-edge bench --device browser shows an address, and waits for a browser that opens it",
            device=device,
            on_demand=True,
        )
    ]
