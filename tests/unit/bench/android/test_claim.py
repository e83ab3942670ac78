"""Whether a phone is taken, by what stands on it and what runs there."""

import json
from pathlib import Path

import pytest

from qsr_edge.bench.android.adb import COMMAND_S, Adb, AdbDevice, ShellResult
from qsr_edge.bench.android.claim import Claim
from qsr_edge.bench.android.link import Link
from qsr_edge.errors import BenchError

AT_WORK = json.dumps({"kind": "steady", "variant": "a", "latencies_us": [1]}).encode() + b"\n"
AT_END = AT_WORK + json.dumps({"kind": "end", "complete": True}).encode() + b"\n"


class TakenPhone(AdbDevice):
    """Answers what the claim asks for.

    Args:
        claim: what stands on it.
        running: programs.
        results: end of the claiming run's results; None if there are none.
    """

    def __init__(self, claim: str = "", running: tuple[str, ...] = (), results: bytes | None = None) -> None:
        super().__init__(Adb(Path("adb")), "X")
        self.claim = claim
        self.running = running
        self.results = results
        self.commands: list[str] = []

    def shell(self, command: str, *, timeout_s: float = COMMAND_S) -> ShellResult:
        self.commands.append(command)
        match command.split():
            case ["cat", "/data/local/tmp/qsr-edge/measuring", *_]:
                return ShellResult(code=0 if self.claim else 1, out=self.claim.encode(), err="")
            case ["pidof", name]:
                return ShellResult(code=0 if name in self.running else 1, out=b"", err="")
            case ["tail", "-c", _, path, *_]:
                assert path == "/sdcard/Android/data/io.qsredge.bench/files/other/results-2.jsonl"
                return ShellResult(code=self.results is None, out=self.results or b"", err="")
            case _:
                return ShellResult(code=0, out=b"", err="")


APP = "io.qsredge.bench"
CLAIM = f"other 2 {APP} ci-7\n"
TAKEN = {
    "before its first record": TakenPhone(CLAIM, (APP,)),
    "at work": TakenPhone(CLAIM, (APP,), AT_WORK),
    "its last line is being written": TakenPhone(CLAIM, (APP,), AT_END[:-1]),
    "a runtime's program": TakenPhone("other 2 benchmark_model ci-7\n", ("benchmark_model",)),
}
FREE = {
    "never used": TakenPhone(),
    "the app was started by hand": TakenPhone("", (APP,)),
    "its app is gone": TakenPhone(CLAIM, (), AT_WORK),
    "its program is gone, the app was opened": TakenPhone("other 2 benchmark_model ci-7\n", (APP,)),
    "Android keeps the app after its work": TakenPhone(CLAIM, (APP,), AT_END),
    "its own": TakenPhone(f"own 1 {APP} ci-7\n", (APP,), AT_WORK),
    "a claim that was cut": TakenPhone(CLAIM[:12], (APP,), AT_WORK),
    "a claim that is none": TakenPhone("own 1 $(reboot) x", (APP,)),
}


def claim(phone: TakenPhone) -> Claim:
    return Claim(Link(phone, wait_s=0), "own")


@pytest.mark.parametrize("phone", TAKEN.values(), ids=TAKEN)
def test_a_taken_phone_is_left_alone(phone: TakenPhone) -> None:
    with pytest.raises(BenchError, match="X: the run other of the computer ci-7 measures on it now"):
        claim(phone).take(1, APP)
    claim(phone).release()
    assert not [command for command in phone.commands if command.startswith(("am ", "rm ", "echo "))]


@pytest.mark.parametrize("phone", FREE.values(), ids=FREE)
def test_a_free_phone_is_taken(phone: TakenPhone) -> None:
    claim(phone).take(1, APP)
    claim(phone).stop_app()
    written, stopped = (command for command in phone.commands if command.startswith(("echo ", "am ")))
    assert written.startswith(f"echo 'own 1 {APP} ")
    assert written.partition(";")[0].endswith(" > /data/local/tmp/qsr-edge/measuring")
    assert stopped.startswith(f"am force-stop {APP}")
