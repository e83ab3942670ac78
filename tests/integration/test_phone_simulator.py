"""The simulated phone, by the real adb: what Debian's client and server do with a phone they do with this one."""

import hashlib
import itertools
import json
import os
import random
import re
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from tests.support.phone_simulator.adb_server import AdbServer
from tests.support.phone_simulator.agent import ACTIVITY, INSTRUMENTATION, PACKAGE
from tests.support.phone_simulator.models import MODELS, SAMSUNG, Model
from tests.support.phone_simulator.phone import Phone
from tests.support.phone_simulator.wire import Authorization
from tests.support.waiting import PATIENCE_S, wait_until

HOME = "/data/local/tmp/qsr-edge"
RESULTS = f"/sdcard/Android/data/{PACKAGE}/files/r1/results-1.jsonl"

# Writes a record every 20 ms until it is ended, or until the job's `queries` are done.
AGENT = """
import json, os, sys, time
job = json.load(open(sys.argv[1]))
os.makedirs(os.path.dirname(job["results"]), exist_ok=True)
def write(**record):
    with open(job["results"], "a") as file:
        file.write(json.dumps({"time_ms": round(1000 * time.time()), **record}) + "\\n")
try:
    write(kind="agent", bundle=os.listdir(job["variants"][0]["bundle"]))
    for query in range(job["queries"]):
        write(kind="steady", latencies_us=[query])
        time.sleep(0.02)
    write(kind="end", complete=True)
except OSError as error:
    sys.exit(f"errno {error.errno}")
"""

PhoneFactory = Callable[..., Phone]
Adb = Callable[..., "CompletedProcess[bytes]"]
ENDLESS = 1_000_000
"""Queries that last longer than any wait: an agent with so many is there until something ends it."""


def adb_of(server: AdbServer, phone: Phone) -> Adb:
    return lambda *words, **options: server.adb("-s", phone.address, *words, **options)


def shell(server: AdbServer, phone: Phone, command: str) -> tuple[int, bytes, bytes]:
    ran = server.adb("-s", phone.address, "shell", "-T", command)
    return ran.returncode, ran.stdout, ran.stderr


@pytest.fixture
def agent_phone(phone: PhoneFactory, tmp_path: Path) -> PhoneFactory:
    """Phones with the small agent above and a bundle of one file."""
    script = tmp_path / "agent.py"
    script.write_text(AGENT)

    def start(**options: object) -> Phone:
        one = phone(agent=(sys.executable, str(script), "{job}"), **options)
        bundle = one.storage.host_path(f"{HOME}/r1/bundle-0")
        bundle.mkdir(parents=True)
        (bundle / "manifest.json").touch()
        return one

    return start


def push_job(server: AdbServer, phone: Phone, folder: Path, *, queries: int) -> str:
    job = {
        "results": RESULTS,
        "outputs": f"/sdcard/Android/data/{PACKAGE}/files/r1/outputs",
        "queries": queries,
        "images": [{"path": f"{HOME}/r1/images/0.rgb"}],
        "variants": [{"bundle": f"{HOME}/r1/bundle-0"}],
    }
    (folder / "job.json").write_text(json.dumps(job))
    assert server.adb("-s", phone.address, "push", str(folder / "job.json"), f"{HOME}/r1/").returncode == 0
    return f"{HOME}/r1/job.json"


def start_agent(server: AdbServer, phone: Phone, folder: Path, *, queries: int = ENDLESS) -> None:
    job = push_job(server, phone, folder, queries=queries)
    code, out, err = shell(server, phone, f"am start -W -n {ACTIVITY} --es job {job}")
    assert (code, err) == (0, b"")
    assert b"Status: ok\n" in out


def records(phone: Phone) -> list[dict[str, object]]:
    """Those of whole lines: the agent may be at the next one."""
    path = phone.storage.host_path(RESULTS)
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("\n")]


# --- what it is


