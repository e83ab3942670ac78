"""``qsr-edge bench`` on this machine."""

import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from qsr_edge.bench.host import device as host
from qsr_edge.bench.protocol.condition import Condition
from qsr_edge.bench.protocol.job import Effort
from qsr_edge.bench.protocol.log import RESULTS_NAME
from qsr_edge.bundle.reader import open_bundle
from qsr_edge.bundle.writer import write_bundle
from qsr_edge.cli import bench
from qsr_edge.data.images import read_picture, write_picture
from qsr_edge.data.picture import Picture
from tests.support.waiting import PATIENCE_S, wait_until

pytestmark = pytest.mark.usefixtures("usual_signals")


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "QUICK", Effort(queries=20, steady_ms=20, round_ms=5, warm_up_ms=5))


def test_figures_pictures_and_the_table_in_the_bundle(run_cli, tiny_bundle: Path, tmp_path: Path) -> None:
    bundle = Path(shutil.copytree(tiny_bundle, tmp_path / "mine"))
    run = tmp_path / "run"
    result = run_cli("bench", "--bundle", bundle, "--quick", "-o", run, "--size", "40x24", "--update-bundle",
                     "--sustained", "50ms", "--json")  # fmt: skip
    assert result.exit_code == 0, result.stderr
    report = json.loads(result.stdout)
    assert report["complete"]
    assert [variant["label"] for variant in report["variants"]] == ["mine d1 xnnpack", "mine d2 xnnpack"]
    for variant in report["variants"]:
        assert variant["golden_equal"]
        assert variant["latency"]["count"] >= 20
        assert 0 < variant["latency"]["p50_us"] <= variant["latency"]["p99_us"]
        assert variant["minutes"][0]["latency"]["count"] >= 1
        [image] = variant["images"]
        assert image["image"] == "coffee"
        upscaled = read_picture(run / image["picture"]).rgb
        original = read_picture(run / "images" / "coffee" / "original.png").rgb
        assert upscaled.shape == original.shape
        assert 5 < image["psnr_db"] < 60
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
    options = ("bench", "--bundle", tiny_bundle, "--depth", "1", "--kernels", "xnnpack", "--kernels", "reference",
               "--quick", "--size", "40x24", "--no-images")  # fmt: skip
    shown = run_cli(*options, "-o", tmp_path / "a")
    assert shown.exit_code == 0
    assert "equal" in shown.stdout
    assert "qsr-edge report" in shown.stdout
    markdown = run_cli(*options, "-o", tmp_path / "b", "--markdown").stdout
    assert markdown.startswith("| variant | p50, ms |")
    assert "tiny d1 reference" in markdown
    assert "at least 20 queries" in markdown


def test_own_pictures(run_cli, tiny_fixed_bundle: Path, tmp_path: Path) -> None:
    """A picture of odd size, larger than the bundle's one input: cut to whole pixels, tiled."""
    rgb = np.random.default_rng(0).integers(0, 256, (77, 131, 3), np.uint8)
    write_picture(tmp_path / "my noise.png", Picture(rgb=rgb, alpha=None, grey=False))
    run = tmp_path / "run"
    result = run_cli("bench", "--bundle", tiny_fixed_bundle, "--depth", "1", "--quick", "-o", run,
                     "--image", tmp_path / "my noise.png", "--json")  # fmt: skip
    assert result.exit_code == 0, result.stderr
    assert read_picture(run / "images" / "my-noise" / "input.png").rgb.shape == (38, 65, 3)
    assert read_picture(run / "images" / "my-noise" / "0.png").rgb.shape == (76, 130, 3)
    small = tmp_path / "small.png"
    write_picture(small, Picture(rgb=rgb[:40], alpha=None, grey=False))
    refused = run_cli("bench", "--bundle", tiny_fixed_bundle, "--quick", "-o", tmp_path / "b",
                      "--image", tmp_path / "my noise.png", "--image", small)  # fmt: skip
    assert refused.exit_code == 1
    assert "small.png: 131x40 pixels, expected at least 64 a side" in refused.stderr
    assert not (tmp_path / "b").exists()
    shutil.copy(tmp_path / "my noise.png", tmp_path / "My noise.png")
    twice = run_cli("bench", "--bundle", tiny_fixed_bundle, "--quick", "-o", tmp_path / "b",
                    "--image", tmp_path / "my noise.png", "--image", tmp_path / "My noise.png")  # fmt: skip
    assert "a second picture called My-noise; rename one" in twice.stderr


