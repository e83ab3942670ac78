"""``qsr-edge bench`` over the real adb against the benchmark app's own code on the JVM, with the real LiteRT behind it.

The phone is simulated; the client, the agent and the runtime are not.
"""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from qsr_edge.bench.android.device import AndroidDevice
from qsr_edge.bench.protocol.log import read_log
from qsr_edge.bench.protocol.records import Agent, End, Quality, of_kind
from qsr_edge.bench.run import measure_run
from tests.conftest import CliResult
from tests.support.android_build import AGENT, NEEDS_ANDROID_BUILD
from tests.support.android_runs import (
    LONG,
    OUTLIVED,
    back,
    begin,
    check_measured,
    faults,
    fill_while_measuring,
    left_on,
)
from tests.support.paths import REPOSITORY
from tests.support.phone_simulator.adb_server import AdbServer
from tests.support.phone_simulator.phone import Phone

pytestmark = NEEDS_ANDROID_BUILD

Phones = Callable[..., Phone]
Android = Callable[..., AndroidDevice]
# What concerns the agent. The clock's jumps are Python's own, so not among them.
FAULTS = [
    "cable pulled at the start",
    "cable pulled while measuring",
    "reboot while measuring",
    "app killed while measuring",
    "results cut while measuring",
]


@pytest.fixture
def jvm_phone(phone: Phones) -> Callable[[], Phone]:
    """A phone with the Kotlin agent."""
    environment = {
        "QSR_EDGE_PYTHON": sys.executable,
        "PYTHONPATH": os.pathsep.join([str(REPOSITORY), str(REPOSITORY / "converters")]),
    }
    return lambda: phone(agent=(str(AGENT), "{job}"), agent_environment=environment)


def test_the_command_measures_the_app(
    jvm_phone: Callable[[], Phone],
    adb_here: AdbServer,
    run_cli: Callable[..., CliResult],
    tiny_bundle: Path,
    tmp_path: Path,
) -> None:
    one = jvm_phone()
    folder = tmp_path / "run"
    done = run_cli(
        "bench", "--device", one.address, "--adb", adb_here.binary, "--bundle", tiny_bundle, "--quick", "--json",
        "--size", "40x24", "--sustained", "2s", "-o", folder,
    )  # fmt: skip
    assert done.exit_code == 0, done.stderr
    result = json.loads(done.stdout)
    assert len(result["variants"]) == 2
    for variant in result["variants"]:
        assert variant["golden_equal"] is True
        assert variant["latency"]["count"] >= 50
    records = read_log(folder)
    [agent] = of_kind(records, Agent)
    assert agent.agent == "qsr-edge-jvm-agent"
    assert "litert" in (agent.runtime or "")
    assert {record.kind for record in records} >= {
        "start",
        "warm-up",
        "image",
        "condition",
        "steady",
        "sustained",
        "end",
    }
    # The picture came back, and this machine computes the same bytes.
    assert [quality.equal for quality in of_kind(records, Quality)] == [True, True]
    assert [end.complete for end in of_kind(records, End)][-1] is True
    assert faults(folder) == []
    assert left_on(one) == []


@pytest.mark.parametrize("name", FAULTS)
def test_a_run_outlives(
    jvm_phone: Callable[[], Phone],
    android: Android,
    restarted_adb: AdbServer,
    tiny_bundle: Path,
    photo: Path,
    tmp_path: Path,
    name: str,
) -> None:
    one = jvm_phone()
    device = android(one)
    folder = begin(tmp_path / "run", device, tiny_bundle, photo, LONG)
    happen, phases, words = OUTLIVED[name]
    happen(one, restarted_adb)
    measure_run(folder, device)
    check_measured(folder, LONG)
    assert any(phase in phases and words in message for phase, message in faults(folder)), faults(folder)
    assert left_on(one) == []


def test_a_full_storage(
    jvm_phone: Callable[[], Phone], android: Android, tiny_bundle: Path, photo: Path, tmp_path: Path
) -> None:
    one = jvm_phone()
    device = android(one)
    fill_while_measuring(one, device, begin(tmp_path / "run", device, tiny_bundle, photo, LONG))


def test_a_cable_at_the_pictures(
    jvm_phone: Callable[[], Phone], android: Android, tiny_bundle: Path, photo: Path, tmp_path: Path
) -> None:
    one = jvm_phone()
    device = android(one)
    folder = begin(tmp_path / "run", device, tiny_bundle, photo)
    one.on_command("^cat .*/outputs/", back(one))
    measure_run(folder, device)
    check_measured(folder)
    assert left_on(one) == []
