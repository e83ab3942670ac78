"""What adb can open on the phone (shell, exec, sync, reboot), and Android's own commands (am, pm, getprop...)."""

import asyncio
import contextlib
import os
import struct
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from tests.support.phone_simulator.agent import ACTIVITY, INSTRUMENTATION, PACKAGE
from tests.support.phone_simulator.commands import FILE_COMMANDS
from tests.support.phone_simulator.dumpsys import battery_text, thermal_text
from tests.support.phone_simulator.shell import NOT_EXECUTABLE, NOT_FOUND, Call, Shell, no_input
from tests.support.phone_simulator.sync import SyncService
from tests.support.phone_simulator.wire import Service, Stream

if TYPE_CHECKING:
    from tests.support.phone_simulator.phone import Phone

# Packets of the second shell protocol: kind and length.
_SHELL_PACKET = struct.Struct("<BI")
# Input that a command has not read yet.
TYPED_PACKETS = 16
STDIN, STDOUT, STDERR, EXIT, CLOSE_STDIN = range(5)


def open_service(phone: "Phone", name: str) -> Service | None:
    """The service of that name, or None."""
    kind, _, rest = name.partition(":")
    if kind == "sync":
        return SyncService(phone.storage, receiving=phone.received, powered=lambda: phone.powered)
    if kind == "exec" or (kind == "shell" and rest):
        return _plain_shell(phone, rest)
    if kind.split(",")[0] == "shell" and "v2" in kind.split(",") and rest:
        return _shell_v2(phone, rest)
    if kind == "reboot":
        return _reboot(phone)
    return None


def _plain_shell(phone: "Phone", command: str) -> Service:
    async def serve(stream: Stream) -> None:
        phone.ran(command)
        shell = Shell(phone.storage, _runner(phone), out=stream.write, err=stream.write, read_input=no_input)
        await shell.execute(command)

    return serve


def _shell_v2(phone: "Phone", command: str) -> Service:
    async def serve(stream: Stream) -> None:
        typed: asyncio.Queue[bytes] = asyncio.Queue(TYPED_PACKETS)

        def send(kind: int) -> Callable[[bytes], Awaitable[None]]:
            async def write(data: bytes) -> None:
                if data:
                    await stream.write(_SHELL_PACKET.pack(kind, len(data)) + data)

            return write

        async def listen() -> None:
            while True:
                kind, length = _SHELL_PACKET.unpack(await stream.read_exactly(_SHELL_PACKET.size))
                data = await stream.read_exactly(length)
                if kind == STDIN and data:
                    await typed.put(data)
                elif kind == CLOSE_STDIN:
                    await typed.put(b"")

        listening = asyncio.create_task(listen())
        try:
            phone.ran(command)
            shell = Shell(phone.storage, _runner(phone), out=send(STDOUT), err=send(STDERR), read_input=typed.get)
            status = await shell.execute(command)
            await stream.write(_SHELL_PACKET.pack(EXIT, 1) + bytes([status & 0xFF]))
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)

    return serve


def _reboot(phone: "Phone") -> Service:
    async def serve(stream: Stream) -> None:
        del stream
        phone.reboot()

    return serve


def _runner(phone: "Phone") -> Callable[[Call], Awaitable[int | None]]:
    async def run(call: Call) -> int | None:
        name = call.argv[0].removeprefix("/system/bin/")
        try:
            if function := FILE_COMMANDS.get(name):
                return await function(call)
            if android := ANDROID_COMMANDS.get(name):
                return await android(phone, call)
        except (ValueError, IndexError) as exc:
            return await call.fail(str(exc))
        return await _run_binary(phone, call) if "/" in name else None

    return run


async def _am(phone: "Phone", call: Call) -> int:
    words = call.argv[1:]
    match words[:1]:
        case ["start"] | ["start-activity"]:
            return await _am_start(phone, call, words[1:])
        case ["instrument"]:
            return await _am_instrument(phone, call, words[1:])
        case ["force-stop"]:
            if words[1:] == [PACKAGE]:
                phone.app.kill()
            return 0
    return await call.fail(f"unknown command {' '.join(words[:1])!r} in the simulator")


def _extras(words: list[str], flag: str) -> str | None:
    """The value of the extra ``job``."""
    for index in range(len(words) - 2):
        if words[index] == flag and words[index + 1] == "job":
            return words[index + 2]
    return None


async def _am_start(phone: "Phone", call: Call, words: list[str]) -> int:
    component = words[words.index("-n") + 1] if "-n" in words else ""
    job = _extras(words, "--es")
    extras = " (has extras)" if job else ""
    await call.print(f"Starting: Intent {{ cmp={component}{extras} }}")
    if component != ACTIVITY or not phone.app.installed:
        package, _, activity = component.partition("/")
        full = package + activity if activity.startswith(".") else activity
        await call.err(b"Error type 3\n")
        await call.err(f"Error: Activity class {{{package}/{full}}} does not exist.\n".encode())
        return 1
    if phone.app.pid() is not None:
        await call.print(
            "Warning: Activity not started, intent has been delivered to currently running top-most instance."
        )
        state = "UNKNOWN (0)"
    else:
        phone.app.start(job or "")
        state = "COLD"
    if "-W" in words:
        await call.print("Status: ok", f"LaunchState: {state}", f"Activity: {ACTIVITY}")
        await call.print("TotalTime: 412", "WaitTime: 418", "Complete")
    return 0