def test_adb_lists_models_that_say_they_are_simulated(adb_server: AdbServer, phone: PhoneFactory) -> None:
    one, other = phone(), phone(SAMSUNG)
    listed = adb_server.adb("devices", "-l").stdout.decode()
    rows = {line.split()[0]: line.split()[1:-1] for line in listed.splitlines() if line.startswith("127.")}
    assert rows[one.address] == ["device", "product:husky", "model:Pixel_8_Pro", "device:husky"]
    assert rows[other.address] == ["device", "product:o1sxeea", "model:SM_G991B", "device:o1s"]
    assert shell(adb_server, one, "getprop ro.qsr_edge.simulator") == (0, b"1\n", b"")
    listing = dict(re.findall(r"^\[(.*?)\]: \[(.*?)\]$", shell(adb_server, other, "getprop")[1].decode(), re.MULTILINE))
    assert listing == SAMSUNG.properties()
    assert shell(adb_server, one, "getprop no.such.key; getprop no.such.key fallback")[1] == b"\nfallback\n"


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_dumpsys_tells_the_state_of_the_moment(adb_server: AdbServer, phone: PhoneFactory, model: Model) -> None:
    one = phone(model)
    one.battery.percent, one.battery.temperature_mc, one.battery.plugged_in = 37, 31_640, False
    one.thermal.status, one.thermal.temperature_mc = 3, 44_200
    battery = shell(adb_server, one, "dumpsys battery")[1].decode()
    assert {"  level: 37", "  temperature: 316", "  USB powered: false", "  status: 3"} <= set(battery.splitlines())
    thermal = shell(adb_server, one, "dumpsys thermalservice")[1].decode()
    assert "Thermal Status: 3\n" in thermal
    cached, current = thermal.split("Current temperatures from HAL:\n")
    assert "mValue=44.2, mType=3" in current
    assert "mValue=44.2" not in cached
    one.thermal.values["AP" if model is SAMSUNG else "GPU0"] = "NaN"
    assert ("mValue=NaN, mType" in shell(adb_server, one, "dumpsys thermalservice")[1].decode()) == (
        model.brand != "google"
    )
    code, _, err = shell(adb_server, one, "dumpsys nothing")
    assert (code, err) == (0, b"Can't find service: nothing\n")


# --- files


@pytest.mark.parametrize("size", [0, 1, 4096, 65_535, 65_536, 65_537, 262_144, 5_000_001])
def test_files_come_back_byte_for_byte(adb_server: AdbServer, phone: PhoneFactory, tmp_path: Path, size: int) -> None:
    one = phone()
    content = random.randbytes(size)
    sent, got = tmp_path / "sent", tmp_path / "got"
    sent.write_bytes(content)
    os.utime(sent, (1_600_000_000, 1_600_000_000))
    sent.chmod(0o755)
    adb = adb_of(adb_server, one)
    assert adb("push", str(sent), f"{HOME}/a b/file").returncode == 0
    digest = hashlib.sha256(content).hexdigest()
    assert shell(adb_server, one, f"sha256sum '{HOME}/a b/file'")[1].decode() == f"{digest}  {HOME}/a b/file\n"
    assert shell(adb_server, one, f"stat -c '%s %Y %a' '{HOME}/a b/file'")[1] == b"%d 1600000000 777\n" % size
    assert adb("exec-out", f"cat '{HOME}/a b/file'").stdout == content
    assert adb("shell", "-T", f"cat '{HOME}/a b/file'").stdout == content
    assert adb("pull", "-a", f"{HOME}/a b/file", str(got)).returncode == 0
    assert got.read_bytes() == content
    assert got.stat().st_mtime == 1_600_000_000


