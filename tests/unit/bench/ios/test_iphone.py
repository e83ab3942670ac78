"""iPhones: lists, command lines, and the run over a tool that only moves files. Nothing here has met an iPhone."""

import json
import shutil
import stat
import sys
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath

import pytest

from qsr_edge.bench.device import PartPlan, Phase
from qsr_edge.bench.ios.device import IphoneDevice
from qsr_edge.bench.ios.tools import (
    BUNDLE_ID,
    Devicectl,
    IphoneListed,
    IphoneTool,
    Pymobiledevice3,
    StorageFullError,
    find_iphone_tool,
    parse_devicectl,
    parse_pymobiledevice3,
)
from qsr_edge.bench.protocol.job import Effort, JobImage, JobVariant, parse_job
from qsr_edge.bench.protocol.records import Record, Steady
from qsr_edge.errors import BenchError
from tests.support.sinks import ListSink

SAMPLES = Path(__file__).resolve().parent / "iphone"
UDID = "00008130-000A000000000001"


def test_what_devicectl_lists() -> None:
    listed = parse_devicectl(json.loads((SAMPLES / "devicectl.json").read_text()))
    assert listed[0] == IphoneListed(
        udid=UDID,
        name="Ada's iPhone",
        model="iPhone 15 Pro",
        product_type="iPhone16,1",
        version="18.1",
        build="22B83",
        remedy="",
    )
    remedies = {one.name: one.remedy for one in listed[1:]}
    assert set(remedies) == {"Studio iPad", "Old iPhone", "New iPhone"}
    assert "trust this computer" in remedies["Studio iPad"]
    assert remedies["Old iPhone"] == "plug it in and unlock it"
    assert "Developer Mode" in remedies["New iPhone"]


@pytest.mark.parametrize("table", [{}, {"result": None}, {"result": {"devices": None}}, {"result": {"devices": [3]}}])
def test_devicectl_without_devices(table: dict[str, object]) -> None:
    assert parse_devicectl(table) == ()


def test_what_pymobiledevice3_lists() -> None:
    one, untrusted = parse_pymobiledevice3((SAMPLES / "pymobiledevice3.json").read_text())
    assert (one.udid, one.name, one.model, one.version, one.remedy) == (UDID, "Ada's iPhone", "iPhone16,1", "18.1", "")
    assert (untrusted.udid, untrusted.remedy) == ("00008030-000A000000000003", "unlock it and trust this computer")
    with pytest.raises(BenchError, match="no JSON"):
        parse_pymobiledevice3("usbmuxd is not running")


def test_without_a_tool_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BenchError, match=r"Xcode on macOS .*pip install pymobiledevice3"):
        find_iphone_tool()


@pytest.fixture
def program(tmp_path: Path) -> Callable[[str], tuple[Path, Path]]:
    """A program that writes its words down, answers with a text, and puts it where ``--json-output`` says."""

    def make(answer: str) -> tuple[Path, Path]:
        words = tmp_path / "words"
        path = tmp_path / "program"
        path.write_text(
            f"#!{sys.executable}\nimport sys\n"
            f"open({str(words)!r}, 'a').write('\\x1f'.join(sys.argv[1:]) + '\\n')\n"
            "if '--json-output' in sys.argv:\n"
            f"    open(sys.argv[sys.argv.index('--json-output') + 1], 'w').write({answer!r})\n"
            f"else:\n    print({answer!r})\n"
        )
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return path, words

    return make


def said(words: Path) -> list[str]:
    lines = []
    for line in words.read_text().splitlines():
        one = line.split("\x1f")
        if "--json-output" in one:
            del one[one.index("--json-output") : one.index("--json-output") + 2]
        lines.append(" ".join(one))
    return lines


def test_command_lines_of_devicectl(program: Callable[[str], tuple[Path, Path]], tmp_path: Path) -> None:
    answer = {"result": {"process": {"processIdentifier": 812}, "runningProcesses": [{"processIdentifier": 812}]}}
    path, words = program(json.dumps(answer))
    tool = Devicectl(str(path))
    assert tool.listed() == ()
    tool.push(UDID, tmp_path / "qsr-edge-r1")
    assert not tool.pull(UDID, PurePosixPath("qsr-edge-r1/results-1.jsonl"), tmp_path / "got")
    assert tool.launch(UDID, ["--job", "/qsr-edge-r1/job-1.json"]) == 812
    assert tool.is_running(UDID, 812)
    assert not tool.is_running(UDID, 813)
    tool.stop(UDID, 812)
    container = f"--device {UDID} --domain-type appDataContainer --domain-identifier {BUNDLE_ID}"
    copy = f"--source {tmp_path}/qsr-edge-r1 --destination Documents/qsr-edge-r1"
    fetch = f"--source Documents/qsr-edge-r1/results-1.jsonl --destination {tmp_path}/got"
    assert said(words) == [
        "devicectl list devices --quiet --timeout 10",
        f"devicectl device copy to --quiet {container} {copy}",
        f"devicectl device copy from --quiet {container} {fetch}",
        f"devicectl device process launch --quiet --device {UDID} --terminate-existing {BUNDLE_ID} "
        "--job /qsr-edge-r1/job-1.json",
        f"devicectl device info processes --quiet --device {UDID}",
        f"devicectl device info processes --quiet --device {UDID}",
        f"devicectl device process terminate --quiet --device {UDID} --pid 812",
    ]


