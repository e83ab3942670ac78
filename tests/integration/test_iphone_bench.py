"""``qsr-edge bench`` over a simulated iPhone: the tools are simulated, the app's agent, the job and the files are real.

Behind the agent's Core ML stands the executor of saved packages, so the bytes are checked too.
"""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from qsr_edge.bench.ios.device import IphoneDevice
from qsr_edge.bench.ios.tools import Devicectl, IphoneTool, Pymobiledevice3
from qsr_edge.bench.plan import RunRequest, add_images, new_header
from qsr_edge.bench.protocol.condition import Condition
from qsr_edge.bench.protocol.job import Effort
from qsr_edge.bench.protocol.log import RESULTS_NAME, RunLog, read_log
from qsr_edge.bench.protocol.records import Agent, ConditionRecord, End, Part, Quality, Record, Steady, of_kind
from qsr_edge.bench.protocol.records import Fault as FaultRecord
from qsr_edge.bench.result import evaluate_run
from qsr_edge.bench.run import measure_run
from tests.conftest import CliResult
from tests.support.bench_runs import end_then_resume
from tests.support.iphone_simulator import Fault, Iphone, iphone_programs
from tests.support.paths import REPOSITORY
from tests.support.swift_build import FIXTURES, NEEDS_SWIFT_BUILD

# The executor stands for Core ML on this side, too.
pytestmark = [*NEEDS_SWIFT_BUILD, pytest.mark.filterwarnings("ignore:Core ML runs on Apple:qsr_edge.errors.QsrWarning")]
# Always more than one round of inferences.
EFFORT = Effort(queries=30, steady_ms=10, round_ms=5, warm_up_ms=1)
# More records than fit beside others in a block of a storage.
LONG = Effort(queries=60, steady_ms=10, round_ms=1, warm_up_ms=1)
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="a small file system is mounted: run it as root")


@pytest.fixture
def iphone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iphone:
    programs = iphone_programs(tmp_path / "iphone")
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("QSR_EDGE_PYTHON", sys.executable)
    folders = [str(REPOSITORY), str(REPOSITORY / "converters"), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(folders))
    return Iphone(folder=tmp_path / "iphone")


@pytest.fixture
def devices(iphone: Iphone) -> dict[str, IphoneDevice]:
    """The phone by either tool."""
    programs = iphone.folder / "bin"
    tools: dict[str, IphoneTool] = {
        "pymobiledevice3": Pymobiledevice3(str(programs / "pymobiledevice3")),
        "devicectl": Devicectl(str(programs / "xcrun")),
    }
    return {name: IphoneDevice(tool, tool.listed()[0], poll_s=0.3) for name, tool in tools.items()}


@pytest.fixture
def begin(photo_96x64: Path, tmp_path: Path) -> Callable[..., Path]:
    """A run's folder with its header, as the command makes it."""

    def make(device: IphoneDevice, effort: Effort = EFFORT) -> Path:
        folder = tmp_path / "run"
        request = RunRequest(
            bundles=(FIXTURES / "exact",),
            depths=(2,),
            kernels=(),
            threads=1,
            size_px=(12, 16),
            effort=effort,
            gate=None,
            originals=(photo_96x64,),
        )
        RunLog(folder / RESULTS_NAME).append(add_images(new_header(request, device), request.originals, folder))
        return folder

    return make


@pytest.fixture
def photo_96x64() -> Path:
    return REPOSITORY / "tests" / "images" / "rgb_96x64.png"


def check_measured(folder: Path, effort: Effort) -> tuple[Record, ...]:
    """All that was asked for is there, with the right bytes."""
    records = read_log(folder)
    result = evaluate_run(records)
    assert result.complete, records[-1]
    assert len(result.variants) == 1
    for variant in result.variants:
        assert variant.golden_equal
        assert variant.latency.count >= effort.queries
        assert [(image.image, image.equal) for image in variant.images] == [("rgb_96x64", True)]
    return records


def faults(folder: Path) -> list[tuple[str, str]]:
    return [(record.phase, record.message) for record in of_kind(read_log(folder), FaultRecord)]