def test_folders_are_pushed_listed_and_pulled_whole(adb_server: AdbServer, phone: PhoneFactory, tmp_path: Path) -> None:
    one = phone()
    tree = tmp_path / "tree"
    names = ["manifest.json", "deep/er/x.tflite", "deep/with space", "größe-尺寸", "it's"]
    for name in names:
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_bytes(name.encode())
    adb = adb_of(adb_server, one)
    assert adb("push", str(tree), HOME).returncode == 0
    assert shell(adb_server, one, f"ls {HOME}")[1].decode().split("\n") == [*sorted(os.listdir(tree)), ""]
    listed = adb("ls", f"{HOME}/deep").stdout.decode()
    assert sorted(line.split(maxsplit=3)[-1] for line in listed.splitlines()) == ["er", "with space"]
    assert adb("pull", HOME, str(tmp_path / "back")).returncode == 0
    found = {path.relative_to(tmp_path / "back").as_posix() for path in (tmp_path / "back").rglob("*")}
    assert found == {path.relative_to(tree).as_posix() for path in tree.rglob("*")}
    assert all((tmp_path / "back" / name).read_bytes() == name.encode() for name in names)


def test_refusals_of_files_are_those_of_a_phone(adb_server: AdbServer, phone: PhoneFactory, tmp_path: Path) -> None:
    one = phone()
    adb = adb_of(adb_server, one)
    (tmp_path / "x").write_bytes(b"x")
    missing = adb("pull", f"{HOME}/none", str(tmp_path / "y"))
    assert (missing.returncode, b"No such file or directory" in missing.stdout) == (1, True)
    for place, reason in (("/x", b"Read-only file system"), ("/system/bin/x", b"Permission denied")):
        refused = adb("push", str(tmp_path / "x"), place)
        assert (refused.returncode, reason in refused.stdout) == (1, True)


def test_no_path_or_link_leaves_the_private_folder(adb_server: AdbServer, phone: PhoneFactory, tmp_path: Path) -> None:
    one = phone()
    adb = adb_of(adb_server, one)
    secret = tmp_path / "secret"
    secret.write_bytes(b"of this machine")
    up = "/".join([".."] * 40)
    for path in (str(secret), f"{HOME}/{up}{secret}"):
        assert b"No such file" in shell(adb_server, one, f"cat {path}")[2]
        assert adb("pull", path, str(tmp_path / "got")).returncode == 1
    # Links made on the phone point within it, even to what exists out here.
    code, _, _ = shell(adb_server, one, f"mkdir -p {HOME}; ln -s {secret} {HOME}/link; ln -s {up}{secret} {HOME}/link2")
    assert code == 0
    assert b"No such file" in shell(adb_server, one, f"cat {HOME}/link")[2]
    assert adb("pull", f"{HOME}/link2", str(tmp_path / "got")).returncode == 1
    root = one.storage.root
    assert all(path.resolve().is_relative_to(root) for path in root.rglob("*"))
    # Links that something else put there are refused.
    (root / "data/local/tmp/planted").symlink_to(secret)
    (root / "data/local/tmp/planted2").symlink_to("../" * 30 + str(secret)[1:])
    for name in ("planted", "planted2"):
        assert b"Permission denied" in shell(adb_server, one, f"cat /data/local/tmp/{name}")[2]
        assert adb("push", str(tmp_path / "secret"), f"/data/local/tmp/{name}").returncode == 1
    assert shell(adb_server, one, "rm -rf /data/local/tmp/planted /data/local/tmp/planted2")[0] == 0
    assert secret.read_bytes() == b"of this machine"
    assert not (tmp_path / "got").exists()
    # A pushed link is the phone's, too.
    (tmp_path / "out").symlink_to(secret)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "out").symlink_to(secret)
    adb("push", str(tmp_path / "folder"), f"{HOME}/folder")
    assert all(path.resolve().is_relative_to(root) for path in root.rglob("*"))


# --- the shell


