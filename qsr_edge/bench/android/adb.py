"""The real ``adb`` as a subprocess: every call has a timeout, every failure a type and a remedy.

The device's answers are believed only when they are whole: adb reports success when a connection breaks under a
command, so each command prints a last line of its own, and what lacks it was cut.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from qsr_edge.bench.device import DeviceLostError
from qsr_edge.bench.tool import is_full, run_tool
from qsr_edge.errors import BenchError, one_line

COMMAND_S = 20.0
"""For a command that answers at once."""
SLOWEST_BYTES_PER_S = 200_000
"""The slowest link that is still worth waiting for."""
READY = "device"
"""The state in which a device takes commands."""

_NOT_INSTALLED = (
    "adb is not installed: `apt-get install adb`, `brew install android-platform-tools`, or the platform tools of "
    "Android's SDK; name it by --adb or ANDROID_HOME if it is not on the PATH"
)
_SERVER_DIED = ("cannot connect to daemon", "protocol fault", "failed to start daemon", "ADB server")
_END = "qsr-edge-end:"
_ENDED = re.compile(rb"qsr-edge-end:(\d+)\r?\n\Z")
_LISTED = re.compile(r"(?P<serial>\S+)\s+(?P<state>no permissions.*?|\S+)(?P<values>(?:\s+[\w-]+:\S+)*)\s*")
_REMEDIES = {
    "unauthorized": "unlock the phone and accept its question whether this computer may debug it",
    "authorizing": "wait a moment, and accept the phone's question if it asks",
    "connecting": "wait a moment",
    "offline": "plug it in anew, or `adb reconnect offline`; if that does not help, switch USB debugging off and on",
    "no permissions": "let this user open USB devices (udev rules, https://developer.android.com/tools/device)",
    "bootloader": "it is in its boot loader: start Android on it",
    "recovery": "it is in recovery: start Android on it",
    "sideload": "it is being sideloaded: start Android on it",
    "rescue": "it is in rescue mode: start Android on it",
}


class AdbError(BenchError):
    """adb or the device refused; another try would find the same."""


class AdbMissingError(AdbError):
    """There is no adb here."""


class NoSpaceError(AdbError):
    """The device's storage is full."""


class CommandError(AdbError):
    """A command on the device failed.

    Attributes:
        code: its exit code.
    """

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


class ConnectionLostError(AdbError, DeviceLostError):
    """The device cannot be reached now; it may come back."""


class DeviceGoneError(ConnectionLostError):
    """It is not connected, or the connection broke."""


class UnauthorizedError(ConnectionLostError):
    """Its user has not allowed this computer."""


class OfflineError(ConnectionLostError):
    """It is connected and does not answer."""


class ServerError(ConnectionLostError):
    """adb's server died, or cannot be started."""


class SilentError(ConnectionLostError):
    """There was no answer in time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedDevice:
    """A line of ``adb devices -l``.

    Attributes:
        serial: what adb calls it.
        state: ``device`` if it is ready; else in adb's words.
        values: what the list tells of it: ``product``, ``model``, ``device``...
    """

    serial: str
    state: str
    values: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def remedy(self) -> str:
        """What its user can do so that it becomes ready; empty if it is."""
        if self.state == READY:
            return ""
        return _REMEDIES.get(self.state, "plug it in anew")

    def check_ready(self) -> None:
        """Raise the ``ConnectionLostError`` that its state is, if it is not ready."""
        if self.state == READY:
            return
        kinds = {"unauthorized": UnauthorizedError, "authorizing": UnauthorizedError, "offline": OfflineError}
        kind = kinds.get(self.state, DeviceGoneError)
        raise kind(f"{self.serial}: {self.state}; {self.remedy}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ShellResult:
    """What a command on the device answered."""

    code: int
    out: bytes
    err: str


def find_adb(named: Path | None = None) -> Path:
    """The adb to use: the one named, that of ``ANDROID_HOME`` or ``ANDROID_SDK_ROOT``, or that of the PATH.

    Raises:
        AdbMissingError: saying how to install it.
    """
    if named is not None:
        if not os.access(named, os.X_OK) or named.is_dir():
            raise AdbMissingError(f"--adb {named}: not a program that can be run; name the adb of the platform tools")
        return named
    for variable in ("ANDROID_HOME", "ANDROID_SDK_ROOT"):
        folder = os.environ.get(variable)
        found = shutil.which("adb", path=str(Path(folder) / "platform-tools")) if folder else None
        if found is not None:
            return Path(found)
    found = shutil.which("adb")
    if found is None:
        raise AdbMissingError(_NOT_INSTALLED)
    return Path(found)


def parse_devices(text: str) -> tuple[ListedDevice, ...]:
    """The devices that ``adb devices -l`` lists; lines that are none are left out."""
    devices = []
    for line in text.splitlines():
        # The server tells of its own start in lines with an asterisk.
        match = _LISTED.fullmatch(line)
        # A phone may call itself what a terminal would obey; adb's own lines hold no control characters but tabs.
        plain = line.replace("\t", " ").isprintable()
        if match is None or not plain or line.startswith(("List of devices", "*")):
            continue
        values = dict(word.split(":", 1) for word in match["values"].split())
        # What follows "no permissions" is advice, and differs from release to release.
        state = "no permissions" if match["state"].startswith("no permissions") else match["state"]
        devices.append(ListedDevice(serial=match["serial"], state=state, values=MappingProxyType(values)))
    return tuple(devices)


class Adb:
    """One adb client.

    Args:
        path: of the program; see :func:`find_adb`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def devices(self) -> tuple[ListedDevice, ...]:
        """All that are connected, in whatever state.

        Raises:
            ServerError: if adb's server cannot be started.
            SilentError: if it does not answer.
        """
        ran = self.call(["devices", "-l"], COMMAND_S)
        if ran.returncode != 0:
            raise failure(_text(ran), "adb devices")
        return parse_devices(ran.stdout.decode(errors="replace"))

    def call(self, words: Sequence[str], timeout_s: float) -> "subprocess.CompletedProcess[bytes]":
        """Run a client to its end, whatever its exit code; it starts adb's server if there is none.

        Raises:
            SilentError: if it did not end in time; it is ended then.
            AdbMissingError: if it cannot be run.
        """
        try:
            return run_tool([str(self.path), *words], timeout_s)
        except subprocess.TimeoutExpired as error:
            raise SilentError(
                f"`adb {' '.join(words)[:80]}` did not answer within {timeout_s:.0f} s; plug the phone in anew"
            ) from error
        except OSError as error:
            raise AdbMissingError(f"{self.path}: cannot be run ({error.strerror}); {_NOT_INSTALLED}") from error


