"""Which devices there are, and the choice of one by what a person calls it."""

import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from qsr_edge.bench.adb import Adb, AdbDevice, ListedDevice, find_adb
from qsr_edge.bench.android import DEFAULT_POLL_S, DEFAULT_WAIT_S, AndroidDevice
from qsr_edge.bench.device import Device, DeviceKind, Runner
from qsr_edge.bench.host import HostDevice
from qsr_edge.bench.iphone import IphoneDevice
from qsr_edge.bench.iphone_tools import find_iphone_tool
from qsr_edge.bench.stock import BENCHMARK_MODEL, EXECUTOR_RUNNER, StockDevice
from qsr_edge.errors import BenchError

HOST = "host"
ALL = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceOptions:
    """How devices are reached.

    Attributes:
        adb: the program; None for that of ``ANDROID_HOME`` or the PATH.
        wait_for_device_s: how long a device that vanished is waited for.
        keep_files: whether pushed files stay on the device for the next run.
        runner: what runs the models on a phone.
        runner_binary: of a runner that is not the app.
        poll_s: how often results are asked for.
    """

    adb: Path | None = None
    wait_for_device_s: float = DEFAULT_WAIT_S
    keep_files: bool = False
    runner: Runner = Runner.APP
    runner_binary: Path | None = None
    poll_s: float = DEFAULT_POLL_S

    def __post_init__(self) -> None:
        """Refuse a runner without its binary, and the reverse."""
        if (self.runner is not Runner.APP) != (self.runner_binary is not None):
            raise BenchError("--runner benchmark_model and executor_runner need --runner-binary PATH, and only they do")
        if self.runner_binary is not None and not self.runner_binary.is_file():
            raise BenchError(f"--runner-binary {self.runner_binary}: there is no such file")


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A device that was found.

    Attributes:
        kind: of it.
        id: what tells it from others.
        names: what it may be called by, besides its id: model, product...
        state: ``ready``, or why it is not.
        remedy: how it becomes ready; empty if it is.
        device: to measure on; None if it is not ready.
    """

    kind: DeviceKind
    id: str
    names: tuple[str, ...]
    state: str
    remedy: str
    device: Device | None

    def matches(self, query: str) -> bool:
        """Whether the query is a part of its id or of a name; cases and punctuation make no difference."""
        return any(_plain(query) in _plain(name) for name in (self.id, *self.names))

    def as_text(self) -> str:
        """One line for a list."""
        name = f" ({self.names[0]})" if self.names and self.names[0] else ""
        state = f", {self.state}: {self.remedy}" if self.device is None else ""
        return f"{self.id}{name}{state}"


def _plain(text: str) -> str:
    # adb writes "Pixel 8 Pro" as "Pixel_8_Pro", and "SM-G991B" as "SM_G991B".
    return re.sub(r"[^0-9a-z]+", "_", text.casefold())


@dataclass(frozen=True, slots=True, kw_only=True)
class Discovery:
    """All that was found, and why some places could not be looked at."""

    found: tuple[Found, ...]
    unseen: tuple[str, ...]


def discover(options: DeviceOptions) -> Discovery:
    """This machine, the phones that adb lists, and iPhones, whatever their state."""
    host = HostDevice()
    found = [Found(kind=DeviceKind.HOST, id=host.id, names=(), state="ready", remedy="", device=host)]
    unseen = []
    with ThreadPoolExecutor(2) as pool:
        searches = [pool.submit(search, options) for search in (_android, _iphone)]
        for search in searches:
            try:
                found += search.result()
            except BenchError as error:
                unseen.append(str(error))
    return Discovery(found=tuple(found), unseen=tuple(unseen))


def _android(options: DeviceOptions) -> Sequence[Found]:
    adb = Adb(find_adb(options.adb))
    return [_android_found(adb, listed, options) for listed in adb.devices()]


def _android_found(adb: Adb, listed: ListedDevice, options: DeviceOptions) -> Found:
    device = None if listed.remedy else _android_device(AdbDevice(adb, listed.serial), options)
    names = tuple(listed.values[key] for key in ("model", "product", "device") if key in listed.values)
    return Found(
        kind=DeviceKind.ANDROID,
        id=listed.serial,
        names=tuple(dict.fromkeys(names)),
        state=listed.state if listed.remedy else "ready",
        remedy=listed.remedy,
        device=device,
    )


def _android_device(device: AdbDevice, options: DeviceOptions) -> Device:
    phone = AndroidDevice(
        device, wait_s=options.wait_for_device_s, keep_files=options.keep_files, poll_s=options.poll_s
    )
    if options.runner_binary is None:
        return phone
    program = BENCHMARK_MODEL if options.runner is Runner.BENCHMARK_MODEL else EXECUTOR_RUNNER
    return StockDevice(phone, program, options.runner_binary)


def _iphone(options: DeviceOptions) -> Sequence[Found]:
    del options
    tool = find_iphone_tool()
    return [
        Found(
            kind=DeviceKind.IOS,
            id=listed.udid,
            names=tuple(name for name in (listed.name, listed.model, listed.product_type, "iPhone") if name),
            state="not ready" if listed.remedy else "ready",
            remedy=listed.remedy,
            device=None if listed.remedy else IphoneDevice(tool, listed),
        )
        for listed in tool.listed()
    ]


def find_devices(query: str, options: DeviceOptions) -> tuple[Device, ...]:
    """The devices that a person means.

    Args:
        query: ``host``, ``all`` (every phone that is ready), or a part of a model, product or serial.
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
    phones = [one for one in discovery.found if one.kind is not DeviceKind.HOST]
    if query == ALL:
        ready = tuple(one.device for one in phones if one.device is not None)
        if not ready:
            raise BenchError(f"--device all: no phone is ready; {_connected(phones, discovery)}")
        return ready
    exact = [one for one in phones if one.id == query]
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
    return (matching[0].device,)


def _connected(phones: Sequence[Found], discovery: Discovery) -> str:
    listed = "; ".join(one.as_text() for one in phones)
    connected = f"connected: {listed}" if phones else "no phone is connected: plug one in, with USB debugging on"
    advice = "choose by a part of model, product or serial; " if phones else ""
    return "; ".join([connected, *discovery.unseen, f"{advice}--device host is this machine"])