@pytest.mark.parametrize(
    ("command", "code", "out", "err"),
    [
        ("true", 0, b"", b""),
        ("false", 1, b"", b""),
        ("exit 42", 42, b"", b""),
        ("frobnicate -x", 127, b"", b"/system/bin/sh: frobnicate: inaccessible or not found\n"),
        ("echo a  'b  c' \"d $? \\\"\" e\\ f", 0, b'a b  c d 0 " e f\n', b""),
        ("false; echo $?", 0, b"1\n", b""),
        ("false && echo no || echo yes", 0, b"yes\n", b""),
        ("true && false && echo no; echo done", 0, b"done\n", b""),
        ("cat /nothing", 1, b"", b"cat: /nothing: No such file or directory\n"),
        ("cat /nothing 2>/dev/null || echo gone", 0, b"gone\n", b""),
        ("cat /nothing 2>&1", 1, b"cat: /nothing: No such file or directory\n", b""),
        ("echo one > /sdcard/f; echo two >> /sdcard/f; cat /sdcard/f", 0, b"one\ntwo\n", b""),
        ("echo abcdef > /sdcard/f; tail -c +3 /sdcard/f; tail -c 3 /sdcard/f", 0, b"cdef\nef\n", b""),
        ("echo abc > /sdcard/f; tail -c +1 /sdcard/f; tail -c +99 /sdcard/f", 0, b"abc\n", b""),
        ("mkdir -p /sdcard/d/e; mkdir -p /sdcard/d; rm /sdcard/d", 1, b"", b"rm: /sdcard/d: is directory\n"),
        ("mkdir -p /sdcard/d/e; rm -rf /sdcard/d /sdcard/none; ls /sdcard", 0, b"", b""),
        ("cd /sdcard && echo x > y && cat y; cd /none; cat y", 0, b"x\nx\n", rb"/system/bin/sh: cd: /none: .*\n"),
        ("pm path io.qsredge.bench", 0, rb"package:/data/app/.*/base\.apk\n", b""),
        ("pm path io.none", 1, b"", b""),
        ("pidof io.qsredge.bench", 1, b"", b""),
        ("kill 1", 1, b"", b"kill: 1: No such process\n"),
        ("ls | wc", 2, b"", b"/system/bin/sh: syntax error: '|' is not simulated\n"),
        ("rm -rf /sdcard/*", 2, b"", b"/system/bin/sh: syntax error: '*' is not simulated\n"),
        ("echo $(id)", 2, b"", b"/system/bin/sh: syntax error: '$(id)' is not simulated\n"),
        ("am start -n io.none/.A", 1, rb"Starting: .*\n", rb"Error type 3\nError: .*\{io.none/io.none.A\}.*\n"),
    ],
)  # fmt: skip
def test_shell_answers_like_a_phones(
    adb_server: AdbServer, phone: PhoneFactory, command: str, code: int, out: bytes, err: bytes
) -> None:
    got_code, got_out, got_err = shell(adb_server, phone(), command)
    assert got_code == code
    assert re.fullmatch(out if rb"\n" in out else re.escape(out), got_out)
    assert re.fullmatch(err if rb"\n" in err else re.escape(err), got_err)


def test_output_is_binary_and_input_arrives(adb_server: AdbServer, phone: PhoneFactory) -> None:
    one = phone()
    adb = adb_of(adb_server, one)
    content = bytes(range(256)) * 3000
    assert adb("shell", "-T", "cat > /sdcard/typed", input=content).returncode == 0
    assert one.storage.host_path("/sdcard/typed").read_bytes() == content
    assert adb("shell", "-T", "cat /sdcard/typed").stdout == content
    # `shell` keeps the two outputs apart, `exec-out` does not.
    assert adb("shell", "-T", "echo out; cat /none").stdout == b"out\n"
    assert adb("exec-out", "echo out; cat /none").stdout == b"out\ncat: /none: No such file or directory\n"


def test_links_share_content_and_count_once(adb_server: AdbServer, phone: PhoneFactory) -> None:
    one = phone(quota_bytes=1024 * 1024)
    one.storage.host_path("/data/local/tmp/a").write_bytes(bytes(512 * 1024))
    refused = shell(adb_server, one, "cd /data/local/tmp && ln a b")
    assert refused == (1, b"", b"ln: cannot create hard link from 'a' to 'b': Permission denied\n")
    one.storage.hard_links = True
    code, out, _ = shell(
        adb_server, one, "cd /data/local/tmp && ln a b && cp a c && ln a c; stat -c '%h' b c; df -k /data/local/tmp"
    )
    assert code == 0
    assert out.decode().splitlines()[:2] == ["2", "1"]
    assert out.decode().splitlines()[3].split()[1:5] == ["1024", "1024", "0", "100%"]


