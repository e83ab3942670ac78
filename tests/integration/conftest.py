import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from qsr_edge.bench.android.adb import Adb, AdbDevice
from qsr_edge.bench.android.device import AndroidDevice
from tests.support.waiting import PATIENCE_S

if TYPE_CHECKING:
    from tests.support.phone_simulator.adb_server import AdbServer
    from tests.support.phone_simulator.phone import Phone


@pytest.fixture
def adb_here(adb_server: "AdbServer", monkeypatch: pytest.MonkeyPatch) -> "AdbServer":
    """The session's adb server is the one that this process's adb finds, or starts again."""
    for name in list(os.environ):
        if name.startswith(("ADB_", "ANDROID_")):
            monkeypatch.delenv(name)
    for name, value in adb_server.environment.items():
        if os.environ.get(name) != value:
            monkeypatch.setenv(name, value)
    return adb_server


@pytest.fixture
def android(adb_here: "AdbServer") -> "Callable[..., AndroidDevice]":
    """A simulated phone as `qsr-edge bench` sees it: ``android(phone, wait_s=1)``."""

    def make(phone: "Phone", *, wait_s: float = PATIENCE_S, **options: object) -> AndroidDevice:
        device = AdbDevice(Adb(Path(adb_here.binary)), phone.address)
        return AndroidDevice(device, wait_s=wait_s, poll_s=0.05, **options)

    return make


@pytest.fixture
def restarted_adb(adb_server: "AdbServer") -> "Iterator[AdbServer]":
    """For tests in which adb's server dies: afterwards the session has one of its own again."""
    yield adb_server
    adb_server.adb("kill-server")
    adb_server.restart()
