"""Finding adb, its list of devices, and what its messages mean."""

import stat
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qsr_edge.bench.android.adb import (
    Adb,
    AdbDevice,
    AdbError,
    AdbMissingError,
    ConnectionLostError,
    DeviceGoneError,
    NoSpaceError,
    OfflineError,
    ServerError,
    SilentError,
    UnauthorizedError,
    failure,
    find_adb,
    parse_devices,
)

LIST = """* daemon not running; starting now at tcp:5037
* daemon started successfully
List of devices attached
3A051FDJG000AB         device usb:1-4 product:husky model:Pixel_8_Pro device:husky transport_id:3
R5CR10000XY            unauthorized usb:1-2 transport_id:4
127.0.0.1:5555         offline transport_id:5
adb-3A051FDJ-x1._adb-tls-connect._tcp device product:husky model:Pixel_8_Pro device:husky transport_id:9
0123456789ABCDEF       no permissions (missing udev rules?); see [http://d.android.com/tools] usb:1-1 transport_id:1
????????????           no permissions usb:3-1 transport_id:2
emulator-5554          device product:sdk_gphone64_arm64 model:sdk_gphone64_arm64 device:emu64a transport_id:7
ZX1                    bootloader
"""


def test_the_list_of_devices() -> None:
    listed = {device.serial: device for device in parse_devices(LIST)}
    assert {serial: device.state for serial, device in listed.items()} == {
        "3A051FDJG000AB": "device",
        "R5CR10000XY": "unauthorized",
        "127.0.0.1:5555": "offline",
        "adb-3A051FDJ-x1._adb-tls-connect._tcp": "device",
        "0123456789ABCDEF": "no permissions",
        "????????????": "no permissions",
        "emulator-5554": "device",
        "ZX1": "bootloader",
    }
    assert listed["3A051FDJG000AB"].values["model"] == "Pixel_8_Pro"
    assert listed["0123456789ABCDEF"].values == {"usb": "1-1", "transport_id": "1"}
    assert "accept" in listed["R5CR10000XY"].remedy
    assert "udev" in listed["????????????"].remedy
    with pytest.raises(OfflineError, match="offline; plug it in anew"):
        listed["127.0.0.1:5555"].check_ready()
    with pytest.raises(UnauthorizedError, match="accept its question"):
        listed["R5CR10000XY"].check_ready()
    with pytest.raises(DeviceGoneError, match="boot loader"):
        listed["ZX1"].check_ready()
    listed["emulator-5554"].check_ready()


@pytest.mark.parametrize("text", ["", "\n\n", "List of devices attached\n\n", "adb: usage: unknown command"])
def test_no_device_in_a_list(text: str) -> None:
    assert [device for device in parse_devices(text) if device.state == "device"] == []


@given(st.text())
def test_any_text_as_a_list_and_as_a_message(text: str) -> None:
    for device in parse_devices(text):
        assert device.serial
        assert device.state
    error = failure(text, "X")
    assert str(error).startswith("X: ")
    assert len(str(error)) < 500


