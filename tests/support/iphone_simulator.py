"""A simulated iPhone: what ``pymobiledevice3`` and ``xcrun devicectl`` would do to one, done to a folder.

Run as either program (``iphone_programs`` writes them) it takes the command lines of the real ones, prints what they
print, and copies files into and out of a folder that is the Documents of the app. The app is the agent of the bench app
itself, built for this machine by ``make ios``. Faults befall the phone at the first command after a record of a kind:
the app stops there and waits for the fault, however fast it is.
"""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from tests.support.paths import IOS_HARNESS, REPOSITORY

UDID = "00008130-000A000000000001"
BUNDLE_ID = "io.qsredge.bench"
SWIFT = IOS_HARNESS / "swift.sh"
HOST = IOS_HARNESS / ".build" / "debug" / "qsr-host"
SAMPLES = REPOSITORY / "tests" / "unit" / "bench" / "ios" / "iphone"


class Fault(StrEnum):
    """What can befall it."""

    CABLE = "cable"
    KILL = "kill"
    REBOOT = "reboot"
    FULL = "full"
    CTRL_C = "ctrl-c"


@dataclass(frozen=True, kw_only=True)
class Iphone:
    """The phone, as a test sees it; the programs find it by its folder."""

    folder: Path

    @property
    def documents(self) -> Path:
        """Of the app."""
        return _storage(self.folder) / "Documents"

    @property
    def commands(self) -> list[str]:
        """What the programs were asked for, in order."""
        log = self.folder / "commands.txt"
        return log.read_text().splitlines() if log.is_file() else []

    def plan(self, fault: Fault, *, record: str, commands: int = 4) -> None:
        """Let a fault happen once such a record is there.

        A phone whose cable was pulled, or that reboots, answers no command for so many.
        """
        plan = {"fault": fault, "record": record, "commands": commands, "computer": os.getpid()}
        (self.folder / "plan.json").write_text(json.dumps(plan))

    def plug_in(self) -> None:
        """Let it answer again, whatever befell it."""
        (self.folder / "away").unlink(missing_ok=True)

    @contextmanager
    def small_storage(self) -> Iterator[None]:
        """Give it a file system of its own that can be full; needs root.

        Nobody else sees it mounted, and it ends with the process that holds it, however that ends.
        """
        mounted = 'mount --make-rprivate / && mount -t tmpfs -o size=4m tmpfs "$1" && mkdir "$1/Documents" && echo "$$"'
        with subprocess.Popen(
            ["unshare", "-m", "sh", "-c", f"{mounted} && exec cat", "sh", str(self.folder / "storage")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as holder:
            assert holder.stdout
            assert holder.stdout.readline() == f"{holder.pid}\n".encode()
            (self.folder / "holder").write_text(str(holder.pid))
            try:
                yield
            finally:
                _end_app(self.folder)
                (self.folder / "holder").unlink()

    def fill(self) -> None:
        """Leave no byte free."""
        _fill(self.folder)

    def make_room(self) -> None:
        """Undo :meth:`fill`."""
        (_storage(self.folder) / "filler").unlink()

    def left(self) -> list[str]:
        """Files of ours on it, once an app that cleans up has ended."""
        _wait_for_app(self.folder)
        return sorted(str(path.relative_to(self.documents)) for path in self.documents.rglob("*"))


def iphone_programs(folder: Path) -> Path:
    """Write both programs for a phone that lies in a folder; the folder with them, for PATH."""
    (folder / "storage" / "Documents").mkdir(parents=True)
    programs = folder / "bin"
    programs.mkdir()
    for name in ("pymobiledevice3", "xcrun"):
        path = programs / name
        path.write_text(
            f"#!{sys.executable}\nimport sys\nsys.path.insert(0, {str(REPOSITORY)!r})\n"
            "from tests.support.iphone_simulator import main\n"
            f"sys.exit(main({name!r}, {str(folder)!r}, sys.argv[1:]))\n"
        )
        path.chmod(0o755)
    return programs


class RefusedError(Exception):
    """The command fails as the real one would."""


def main(program: str, folder: str, words: Sequence[str]) -> int:
    """Do what a command line asks for; the exit code."""
    phone = Path(folder)
    with (phone / "commands.txt").open("a") as log:
        log.write(f"{program} {' '.join(words)}\n")
    try:
        _befall(phone)
        if program == "xcrun":
            return _devicectl(phone, words)
        return _pymobiledevice3(phone, words)
    except RefusedError as error:
        print(f"ERROR: {error}", file=sys.stderr)
        return 1


def _storage(phone: Path) -> Path:
    holder = phone / "holder"
    return Path(f"/proc/{holder.read_text()}/root{phone}/storage" if holder.is_file() else phone / "storage")


def _fill(phone: Path) -> None:
    with (_storage(phone) / "filler").open("wb", buffering=0) as filler:
        while True:
            try:
                filler.write(bytes(4096))
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
                return


def _befall(phone: Path) -> None:
    away, plan = phone / "away", phone / "plan.json"
    if plan.is_file():
        told = json.loads(plan.read_text())
        kind = json.dumps(told["record"])
        if any(f'"kind":{kind}' in path.read_text() for path in _storage(phone).glob("Documents/*/results-*.jsonl")):
            plan.unlink()
            _happen(phone, Fault(told["fault"]), told["commands"], told["computer"])
    if away.is_file():
        left = int(away.read_text()) - 1
        away.unlink() if left <= 0 else away.write_text(str(left))
        raise RefusedError("Device is not connected")


def _happen(phone: Path, fault: Fault, commands: int, computer: int) -> None:
    pid = _pid(phone)
    while _state(pid) not in ("T", "Z", ""):
        time.sleep(0.02)
    match fault:
        case Fault.KILL | Fault.REBOOT:
            _end_app(phone)
        case Fault.FULL:
            _fill(phone)
        case Fault.CTRL_C:
            os.kill(computer, signal.SIGINT)
        case Fault.CABLE:
            pass
    if fault in (Fault.CABLE, Fault.REBOOT):
        (phone / "away").write_text(str(commands))
    if _pid(phone):
        os.kill(pid, signal.SIGCONT)


def _state(pid: int) -> str:
    """Letter of a process's state, T if it is stopped, Z or nothing once it has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][:1] if pid else ""
    except FileNotFoundError:
        return ""


def _pid(phone: Path) -> int:
    """Of the app's process; 0 if it does not run."""
    path = phone / "pid"
    pid = int(path.read_text()) if path.is_file() else 0
    # An ended process may still be listed until somebody asks for its exit code.
    return 0 if _state(pid) in ("", "Z") else pid


def _end_app(phone: Path) -> None:
    if pid := _pid(phone):
        os.kill(pid, signal.SIGKILL)
        _wait_for_app(phone)


def _wait_for_app(phone: Path) -> None:
    while _pid(phone):
        time.sleep(0.02)


def _start_app(phone: Path, arguments: Sequence[str]) -> int:
    _end_app(phone)
    plan, holder = phone / "plan.json", phone / "holder"
    pause = ["--pause-after", json.loads(plan.read_text())["record"]] if plan.is_file() else []
    namespace: list[str] = []
    if holder.is_file():
        namespace = ["nsenter", f"--mount=/proc/{holder.read_text()}/ns/mnt", f"--wd={Path.cwd()}"]
    app = [shutil.which("bash") or "bash", str(SWIFT), str(HOST), "bench", str(phone / "storage" / "Documents")]
    with (phone / "app.log").open("ab") as log:
        process = subprocess.Popen(
            [*namespace, *app, *arguments, *pause],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            # A phone keeps its own compiled models, where Python reaches them, too.
            env={**os.environ, "XDG_CACHE_HOME": str(phone / "Caches")},
        )
    (phone / "pid").write_text(str(process.pid))
    return process.pid


def _pymobiledevice3(phone: Path, words: Sequence[str]) -> int:
    match list(words):
        case ["usbmux", "list"]:
            print((SAMPLES / "pymobiledevice3.json").read_text())
        case ["apps", "push", "--udid", udid, bundle, source, place]:
            _check(udid, bundle)
            full = "Failed to write to the file (AFC status NO_SPACE_LEFT)."
            _push(Path(source), _storage(phone) / place.lstrip("/") / Path(source).name, full)
        case ["apps", "pull", "--udid", udid, bundle, source, target]:
            _check(udid, bundle)
            _copy(_storage(phone) / source.lstrip("/"), Path(target))
        case ["developer", "dvt", "launch", "--udid", udid, "--userspace", command]:
            bundle, *arguments = command.split()
            _check(udid, bundle)
            print(f"Process launched with pid {_start_app(phone, arguments)}")
        case ["developer", "dvt", "process-id-for-bundle-id", "--udid", udid, "--userspace", bundle]:
            _check(udid, bundle)
            print(_pid(phone))
        case ["developer", "dvt", "kill", "--udid", udid, "--userspace", _]:
            _check(udid, BUNDLE_ID)
            _end_app(phone)
        case _:
            raise RefusedError(f"No such command: {' '.join(words)}")
    return 0


def _devicectl(phone: Path, words: Sequence[str]) -> int:
    given = list(words)
    at = given.index("--json-output")
    answer = Path(given[at + 1])
    del given[at : at + 2]
    given.remove("--quiet")
    container = ["--domain-type", "appDataContainer", "--domain-identifier", BUNDLE_ID]
    result: dict[str, object] = {}
    match given:
        case ["devicectl", "list", "devices", "--timeout", _]:
            answer.write_text((SAMPLES / "devicectl.json").read_text())
            return 0
        case ["devicectl", "device", "copy", way, "--device", udid, *rest] if rest[:4] == container:
            _check(udid, BUNDLE_ID)
            source, target = rest[5], rest[7]
            if way == "to":
                _push(Path(source), _storage(phone) / target, "The file couldn't be saved: No space left on device")
            else:
                _copy(_storage(phone) / source, Path(target))
        case ["devicectl", "device", "process", "launch", "--device", udid, "--terminate-existing", bundle, *arguments]:
            _check(udid, bundle)
            result = {"process": {"processIdentifier": _start_app(phone, arguments)}}
        case ["devicectl", "device", "info", "processes", "--device", udid]:
            _check(udid, BUNDLE_ID)
            result = {"runningProcesses": [{"processIdentifier": pid} for pid in (1, _pid(phone)) if pid]}
        case ["devicectl", "device", "process", "terminate", "--device", udid, "--pid", _]:
            _check(udid, BUNDLE_ID)
            _end_app(phone)
        case _:
            raise RefusedError(f"Unknown option: {' '.join(words)}")
    answer.write_text(json.dumps({"info": {"outcome": "success"}, "result": result}))
    return 0


def _check(udid: str, bundle: str) -> None:
    if udid != UDID:
        raise RefusedError(f"Device {udid} was not found")
    if bundle != BUNDLE_ID:
        raise RefusedError(f"No app with bundle id {bundle} found")


def _push(source: Path, target: Path, full: str) -> None:
    try:
        shutil.copytree(source, target, dirs_exist_ok=True)
    except OSError as error:  # of any file; copytree tells no errno
        if "No space left" not in str(error):
            raise
        raise RefusedError(full) from error


def _copy(source: Path, target: Path) -> None:
    if not source.is_file():
        raise RefusedError(f"{source.name}: No such file or directory")
    shutil.copyfile(source, target)
