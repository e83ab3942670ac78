"""What a phone says that it is, and what becomes of its agent's lines."""

import json
from pathlib import Path

import pytest

from qsr_edge.bench.android.adb import COMMAND_S, Adb, AdbDevice, AdbError, DeviceGoneError, ShellResult, failure
from qsr_edge.bench.android.device import AndroidDevice, count_cores, describe_properties, parse_properties
from qsr_edge.bench.protocol.log import RESULTS_NAME, RunLog, read_log
from qsr_edge.bench.protocol.records import End, Fault
from qsr_edge.bench.record_taker import RecordTaker
from qsr_edge.errors import BenchError
from tests.support.sinks import ListSink

PIXEL = """[ro.product.manufacturer]: [Google]
[ro.product.model]: [Pixel 8 Pro]
[ro.soc.manufacturer]: [Google]
[ro.soc.model]: [Tensor G3]
[ro.build.version.release]: [14]
[ro.build.version.sdk]: [34]
[ro.build.display.id]: [AP1A.240405.002]
[ro.product.cpu.abi]: [arm64-v8a]
[ro.hardware]: [husky]
[some.list]: [a
b]
[empty]: []
"""


def test_what_a_phone_is() -> None:
    properties = parse_properties(PIXEL)
    assert properties["empty"] == ""
    assert "some.list" not in properties
    info = describe_properties("3A0", properties, 9)
    assert (info.id, info.name, info.processor, info.cores) == ("3A0", "Google Pixel 8 Pro", "Google Tensor G3", 9)
    assert (info.system, info.build) == ("Android 14 (API 34)", "AP1A.240405.002")
    assert (info.architecture, info.simulator) == ("arm64-v8a", False)


@pytest.mark.parametrize(
    "told",
    [{"ro.boot.qemu": "1"}, {"ro.kernel.qemu": "1"}, {"ro.qsr_edge.simulator": "1"}, {"ro.hardware": "ranchu"}],
    ids=str,
)
def test_what_is_no_phone(told: dict[str, str]) -> None:
    assert describe_properties("emulator-5554", {**parse_properties(PIXEL), **told}, 4).simulator


def test_a_phone_that_tells_little() -> None:
    info = describe_properties("X", {}, 0)
    assert (info.name, info.processor, info.system, info.build) == ("X", "unknown", "Android ? (API ?)", None)
    named = {"ro.product.manufacturer": "OnePlus", "ro.product.model": "ONEPLUS A6013", "ro.board.platform": "sdm845"}
    info = describe_properties("X", named, 8)
    assert (info.name, info.processor) == ("ONEPLUS A6013", "sdm845")


@pytest.mark.parametrize(
    ("text", "cores"),
    [("0-8\n", 9), ("0\n", 1), ("0-3,5", 5), ("0-3,6-7\n", 6), ("", 0), ("cat: no", 0), ("3-", 1), ("9999999999", 0)],
)
def test_cores(text: str, cores: int) -> None:
    assert count_cores(text) == cores


def test_an_android_that_is_too_old() -> None:
    error = failure("error: target doesn't support PTY args -Tt", "X")
    assert type(error) is AdbError
    assert "older than 7" in str(error)


NEEDED: dict[str, dict[str, object]] = {
    "image": {"variant": "a", "image": "b", "sha256": "00"},
    "steady": {"variant": "a", "latencies_us": [1]},
    "error": {"message": "m"},
}


def line(kind: str, **values: object) -> bytes:
    return json.dumps({"kind": kind, **NEEDED.get(kind, {}), **values}).encode()


def test_a_damaged_line_is_counted_and_left_out() -> None:
    sink = ListSink()
    taker = RecordTaker("results-1.jsonl", sink, lambda name: b"")
    taker.add([line("agent"), b'{"kind": "ste{"kind"', b"\xff", b"[1]", line("end", complete=True)])
    taker.hand_on()
    assert sink.kinds == ["agent", "damaged", "damaged", "damaged", "end"]
    assert len(sink.faults) == 3
    assert taker.end == End(complete=True)