def test_many_streams_at_once(adb_server: AdbServer, phone: PhoneFactory, tmp_path: Path) -> None:
    one = phone()

    def round_trip(index: int) -> bool:
        content = random.Random(index).randbytes(700_000)
        (tmp_path / f"{index}").write_bytes(content)
        adb = adb_of(adb_server, one)
        pushed = adb("push", str(tmp_path / f"{index}"), f"{HOME}/{index}").returncode
        printed = adb("exec-out", f"cat {HOME}/{index}").stdout
        pulled = adb("pull", f"{HOME}/{index}", str(tmp_path / f"{index}.back")).returncode
        return (pushed, pulled) == (0, 0) and printed == content == (tmp_path / f"{index}.back").read_bytes()

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(round_trip, range(8)))


# --- faults of the connection


def test_a_pulled_cable_ends_a_push_and_leaves_nothing(
    adb_server: AdbServer, phone: PhoneFactory, tmp_path: Path
) -> None:
    one = phone()
    (tmp_path / "big").write_bytes(random.randbytes(3_000_000))
    push = ("push", str(tmp_path / "big"), f"{HOME}/big")
    one.on_push(1_000_000, one.pull_cable)
    assert adb_of(adb_server, one)(*push).returncode != 0
    adb_server.await_state(one.address, None)
    assert b"not found" in shell(adb_server, one, "true")[2]
    wait_until(lambda: not one.storage.host_path(f"{HOME}/big").exists())
    one.plug_in()
    adb_server.await_state(one.address, "device")
    assert adb_of(adb_server, one)(*push).returncode == 0
    assert one.storage.host_path(f"{HOME}/big").read_bytes() == (tmp_path / "big").read_bytes()


def test_a_reboot_keeps_files_and_nothing_else(
    adb_server: AdbServer, agent_phone: PhoneFactory, tmp_path: Path
) -> None:
    one = agent_phone()
    start_agent(adb_server, one, tmp_path)
    wait_until(lambda: len(records(one)) > 3)
    pid = one.app.pid()
    identity = "cat /proc/sys/kernel/random/boot_id /proc/uptime; pidof io.qsredge.bench"
    before = shell(adb_server, one, identity)[1].decode().split()
    assert before[3] == str(pid)
    (tmp_path / "big").write_bytes(bytes(500_000))
    began = time.monotonic()
    one.on_push(200_000, lambda: one.reboot(seconds=0.3))
    assert adb_of(adb_server, one)("push", str(tmp_path / "big"), f"{HOME}/big").returncode != 0
    wait_until(lambda: one.boot_id != before[0])
    adb_server.await_state(one.address, "device")
    code, out, _ = shell(adb_server, one, identity)
    after = out.decode().split()
    assert code == 1
    assert len(after) == 3
    assert after[0] != before[0]
    assert float(after[1]) <= time.monotonic() - began
    assert not Path(f"/proc/{pid}").exists()
    # A push that a crash cut is on the storage up to there.
    assert shell(adb_server, one, f"stat -c %s {HOME}/big {RESULTS}")[1].startswith(b"200000\n")


def test_a_computer_is_unauthorized_until_the_user_allows_it(adb_server: AdbServer, phone: PhoneFactory) -> None:
    one = phone(authorization=Authorization.ASKING)
    assert b"device unauthorized" in shell(adb_server, one, "true")[2]
    one.authorize()
    adb_server.await_state(one.address, "device")
    assert shell(adb_server, one, "echo allowed") == (0, b"allowed\n", b"")


def test_a_phone_that_hangs_is_offline(adb_server: AdbServer, phone: PhoneFactory) -> None:
    one = phone()
    one.hang()
    adb_server.await_state(one.address, "offline")
    assert b"device offline" in shell(adb_server, one, "true")[2]
    one.plug_in()
    adb_server.await_state(one.address, "device")


