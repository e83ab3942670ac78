"""The programs that reach an iPhone: Apple's ``devicectl`` on macOS, elsewhere ``pymobiledevice3``.

Never run on an iPhone so far: command lines are those of ``xcrun devicectl`` of Xcode 15 to 26 and of pymobiledevice3
11, JSON is read in the form that they write, and both are tested on samples only.
"""

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

from qsr_edge.bench.tool import is_full, run_tool
from qsr_edge.errors import BenchError
from qsr_edge.files import temporary_folder

BUNDLE_ID = "io.qsredge.bench"
DOCUMENTS = PurePosixPath("Documents")
_COMMAND_S = 60.0
_COPY_S = 600.0
_NOT_INSTALLED = "iPhones need Xcode on macOS (xcrun devicectl), elsewhere usbmuxd and `pip install pymobiledevice3`"


class StorageFullError(BenchError):
    """The phone's storage is full."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IphoneListed:
    """An iPhone or iPad as a tool lists it.

    Attributes:
        udid: what tells it from others.
        name: that its user gave it.
        model: marketing name, or product type.
        product_type: such as iPhone16,1.
        version: of iOS; empty if it is not told.
        build: likewise.
        remedy: how it becomes ready; empty if it is.
    """

    udid: str
    name: str
    model: str
    product_type: str
    version: str
    build: str
    remedy: str


class IphoneTool(Protocol):
    """What is asked of either program. All raise ``BenchError`` with its last words.

    A copy that finds no room is a ``StorageFullError``.
    """

    def listed(self) -> tuple[IphoneListed, ...]:
        """Devices that it knows."""
        ...

    def push(self, udid: str, folder: Path) -> None:
        """Copy a folder into the app's Documents, under its name."""
        ...

    def pull(self, udid: str, path: PurePosixPath, target: Path) -> bool:
        """Copy a file out of the app's Documents; False if it is not there yet."""
        ...

    def launch(self, udid: str, arguments: Sequence[str]) -> int:
        """Start the app anew; its process id."""
        ...

    def is_running(self, udid: str, pid: int) -> bool:
        """Whether the process still runs."""
        ...

    def stop(self, udid: str, pid: int) -> None:
        """End the process."""
        ...


def find_iphone_tool() -> IphoneTool:
    """The program of this system; raises ``BenchError`` naming what to install."""
    if sys.platform == "darwin" and shutil.which("xcrun") is not None:
        return Devicectl("xcrun")
    found = shutil.which("pymobiledevice3")
    if found is None:
        raise BenchError(_NOT_INSTALLED)
    return Pymobiledevice3(found)


def _run(words: Sequence[str], timeout_s: float) -> str:
    try:
        ran = run_tool(words, timeout_s)
    except subprocess.TimeoutExpired as error:
        raise BenchError(
            f"`{' '.join(words)[:80]}` did not answer within {timeout_s:.0f} s; unlock the phone"
        ) from error
    except OSError as error:
        raise BenchError(f"{words[0]}: cannot be run ({error.strerror}); {_NOT_INSTALLED}") from error
    out, err = (stream.decode("utf-8", errors="replace") for stream in (ran.stdout, ran.stderr))
    if ran.returncode != 0:
        last = " / ".join(line.strip() for line in (err or out).splitlines() if line.strip())[-300:]
        if is_full(last):
            raise StorageFullError(
                f"the phone's storage is full: {last}; free some space on it, then go on with --resume"
            )
        raise BenchError(
            f"`{' '.join(words)[:80]}` failed: {last}; unlock the phone, trust this computer, switch its "
            f"Developer Mode on, and install the app {BUNDLE_ID} (docs/bench.md)"
        )
    return out


