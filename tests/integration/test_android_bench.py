"""A run on a phone by the real adb: the real agent on the simulated phone, and what may come in between.

Whatever happens: what was measured is kept, it is told, the run ends complete or can be gone on with, and nothing stays
on the phone.
"""

import json
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from qsr_edge.bench.android.device import AndroidDevice
from qsr_edge.bench.protocol.job import Gate
from qsr_edge.bench.protocol.log import RESULTS_NAME, read_log, received_of, run_header
from qsr_edge.bench.protocol.records import Agent, ConditionRecord, End, Part, Steady, Waiting, of_kind
from qsr_edge.bench.run import measure_run
from qsr_edge.errors import BenchError
from tests.support.android_runs import (
    HOME,
    LONG,
    OUTLIVED,
    SHORT,
    back,
    begin,
    check_measured,
    check_taken_once,
    faults,
    fill_while_measuring,
    left_on,
)
from tests.support.bench_runs import end_then_resume
from tests.support.paths import REPOSITORY
from tests.support.phone_simulator.adb_server import AdbServer
from tests.support.phone_simulator.agent import PHONE_STATE_AGENT
from tests.support.phone_simulator.models import SAMSUNG
from tests.support.phone_simulator.phone import Phone
from tests.support.waiting import PATIENCE_S, wait_until

pytestmark = pytest.mark.usefixtures("usual_signals")

PhoneFactory = Callable[..., Phone]
Android = Callable[..., AndroidDevice]


def test_a_whole_run(phone: PhoneFactory, android: Android, tiny_bundle: Path, photo: Path, tmp_path: Path) -> None:
    one = phone()
    device = android(one)
    folder = begin(tmp_path / "run", device, tiny_bundle, photo)
    texts: list[str] = []
    measure_run(folder, device, lambda share, text: texts.append(text))
    check_measured(folder)
    records = read_log(folder)
    info = run_header(records).device
    assert (info.kind, info.name, info.processor) == ("android", "Google Pixel 8 Pro", "Google Tensor G3")
    assert info.simulator is True
    sources = Counter(told.source for told in of_kind(records, ConditionRecord))
    assert sources["adb"] >= 2
    [first, *_] = [told for told in of_kind(records, ConditionRecord) if told.source == "adb"]
    assert first.condition.as_json() == {
        "thermal_status": 0,
        "temperature_mc": 34_600,
        "battery_temperature_mc": 28_700,
        "battery_percent": 81,
        "plugged_in": True,
        "voltage_mv": 4214,
    }
    assert faults(folder) == []
    assert left_on(one) == []
    assert not one.storage.host_path(HOME).exists()


# --- faults that a run outlives


@pytest.mark.slow
@pytest.mark.parametrize("name", OUTLIVED)
def test_a_run_outlives(
    phone: PhoneFactory,
    android: Android,
    restarted_adb: AdbServer,
    tiny_bundle: Path,
    photo: Path,
    tmp_path: Path,
    name: str,
) -> None:
    arrange, phases, words = OUTLIVED[name]
    one = phone()
    device = android(one)
    folder = begin(tmp_path / "run", device, tiny_bundle, photo, LONG)
    arrange(one, restarted_adb)
    measure_run(folder, device)
    check_measured(folder, LONG)
    told = faults(folder)
    assert phases & {phase for phase, _ in told}, told
    assert any(words in message for _, message in told), told
    assert left_on(one) == []


@pytest.mark.slow
def test_a_cable_pulled_while_cleaning(
    phone: PhoneFactory, android: Android, tiny_bundle: Path, photo: Path, tmp_path: Path
) -> None:
    one = phone()
    device = android(one)
    folder = begin(tmp_path / "run", device, tiny_bundle, photo)
    one.on_command("^rm -rf", back(one))
    measure_run(folder, device)
    check_measured(folder)
    assert left_on(one) == []


# --- faults that end a run, which then goes on