def test_a_restarted_server_and_a_glitch_interrupt_commands(adb_server: AdbServer, phone: PhoneFactory) -> None:
    one, other = phone(), phone(SAMSUNG)
    one.on_command("sleep", lambda: one.after(0.2, one.cut_connections))
    # This adb reports success when the connection breaks: who needs to know must let the command say that it ended.
    assert shell(adb_server, one, "sleep 60 && echo ended") == (0, b"", b"")
    adb_server.restart()
    for each in (one, other):
        adb_server.await_state(each.address, "device")
        assert shell(adb_server, each, "echo here")[1] == b"here\n"


def test_a_full_storage_says_so(adb_server: AdbServer, phone: PhoneFactory, tmp_path: Path) -> None:
    one = phone(quota_bytes=1_000_000)
    adb = adb_of(adb_server, one)
    (tmp_path / "big").write_bytes(bytes(700_000))
    assert adb("push", str(tmp_path / "big"), f"{HOME}/1").returncode == 0
    second = adb("push", str(tmp_path / "big"), f"{HOME}/2")
    assert second.returncode == 1
    assert b"No space left on device" in second.stdout
    code, _, err = shell(adb_server, one, f"cp {HOME}/1 {HOME}/3")
    assert code == 1
    assert b"No space left on device" in err
    assert shell(adb_server, one, f"ls {HOME}; rm -rf {HOME}")[1] == b"1\n3\n"
    one.on_push(100_000, one.fill_storage)
    assert b"No space left on device" in adb("push", str(tmp_path / "big"), f"{HOME}/4").stdout


# --- the app


def test_the_agent_runs_as_a_process_with_the_phones_paths(
    adb_server: AdbServer, agent_phone: PhoneFactory, tmp_path: Path
) -> None:
    one = agent_phone()
    start_agent(adb_server, one, tmp_path)
    wait_until(lambda: len(records(one)) > 2)
    code, out, _ = shell(adb_server, one, f"pidof {PACKAGE}")
    assert (code, int(out)) == (0, one.app.pid())
    assert shell(adb_server, one, f"kill -9 {one.app.pid()}")[2].endswith(b"Operation not permitted\n")
    assert records(one)[0]["bundle"] == ["manifest.json"]
    # A second start finds it running.
    again = shell(adb_server, one, f"am start -W -n {ACTIVITY} --es job {HOME}/r1/job.json")[1]
    assert b"Warning: Activity not started" in again
    assert shell(adb_server, one, f"pidof {PACKAGE}")[1] == out
    # What it wrote is read in pieces while it writes.
    read = b""
    while read.count(b"\n") < 20:
        read += adb_of(adb_server, one)("exec-out", f"tail -c +{len(read) + 1} {RESULTS}").stdout
    assert shell(adb_server, one, f"am force-stop {PACKAGE}; pidof {PACKAGE}")[0] == 1
    assert not Path(f"/proc/{int(out)}").exists()
    assert one.storage.host_path(RESULTS).read_bytes().startswith(read)
    assert adb_of(adb_server, one)("pull", RESULTS, str(tmp_path / "results")).returncode == 0


def test_instrumentation_waits_for_the_agent(adb_server: AdbServer, agent_phone: PhoneFactory, tmp_path: Path) -> None:
    one = agent_phone()
    job = push_job(adb_server, one, tmp_path, queries=10)
    command = f"am instrument -w -e job {job} {INSTRUMENTATION}"
    assert shell(adb_server, one, command) == (0, b"INSTRUMENTATION_CODE: -1\n", b"")
    assert records(one)[-1]["kind"] == "end"
    push_job(adb_server, one, tmp_path, queries=ENDLESS)
    one.on_results(14, one.kill_app)
    assert shell(adb_server, one, command)[1].startswith(b"INSTRUMENTATION_RESULT: shortMsg=Process crashed.\n")
    one.app.installed = False
    assert shell(adb_server, one, command)[0] == 1
    assert shell(adb_server, one, f"am start -n {ACTIVITY} --es job {job}")[0] == 1
    assert shell(adb_server, one, f"pm path {PACKAGE}")[0] == 1


