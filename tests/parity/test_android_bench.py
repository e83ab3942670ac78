"""A run on a phone by the real adb: the real agent on the simulated phone, and what may come in between.

Whatever happens: what was measured is kept, it is told, the run ends complete or can be gone on with, and nothing stays
on the phone.
"""

import json
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from qsr_edge.bench.android import AndroidDevice
from qsr_edge.bench.job import Effort
from qsr_edge.bench.log import RESULTS_NAME, RunLog, read_log
from qsr_edge.bench.plan import RunRequest, add_images, new_header
from qsr_edge.bench.result import evaluate_run
from qsr_edge.bench.run import measure_run
from qsr_edge.errors import BenchError
from tests.phone_simulator.adb_server import AdbServer
from tests.phone_simulator.models import SAMSUNG
from tests.phone_simulator.phone import Phone

HOME = "/data/local/tmp/qsr-edge"
APP = "/sdcard/Android/data/io.qsredge.bench/files"
SHORT = Effort(queries=30, steady_ms=20, round_ms=5, warm_up_ms=5)
# So long that a fault in the middle of it is one.
LONG = Effort(queries=400, steady_ms=400, round_ms=10, warm_up_ms=5)

PhoneFactory = Callable[..., Phone]
Android = Callable[..., AndroidDevice]


def begin(folder: Path, device: AndroidDevice, bundle: Path, photo: Path, effort: Effort = SHORT) -> Path:
    """A run's folder with its header, as the command makes it."""
    request = RunRequest(
        bundles=(bundle,),
        depths=(),
        kernels=(),
        threads=1,
        size_px=(24, 40),
        effort=effort,
        gate=None,
        originals=(photo,),
    )
    header = new_header(request, device)
    add_images(header, request.originals, folder)
    RunLog(folder / RESULTS_NAME).append("run", **header)
    return folder


def left_on(phone: Phone) -> list[str]:
    """Files of ours on the phone."""
    root = phone.storage.root
    return sorted(
        str(path.relative_to(root)) for place in (HOME, APP) for path in phone.storage.host_path(place).rglob("*")
    )


def faults(folder: Path) -> list[tuple[str, str]]:
    return [(record["phase"], record["message"]) for record in read_log(folder) if record["kind"] == "fault"]


def check_measured(folder: Path, effort: Effort = SHORT) -> None:
    """All that was asked for is there, and nothing of it twice."""
    records = read_log(folder)
    result = evaluate_run(records)
    assert result.complete, records[-1]
    assert len(result.variants) == 2
    for variant in result.variants:
        assert variant.golden_equal
        assert variant.latency.count >= effort.queries
        assert [(image.image, image.equal) for image in variant.images] == [("coffee", True)]
    own = [json.dumps({**record, "received_ms": 0}) for record in records if "received_ms" in record]
    assert max(Counter(own).values()) == 1


def test_a_whole_run(phone: PhoneFactory, android: Android, tiny_bundle: Path, photo: Path, tmp_path: Path) -> None:
    one = phone()
    device = android(one)
    folder = begin(tmp_path / "run", device, tiny_bundle, photo)
    texts: list[str] = []
    measure_run(folder, device, lambda share, text: texts.append(text))
    check_measured(folder)
    records = read_log(folder)
    info = records[0]["device"]
    assert (info["kind"], info["name"], info["processor"]) == ("android", "Google Pixel 8 Pro", "Google Tensor G3")
    assert info["simulator"] is True
    sources = Counter(record["source"] for record in records if record["kind"] == "condition")
    assert sources["adb"] >= 2
    [first, *_] = [record for record in records if record.get("source") == "adb"]
    assert first["condition"] == {
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
