"""Which devices there are, and the choice of one by what a person calls it."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from qsr_edge.bench.android.search import android_devices
from qsr_edge.bench.browser.search import browser_devices
from qsr_edge.bench.device import Device
from qsr_edge.bench.discovery import DeviceOptions, Found
from qsr_edge.bench.host.device import KIND, HostDevice
from qsr_edge.bench.host.search import host_devices
from qsr_edge.bench.ios.search import ios_devices
from qsr_edge.errors import BenchError

SEARCHES: tuple[Callable[[DeviceOptions], Sequence[Found]], ...] = (
    host_devices,
    android_devices,
    ios_devices,
    browser_devices,
)
"""Every kind of device that the bench knows, by how it is searched for; a new kind adds its folder and a line here."""
HOST = KIND
ALL = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class Discovery:
    """All that was found, and why some places could not be looked at."""

    found: tuple[Found, ...]
    unseen: tuple[str, ...]


def discover(options: DeviceOptions) -> Discovery:
    """Devices of every kind, whatever their state, in the order of :data:`SEARCHES`."""
    found: list[Found] = []
    unseen = []
    with ThreadPoolExecutor(len(SEARCHES)) as pool:
        for search in [pool.submit(search, options) for search in SEARCHES]:
            try:
                found += search.result()
            except BenchError as error:
                unseen.append(str(error))
    return Discovery(found=tuple(found), unseen=tuple(unseen))


def find_devices(query: str, options: DeviceOptions) -> tuple[Device, ...]:
    """The devices that a person means.

    Args:
        query: ``host``, ``all`` (every phone that is ready), ``browser`` (whichever opens the page), or a part of a
            model, product or serial.
        options: how devices are reached.

    Returns:
        One device; with ``all``, at least one.

    Raises:
        BenchError: if none or several match, listing what is connected and how to choose; or if the one that
            matches is not ready, with the remedy.
    """
    if query == HOST:
        if options.runner_binary is not None:
            raise BenchError(f"--runner {options.runner.value} measures phones by adb; choose one by --device")
        return (HostDevice(),)
    discovery = discover(options)
    phones = [one for one in discovery.found if one.kind != HOST and not one.on_demand]
    if query == ALL:
        ready = tuple(one.device for one in phones if one.device is not None)
        if not ready:
            raise BenchError(f"--device all: no phone is ready; {_connected(phones, discovery)}")
        return ready
    exact = [one for one in discovery.found if one.id == query]
    matching = exact or [one for one in phones if one.matches(query)]
    if len(matching) > 1:
        raise BenchError(
            f"--device {query}: {len(matching)} devices match ({'; '.join(one.as_text() for one in matching)}); "
            "give more of the name, or the serial"
        )
    if not matching:
        raise BenchError(f"--device {query}: no device matches; {_connected(phones, discovery)}")
    if matching[0].device is None:
        raise BenchError(f"--device {query}: {matching[0].as_text()}")
    if matching[0].on_demand and options.runner_binary is not None:
        raise BenchError(f"--runner {options.runner.value} measures phones by adb, and runs in no {query}")
    return (matching[0].device,)


def _connected(phones: Sequence[Found], discovery: Discovery) -> str:
    listed = "; ".join(one.as_text() for one in phones)
    connected = f"connected: {listed}" if phones else "no phone is connected: plug one in, with USB debugging on"
    advice = "choose by a part of model, product or serial; " if phones else ""
    waited_for = [f"--device {one.id} waits for one to come" for one in discovery.found if one.on_demand]
    return "; ".join([connected, *discovery.unseen, f"{advice}--device host is this machine", *waited_for])