def test_command_lines_of_pymobiledevice3(program: Callable[[str], tuple[Path, Path]], tmp_path: Path) -> None:
    path, words = program("Process launched with pid 812")
    tool = Pymobiledevice3(str(path))
    tool.push(UDID, tmp_path / "qsr-edge-r1")
    assert not tool.pull(UDID, PurePosixPath("qsr-edge-r1/results-1.jsonl"), tmp_path / "got")
    assert tool.launch(UDID, ["--job", "/qsr-edge-r1/job-1.json"]) == 812
    assert not tool.is_running(UDID, 812)
    tool.stop(UDID, 812)
    assert said(words) == [
        f"apps push --udid {UDID} {BUNDLE_ID} {tmp_path}/qsr-edge-r1 /Documents",
        f"apps pull --udid {UDID} {BUNDLE_ID} /Documents/qsr-edge-r1/results-1.jsonl {tmp_path}/got",
        f"developer dvt launch --udid {UDID} --userspace {BUNDLE_ID} --job /qsr-edge-r1/job-1.json",
        f"developer dvt process-id-for-bundle-id --udid {UDID} --userspace {BUNDLE_ID}",
        f"developer dvt kill --udid {UDID} --userspace 812",
    ]


def test_a_tool_that_fails_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "program"
    path.write_text(f"#!{sys.executable}\nimport sys\nsys.exit('ERROR: The device is locked')\n")
    path.chmod(0o755)
    with pytest.raises(BenchError, match=r"The device is locked; unlock the phone, trust this computer"):
        Devicectl(str(path)).launch(UDID, [])


@pytest.mark.parametrize("tool", [Devicectl, Pymobiledevice3])
@pytest.mark.parametrize(
    "words",
    ["Failed to write to the file (AFC status NO_SPACE_LEFT).", "The file can't be saved: No space left on device"],
)
def test_a_full_phone_is_told(tmp_path: Path, tool: Callable[[str], IphoneTool], words: str) -> None:
    path = tmp_path / "program"
    path.write_text(f"#!{sys.executable}\nimport sys\nsys.exit({words!r})\n")
    path.chmod(0o755)
    with pytest.raises(StorageFullError, match=r"storage is full: .*; free some space on it, then go on with --resume"):
        tool(str(path)).push(UDID, tmp_path)


class FolderTool:
    """Stands in for a tool and the phone: the app's Documents are a folder, and its app writes given lines."""

    def __init__(self, documents: Path, lines: Sequence[bytes]) -> None:
        self.documents = documents
        self.lines = list(lines)
        self.launched: list[Sequence[str]] = []

    def listed(self) -> tuple[IphoneListed, ...]:
        return ()

    def push(self, udid: str, folder: Path) -> None:
        shutil.copytree(folder, self.documents / folder.name, dirs_exist_ok=True)

    def pull(self, udid: str, path: PurePosixPath, target: Path) -> bool:
        source = self.documents / path
        if path.name.startswith("results-") and self.lines and self.launched:
            # A line more, and the beginning of the next one, at each look.
            with source.open("ab") as file:
                file.write(self.lines.pop(0))
        if source.is_file():
            shutil.copyfile(source, target)
        return source.is_file()

    def launch(self, udid: str, arguments: Sequence[str]) -> int:
        self.launched.append(list(arguments))
        return 7

    def is_running(self, udid: str, pid: int) -> bool:
        return bool(self.lines)

    def stop(self, udid: str, pid: int) -> None:
        self.lines = []


@pytest.fixture
def plan(tiny_bundle: Path, tmp_path: Path) -> PartPlan:
    (tmp_path / "grey.rgb").write_bytes(bytes(12))
    return PartPlan(
        run="r1",
        part=1,
        effort=Effort(queries=10, steady_ms=0),
        gate=None,
        variants=(
            JobVariant(
                label="tiny d1",
                bundle=str(tiny_bundle),
                depth=1,
                kernels="coreml",
                threads=1,
                height_px=16,
                width_px=16,
                check_golden=True,
            ),
        ),
        images=(JobImage(name="grey", path=str(tmp_path / "grey.rgb"), height_px=2, width_px=2),),
    )