@pytest.mark.slow
@pytest.mark.parametrize("at", ["push", "measure", "pull"])
def test_a_phone_that_does_not_come_back(
    phone: PhoneFactory,
    android: Android,
    adb_server: AdbServer,
    tiny_bundle: Path,
    photo: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    at: str,
) -> None:
    monkeypatch.setattr("qsr_edge.bench.android.part.RESCUE_S", 0.5)
    one = phone()
    device = android(one, wait_s=1)
    folder = begin(tmp_path / "run", device, tiny_bundle, photo, LONG)
    match at:
        case "push":
            one.on_push(3000, one.pull_cable)
        case "measure":
            one.on_results(14, one.pull_cable)
        case "pull":
            one.on_command("^cat .*/outputs/", one.pull_cable)

    def mend() -> None:
        # The agent has gone on without us.
        wait_until(lambda: one.app.pid() is None)
        assert left_on(one)
        one.plug_in()
        adb_server.await_state(one.address, "device")

    end_then_resume(folder, device, mend, r"did not come back within 1 s .*--resume")
    check_measured(folder, LONG)
    if at == "measure":
        # What the agent had measured meanwhile was fetched, not measured again.
        records = read_log(folder)
        parts = [part.part for part in of_kind(records, Part)]
        assert parts == [1, 2]
        second = [index for index, record in enumerate(records) if isinstance(record, Agent)][1]
        assert not any(of_kind(records[second:], Steady))
    assert left_on(one) == []


@pytest.mark.slow
def test_a_full_storage_at_the_push(
    phone: PhoneFactory, android: Android, tiny_bundle: Path, photo: Path, tmp_path: Path
) -> None:
    one = phone()
    device = android(one)
    folder = begin(tmp_path / "run", device, tiny_bundle, photo)
    quota_bytes = one.storage.quota_bytes
    one.on_push(3000, one.fill_storage)

    def mend() -> None:
        assert left_on(one) == []
        one.storage.quota_bytes = quota_bytes

    end_then_resume(folder, device, mend, r"No space left on device.*free some space.*--resume")
    check_measured(folder)
    assert [phase for phase, _ in faults(folder)] == ["push"]
    assert left_on(one) == []


@pytest.mark.slow
def test_a_full_storage_while_measuring(
    phone: PhoneFactory, android: Android, tiny_bundle: Path, photo: Path, tmp_path: Path
) -> None:
    one = phone()
    device = android(one)
    fill_while_measuring(one, device, begin(tmp_path / "run", device, tiny_bundle, photo, LONG))


@pytest.mark.slow
def test_an_app_that_dies_at_once_is_not_started_for_ever(
    phone: PhoneFactory, android: Android, tiny_bundle: Path, photo: Path, tmp_path: Path
) -> None:
    one = phone(agent=("/bin/false",))
    device = android(one)
    folder = begin(tmp_path / "run", device, tiny_bundle, photo)
    with pytest.raises(BenchError, match="nothing was measured, `adb logcat`"):
        measure_run(folder, device)
    assert left_on(one) == []


# Its time counts: Ctrl-C is the fault that everybody causes.
@pytest.mark.parametrize("at", ["push", pytest.param("measure", marks=pytest.mark.slow)])
def test_ctrl_c_keeps_what_was_measured_and_cleans_the_phone(
    phone: PhoneFactory, android: Android, tiny_bundle: Path, photo: Path, tmp_path: Path, at: str
) -> None:
    one = phone()
    device = android(one)
    folder = begin(tmp_path / "run", device, tiny_bundle, photo, LONG)
    thread = threading.main_thread().ident
    assert thread is not None

    def interrupt() -> None:
        signal.pthread_kill(thread, signal.SIGINT)

    if at == "push":
        one.on_push(3000, interrupt)
    else:
        one.on_results(16, interrupt)
    with pytest.raises(KeyboardInterrupt):
        measure_run(folder, device)
    assert one.app.pid() is None
    assert left_on(one) == []
    kept = read_log(folder)
    assert [end.complete for end in of_kind(kept, End)][-1] is False
    if at == "measure":
        assert received_of(kept)[1] >= 16
        measure_run(folder, device)
        check_measured(folder, LONG)