def test_the_command_measures_the_app(
    iphone: Iphone, run_cli: Callable[..., CliResult], photo_96x64: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    done = run_cli(
        "bench", "--device", "Ada's iPhone", "--bundle", FIXTURES / "exact", "--depth", "2", "--depth", "4",
        "--quick", "--json", "--size", "16x12", "--sustained", "1s", "--image", photo_96x64, "-o", folder,
    )  # fmt: skip
    assert done.exit_code == 0, done.stderr
    result = json.loads(done.stdout)
    assert [variant["golden_equal"] for variant in result["variants"]] == [True, True]
    records = read_log(folder)
    [agent] = of_kind(records, Agent)
    assert agent.agent == "qsr-edge-swift-agent"
    assert agent.runtime is not None
    assert agent.runtime.startswith("Core ML")
    kinds = {record.kind for record in records}
    assert kinds >= {"start", "warm-up", "image", "condition", "steady", "sustained", "end"}
    assert [record.equal for record in of_kind(records, Quality)] == [True, True]
    # What the phone tells of itself is in the protocol's units.
    condition = next(of_kind(records, ConditionRecord)).condition
    assert condition == Condition(thermal_status=0, battery_percent=100, plugged_in=False, power_save=False)
    assert faults(folder) == []
    assert iphone.left() == []


# --- faults that a run outlives


@pytest.mark.parametrize(
    ("tool", "fault", "record", "told", "parts"),
    [
        ("pymobiledevice3", Fault.CABLE, "steady", "not connected", 1),
        ("devicectl", Fault.KILL, "steady", "ended by the system", 2),
        ("pymobiledevice3", Fault.REBOOT, "steady", "not connected", 2),
        ("devicectl", Fault.REBOOT, "image", "not connected", 2),
    ],
)
def test_a_run_outlives(
    iphone: Iphone,
    devices: dict[str, IphoneDevice],
    begin: Callable[..., Path],
    tool: str,
    fault: Fault,
    record: str,
    told: str,
    parts: int,
) -> None:
    folder = begin(devices[tool])
    iphone.plan(fault, record=record)
    measure_run(folder, devices[tool])
    records = check_measured(folder, EFFORT)
    assert any(told in message for _, message in faults(folder)), faults(folder)
    assert len(list(of_kind(records, Part))) == parts
    assert iphone.left() == []


# --- faults that end a run, which then goes on


def test_a_phone_that_does_not_come_back(
    iphone: Iphone, devices: dict[str, IphoneDevice], begin: Callable[..., Path]
) -> None:
    device = devices["devicectl"]
    device._lost_s = 0
    folder = begin(device)
    iphone.plan(Fault.CABLE, record="steady", commands=1_000_000)

    def mend() -> None:
        # The agent has gone on without us.
        assert iphone.left()
        iphone.plug_in()

    end_then_resume(folder, device, mend, "not connected")
    records = check_measured(folder, EFFORT)
    # What it measured meanwhile was fetched, not measured again.
    second = [index for index, record in enumerate(records) if isinstance(record, Agent)][1]
    assert not any(of_kind(records[second:], Steady))
    assert iphone.left() == []


@needs_root
def test_a_full_storage_at_the_push(
    iphone: Iphone, devices: dict[str, IphoneDevice], begin: Callable[..., Path]
) -> None:
    device = devices["pymobiledevice3"]
    with iphone.small_storage():
        folder = begin(device)
        iphone.fill()

        def mend() -> None:
            assert iphone.left() == []
            iphone.make_room()

        end_then_resume(folder, device, mend, r"storage is full.*free some space.*--resume")
        check_measured(folder, EFFORT)
        assert [phase for phase, _ in faults(folder)] == ["push"]
        assert iphone.left() == []


@needs_root
def test_a_full_storage_while_measuring(
    iphone: Iphone, devices: dict[str, IphoneDevice], begin: Callable[..., Path]
) -> None:
    device = devices["devicectl"]
    with iphone.small_storage():
        folder = begin(device, LONG)
        iphone.plan(Fault.FULL, record="steady")

        def mend() -> None:
            assert iphone.left() == []
            assert any(of_kind(read_log(folder), Steady))
            iphone.make_room()

        end_then_resume(folder, device, mend, r"No space left on device.*free some space.*--resume")
        check_measured(folder, LONG)
        assert any("the phone's storage is full" in message for _, message in faults(folder)), faults(folder)
        assert iphone.left() == []


@pytest.mark.usefixtures("usual_signals")
def test_ctrl_c_keeps_what_was_measured_and_cleans_the_phone(
    iphone: Iphone, devices: dict[str, IphoneDevice], begin: Callable[..., Path]
) -> None:
    device = devices["devicectl"]
    folder = begin(device)
    iphone.plan(Fault.CTRL_C, record="steady")
    with pytest.raises(KeyboardInterrupt):
        measure_run(folder, device)
    assert iphone.left() == []
    kept = read_log(folder)
    assert any(of_kind(kept, Steady))
    assert isinstance(kept[-1], End)
    assert kept[-1].complete is False
    measure_run(folder, device)
    check_measured(folder, EFFORT)


def test_a_job_for_elsewhere_is_refused(iphone: Iphone, devices: dict[str, IphoneDevice], tmp_path: Path) -> None:
    tool = Pymobiledevice3(str(iphone.folder / "bin" / "pymobiledevice3"))
    for path in ("/qsr-edge-r1/../other/job-1.json", "/other/job-1.json"):
        tool.launch(devices["pymobiledevice3"].id, ["--job", path])
        iphone.left()
        assert "no path of qsr-edge" in (iphone.folder / "app.log").read_text().splitlines()[-1]