LINES = [
    b'{"kind": "agent"}\n{"kind": "image", "variant": "a", "image": "grey", "sha256": "00", "output": "0-grey.rgb"}\n'
    b'{"kind": "ste',
    b'ady", "variant": "a", "latencies_us": [5]}\n',
    b'{"kind": "end", "complete": true}\n',
]


def test_a_run_by_files_alone(plan: PartPlan, tmp_path: Path) -> None:
    documents = tmp_path / "Documents"
    (documents / "qsr-edge-r1" / "outputs").mkdir(parents=True)
    (documents / "qsr-edge-r1" / "outputs" / "0-grey.rgb").write_bytes(b"picture")
    tool = FolderTool(documents, LINES)
    sink = ListSink()
    device = IphoneDevice(tool, parse_pymobiledevice3((SAMPLES / "pymobiledevice3.json").read_text())[0], poll_s=0)
    assert device.run_part(plan, sink).complete
    assert sink.kinds == ["agent", "image", "steady", "end"]
    assert sink.outputs == [b"picture"]
    assert sink.faults == []
    assert tool.launched == [["--job", "/qsr-edge-r1/job-1.json"]]
    job = parse_job((documents / "qsr-edge-r1/job-1.json").read_bytes(), "job")
    assert job.results == "/qsr-edge-r1/results-1.jsonl"
    for path in (f"{job.variants[0].bundle}/manifest.json", job.images[0].path):
        assert (documents / path[1:]).is_file()
    # What a part that was interrupted has measured.
    later = ListSink()
    device.collect("r1", 1, 2, later)
    assert later.kinds == ["steady", "end"]
    device.clean("r1")
    assert tool.launched[-1] == ["--clean", "r1"]


def test_an_app_that_is_gone_ends_the_part(plan: PartPlan, tmp_path: Path) -> None:
    sink = ListSink()
    documents = tmp_path / "Documents"
    (documents / "qsr-edge-r1" / "outputs").mkdir(parents=True)
    listed = parse_pymobiledevice3((SAMPLES / "pymobiledevice3.json").read_text())[0]
    end = IphoneDevice(FolderTool(documents, LINES[:2]), listed, poll_s=0).run_part(plan, sink)
    assert (end.complete, end.again) == (False, True)
    # The picture is not there, so a later part upscales it again.
    assert [phase for phase, _ in sink.faults] == [Phase.PULL, Phase.MEASURE]


def test_an_interruption_hands_nothing_on_twice(plan: PartPlan, tmp_path: Path) -> None:
    documents = tmp_path / "Documents"
    (documents / "qsr-edge-r1" / "outputs").mkdir(parents=True)
    (documents / "qsr-edge-r1" / "outputs" / "0-grey.rgb").write_bytes(b"picture")
    tool = FolderTool(documents, LINES)
    listed = parse_pymobiledevice3((SAMPLES / "pymobiledevice3.json").read_text())[0]

    class InterruptedSink(ListSink):
        def record(self, record: Record, line: bytes | None = None) -> None:
            super().record(record, line)
            if isinstance(record, Steady):
                raise KeyboardInterrupt

    sink = InterruptedSink()
    device = IphoneDevice(tool, listed, poll_s=0)
    with pytest.raises(KeyboardInterrupt):
        device.run_part(plan, sink)
    assert sink.kinds == ["agent", "image", "steady"]
    device.clean("r1")
    assert tool.launched[-1] == ["--clean", "r1"]


def test_results_that_could_not_be_fetched_stay(plan: PartPlan, tmp_path: Path) -> None:
    class UnpluggedTool(FolderTool):
        def is_running(self, udid: str, pid: int) -> bool:
            raise KeyboardInterrupt

        def stop(self, udid: str, pid: int) -> None:
            raise BenchError("no answer")

    tool, sink = UnpluggedTool(tmp_path, LINES), ListSink()
    listed = parse_pymobiledevice3((SAMPLES / "pymobiledevice3.json").read_text())[0]
    device = IphoneDevice(tool, listed, poll_s=0)
    with pytest.raises(KeyboardInterrupt):
        device.run_part(plan, sink)
    assert sink.faults == [(Phase.MEASURE, "what came last could not be fetched: no answer")]
    with pytest.raises(BenchError, match="--resume fetches them"):
        device.clean("r1")
    assert len(tool.launched) == 1