async def _am_instrument(phone: "Phone", call: Call, words: list[str]) -> int:
    if words[-1:] != [INSTRUMENTATION] or not phone.app.installed:
        await call.print(
            f"INSTRUMENTATION_STATUS: Error=Unable to find instrumentation info for: ComponentInfo{{{words[-1:]}}}",
            "INSTRUMENTATION_STATUS_CODE: -1",
        )
        await call.err(f"android.util.AndroidException: INSTRUMENTATION_FAILED: {' '.join(words[-1:])}\n".encode())
        return 1
    phone.app.start(_extras(words, "-e") or "")
    if "-w" in words:
        status = await phone.app.wait()
        if status < 0:
            await call.print("INSTRUMENTATION_RESULT: shortMsg=Process crashed.", "INSTRUMENTATION_CODE: 0")
        else:
            await call.print("INSTRUMENTATION_CODE: -1")
    return 0


async def _dumpsys(phone: "Phone", call: Call) -> int:
    match call.argv[1:]:
        case ["battery"]:
            await call.out(battery_text(phone.model, phone.battery).encode())
        case ["thermalservice"]:
            await call.out(thermal_text(phone.model, phone.thermal, phone.battery).encode())
        case words:
            await call.err(f"Can't find service: {' '.join(words)}\n".encode())
    return 0


async def _getprop(phone: "Phone", call: Call) -> int:
    match call.argv[1:]:
        case []:
            await call.print(*(f"[{key}]: [{value}]" for key, value in sorted(phone.properties.items())))
        case [key, *default]:
            await call.print(phone.properties.get(key) or "".join(default[:1]))
    return 0


async def _kill(phone: "Phone", call: Call) -> int:
    pids = [int(word) for word in call.argv[1:] if not word.startswith("-")]
    for pid in pids:
        if pid == phone.app.pid():
            # An app is another user's.
            return await call.fail(f"{pid}: Operation not permitted")
        process = phone.processes.get(pid)
        if process is None:
            return await call.fail(f"{pid}: No such process")
        process[1].kill()
    return 0


async def _pidof(phone: "Phone", call: Call) -> int:
    name = call.argv[1]
    pids = [str(pid) for pid, (running, _) in phone.processes.items() if running == name]
    if name == PACKAGE and (pid := phone.app.pid()) is not None:
        pids.append(str(pid))
    if not pids:
        return 1
    await call.print(" ".join(pids))
    return 0


async def _pm(phone: "Phone", call: Call) -> int:
    if call.argv[1:2] != ["path"]:
        return await call.fail(f"unknown command {' '.join(call.argv[1:2])!r} in the simulator")
    if call.argv[2:] != [PACKAGE] or not phone.app.installed:
        return 1
    await call.print(f"package:/data/app/~~c2ltdWxhdG9y==/{PACKAGE}-c2ltdWxhdG9y==/base.apk")
    return 0


ANDROID_COMMANDS: dict[str, Callable[["Phone", Call], Awaitable[int]]] = {
    "am": _am,
    "dumpsys": _dumpsys,
    "getprop": _getprop,
    "kill": _kill,
    "pidof": _pidof,
    "pm": _pm,
}


async def _run_binary(phone: "Phone", call: Call) -> int:
    """Run the host command that stands in for a pushed binary of this name, with device paths translated.

    Variables that are set for it stay out: a device's ``LD_LIBRARY_PATH`` means nothing here.
    """
    named = call.path(call.argv[0])
    path = phone.storage.host_path(named)
    stand_in = phone.binaries.get(path.name)
    if not path.is_file():
        await call.err(f"/system/bin/sh: {call.argv[0]}: inaccessible or not found\n".encode())
        return NOT_FOUND
    if not os.access(path, os.X_OK) or stand_in is None:
        reason = "can't execute: Permission denied" if stand_in else "not executable: no stand-in for this binary"
        await call.err(f"/system/bin/sh: {call.argv[0]}: {reason}\n".encode())
        return NOT_EXECUTABLE
    process = await asyncio.create_subprocess_exec(
        *stand_in,
        *(_translated(phone, call, word) for word in call.argv[1:]),
        cwd=phone.storage.host_path(call.cwd),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    phone.processes[process.pid] = (path.name, process)
    root = str(phone.storage.root).encode()

    async def copy(source: asyncio.StreamReader, write: Callable[[bytes], Awaitable[None]]) -> None:
        while line := await source.readline():
            await write(line.replace(root, b""))

    try:
        await asyncio.gather(copy(process.stdout, call.out), copy(process.stderr, call.err))
        status = await process.wait()
        return status if status >= 0 else 128 - status
    finally:
        del phone.processes[process.pid]
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def _translated(phone: "Phone", call: Call, word: str) -> str:
    flag, separator, value = word.rpartition("=")
    return flag + separator + str(phone.storage.host_path(call.path(value))) if "/" in value else word