class Devicectl:
    """``xcrun devicectl``. Apple promises the JSON that it writes to a file, not what it prints."""

    def __init__(self, xcrun: str) -> None:
        self._words = [xcrun, "devicectl"]

    def listed(self) -> tuple[IphoneListed, ...]:
        """Paired and unpaired ones; simulators are left out."""
        return parse_devicectl(self._json("list devices", ["--timeout", "10"]))

    def push(self, udid: str, folder: Path) -> None:
        """Copy to the device, by ``device copy to``."""
        places = ["--source", str(folder), "--destination", str(DOCUMENTS / folder.name)]
        self._json("device copy to", [*self._container(udid), *places], _COPY_S)

    def pull(self, udid: str, path: PurePosixPath, target: Path) -> bool:
        """Copy from the device, by ``device copy from``; a file that is not there and another failure look alike."""
        places = ["--source", str(DOCUMENTS / path), "--destination", str(target)]
        try:
            self._json("device copy from", [*self._container(udid), *places], _COPY_S)
        except BenchError:
            return False
        return target.is_file()

    def launch(self, udid: str, arguments: Sequence[str]) -> int:
        """Start the app, by ``device process launch``."""
        options = ["--device", udid, "--terminate-existing", BUNDLE_ID, *arguments]
        return process_id(self._json("device process launch", options))

    def is_running(self, udid: str, pid: int) -> bool:
        """List what runs, by ``device info processes``."""
        table = self._json("device info processes", ["--device", udid])
        processes = _table(table, "result").get("runningProcesses", [])
        return any(isinstance(one, dict) and one.get("processIdentifier") == pid for one in processes)

    def stop(self, udid: str, pid: int) -> None:
        """End a process, by ``device process terminate``."""
        self._json("device process terminate", ["--device", udid, "--pid", str(pid)])

    @staticmethod
    def _container(udid: str) -> list[str]:
        return ["--device", udid, "--domain-type", "appDataContainer", "--domain-identifier", BUNDLE_ID]

    def _json(self, verbs: str, options: Sequence[str], timeout_s: float = _COMMAND_S) -> dict[str, Any]:
        with temporary_folder("devicectl") as folder:
            path = folder / "answer.json"
            # First, since what follows an app's identifier is the app's.
            _run([*self._words, *verbs.split(), "--quiet", "--json-output", str(path), *options], timeout_s)
            return _parsed(path.read_text(encoding="utf-8") if path.is_file() else "")


class Pymobiledevice3:
    """``pymobiledevice3``; starting apps goes through a tunnel of its own that needs no root."""

    def __init__(self, program: str) -> None:
        self._program = program

    def listed(self) -> tuple[IphoneListed, ...]:
        """Those that usbmuxd knows."""
        return parse_pymobiledevice3(_run([self._program, "usbmux", "list"], _COMMAND_S))

    def push(self, udid: str, folder: Path) -> None:
        """Copy to the device, by ``apps push``, which puts a folder below the place it is given."""
        _run([self._program, "apps", "push", "--udid", udid, BUNDLE_ID, str(folder), f"/{DOCUMENTS}"], _COPY_S)

    def pull(self, udid: str, path: PurePosixPath, target: Path) -> bool:
        """Copy from the device, by ``apps pull``; a file that is not there and another failure look alike."""
        words = [self._program, "apps", "pull", "--udid", udid, BUNDLE_ID, f"/{DOCUMENTS / path}", str(target)]
        try:
            _run(words, _COPY_S)
        except BenchError:
            return False
        return target.is_file()

    def launch(self, udid: str, arguments: Sequence[str]) -> int:
        """Start the app, by ``developer dvt launch``, which takes one word and splits it."""
        command = " ".join([BUNDLE_ID, *arguments])
        out = _run([*self._dvt("launch", udid), command], _COMMAND_S)
        pid = out.rpartition("pid ")[2].strip()
        if not pid.isdecimal():
            raise BenchError(f"pymobiledevice3 told no process id: {out.strip()[-100:]}")
        return int(pid)

    def is_running(self, udid: str, pid: int) -> bool:
        """List what runs, by ``process-id-for-bundle-id``."""
        return _run([*self._dvt("process-id-for-bundle-id", udid), BUNDLE_ID], _COMMAND_S).strip() == str(pid)

    def stop(self, udid: str, pid: int) -> None:
        """End a process, by ``kill``."""
        _run([*self._dvt("kill", udid), str(pid)], _COMMAND_S)

    def _dvt(self, verb: str, udid: str) -> list[str]:
        return [self._program, "developer", "dvt", verb, "--udid", udid, "--userspace"]