def test_faults_of_the_app(adb_server: AdbServer, agent_phone: PhoneFactory, tmp_path: Path) -> None:
    one = agent_phone()
    start_agent(adb_server, one, tmp_path)
    # Without the cable it goes on.
    one.on_results(3, one.pull_cable)
    wait_until(lambda: not one.plugged_in)
    known = len(records(one))
    wait_until(lambda: len(records(one)) > known + 3)
    one.plug_in()
    adb_server.await_state(one.address, "device")
    # The date is set back an hour while it measures.
    one.on_results(known + 5, lambda: one.set_clock(-3600))
    wait_until(lambda: any(a["time_ms"] - b["time_ms"] > 3_590_000 for a, b in itertools.pairwise(records(one))))
    # The storage is full: its next write fails, and what is there stays.
    one.fill_storage()
    wait_until(lambda: one.app.pid() is None)
    assert one.app.log.read_text() == "errno 27\n"
    kept = records(one)
    assert shell(adb_server, one, f"am start -n {ACTIVITY} --es job {HOME}/r1/job.json")[0] == 0
    wait_until(lambda: one.app.pid() is None)
    assert records(one) == kept
    # The end of the file is lost.
    one.cut_results()
    cut = one.storage.host_path(RESULTS).read_text()
    assert not cut.endswith("\n")
    assert [json.loads(line) for line in cut.splitlines()[:-1]] == kept[:-1]
    with pytest.raises(json.JSONDecodeError):
        json.loads(cut.splitlines()[-1])


def test_closing_a_phone_ends_its_agent_and_removes_its_files(
    adb_server: AdbServer, agent_phone: PhoneFactory, tmp_path: Path
) -> None:
    one = agent_phone()
    start_agent(adb_server, one, tmp_path)
    wait_until(lambda: records(one))
    pid, root = one.app.pid(), one.storage.root
    one.close()
    assert not Path(f"/proc/{pid}").exists()
    assert not root.parent.exists()


def test_a_pushed_binary_runs_by_its_stand_in(adb_server: AdbServer, phone: PhoneFactory, tmp_path: Path) -> None:
    one = phone()
    adb = adb_of(adb_server, one)
    binary, model = tmp_path / "benchmark_model", tmp_path / "m.tflite"
    binary.write_bytes(b"\x7fELF")
    binary.chmod(0o644)
    model.write_bytes(bytes(1234))
    assert shell(adb_server, one, f"mkdir -p {HOME}")[0] == 0
    assert adb("push", str(binary), str(model), HOME).returncode == 0
    command = f"cd {HOME} && ./benchmark_model --graph=m.tflite --num_threads=1 {HOME}/m.tflite"
    assert shell(adb_server, one, command)[0] == 126
    script = (
        "import os, sys; graph = sys.argv[1].removeprefix('--graph='); print(os.path.getsize(graph), sys.argv);"
        "print('late', file=sys.stderr); sys.exit(3)"
    )
    one.binaries["benchmark_model"] = (sys.executable, "-c", script)
    assert b"Permission denied" in shell(adb_server, one, command)[2]
    code, out, err = shell(adb_server, one, f"chmod +x {HOME}/benchmark_model; {command}")
    assert (code, err) == (3, b"late\n")
    assert out.startswith(b"1234 ")
    # It is told host paths and its words are the phone's.
    assert f"'{HOME}/m.tflite'".encode() in out
    assert shell(adb_server, one, f"{HOME}/none")[0] == 127
    one.binaries["benchmark_model"] = (sys.executable, "-c", f"import time; time.sleep({PATIENCE_S})")
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(shell, adb_server, one, f"{HOME}/benchmark_model")
        wait_until(lambda: one.processes)
        pid = int(shell(adb_server, one, "pidof benchmark_model")[1])
        assert shell(adb_server, one, f"kill {pid}")[0] == 0
        assert running.result(PATIENCE_S)[0] == 137