@pytest.mark.slow
def test_a_missing_app_is_told_before_anything_is_pushed(
    phone: PhoneFactory, android: Android, tiny_bundle: Path, photo: Path, tmp_path: Path
) -> None:
    one = phone()
    one.app.installed = False
    device = android(one)
    folder = begin(tmp_path / "run", device, tiny_bundle, photo)
    with pytest.raises(BenchError, match=r"not installed; build it \(docs/android.md\)"):
        measure_run(folder, device)
    assert not [command for command in one.commands if "mkdir" in command]
    assert left_on(one) == []


@pytest.mark.slow
def test_two_phones_at_once_and_kept_files(
    phone: PhoneFactory, android: Android, tiny_bundle: Path, photo: Path, tmp_path: Path
) -> None:
    phones = [phone(), phone(SAMSUNG)]
    devices = [android(one, keep_files=True) for one in phones]
    folders = [begin(tmp_path / f"run-{index}", device, tiny_bundle, photo) for index, device in enumerate(devices)]
    phones[1].on_read(8, back(phones[1]))
    threads = [
        threading.Thread(target=measure_run, args=(folder, device))
        for folder, device in zip(folders, devices, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    for folder in folders:
        check_measured(folder)
    assert faults(folders[0]) == []
    assert faults(folders[1])
    for one in phones:
        assert all(name.startswith(f"{HOME[1:]}/files") for name in left_on(one))
    # Only what differs is pushed.
    pushed = phones[0]._pushed_bytes
    again = begin(tmp_path / "again", devices[0], tiny_bundle, photo)
    measure_run(again, android(phones[0]))
    assert phones[0]._pushed_bytes - pushed < 3000
    assert left_on(phones[0]) == []


# --- two runs that want one phone; the first one's agent waits at the gate until the test lets the phone cool

HOT = Gate(max_wait_ms=round(1000 * PATIENCE_S))


@pytest.mark.slow
def test_a_second_run_is_refused_and_disturbs_nothing(
    phone: PhoneFactory, android: Android, tiny_bundle: Path, photo: Path, tmp_path: Path
) -> None:
    one = phone(agent=PHONE_STATE_AGENT)
    one.thermal.status = 3
    first = begin(tmp_path / "first", android(one), tiny_bundle, photo, gate=HOT)
    second = begin(tmp_path / "second", android(one), tiny_bundle, photo)
    waits = threading.Event()
    one.on_results(2, waits.set)
    measuring = threading.Thread(target=measure_run, args=(first, android(one)))
    measuring.start()
    try:
        assert waits.wait(PATIENCE_S)
        run = run_header(read_log(first)).run
        with pytest.raises(BenchError, match=rf"the run {run} of the computer .* measures on it now; wait for its end"):
            measure_run(second, android(one))
        assert [end.complete for end in of_kind(read_log(second), End)][-1] is False
        assert one.app.pid() is not None
    finally:
        one.thermal.status = 0
        measuring.join(PATIENCE_S)
    check_measured(first)
    assert faults(first) == []
    assert left_on(one) == []
    measure_run(second, android(one))
    check_measured(second)
    assert left_on(one) == []


@pytest.mark.slow
def test_a_run_whose_computer_died_keeps_the_phone_no_longer_than_its_app_runs(
    phone: PhoneFactory, adb_here: AdbServer, android: Android, tiny_bundle: Path, photo: Path, tmp_path: Path
) -> None:
    one = phone(agent=PHONE_STATE_AGENT)
    one.thermal.status = 3
    device = android(one)
    first = begin(tmp_path / "first", device, tiny_bundle, photo, gate=HOT)
    second = begin(tmp_path / "second", device, tiny_bundle, photo)
    killed = subprocess.Popen(
        [sys.executable, "-m", "qsr_edge", "bench", "--resume", str(first)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wait_until(lambda: any(of_kind(read_log(first), Waiting)), killed.poll)
    killed.kill()
    killed.wait()
    with pytest.raises(BenchError, match=r"end it by: adb -s .* shell am force-stop io\.qsredge\.bench"):
        measure_run(second, device)
    device.adb.run("am force-stop io.qsredge.bench")
    one.thermal.status = 0
    measure_run(second, device)
    check_measured(second)
    # The first run's files wait for it.
    run = run_header(read_log(first)).run
    assert {name.split("/")[4] for name in left_on(one) if name.startswith("data")} == {run, "files"}
    measure_run(first, device)
    check_measured(first)
    assert left_on(one) == []


# --- by the command


@pytest.mark.slow
def test_the_command_on_a_phone(
    phone: PhoneFactory,
    adb_here: AdbServer,
    run_cli: Callable[..., object],
    monkeypatch: pytest.MonkeyPatch,
    tiny_bundle: Path,
    photo: Path,
    tmp_path: Path,
) -> None:
    monkeypatch.setattr("qsr_edge.cli.bench.QUICK", SHORT)
    one = phone()
    run = tmp_path / "run"
    options = ("--bundle", tiny_bundle, "--quick", "--size", "40x24", "--image", photo, "-o", run)
    result = run_cli("bench", "--device", "pixel", *options, "--json")
    assert result.exit_code == 0, result.stderr
    report = json.loads(result.stdout)
    assert report["complete"]
    assert report["run"]["device"]["simulator"] is True
    assert [variant["golden_equal"] for variant in report["variants"]] == [True, True]
    check_measured(run)
    assert left_on(one) == []


@pytest.mark.slow
def test_the_command_with_a_stock_program(
    phone: PhoneFactory,
    adb_here: AdbServer,
    run_cli: Callable[..., object],
    monkeypatch: pytest.MonkeyPatch,
    tiny_bundle: Path,
    tmp_path: Path,
) -> None:
    monkeypatch.setattr("qsr_edge.cli.bench.QUICK", SHORT)
    sample = REPOSITORY / "tests" / "unit" / "bench" / "stock" / "benchmark_model_partial.txt"
    one = phone()
    show = "import sys; print(open(sys.argv[1]).read())"
    one.binaries["benchmark_model"] = (sys.executable, "-c", show, str(sample))
    binary = tmp_path / "binary"
    binary.write_bytes(b"\x7fELF")
    runner = ("--runner", "benchmark_model", "--runner-binary", binary, "--no-images")
    options = ("--device", "pixel", "--bundle", tiny_bundle, "--depth", "1", "--quick", "-o", tmp_path / "run")
    result = run_cli("bench", *options, *runner)
    assert result.exit_code == 0, result.stderr
    shown = " ".join(result.stdout.split())
    assert "tiny d1 xnnpack: mean 12.17 ms (12.17 to 12.17) of 75, first 32.94 ms, load 2.1 ms; averages only" in shown
    assert left_on(one) == []


@pytest.mark.slow
def test_a_killed_command_is_gone_on_with(
    phone: PhoneFactory, adb_here: AdbServer, run_cli: Callable[..., object], tiny_bundle: Path, tmp_path: Path
) -> None:
    one = phone()
    run = tmp_path / "run"
    options = ["--bundle", str(tiny_bundle), "--quick", "--size", "40x24", "--no-images", "-o", str(run)]
    killed = subprocess.Popen(
        [sys.executable, "-m", "qsr_edge", "bench", "--device", one.address, *options],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    log = run / RESULTS_NAME
    wait_until(lambda: log.exists() and log.read_bytes().count(b'"steady"') >= 2, killed.poll)
    killed.kill()
    killed.wait()
    kept = log.read_bytes()
    assert left_on(one)
    # The agent goes on without anybody who listens.
    wait_until(lambda: one.app.pid() is None)
    result = run_cli("bench", "--resume", run, "--json")
    assert result.exit_code == 0, result.stderr
    assert log.read_bytes().startswith(kept[: kept.rfind(b"\n") + 1])
    assert json.loads(result.stdout)["complete"]
    records = read_log(run)
    # The first agent's end was fetched, and the second had nothing left to do.
    starts = [index for index, record in enumerate(records) if isinstance(record, Agent)]
    assert len(starts) == 2
    assert not any(of_kind(records[starts[1] :], Steady))
    check_taken_once(records)
    assert left_on(one) == []