def _parsed(text: str) -> dict[str, Any]:
    try:
        table = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BenchError(f"devicectl wrote no JSON ({' '.join(str(error).split())[:80]}); update Xcode") from error
    return table if isinstance(table, dict) else {}


def _table(values: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = values.get(key)
    return value if isinstance(value, dict) else {}


def process_id(table: Mapping[str, Any]) -> int:
    """The process id in what ``device process launch`` wrote; raises ``BenchError`` if there is none."""
    pid = _table(_table(table, "result"), "process").get("processIdentifier")
    if not isinstance(pid, int):
        raise BenchError("devicectl told no process id; unlock the phone, and start again")
    return pid


def parse_devicectl(table: Mapping[str, Any]) -> tuple[IphoneListed, ...]:
    """The iPhones and iPads of ``devicectl list devices --json-output``; what has no UDID is left out."""
    devices = _table(table, "result").get("devices", [])
    listed = []
    for entry in devices if isinstance(devices, list) else []:
        if not isinstance(entry, dict):
            continue
        hardware, system, link = (_table(entry, f"{key}Properties") for key in ("hardware", "device", "connection"))
        is_phone = (
            hardware.get("deviceType") in ("iPhone", "iPad") and hardware.get("reality", "physical") == "physical"
        )
        if not is_phone or not isinstance(hardware.get("udid"), str):
            continue
        product_type = str(hardware.get("productType", ""))
        listed.append(
            IphoneListed(
                udid=hardware["udid"],
                name=str(system.get("name", "")),
                model=str(hardware.get("marketingName", product_type)),
                product_type=product_type,
                version=str(system.get("osVersionNumber", "")),
                build=str(system.get("osBuildUpdate", "")),
                remedy=_remedy(system, link),
            )
        )
    return tuple(listed)


def _remedy(system: Mapping[str, Any], link: Mapping[str, Any]) -> str:
    if link.get("pairingState") != "paired":
        return "unlock it, trust this computer, and pair it in Xcode's window Devices and Simulators"
    if link.get("tunnelState") == "unavailable":
        return "plug it in and unlock it"
    if system.get("developerModeStatus", "enabled") != "enabled":
        return "switch its Developer Mode on (Settings, Privacy & Security)"
    return ""


def parse_pymobiledevice3(text: str) -> tuple[IphoneListed, ...]:
    """The iPhones and iPads of ``pymobiledevice3 usbmux list``; one that is there by cable and by Wi-Fi counts once."""
    try:
        entries = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BenchError(f"pymobiledevice3 wrote no JSON ({' '.join(str(error).split())[:80]}); update it") from error
    listed: dict[str, IphoneListed] = {}
    for entry in entries if isinstance(entries, list) else []:
        udid = entry.get("UniqueDeviceID") or entry.get("Identifier") if isinstance(entry, dict) else None
        if not isinstance(udid, str) or entry.get("DeviceClass") not in ("iPhone", "iPad", None):
            continue
        product_type = str(entry.get("ProductType") or "")
        listed[udid] = IphoneListed(
            udid=udid,
            name=str(entry.get("DeviceName") or ""),
            model=product_type,
            product_type=product_type,
            version=str(entry.get("ProductVersion") or ""),
            build=str(entry.get("BuildVersion") or ""),
            # Without a pairing, only the identifier is told.
            remedy="" if entry.get("ProductVersion") else "unlock it and trust this computer",
        )
    return tuple(listed.values())
