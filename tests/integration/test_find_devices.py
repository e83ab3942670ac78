"""Finding phones by the real adb: by name, several, none, not authorized, offline; and their list."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from qsr_edge.bench.android.device import AndroidDevice
from qsr_edge.bench.device import Runner
from qsr_edge.bench.devices import find_devices
from qsr_edge.bench.discovery import DeviceOptions
from qsr_edge.bench.host.device import HostDevice
from qsr_edge.errors import BenchError
from tests.support.phone_simulator.adb_server import AdbServer
from tests.support.phone_simulator.models import PIXEL, SAMSUNG, XIAOMI
from tests.support.phone_simulator.phone import Phone
from tests.support.phone_simulator.wire import Authorization

PhoneFactory = Callable[..., Phone]
OPTIONS = DeviceOptions()


def test_a_phone_by_a_part_of_its_name(adb_here: AdbServer, phone: PhoneFactory) -> None:
    pixel, samsung = phone(PIXEL), phone(SAMSUNG)
    for query, expected in {
        "pixel": pixel,
        "PIXEL 8": pixel,
        "husky": pixel,
        "sm-g991": samsung,
        "o1sx": samsung,
        samsung.address: samsung,
        pixel.address.rpartition(":")[2]: pixel,
    }.items():
        [device] = find_devices(query, OPTIONS)
        assert device.id == expected.address, query
    assert {device.id for device in find_devices("all", OPTIONS)} == {pixel.address, samsung.address}
    assert isinstance(find_devices("host", OPTIONS)[0], HostDevice)


def test_none_and_several_list_what_is_connected(adb_here: AdbServer, phone: PhoneFactory) -> None:
    with pytest.raises(BenchError, match=r"no phone is connected: plug one in.*--device host is this machine"):
        find_devices("pixel", OPTIONS)
    with pytest.raises(BenchError, match="--device all: no phone is ready"):
        find_devices("all", OPTIONS)
    one, other = phone(PIXEL), phone(PIXEL)
    with pytest.raises(BenchError, match=r"2 devices match.*give more of the name, or the serial") as several:
        find_devices("pixel", OPTIONS)
    assert one.address in str(several.value)
    assert other.address in str(several.value)
    with pytest.raises(BenchError, match=rf"no device matches; connected: .*{one.address} \(Pixel_8_Pro\).*choose by"):
        find_devices("oneplus", OPTIONS)


def test_a_phone_that_is_not_ready_is_named_with_the_remedy(adb_here: AdbServer, phone: PhoneFactory) -> None:
    asking, hanging = phone(SAMSUNG, authorization=Authorization.ASKING), phone(PIXEL)
    hanging.hang()
    adb_here.await_state(hanging.address, "offline")
    with pytest.raises(BenchError, match="unauthorized: unlock the phone and accept its question"):
        find_devices(asking.address, OPTIONS)
    with pytest.raises(BenchError, match="offline: plug it in anew"):
        find_devices(hanging.address, OPTIONS)
    with pytest.raises(BenchError, match=r"no phone is ready.*unauthorized.*offline|offline.*unauthorized"):
        find_devices("all", OPTIONS)
    asking.authorize()
    adb_here.await_state(asking.address, "device")
    [ready] = find_devices("all", OPTIONS)
    assert ready.id == asking.address


def test_without_adb_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"--adb .*none: not a program"):
        find_devices("pixel", DeviceOptions(adb=tmp_path / "none"))
    with pytest.raises(BenchError, match="need --runner-binary"):
        DeviceOptions(runner=Runner.BENCHMARK_MODEL)


def test_the_list_of_devices(adb_here: AdbServer, phone: PhoneFactory, run_cli: Callable[..., object]) -> None:
    xiaomi, asking = phone(XIAOMI), phone(SAMSUNG, authorization=Authorization.ASKING)
    xiaomi.battery.plugged_in = False
    result = run_cli("devices", "--json")
    assert result.exit_code == 0, result.stderr
    devices = {device["id"]: device for device in json.loads(result.stdout)["devices"]}
    assert devices["host"]["state"] == "ready"
    told = devices[xiaomi.address]
    # Android 11 does not name the SoC: its platform stands for it.
    assert (told["name"], told["processor"]) == ("Xiaomi M2102J20SG", "msmnile")
    assert (told["system"], told["build"], told["simulator"]) == ("Android 11 (API 30)", "RKQ1.200826.002", True)
    assert told["condition"] == {
        "thermal_status": 0,
        "temperature_mc": 34_600,
        "battery_temperature_mc": 28_700,
        "battery_percent": 81,
        "plugged_in": False,
        "voltage_mv": 4214,
    }
    assert devices[asking.address]["state"] == "unauthorized"
    assert "accept" in devices[asking.address]["remedy"]
    shown = run_cli("devices")
    assert shown.exit_code == 0
    for words in ("msmnile", "81 %", "28.7", "none", "simulator", "unauthorized"):
        assert words in shown.stdout


def test_what_a_phone_cannot_run_is_refused_by_name(adb_here: AdbServer, phone: PhoneFactory) -> None:
    phone(PIXEL)
    [device] = find_devices("pixel", OPTIONS)
    assert isinstance(device, AndroidDevice)
    assert device.kernel_families("tflite") == ("xnnpack", "builtin")
    assert device.kernel_families("executorch") == ("xnnpack", "portable")
    with pytest.raises(BenchError, match="runs no coreml bundles; convert for executorch or onnx or tflite"):
        device.kernel_families("coreml")