class AdbDevice:
    """One device as adb knows it.

    Args:
        adb: the client.
        serial: of the device.
    """

    def __init__(self, adb: Adb, serial: str) -> None:
        self.adb = adb
        self.serial = serial

    def check_ready(self) -> None:
        """Raise a ``ConnectionLostError`` with the remedy if it is not ready."""
        for listed in self.adb.devices():
            if listed.serial == self.serial:
                listed.check_ready()
                return
        raise DeviceGoneError(f"{self.serial}: not connected; plug it in and unlock it")

    def shell(self, command: str, *, timeout_s: float = COMMAND_S) -> ShellResult:
        """Run a command line in the device's shell, to its end.

        Args:
            command: words of it that are not fixed must be quoted by ``shlex.quote``.
            timeout_s: after which it is given up.

        Raises:
            ConnectionLostError: if it was not run to its end.
        """
        ran = self._adb(["shell", "-T", f"{command}; echo {_END}$?"], timeout_s)
        ended = _ENDED.search(ran.stdout)
        err = ran.stderr.decode(errors="replace")
        if ended is None:
            if ran.returncode == 0 or not err.strip():
                raise DeviceGoneError(f"{self.serial}: the connection broke during `{command[:60]}`")
            raise failure(err, self.serial)
        return ShellResult(code=int(ended[1]), out=ran.stdout[: ended.start()], err=err)

    def run(self, command: str, *, timeout_s: float = COMMAND_S) -> bytes:
        """Standard output of a command that must succeed; as :meth:`shell`.

        Raises:
            NoSpaceError: if the storage is full.
            CommandError: if it failed otherwise.
        """
        result = self.shell(command, timeout_s=timeout_s)
        if result.code != 0:
            text = _line(result.err) or _line(result.out.decode(errors="replace"))
            if is_full(text):
                raise NoSpaceError(f"{self.serial}: {text}; free some space on the phone")
            raise CommandError(f"{self.serial}: `{command[:60]}` failed with {result.code}: {text}", result.code)
        return result.out

    def push(self, source: Path, target: str) -> None:
        """Copy a file to the device; whether it arrived whole is to be checked there.

        Raises:
            ConnectionLostError: if the connection broke.
            NoSpaceError: if the storage is full.
            AdbError: if the device refused otherwise.
        """
        timeout_s = COMMAND_S + source.stat().st_size / SLOWEST_BYTES_PER_S
        ran = self._adb(["push", str(source), target], timeout_s)
        if ran.returncode != 0:
            raise failure(_text(ran), self.serial)

    def _adb(self, words: Sequence[str], timeout_s: float) -> "subprocess.CompletedProcess[bytes]":
        return self.adb.call(["-s", self.serial, *words], timeout_s)


def failure(text: str, where: str) -> AdbError:
    """The error that adb's own message is.

    Args:
        text: what adb printed.
        where: serial of the device, or the command.
    """
    line = _line(text) or "adb failed without a word"
    told = f"{where}: {line}"
    if is_full(text):
        return NoSpaceError(f"{told}; free some space on the phone")
    if "unauthorized" in text or "authorizing" in text:
        return UnauthorizedError(f"{where}: unauthorized; {_REMEDIES['unauthorized']}")
    if "device offline" in text or "device still connecting" in text:
        return OfflineError(f"{where}: offline; {_REMEDIES['offline']}")
    if any(words in text for words in ("insufficient permissions", "no permissions")):
        return AdbError(f"{where}: no permissions; {_REMEDIES['no permissions']}")
    if "PTY args" in text:
        return AdbError(f"{where}: its Android is older than 7 (API 24), which the bench needs")
    if "more than one device" in text:
        return AdbError(f"{told}; choose one by --device")
    if any(words in text for words in _SERVER_DIED):
        return ServerError(f"{where}: adb's server died ({line}); it is started again")
    # The device's daemon answered, and refused.
    if "remote " in text or "Permission denied" in text or "Read-only" in text or "cannot stat" in text:
        return AdbError(told)
    return DeviceGoneError(f"{told}; plug it in and unlock it")


def _text(ran: "subprocess.CompletedProcess[bytes]") -> str:
    return (ran.stderr + b"\n" + ran.stdout).decode(errors="replace")


def _line(text: str) -> str:
    """One line of a message, without what adb tells of its own start and progress."""
    lines = [line.strip() for line in text.splitlines()]
    told = [line for line in lines if line and not line.startswith("* daemon") and "%]" not in line]
    return one_line("; ".join(told).removeprefix("adb: ").removeprefix("error: "), 300)
