"""``qsr-edge bench`` on this machine."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from qsr_edge.bench import protocol
from qsr_edge.bench.protocol import RESULTS_NAME, Effort
from qsr_edge.cli import bench


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "ROUND_S", 0.005)
    monkeypatch.setattr(protocol, "WARM_UP_S", 0.005)
    monkeypatch.setattr(bench, "QUICK", Effort(queries=20, seconds=0.02))


def test_figures_and_the_table_in_the_bundle(run_cli, tiny_bundle: Path, tmp_path: Path) -> None:
    bundle = Path(shutil.copytree(tiny_bundle, tmp_path / "mine"))
    run = tmp_path / "run"
    result = run_cli("bench", "--bundle", bundle, "--quick", "-o", run, "--size", "40x24", "--update-bundle", "--json")
    assert result.exit_code == 0, result.stderr
    report = json.loads(result.stdout)
    assert report["complete"]
    assert [variant["label"] for variant in report["variants"]] == ["mine d1 xnnpack", "mine d2 xnnpack"]
    for variant in report["variants"]:
        assert variant["golden_equal"]
        assert variant["latency"]["count"] >= 20
        assert 0 < variant["latency"]["p50_us"] <= variant["latency"]["p99_us"]
    manifest = json.loads((bundle / "manifest.json").read_text())
    assert manifest["latency"]["source"].startswith("p90 on ")
    slow = [entry["us_per_megapixel"] for entry in manifest["latency"]["entries"]]
    assert slow == sorted(slow)
    assert slow[0] == -(-report["variants"][0]["latency"]["p90_us"] * 1_000_000 // 960)
    assert run_cli("inspect", bundle).exit_code == 0
    again = run_cli("bench", "--bundle", bundle, "--quick", "-o", run)
    assert again.exit_code == 1
    assert "holds a run already" in again.stderr


def test_tables_for_people_and_readmes(run_cli, tiny_bundle: Path, tmp_path: Path) -> None:
    options = (
        "bench",
        "--bundle",
        tiny_bundle,
        "--depth",
        "1",
        "--kernels",
        "xnnpack",
        "--kernels",
        "reference",
        "--quick",
    )
    shown = run_cli(*options, "-o", tmp_path / "a")
    assert shown.exit_code == 0
    assert "equal" in shown.stdout
    markdown = run_cli(*options, "-o", tmp_path / "b", "--markdown").stdout
    assert markdown.startswith("| variant | p50, ms |")
    assert "tiny d1 reference" in markdown
    assert "at least 20 queries" in markdown


def test_a_killed_run_goes_on(run_cli, tiny_bundle: Path, tmp_path: Path) -> None:
    """SIGKILL leaves what was measured; --resume measures the rest and nothing twice."""
    run = tmp_path / "run"
    command = [sys.executable, "-m", "qsr_edge", "bench", "--bundle", str(tiny_bundle), "-o", str(run)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    results = run / RESULTS_NAME
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not (results.exists() and results.read_bytes().count(b'"steady"') >= 3):
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    lines = results.read_text().splitlines()
    header = json.loads(lines[0])
    header["effort"] = {"queries": 20, "seconds": 0.02}
    results.write_text("\n".join([json.dumps(header), *lines[1:]]) + "\n")
    before = sum('"steady"' in line for line in lines)
    result = run_cli("bench", "--resume", run, "--json")
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["complete"]
    assert results.read_text().count('"steady"') == before  # each had its 20 queries already


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--device", "pixel", "--bundle", "{bundle}"), "the device 'pixel' cannot be reached by this release"),
        ((), "give --bundle"),
        (("--bundle", "{bundle}", "--resume", "x"), "give --bundle"),
        (("--bundle", "{bundle}", "--bundle", "{bundle}"), "the same name"),
        (("--bundle", "{bundle}", "--depth", "7"), "depth 7 is not in this bundle"),
        (("--bundle", "{bundle}", "--size", "40"), "expected width x height"),
        (("--bundle", "{fixed}", "--size", "41x24"), "takes 40x24 only"),
        (("--resume", "nowhere"), "is no run"),
    ],
)
def test_wrong_use_is_named(
    run_cli,
    tiny_bundle: Path,
    tiny_fixed_bundle: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: tuple[str, ...],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    given = [option.format(bundle=tiny_bundle, fixed=tiny_fixed_bundle) for option in options]
    result = run_cli("bench", *given)
    assert result.exit_code == 1
    assert message in result.stderr
    assert list(tmp_path.iterdir()) == []
