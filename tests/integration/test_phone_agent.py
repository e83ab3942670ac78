"""The Python agent on a simulated phone: pushed and started by the real adb, it measures in the real LiteRT runtime.

What it measures is this machine; no figure of it is a phone's, and none is looked at here.
"""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from qsr_edge.bench.protocol.job import Gate, Job, JobImage, JobVariant, dump_job
from tests.support.phone_simulator.adb_server import AdbServer
from tests.support.phone_simulator.agent import ACTIVITY, PACKAGE, PHONE_STATE_AGENT, PYTHON_AGENT
from tests.support.phone_simulator.phone import Phone
from tests.support.waiting import PATIENCE_S, wait_until

pytest.importorskip("ai_edge_litert")

RUN = "/data/local/tmp/qsr-edge/r1"
RESULTS = f"/sdcard/Android/data/{PACKAGE}/files/r1/results-1.jsonl"
OUTPUTS = f"/sdcard/Android/data/{PACKAGE}/files/r1/outputs"


def start(server: AdbServer, phone: Phone, bundle: Path, folder: Path, *, gate: Gate | None = None) -> None:
    job = Job(
        run="r1",
        part=1,
        results=RESULTS,
        outputs=OUTPUTS,
        queries=20,
        steady_ms=0,
        round_ms=50,
        warm_up_ms=0,
        sustained_ms=0,
        gate=gate,
        images=(JobImage(name="grey", path=f"{RUN}/images/0.rgb", height_px=12, width_px=16),),
        variants=(
            JobVariant(
                label="tiny, depth 1",
                bundle=f"{RUN}/bundle-0",
                depth=1,
                kernels="xnnpack",
                threads=1,
                height_px=16,
                width_px=24,
                check_golden=True,
            ),
        ),
    )
    (folder / "job-1.json").write_bytes(dump_job(job))
    (folder / "0.rgb").write_bytes(bytes([127]) * (12 * 16 * 3))
    adb = ("-s", phone.address)
    assert server.adb(*adb, "push", str(bundle), f"{RUN}/bundle-0").returncode == 0
    assert server.adb(*adb, "push", str(folder / "0.rgb"), f"{RUN}/images/0.rgb").returncode == 0
    assert server.adb(*adb, "push", str(folder / "job-1.json"), f"{RUN}/job-1.json").returncode == 0
    started = server.adb(*adb, "shell", f"am start -W -n {ACTIVITY} --es job {RUN}/job-1.json")
    assert (started.returncode, b"Status: ok" in started.stdout) == (0, True)


def records(server: AdbServer, phone: Phone) -> list[dict[str, object]]:
    read = server.adb("-s", phone.address, "exec-out", f"tail -c +1 {RESULTS} 2>/dev/null").stdout
    return [json.loads(line) for line in read.splitlines(keepends=True) if line.endswith(b"\n")]


def await_record(server: AdbServer, phone: Phone, kind: str) -> list[dict[str, object]]:
    wait_until(lambda: kind in [record["kind"] for record in records(server, phone)], phone.app.log.read_text)
    return records(server, phone)


@pytest.mark.parametrize("agent", [PYTHON_AGENT, PHONE_STATE_AGENT], ids=["python", "phone-state"])
def test_the_agent_reproduces_the_golden_output(
    adb_server: AdbServer, phone: Callable[..., Phone], tiny_bundle: Path, tmp_path: Path, agent: tuple[str, ...]
) -> None:
    one = phone(agent=agent)
    start(adb_server, one, tiny_bundle, tmp_path)
    found = {str(record["kind"]): record for record in await_record(adb_server, one, "end")}
    assert found["end"]["complete"], found
    assert found["start"]["golden_equal"] is True
    assert len(found["steady"]["latencies_us"]) > 0
    output = adb_server.adb("-s", one.address, "exec-out", f"cat {OUTPUTS}/{found['image']['output']}").stdout
    assert len(output) == 4 * 12 * 16 * 3
    assert (found["condition"]["condition"].get("battery_percent") == 81) == (agent is PHONE_STATE_AGENT)


def test_the_agent_waits_until_the_phone_is_cool(
    adb_server: AdbServer, phone: Callable[..., Phone], tiny_bundle: Path, tmp_path: Path
) -> None:
    one = phone(agent=PHONE_STATE_AGENT)
    one.thermal.status = 2
    gate = Gate(max_thermal_status=0, max_wait_ms=round(1000 * PATIENCE_S))
    start(adb_server, one, tiny_bundle, tmp_path, gate=gate)
    assert "start" not in [record["kind"] for record in await_record(adb_server, one, "waiting")]
    one.thermal.status = 0
    found = await_record(adb_server, one, "end")
    assert "start" in [record["kind"] for record in found]
    assert found[-1]["complete"] is True
