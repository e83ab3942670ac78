"""The phones that adb lists, whatever their state."""

from collections.abc import Sequence

from qsr_edge.bench.android.adb import Adb, AdbDevice, ListedDevice, find_adb
from qsr_edge.bench.android.device import KIND, AndroidDevice
from qsr_edge.bench.android.stock import BENCHMARK_MODEL, EXECUTOR_RUNNER, StockDevice
from qsr_edge.bench.device import Device, Runner
from qsr_edge.bench.discovery import DeviceOptions, Found


def android_devices(options: DeviceOptions) -> Sequence[Found]:
    """What adb lists; raises ``BenchError`` if there is no adb or it fails."""
    adb = Adb(find_adb(options.adb))
    return [_found(adb, listed, options) for listed in adb.devices()]


def _found(adb: Adb, listed: ListedDevice, options: DeviceOptions) -> Found:
    device = None if listed.remedy else _device(AdbDevice(adb, listed.serial), options)
    names = tuple(listed.values[key] for key in ("model", "product", "device") if key in listed.values)
    return Found(
        kind=KIND,
        id=listed.serial,
        names=tuple(dict.fromkeys(names)),
        state=listed.state if listed.remedy else "ready",
        remedy=listed.remedy,
        device=device,
    )


def _device(device: AdbDevice, options: DeviceOptions) -> Device:
    phone = AndroidDevice(
        device, wait_s=options.wait_for_device_s, keep_files=options.keep_files, poll_s=options.poll_s
    )
    if options.runner_binary is None:
        return phone
    program = BENCHMARK_MODEL if options.runner is Runner.BENCHMARK_MODEL else EXECUTOR_RUNNER
    return StockDevice(phone, program, options.runner_binary)