@pytest.mark.parametrize(
    "content",
    [
        line("steady", latencies_us=None),
        line("steady", latencies_us=[1, -1]),
        line("steady", variant=7),
        b'{"kind": "steady", "variant": "a"}',
        b'{"kind": "image", "output": "0-a.rgb"}',
        b'{"kind": "error", "message": "\\ud800"}',
        b'{"kind": "moon", "phase": NaN}',
        b'{"kind": "moon", "phase": 1e999}',
        line("steady", time_ms="yesterday"),
        line("sustained", variant="a", latencies_us=[1], since_ms="0"),
        line("quality", variant="a", image="b", picture="../../etc/passwd"),
        line("start", variant="a", load_us=None, first_us=1, golden_equal=None),
        line("start", variant="a", load_us=1, first_us=1),
        line("placement", variant="a", delegate="XNNPACK"),
        line("part", part=7),
        line("run", schema=2),
        line("condition", source="adb", condition={}),
    ],
    ids=str,
)
def test_what_no_agent_may_say_is_a_damaged_line(content: bytes, tmp_path: Path) -> None:
    """It would make the run's log one that can be neither read nor gone on with."""
    sink = ListSink()
    taker = RecordTaker("results-1.jsonl", sink, lambda name: b"")
    taker.add([content, line("end", complete=True)])
    taker.hand_on()
    assert sink.kinds == ["damaged", "end"]
    [(_, message)] = sink.faults
    assert message.startswith("a line is left out: results-1.jsonl: ")
    log = RunLog(tmp_path / RESULTS_NAME)
    for record in sink.records:
        log.receive(record)
    log.append(Fault(phase="measure", message=message))
    assert len(read_log(tmp_path)) == 3


def test_known_lines_are_not_handed_on_again() -> None:
    sink = ListSink()
    taker = RecordTaker("results-1.jsonl", sink, lambda name: b"picture", skip=2)
    taker.add([line("agent"), line("image", output="0-a.rgb"), line("steady", latencies_us=[1])])
    taker.hand_on()
    assert sink.kinds == ["steady"]
    assert sink.outputs == []
    assert taker.measured


def test_only_jumps_of_the_clock_are_faults() -> None:
    sink = ListSink()
    taker = RecordTaker("results-1.jsonl", sink, lambda name: b"")
    times = [
        (1_000_000, 0),
        (1_000_510, 500),
        (1_001_900, 1000),
        (4_601_900, 1000),
        (4_602_900, 2000),
        (1_003_900, 3000),
    ]
    taker.add([line("steady", time_ms=time_ms, elapsed_ms=elapsed_ms) for time_ms, elapsed_ms in times])
    taker.add([line("steady")])
    taker.hand_on()
    jumps = [message.split(" by ")[1].split(";")[0] for _, message in sink.faults]
    assert jumps == ["+3600 s", "-3600 s"]
    assert len(sink.records) == 7


def test_a_picture_is_fetched_twice_before_it_is_given_up() -> None:
    answers = [b"damaged", b"picture", b"damaged", b"damaged"]
    sink = ListSink()
    taker = RecordTaker("results-1.jsonl", sink, lambda name: answers.pop(0))
    taker.add(
        [line("image", output="0-a.rgb"), line("image", output="0-b.rgb"), line("image", output="../../etc/passwd")]
    )
    taker.hand_on()
    assert sink.outputs == [b"picture"]
    assert [message for _, message in sink.faults] == [
        "another sha256",
        "the app names its output '../../etc/passwd', which is no file name",
    ]


def test_a_lost_connection_leaves_the_rest_for_later() -> None:
    fetched: list[str] = []

    def fetch(name: str) -> bytes:
        fetched.append(name)
        if len(fetched) == 1:
            raise DeviceGoneError("X: gone")
        return b"picture"

    sink = ListSink()
    taker = RecordTaker("results-1.jsonl", sink, fetch)
    taker.add([line("image", output="0-a.rgb"), line("end", complete=True)])
    with pytest.raises(DeviceGoneError):
        taker.hand_on()
    taker.hand_on()
    assert sink.kinds == ["image", "end"]
    assert sink.outputs == [b"picture"]
    assert fetched == ["0-a.rgb", "0-a.rgb"]


class InterruptedPhone(AdbDevice):
    """Answers until its results are read."""

    def __init__(self) -> None:
        super().__init__(Adb(Path("adb")), "X")
        self.commands: list[str] = []
        self.interrupts = True

    def check_ready(self) -> None:
        pass

    def shell(self, command: str, *, timeout_s: float = COMMAND_S) -> ShellResult:
        self.commands.append(command)
        if "tail -c" in command:
            if self.interrupts:
                raise KeyboardInterrupt
            return ShellResult(code=0, out=b"0\n-\n", err="")
        return ShellResult(code=0, out=b"", err="")


def test_what_an_interrupted_resumption_did_not_fetch_stays() -> None:
    phone = InterruptedPhone()
    device = AndroidDevice(phone)
    with pytest.raises(KeyboardInterrupt):
        device.collect("r1", 1, 0, ListSink())
    with pytest.raises(BenchError, match="results and files stay on it; --resume fetches them"):
        device.clean("r1")
    assert not any(command.startswith("rm ") for command in phone.commands)
    phone.interrupts = False
    device.collect("r1", 1, 0, ListSink())
    device.clean("r1")
    assert any(command.startswith("rm -rf ") for command in phone.commands)