def await_steady(process: "subprocess.Popen[Any]", results: Path, count: int) -> None:
    """Until a run has so many records of its steady state."""
    wait_until(lambda: results.exists() and results.read_bytes().count(b'"steady"') >= count, process.poll)


def test_a_killed_run_goes_on(run_cli, tiny_bundle: Path, tmp_path: Path) -> None:
    """SIGKILL leaves what was measured; --resume measures the rest and nothing twice."""
    run = tmp_path / "run"
    command = [sys.executable, "-m", "qsr_edge", "bench", "--bundle", str(tiny_bundle), "-o", str(run)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    results = run / RESULTS_NAME
    await_steady(process, results, 3)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    # It may have been killed in the middle of a line.
    lines = results.read_text().rpartition("\n")[0].splitlines()
    header = json.loads(lines[0])
    steady = [record for record in map(json.loads, lines) if record["kind"] == "steady"]
    queries = {record["variant"]: len(record["latencies_us"]) for record in steady}
    assert len(queries) == 2
    header["job"] |= {"queries": min(queries.values()), "steady_ms": 0}
    results.write_text("\n".join([json.dumps(header), *lines[1:]]) + "\n")
    before = len(steady)
    result = run_cli("bench", "--resume", run, "--json")
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["complete"]
    text = results.read_text()
    assert text.count('"steady"') == before  # each had its queries already
    assert '"part": 2, "reason": "resumed"' in text


def test_a_complete_run_is_not_measured_again(run_cli, tiny_bundle: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    options = ("bench", "--bundle", tiny_bundle, "--depth", "1", "--quick", "--no-images", "-o", run)
    assert run_cli(*options).exit_code == 0
    before = (run / RESULTS_NAME).read_bytes()
    again = run_cli("bench", "--resume", run)
    assert again.exit_code == 0
    assert "tiny d1 xnnpack" in again.stdout
    assert (run / RESULTS_NAME).read_bytes() == before


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_ctrl_c_keeps_what_was_measured(tiny_bundle: Path, tmp_path: Path, number: signal.Signals) -> None:
    run = tmp_path / "run"
    command = [sys.executable, "-m", "qsr_edge", "bench", "--bundle", str(tiny_bundle), "-o", str(run)]
    command += ["--quick", "--no-images", "--sustained", "1h"]  # soon measuring, and not done before it is interrupted
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    results = run / RESULTS_NAME
    await_steady(process, results, 1)
    process.send_signal(number)
    _, messages = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130
    assert f"go on: qsr-edge bench --resume {run}" in messages
    last = json.loads(results.read_text().splitlines()[-1])
    assert (last["kind"], last["complete"], last["reason"]) == ("end", False, "interrupted")


def test_a_run_goes_on_with_the_same_bundle_only(run_cli, tiny_bundle: Path, tmp_path: Path) -> None:
    bundle, run = Path(shutil.copytree(tiny_bundle, tmp_path / "mine")), tmp_path / "run"
    options = ("bench", "--bundle", bundle, "--quick", "--no-images", "--size", "40x24")
    assert run_cli(*options, "--update-bundle", "-o", run).exit_code == 0
    assert run_cli("bench", "--resume", run).exit_code == 0  # the new latency table makes it no other bundle
    with open_bundle(bundle) as opened:
        manifest = opened.manifest
        contents = {entry.path: (bundle / entry.path).read_bytes() for entry in manifest.files}
    write_bundle(bundle, replace(manifest, files=()), contents | {"MODEL_CARD.md": b"other"}, force=True)
    before = (run / RESULTS_NAME).read_bytes()
    longer = run_cli("bench", "--resume", run, "--sustained", "1m")
    assert "measures what the run was begun with, so --sustained cannot be given" in longer.stderr
    other = run_cli("bench", "--resume", run, "--runner", "benchmark_model", "--runner-binary", sys.executable)
    assert "was begun with --runner app; go on with the same" in other.stderr
    result = run_cli("bench", "--resume", run)
    assert result.exit_code == 1
    assert f"{bundle}: is another bundle than the one that the run has measured; measure anew" in result.stderr
    assert (run / RESULTS_NAME).read_bytes() == before


def test_every_device_gets_the_options_that_were_given() -> None:
    arguments = ["--bundle", "a", "--bundle", "b", "--start-below", "0.0", "--quick", "--device", "all", "-o", "runs"]
    with bench.command.make_context("bench", arguments) as context:
        given = bench._given_options(context)
    with bench.command.make_context("bench", given) as again:
        changed = {key for key, value in again.params.items() if value != context.params[key]}
    assert changed == {"query", "output"}
    assert again.params["start_below"] == 0.0


def test_a_fleet_in_markdown(run_cli, tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """This machine stands in for the phones; its runs are made by processes of their own."""
    monkeypatch.setattr(bench, "find_devices", lambda query, options: (host.HostDevice(),))
    common = ("bench", "--device", "all", "--bundle", tiny_bundle, "--depth", "1", "--quick", "--no-images")
    result = run_cli(*common, "--size", "40x24", "-o", tmp_path / "runs", "--markdown")
    assert result.exit_code == 0, result.stderr
    assert result.stdout.startswith("| variant | p50, ms |")
    assert "qsr-edge report" not in result.stdout
    assert (tmp_path / "runs" / "host" / RESULTS_NAME).exists()


def test_an_invalid_run_leaves_the_table_and_shows_its_figures(
    run_cli, tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = Path(shutil.copytree(tiny_bundle, tmp_path / "mine"))
    readings = itertools.count(40_000, 20_000)
    monkeypatch.setattr(host, "host_condition", lambda: Condition(temperature_mc=next(readings)))
    before = (bundle / "manifest.json").read_bytes()
    result = run_cli("bench", "--bundle", bundle, "--quick", "--no-images", "--size", "40x24", "--update-bundle",
                     "-o", tmp_path / "run", "--markdown")  # fmt: skip
    assert result.exit_code == 1
    assert "| mine d1 xnnpack |" in result.stdout
    assert "the run is invalid (the temperature went from" in result.stderr
    assert (bundle / "manifest.json").read_bytes() == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--bundle", "{bundle}", "--bundle", "{bundle}"), "the same name"),
        (("--bundle", "{bundle}", "--depth", "7"), "depth 7 is not in this bundle"),
        (("--bundle", "{bundle}", "--kernels", "cuda"), "no family of kernels is called 'cuda'"),
        (("--bundle", "{bundle}", "--image", "x.png"), "x.png"),
        (("--bundle", "{bundle}", "--image", "{small}"), "small.png: 9x7 pixels, expected at least 64 a side"),
        (("--bundle", "{fixed}", "--size", "41x24"), "takes 40x24 only"),
        (("--resume", "nowhere"), "nowhere is no run; name the folder of a `qsr-edge bench`"),
        (("--bundle", "{bundle}", "--depth", "1", "--update-bundle"), "needs every depth (1, 2) under one family"),
        (("--bundle", "{bundle}", "--runner", "benchmark_model", "--runner-binary", sys.executable), "phones by adb"),
        (("--bundle", "{bundle}", "--runner", "benchmark_model", "--runner-binary", "x"), "x: there is no such file"),
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
    small = tmp_path / "small.png"
    Image.new("RGB", (9, 7)).save(small)
    given = [option.format(bundle=tiny_bundle, fixed=tiny_fixed_bundle, small=small) for option in options]
    result = run_cli("bench", *given)
    assert result.exit_code == 1
    assert message in result.stderr
    assert list(tmp_path.iterdir()) == [small]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "give --bundle"),
        (("--bundle", "a", "--resume", "x"), "give --bundle"),
        (("--bundle", "a", "--size", "40"), "expected width x height"),
        (("--bundle", "a", "--sustained", "30"), "--sustained '30': expected a duration such as 90s"),
        (("--bundle", "a", "--cool-down", "x"), "--cool-down 'x': expected a duration"),
        (("--bundle", "a", "--no-images", "--image", "x.png"), "contradict each other"),
        (("--bundle", "a", "--json", "--markdown"), "give either --json or --markdown"),
    ],
)
def test_options_that_nobody_can_follow_are_wrong_usage(run_cli, options: tuple[str, ...], message: str) -> None:
    result = run_cli("bench", *options)
    assert result.exit_code == 2
    assert result.stderr.startswith("Usage: ")
    assert message in result.stderr
