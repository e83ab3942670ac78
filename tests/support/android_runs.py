"""Runs of ``qsr-edge bench`` on a simulated phone: how one begins, what comes in between, how a good one ends."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from qsr_edge.bench.android.device import AndroidDevice
from qsr_edge.bench.plan import RunRequest, add_images, new_header
from qsr_edge.bench.protocol.job import Effort, Gate
from qsr_edge.bench.protocol.log import RESULTS_NAME, RunLog, read_log
from qsr_edge.bench.protocol.records import ConditionRecord, Fault, Record, Steady, of_kind
from qsr_edge.bench.result import evaluate_run
from tests.support.bench_runs import end_then_resume
from tests.support.phone_simulator.adb_server import AdbServer
from tests.support.phone_simulator.phone import Phone

HOME = "/data/local/tmp/qsr-edge"
APP = "/sdcard/Android/data/io.qsredge.bench/files"
SHORT = Effort(queries=30, steady_ms=20, round_ms=5, warm_up_ms=5)
# So long that a fault in the middle of it is one.
LONG = Effort(queries=400, steady_ms=400, round_ms=10, warm_up_ms=5)


def begin(
    folder: Path,
    device: AndroidDevice,
    bundle: Path,
    photo: Path,
    effort: Effort = SHORT,
    *,
    gate: Gate | None = None,
) -> Path:
    """A run's folder with its header, as the command makes it."""
    request = RunRequest(
        bundles=(bundle,),
        depths=(),
        kernels=(),
        threads=1,
        size_px=(24, 40),
        effort=effort,
        gate=gate,
        originals=(photo,),
    )
    header = add_images(new_header(request, device), request.originals, folder)
    RunLog(folder / RESULTS_NAME).append(header)
    return folder


def left_on(phone: Phone) -> list[str]:
    """Files of ours on the phone."""
    root = phone.storage.root
    return sorted(
        str(path.relative_to(root)) for place in (HOME, APP) for path in phone.storage.host_path(place).rglob("*")
    )


def faults(folder: Path) -> list[tuple[str, str]]:
    return [(fault.phase, fault.message) for fault in of_kind(read_log(folder), Fault)]


def check_taken_once(records: tuple[Record, ...]) -> None:
    """No record of a phone's is there twice; what it is like may well be the same within a millisecond."""
    own = [record for record in records if record.received_ms is not None and not isinstance(record, ConditionRecord)]
    assert own
    assert max(Counter(repr(replace(record, received_ms=0)) for record in own).values()) == 1


def check_measured(folder: Path, effort: Effort = SHORT) -> None:
    """All that was asked for is there, and nothing of it twice."""
    records = read_log(folder)
    result = evaluate_run(records)
    assert result.complete, records[-1]
    assert len(result.measured) == len(result.variants) == 2
    for variant in result.measured:
        assert variant.golden_equal
        assert variant.latency is not None
        assert variant.latency.count >= effort.queries
        assert [(image.image, image.equal) for image in variant.images] == [("coffee", True)]
    check_taken_once(records)


def back(phone: Phone, seconds: float = 1.5) -> Callable[[], None]:
    """Pull the cable, and plug it in after a while."""

    def pull() -> None:
        phone.pull_cable()
        phone.after(seconds, phone.plug_in)

    return pull


def hang(phone: Phone) -> None:
    phone.hang()
    phone.after(2.0, phone.plug_in)


# What happens, the phases in which it may be told, and words of the fault.
OUTLIVED: dict[str, tuple[Callable[[Phone, AdbServer], None], set[str], str]] = {
    "cable pulled in the push": (lambda one, _: one.on_push(3000, back(one)), {"push"}, "plug it in"),
    "cable pulled at the start": (lambda one, _: one.on_command("^am start", back(one)), {"start"}, ""),
    "cable pulled after the start": (
        lambda one, _: one.on_command("^am start", lambda: one.on_command("tail -c", back(one))),
        {"measure"},
        "",
    ),
    "cable pulled while measuring": (lambda one, _: one.on_read(8, back(one)), {"measure", "pull"}, ""),
    "cable pulled at a picture": (lambda one, _: one.on_command("^cat .*/outputs/", back(one)), {"pull"}, ""),
    "connection cut while measuring": (
        lambda one, _: one.on_read(8, one.cut_connections),
        {"measure"},
        "",
    ),
    "connection cut in the push": (lambda one, _: one.on_push(2000, one.cut_connections), {"push"}, ""),
    "phone hangs while measuring": (lambda one, _: one.on_read(8, lambda: hang(one)), {"measure", "pull"}, ""),
    "reboot in the push": (lambda one, _: one.on_push(3000, lambda: one.reboot(seconds=1.5)), {"push"}, "rebooted"),
    "reboot at the start": (
        lambda one, _: one.on_command("^am start", lambda: one.reboot(seconds=1.5)),
        {"start"},
        "rebooted",
    ),
    "reboot while measuring": (
        lambda one, _: one.on_read(12, lambda: one.reboot(seconds=1.5)),
        {"measure", "pull"},
        "rebooted",
    ),
    "app killed while measuring": (lambda one, _: one.on_results(12, one.kill_app), {"measure"}, "ended by the system"),
    "results cut while measuring": (lambda one, _: one.on_results(14, one.cut_results), {"measure"}, ""),
    "clock set back": (lambda one, _: one.on_results(10, lambda: one.set_clock(-3600)), {"measure"}, "by -3600 s"),
    "clock set forward": (lambda one, _: one.on_results(10, lambda: one.set_clock(86_400)), {"measure"}, "by +86400 s"),
    "adb server killed in the push": (lambda one, adb: one.on_push(3000, adb.stop), {"push"}, ""),
    "adb server killed at the start": (lambda one, adb: one.on_command("^am start", adb.stop), {"start"}, ""),
    "adb server killed while measuring": (lambda one, adb: one.on_read(10, adb.stop), {"measure", "pull"}, ""),
}  # fmt: skip


def fill_while_measuring(one: Phone, device: AndroidDevice, folder: Path) -> None:
    """The phone's storage fills up under the agent; once there is room again the run goes on to its end."""
    quota_bytes = one.storage.quota_bytes
    one.on_results(14, one.fill_storage)

    def mend() -> None:
        assert left_on(one) == []
        assert any(of_kind(read_log(folder), Steady))
        one.storage.quota_bytes = quota_bytes

    end_then_resume(folder, device, mend, r"storage is full.*free some space.*--resume")
    check_measured(folder, LONG)
    assert left_on(one) == []
