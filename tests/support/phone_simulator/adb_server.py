"""A private adb server: port, keys and log are its own, so that no other server or phone is touched."""

import contextlib
import os
import random
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from tests.support.phone_simulator.phone import Phone
from tests.support.waiting import PATIENCE_S

CABLE_POLL_S = 0.05
_START_TRIES = 5
_LOWEST_PORT = 10_000
_PORT_TRIES = 100
# Of Linux: the first and the last port that it gives to connections, and to sockets that ask for any.
_GIVEN_PORTS = Path("/proc/sys/net/ipv4/ip_local_port_range")


class AdbServer:
    """The real ``adb``, as server and client. Use ``environment`` to run more clients of it.

    Args:
        folder: A folder for its home.
        binary: The ``adb`` to run.
    """

    def __init__(self, folder: Path, binary: str) -> None:
        self.binary = binary
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self.port: int = _quiet_port()
        self.start()

    @property
    def environment(self) -> dict[str, str]:
        """What a client needs to reach this server, with the rest of this process's environment."""
        kept: Mapping[str, str] = {
            key: value for key, value in os.environ.items() if not key.startswith(("ADB_", "ANDROID_"))
        }
        return {
            **kept,
            "ANDROID_ADB_SERVER_PORT": str(self.port),
            "HOME": str(self._folder),
            "TMPDIR": str(self._folder),
            # No search for emulators and no multicast: nothing but the phones of the tests.
            "ADB_LOCAL_TRANSPORT_MAX_PORT": "5553",
            "ADB_MDNS": "0",
        }

    def adb(self, *words: str, timeout_s: float = PATIENCE_S, **options: object) -> subprocess.CompletedProcess[bytes]:
        """Run a client to its end."""
        return subprocess.run(
            [self.binary, *words],
            env=self.environment,
            capture_output=True,
            timeout=timeout_s,
            stdin=None if "input" in options else subprocess.DEVNULL,
            **options,
        )

    def ask(self, service: str, *, timeout_s: float = PATIENCE_S) -> str:
        """A request of adb's own protocol, such as ``host:devices``; OSError where the server is gone or refuses."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=timeout_s) as server:
            server.sendall(f"{len(service):04x}{service}".encode())
            answer = b""
            while more := server.recv(64 * 1024):
                answer += more
        if not answer.startswith(b"OKAY"):
            raise OSError(f"{service}: {answer[8:].decode(errors='replace')}")
        return answer[8:].decode(errors="replace")

    def state(self, address: str) -> str | None:
        """``device``, ``offline``, ``unauthorized``, ...; None if the server does not list it."""
        return dict(line.split("\t", 1) for line in self.ask("host:devices").splitlines()).get(address)

    def await_state(self, address: str, wanted: str | None, *, timeout_s: float = PATIENCE_S) -> None:
        """Wait until the server lists a phone so (None: not at all); raises TimeoutError."""
        deadline = time.monotonic() + timeout_s
        while (state := self.state(address)) != wanted:
            if time.monotonic() > deadline:
                raise TimeoutError(f"adb lists {address} as {state}, not {wanted}")
            time.sleep(CABLE_POLL_S)

    def start(self) -> None:
        # The port of a server that has just been killed may be taken for a moment still.
        if not any(self._launch() for _ in range(_START_TRIES)):
            raise RuntimeError(f"adb server did not start: {(self._folder / 'adb.log').read_text()}")

    def _launch(self) -> bool:
        """Start the server; whether it takes connections then."""
        with (self._folder / "adb.log").open("ab") as log:
            self._process = subprocess.Popen(
                [self.binary, "-P", str(self.port), "nodaemon", "server"],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + PATIENCE_S
        while self._process.poll() is None and time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return True
            time.sleep(CABLE_POLL_S)
        self.stop()
        return False

    def stop(self) -> None:
        """End the server at once; clients that run now fail."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def restart(self) -> None:
        """As ``adb kill-server`` and ``adb start-server``: it forgets what it was connected to."""
        self.stop()
        self.start()


class Cable:
    """What a USB cable does for a phone on loopback.

    adb finds a phone that is plugged in by itself, also after its server was restarted, and drops it from its list as
    soon as the cable is pulled. An address it was told to connect to it forgets in the one case and keeps as offline in
    the other; so this connects and disconnects it all the time. A phone that hangs stays listed, as offline.
    """

    def __init__(self, server: AdbServer, phone: Phone) -> None:
        self._server = server
        self._phone = phone
        self._removed = threading.Event()
        self._thread = threading.Thread(target=self._tend, name=f"cable-{phone.port}", daemon=True)
        self._thread.start()

    def remove(self) -> None:
        self._removed.set()
        self._thread.join(PATIENCE_S)
        with contextlib.suppress(OSError):
            self._server.ask(f"host:disconnect:{self._phone.address}")

    def _tend(self) -> None:
        phone = self._phone
        while not self._removed.wait(CABLE_POLL_S):
            # Without a server there is nothing to tell it.
            with contextlib.suppress(OSError):
                state = self._server.state(phone.address)
                if phone.plugged_in and state in (None, "offline"):
                    if state is not None:
                        self._server.ask(f"host:disconnect:{phone.address}")
                    self._server.ask(f"host:connect:{phone.address}")
                elif not phone.plugged_in and not phone.hangs and state is not None:
                    self._server.ask(f"host:disconnect:{phone.address}")


def _quiet_port() -> int:
    """A free port that the system gives to nobody who does not ask for it by number.

    adb cannot be handed a socket, and its server is away for a while in some tests. A port such as the system gives to
    every connection might be another process's by the time that adb asks for it.
    """
    try:
        lowest_given = int(_GIVEN_PORTS.read_text().split()[0])
    except OSError:
        lowest_given = 0
    quiet = range(_LOWEST_PORT, lowest_given)
    # Not the tests' own seed: two sessions on one machine must not choose alike.
    for port in random.SystemRandom().sample(quiet, min(len(quiet), _PORT_TRIES)):
        with socket.socket() as free, contextlib.suppress(OSError):
            free.bind(("127.0.0.1", port))
            return port
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def find_adb() -> str | None:
    """Path of ``adb``, or None."""
    return shutil.which("adb")
