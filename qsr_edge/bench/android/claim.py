"""Which run measures on a phone now: two computers, or two commands, must not stop each other's app.

A run names itself in a file on the phone before it starts its program. The phone is taken while that program runs and
its results have no end. Nothing has to be renewed or expires: after a reboot, a crash or a `kill -9` of whoever started
it the phone is free as soon as nothing measures there.
"""

import platform
import re
import shlex

from qsr_edge.bench.android.device_files import CLAIM, PACKAGE, DeviceFiles, quoted
from qsr_edge.bench.android.link import Link
from qsr_edge.bench.protocol.decoding import decode_record
from qsr_edge.bench.protocol.records import End
from qsr_edge.errors import BenchError

_CLAIM = re.compile(
    r"(?P<run>[A-Za-z0-9_-]{1,40}) (?P<part>[0-9]{1,6}) "
    r"(?P<program>[A-Za-z0-9_][A-Za-z0-9._-]{0,79}) (?P<host>[A-Za-z0-9._-]{1,80})"
)
_LAST_BYTES = 8192
"""More than an `end` record has."""


class Claim:
    """One run's claim to one phone.

    Args:
        link: to the phone; what it raises comes through every method.
        run: id of the run.
    """

    def __init__(self, link: Link, run: str) -> None:
        self._link = link
        self._run = run

    def check(self) -> None:
        """Refuse a phone that measures for another run; raises ``BenchError`` naming that, and what to do."""
        other = self._other()
        if other is None:
            return
        serial, program = self._link.device.serial, other["program"]
        stop = f"am force-stop {PACKAGE}" if program == PACKAGE else f"pkill -9 {program}"
        raise BenchError(
            f"{serial}: the run {other['run']} of the computer {other['host']} measures on it now; wait for its end, "
            f"or end it there by Ctrl-C; if nobody follows it any more, end it by: adb -s {serial} shell {stop}"
        )

    def take(self, part: int, program: str) -> None:
        """Name this run as the one whose program is started next; raises as :meth:`check`.

        Args:
            part: of the run.
            program: its process on the phone.
        """
        self.check()
        host = re.sub(r"[^A-Za-z0-9._-]+", "-", platform.node())[:80] or "unknown"
        line = shlex.quote(f"{self._run} {part} {program} {host}")
        self._link.keep(lambda: self._link.device.run(f"echo {line} > {quoted(CLAIM)}"))

    def is_free(self) -> bool:
        """Whether no other run measures on the phone."""
        return self._other() is None

    def stop_app(self) -> None:
        """Stop the app, unless it measures for another run."""
        if self.is_free():
            self._link.keep(lambda: self._link.device.run(f"am force-stop {PACKAGE}"))

    def release(self) -> None:
        """Stop the app as :meth:`stop_app`, and name this run no longer."""
        self.stop_app()
        claim = self._read()
        if claim is not None and claim["run"] == self._run:
            self._link.keep(lambda: self._link.device.run(f"rm -f {quoted(CLAIM)}"))

    def _read(self) -> "re.Match[str] | None":
        answer = self._link.keep(lambda: self._link.device.shell(f"cat {quoted(CLAIM)} 2>/dev/null"))
        return _CLAIM.fullmatch(answer.out.decode(errors="replace").strip())

    def _other(self) -> "re.Match[str] | None":
        """Another run that measures now."""
        claim = self._read()
        if claim is None or claim["run"] == self._run:
            return None
        running = self._link.keep(lambda: self._link.device.shell(f"pidof {claim['program']}"))
        # Android keeps an app's process after its work.
        return claim if running.code == 0 and not self._is_at_end(claim["run"], int(claim["part"])) else None

    def _is_at_end(self, run: str, part: int) -> bool:
        results = quoted(DeviceFiles(self._link, run).results(part))
        answer = self._link.keep(lambda: self._link.device.shell(f"tail -c {_LAST_BYTES} {results} 2>/dev/null"))
        *lines, _ = answer.out.split(b"\n")
        try:
            return bool(lines) and isinstance(decode_record(lines[-1], results), End)
        except BenchError:
            return False