# Messages of adb 29 to 35 (client/commandline.cpp, file_sync_client.cpp, adb_client.cpp, transport.cpp).
MESSAGES: list[tuple[str, type[AdbError], str]] = [
    ("error: no devices/emulators found", DeviceGoneError, "plug it in"),
    ("error: device 'R5C' not found", DeviceGoneError, "plug it in"),
    ("adb: device 'R5C' not found", DeviceGoneError, "plug it in"),
    ("error: closed", DeviceGoneError, "plug it in"),
    ("adb: error: failed to read copy response: EOF", DeviceGoneError, "plug it in"),
    ("adb: error: failed to get feature set: device offline", OfflineError, "reconnect"),
    ("error: device offline", OfflineError, "reconnect"),
    ("error: device still connecting", OfflineError, "plug it in anew"),
    (
        "error: device unauthorized.\nThis adb server's $ADB_VENDOR_KEYS is not set\n"
        "Try 'adb kill-server' if that seems wrong.",
        UnauthorizedError,
        "accept its question",
    ),
    ("error: device still authorizing", UnauthorizedError, "accept its question"),
    ("error: protocol fault (couldn't read status): Connection reset by peer", ServerError, "started again"),
    ("error: cannot connect to daemon", ServerError, "started again"),
    ("* daemon not running; starting now\nADB server didn't ACK\n* failed to start daemon *", ServerError, "again"),
    (
        "adb: error: failed to copy 'a' to '/data/local/tmp/a': remote write failed: No space left on device",
        NoSpaceError,
        "free some space",
    ),
    ("adb: error: failed to copy 'a' to '/x': remote couldn't create file: Permission denied", AdbError, "Permission"),
    ("error: insufficient permissions for device: udev requires plugdev group membership", AdbError, "udev"),
    ("error: more than one device/emulator", AdbError, "choose one by --device"),
    ("", DeviceGoneError, "without a word"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "kind", "words"), MESSAGES)
def test_what_adb_says_has_a_type_and_a_remedy(text: str, kind: type[AdbError], words: str) -> None:
    error = failure(text, "R5C")
    assert type(error) is kind
    assert words in str(error)
    assert "\n" not in str(error)
    assert "* daemon" not in str(error)


def script(folder: Path, body: str, name: str = "adb") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(f"#!{sys.executable}\n{body}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def test_which_adb_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ANDROID_HOME", raising=False)
    monkeypatch.delenv("ANDROID_SDK_ROOT", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with pytest.raises(AdbMissingError, match="apt-get install adb"):
        find_adb()
    on_path = script(tmp_path / "bin", "")
    assert find_adb() == on_path
    in_sdk = script(tmp_path / "sdk" / "platform-tools", "")
    monkeypatch.setenv("ANDROID_HOME", str(tmp_path / "sdk"))
    assert find_adb() == in_sdk
    named = script(tmp_path / "other", "")
    assert find_adb(named) == named
    for wrong in (tmp_path / "none", tmp_path):
        with pytest.raises(AdbMissingError, match="not a program"):
            find_adb(wrong)
    broken = tmp_path / "broken"
    broken.write_text("no program")
    broken.chmod(0o755)
    with pytest.raises(AdbMissingError, match="cannot be run"):
        Adb(broken).devices()


def test_a_client_that_hangs_is_ended(tmp_path: Path) -> None:
    device = AdbDevice(Adb(script(tmp_path, "import time; time.sleep(60)")), "R5C")
    with pytest.raises(SilentError, match="did not answer within 0 s"):
        device.shell("true", timeout_s=0.3)


def test_an_answer_without_its_end_is_none(tmp_path: Path) -> None:
    # As adb does when the connection breaks: half of the output, and success.
    device = AdbDevice(Adb(script(tmp_path, "print('half')")), "R5C")
    with pytest.raises(DeviceGoneError, match="the connection broke during `cat x`"):
        device.run("cat x")
    assert issubclass(DeviceGoneError, ConnectionLostError)


def test_exit_code_and_output_are_the_commands(tmp_path: Path) -> None:
    body = "import sys; sys.stderr.write('cat: x: No such file or directory'); print('ab', end='qsr-edge-end:1\\n')"
    device = AdbDevice(Adb(script(tmp_path, body)), "R5C")
    result = device.shell("cat x")
    assert (result.code, result.out, result.err) == (1, b"ab", "cat: x: No such file or directory")
    with pytest.raises(AdbError, match=r"`cat x` failed with 1: cat: x: No such file"):
        device.run("cat x")
    full = "import sys; sys.stderr.write('cp: x: No space left on device'); print('qsr-edge-end:1')"
    with pytest.raises(NoSpaceError, match="free some space"):
        AdbDevice(Adb(script(tmp_path, full)), "R5C").run("cp a x")
