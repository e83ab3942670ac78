"""The simulated phone: its daemon in a thread of its own, and the faults that tests let happen to it."""

import asyncio
import contextlib
import os
import re
import shutil
import socket
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from tests.support.phone_simulator.agent import PYTHON_AGENT, App
from tests.support.phone_simulator.dumpsys import Battery, Thermal
from tests.support.phone_simulator.models import PIXEL, Model
from tests.support.phone_simulator.services import open_service
from tests.support.phone_simulator.storage import Storage
from tests.support.phone_simulator.wire import Authorization, Connection, StreamClosedError
from tests.support.waiting import PATIENCE_S

# What works here, of what adb 29 knows. Not `cmd`: packages are not installed. Not delayed acknowledgements.
FEATURES = ("shell_v2", "stat_v2", "ls_v2", "fixed_push_mkdir", "fixed_push_symlink_timestamp")

QUOTA_BYTES = 256 * 1024 * 1024
WATCH_S = 0.01
STATE_S = 0.05
# In the command of whoever reads a results file.
READS_RESULTS = "tail -c"

Action = Callable[[], object]
T = TypeVar("T")


class Phone:
    """A phone on loopback, until ``close``. Methods may be called from any thread, and as the action of a trigger.

    Args:
        model: What it says it is.
        quota_bytes: Size of its storage.
        agent: What ``am start`` runs, with ``{job}`` in it; see `App`.
        agent_environment: Added to the agent's environment.
        authorization: Whether the computer may debug it from the start.
        port: Of 127.0.0.1; 0 picks a free one.
    """

    def __init__(
        self,
        model: Model = PIXEL,
        *,
        quota_bytes: int = QUOTA_BYTES,
        agent: Sequence[str] = PYTHON_AGENT,
        agent_environment: Mapping[str, str] | None = None,
        authorization: Authorization = Authorization.GRANTED,
        port: int = 0,
    ) -> None:
        self.model = model
        self.battery = Battery()
        self.thermal = Thermal()
        self.properties = model.properties()
        self.authorization = authorization
        # Host commands that stand in for pushed binaries, by the name of the binary; see `services`.
        self.binaries: dict[str, tuple[str, ...]] = {}
        # Those that run, by process id: name of the binary and process.
        self.processes: dict[int, tuple[str, asyncio.subprocess.Process]] = {}
        self.commands: list[str] = []
        self.defects: list[str] = []
        self.powered = True
        self.hangs = False
        self._has_cable = False
        self.boot_id = str(uuid.uuid4())
        self._booted_s = time.monotonic()
        self._folder = Path(tempfile.mkdtemp(prefix="qsr-edge-phone-"))
        (self._folder / "root").mkdir()
        (self._folder / "scratch").mkdir()
        self.storage = Storage(
            self._folder / "root",
            quota_bytes=quota_bytes,
            generated={
                "/proc/sys/kernel/random/boot_id": lambda: f"{self.boot_id}\n".encode(),
                "/sys/devices/system/cpu/possible": lambda: f"0-{model.cores - 1}\n".encode(),
                "/proc/uptime": lambda: f"{self.uptime_s():.2f} {2 * self.uptime_s():.2f}\n".encode(),
            },
        )
        self.app = App(self.storage, self._folder / "scratch", agent, agent_environment)
        self._on_command: list[tuple[re.Pattern[str], Action]] = []
        self._on_push: list[tuple[int, Action]] = []
        self._on_results: list[tuple[int, Action]] = []
        self._on_read: list[tuple[int, Action]] = []
        self._pushed_bytes = 0
        self._cuts = 0
        self._connections: set[Connection] = set()
        self._server: asyncio.Server | None = None
        # Never listens: the port stays the phone's while its cable is out, and connections to it are refused.
        self._reserved = _bound(port)
        self.port: int = self._reserved.getsockname()[1]
        self._loop = asyncio.new_event_loop()
        self._loop.set_exception_handler(self._note_defect)
        self._thread = threading.Thread(target=self._loop.run_forever, name=f"phone-{self.port}", daemon=True)
        self._thread.start()
        self._told: dict[str, int | bool] = {}
        self._call(self._tell_state)
        self.plug_in()

    # --- identity

    @property
    def address(self) -> str:
        """What ``adb connect`` takes and ``adb devices`` lists."""
        return f"127.0.0.1:{self.port}"

    @property
    def plugged_in(self) -> bool:
        """Whether adb can connect: the cable is in and the phone is up."""
        return self._server is not None

    def banner(self) -> str:
        named = {f"ro.product.{key}": self.properties[f"ro.product.{key}"] for key in ("name", "model", "device")}
        return (
            "device::" + "".join(f"{key}={value};" for key, value in named.items()) + f"features={','.join(FEATURES)}"
        )

    def uptime_s(self) -> float:
        return time.monotonic() - self._booted_s

    # --- faults

    def pull_cable(self) -> None:
        """Cut every connection and refuse new ones; the agent goes on, and the battery is no longer charged."""

        def pull() -> None:
            self._has_cable = self.battery.plugged_in = False
            self._unplug()

        self._call(pull)

    def plug_in(self) -> None:
        """Accept connections (again), once the phone is up, and charge."""

        async def plug() -> None:
            self._has_cable = self.battery.plugged_in = True
            self.hangs = False
            await self._listen()

        self._call_async(plug)

    def hang(self) -> None:
        """Stop answering, with the cable plugged in: adb lists the phone as offline. ``plug_in`` ends it."""

        def stop() -> None:
            self.hangs = True
            self._unplug()

        self._call(stop)

    def cut_connections(self) -> None:
        """A glitch: every connection ends, new ones are accepted at once."""
        self._call(self._abort_connections)

    def reboot(self, *, seconds: float = 1.0) -> None:
        """Lose the connection and the agent, and come back booted; files stay, a half-pushed one as it is."""

        def restart() -> None:
            self.powered = False
            self._unplug()
            self.app.kill()
            self._loop.call_later(seconds, lambda: self._loop.create_task(self._boot()))

        self._call(restart)

    def kill_app(self) -> None:
        """The system kills the agent, as it does when memory is short."""
        self._call(self.app.kill)

    def fill_storage(self) -> None:
        """No byte more fits: pushes and copies fail with ENOSPC, an agent's records with EFBIG (``App.forbid_growth``).

        ``storage.quota_bytes`` makes room again, for agents that start then.
        """

        def fill() -> None:
            self.storage.quota_bytes = self.storage.usage().used_bytes
            self.app.forbid_growth()

        self._call(fill)

    def cut_results(self) -> None:
        """The results file ends in the middle of its last line, as after a crash before that reached the flash."""

        def cut() -> None:
            path = self.app.results
            if path is None or not path.exists():
                return
            content = path.read_bytes()
            start = content.rstrip(b"\n").rfind(b"\n") + 1
            os.truncate(path, start + (len(content) - start) // 2)

        self._call(cut)

    def set_clock(self, seconds: int) -> None:
        """The date is set: the wall clock of a Python agent jumps to be ahead by so much; monotonic clocks go on."""
        self._call(lambda: self.app.set_clock(seconds))

    def authorize(self) -> None:
        """The user allows the computer."""

        async def grant() -> None:
            self.authorization = Authorization.GRANTED
            for connection in list(self._connections):
                await connection.grant()

        self._call_async(grant)

    # --- when faults happen: each trigger fires once

    def after(self, seconds: float, action: Action) -> None:
        self._call(lambda: self._loop.call_later(seconds, self._fire, action))

    def on_command(self, pattern: str, action: Action) -> None:
        """Just before a command line that ``pattern`` is found in."""
        self._call(lambda: self._on_command.append((re.compile(pattern), action)))

    def on_read(self, lines: int, action: Action) -> None:
        """Just before a command that reads results which have that many whole lines by then.

        However many came at once: the last command that reads a part's results meets the condition, too.
        """
        self._call(lambda: self._on_read.append((lines, action)))

    def on_push(self, count: int, action: Action) -> None:
        """As soon as ``count`` bytes more were pushed and written."""
        self._call(lambda: self._on_push.append((self._pushed_bytes + count, action)))

    def on_results(self, lines: int, action: Action) -> None:
        """As soon as the running agent's results file has that many whole lines (looked at every 10 ms)."""

        def watch() -> None:
            self._on_results.append((lines, action))
            if len(self._on_results) == 1:
                self._loop.call_later(WATCH_S, self._watch_results)

        self._call(watch)

    # --- for the services

    def ran(self, command: str) -> None:
        self.commands.append(command)
        for trigger in [one for one in self._on_command if one[0].search(command)]:
            self._on_command.remove(trigger)
            self._fire(trigger[1])
        if READS_RESULTS in command:
            self._fire_reached(self._on_read, self._result_lines())

    def received(self, piece: bytes, write: Callable[[bytes], None]) -> None:
        """Write a pushed piece, up to each byte at which something is to happen."""
        while piece:
            waiting = min((at for at, _ in self._on_push), default=None)
            size = len(piece) if waiting is None else min(len(piece), waiting - self._pushed_bytes)
            write(piece[:size])
            piece = piece[size:]
            self._pushed_bytes += size
            cuts = self._cuts
            self._fire_reached(self._on_push, self._pushed_bytes)
            if self._cuts != cuts:
                raise StreamClosedError

    # --- life

    def close(self) -> None:
        """End the agent and everything else, and remove the phone's files."""
        if not self._thread.is_alive():
            return
        self._call_async(self._shut_down)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE_S)
        self._loop.close()
        self._reserved.close()
        shutil.rmtree(self._folder)

    def __enter__(self) -> "Phone":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def _shut_down(self) -> None:
        self._unplug()
        self.app.kill()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _listen(self) -> None:
        if self._server is None and self.powered and self._has_cable:
            self._server = await asyncio.start_server(self._connected, sock=_bound(self.port))

    def _unplug(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        self._abort_connections()

    async def _boot(self) -> None:
        self.powered = True
        self.hangs = False
        self.boot_id = str(uuid.uuid4())
        self._booted_s = time.monotonic()
        await self._listen()

    def _abort_connections(self) -> None:
        self._cuts += 1
        for connection in self._connections:
            connection.abort()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = Connection(
            reader,
            writer,
            banner=self.banner,
            authorization=lambda: self.authorization,
            open_service=lambda name: open_service(self, name),
        )
        self._connections.add(connection)
        # Cut, or the phone is closed; asyncio would take the handler's cancellation for a failure.
        with contextlib.suppress(asyncio.CancelledError):
            await connection.run()
        self._connections.discard(connection)

    def _tell_state(self) -> None:
        state: dict[str, int | bool] = {
            "thermal_status": self.thermal.status,
            "temperature_mc": self.thermal.temperature_mc,
            "battery_temperature_mc": self.battery.temperature_mc,
            "battery_percent": self.battery.percent,
            "plugged_in": self.battery.plugged_in,
            "voltage_mv": self.battery.voltage_mv,
        }
        if state != self._told:
            self.app.tell_state(state)
            self._told = state
        self._loop.call_later(STATE_S, self._tell_state)

    def _watch_results(self) -> None:
        self._fire_reached(self._on_results, self._result_lines())
        if self._on_results:
            self._loop.call_later(WATCH_S, self._watch_results)

    def _result_lines(self) -> int:
        """How many whole lines the running agent's results file has."""
        path = self.app.results
        if path is not None:
            with contextlib.suppress(FileNotFoundError):
                return path.read_bytes().count(b"\n")
        return 0

    def _fire_reached(self, triggers: list[tuple[int, Action]], count: int) -> None:
        for trigger in [one for one in triggers if one[0] <= count]:
            triggers.remove(trigger)
            self._fire(trigger[1])

    def _fire(self, action: Action) -> None:
        # An action's own failure must not look like one of the command that set it off.
        try:
            action()
        except Exception as exc:
            self.defects.append(f"action of a trigger: {exc!r}")

    def _note_defect(self, loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
        del loop
        self.defects.append(f"{context.get('message')}: {context.get('exception')!r}")

    def _call(self, function: Callable[[], T]) -> T:
        """In the loop's thread, whoever calls."""
        if threading.current_thread() is self._thread:
            return function()

        async def run() -> T:
            return function()

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result(PATIENCE_S)

    def _call_async(self, function: Callable[[], Coroutine[Any, Any, None]]) -> None:
        if threading.current_thread() is self._thread:
            self._loop.create_task(function())
        else:
            asyncio.run_coroutine_threadsafe(function(), self._loop).result(PATIENCE_S)


def _bound(port: int) -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    made.bind(("127.0.0.1", port))
    return made
