"""``qsr-edge report`` from the outside."""

import json
import sys
from pathlib import Path

import pytest

from qsr_edge.extras import how_to_install
from tests.support.run_folders import GALAXY, SIMULATOR, Plan, photo, variants, write_run


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return write_run(tmp_path / "run", Plan(images={"coffee": photo(40, 60)}, rounds=25))


@pytest.fixture
def slow(tmp_path: Path) -> Path:
    return write_run(tmp_path / "slow", Plan(run="slow", speed=1.2, rounds=25, seed=2))


def test_a_page(run_cli, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("jinja2", reason="the extra [report] is not installed")
    monkeypatch.chdir(tmp_path)
    result = run_cli("report", run)
    page = tmp_path / "report.html"
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == f"wrote report.html ({page.stat().st_size:,} bytes)\n"
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")
    result = run_cli("report", run)
    assert (result.exit_code, "--force" in result.stderr) == (1, True)
    assert run_cli("report", run, "--force").exit_code == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.html", "run"]


def test_json(run_cli, run: Path, slow: Path) -> None:
    result = run_cli("report", run, slow, "--baseline", run, "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    report = json.loads(result.stdout, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert [entry["id"] for entry in report["runs"]] == ["20261124-2135-test", "slow"]
    first = report["runs"][0]
    assert first["complete"] is True
    assert first["variants"][0]["latency"]["count"] > 100
    assert first["variants"][0]["rounds"] == 25
    assert [point["pareto"] for panel in first["quality"] for point in panel["points"]] == [True] * 3
    itself, other = report["baseline"]
    assert all((change["ratio"], change["verdict"]) == (1.0, "no difference shown") for change in itself["variants"])
    assert all(change["verdict"] == "slower" and 1.15 < change["ratio"] < 1.25 for change in other["variants"])


def test_markdown(run_cli, run: Path, tmp_path: Path) -> None:
    result = run_cli("report", run, "--markdown")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[2].startswith("| variant | p50, ms | p90, ms | p99, ms | PSNR, dB |")
    assert [line.split(" | ")[0] for line in lines[4:7]] == [f"| {entry['label']}" for entry in variants()]
    simulator = write_run(tmp_path / "simulator", Plan(device={**SIMULATOR, "name": "a|b <c>"}, rounds=1))
    told = run_cli("report", simulator, "--markdown").stdout
    assert "- INVALID: Simulator. No figure here is a phone's" in told
    assert "**a\\|b &lt;c&gt; (simulator)**" in told


def test_markdown_against_a_baseline(run_cli, run: Path, tmp_path: Path) -> None:
    """What only one run has is told in a sentence, not in rows of dashes."""
    part = write_run(tmp_path / "part", Plan(variants=variants()[:2], rounds=25, device=GALAXY))
    told = run_cli("report", part, "--baseline", run, "--markdown").stdout
    [*_, table] = told.split("**Medians against the baseline's**")
    assert [line.split(" | ")[0] for line in table.splitlines()[4:6]] == [
        f"| {entry['label']}" for entry in variants()[:2]
    ]
    assert f"- 1 variant of the baseline not measured in this run: {variants()[2]['label']}." in told
    assert "- CAUTION: another device: Test Galaxy against Test Pixel." in told


def test_a_regression_fails_only_if_asked(run_cli, run: Path, slow: Path, tmp_path: Path) -> None:
    output = tmp_path / "page.html"
    arguments = ["report", slow, "--baseline", run, "--json"]
    assert run_cli(*arguments).exit_code == 0
    assert run_cli(*arguments, "--fail-on-regression", "30").exit_code == 0
    pytest.importorskip("jinja2", reason="the extra [report] is not installed")
    result = run_cli(*arguments, "-o", output, "--fail-on-regression", "10")
    assert result.exit_code == 1
    assert "error: 3 variants are slower than" in result.stderr
    assert "slower by 2" in result.stderr
    assert output.exists()  # the page tells why
    assert json.loads(result.stdout)["baseline"]
    assert run_cli("report", run, "--baseline", slow, "--json", "--fail-on-regression", "0").exit_code == 0


def test_a_missing_variant_is_a_regression(run_cli, run: Path, tmp_path: Path) -> None:
    part = write_run(tmp_path / "part", Plan(variants=variants()[:2], rounds=25))
    assert run_cli("report", part, "--baseline", run, "--json").exit_code == 0
    result = run_cli("report", part, "--baseline", run, "--json", "--fail-on-regression", "50")
    assert result.exit_code == 1
    assert "error: 1 variant is slower than" in result.stderr
    assert "not measured in this run" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "exit_code", "message"),
    [
        ([], 2, "Missing argument 'RUN...'"),
        (["missing"], 1, "missing/results.jsonl: cannot be read"),
        (["run", "--json", "--markdown"], 2, "either --json or --markdown"),
        (["run", "--fail-on-regression", "5"], 2, "--fail-on-regression needs --baseline"),
        (["run", "--baseline", "other", "--json"], 1, "has no variant that run measured too"),
        (["run", "-o", "missing/page.html"], 1, "missing/page.html: No such file or directory; check the path"),
    ],
)
def test_errors(
    run_cli, run: Path, tmp_path: Path, monkeypatch, arguments: list[str], exit_code: int, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    write_run(tmp_path / "other", Plan(device=GALAXY, variants=variants(("executorch",)), rounds=1))
    result = run_cli("report", *arguments)
    assert (result.exit_code, message in result.stderr) == (exit_code, True), result.stderr
    if exit_code == 1:
        assert result.stderr.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other", "run"]


def test_without_the_extra(run_cli, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page names the extra; JSON and Markdown do without."""
    monkeypatch.setitem(sys.modules, "jinja2", None)
    monkeypatch.delitem(sys.modules, "qsr_edge.report.page", raising=False)
    result = run_cli("report", run, "-o", tmp_path / "page.html")
    assert result.exit_code == 1
    assert result.stderr == f"error: this command needs the package jinja2; {how_to_install('report')}\n"
    assert run_cli("report", run, "--json").exit_code == 0
    assert run_cli("report", run, "--markdown").exit_code == 0


@pytest.mark.slow
def test_a_run_of_the_bench_itself(run_cli, tiny_bundle: Path, tmp_path: Path) -> None:
    """What the bench writes is what the report reads: the same figures, and its pictures."""
    pytest.importorskip("jinja2", reason="the extra [report] is not installed")
    run = tmp_path / "measured"
    measured = run_cli("bench", "--bundle", tiny_bundle, "--quick", "--size", "40x24", "-o", run, "--json")
    assert measured.exit_code == 0, measured.stderr
    page = tmp_path / "page.html"
    result = run_cli("report", run, "-o", page, "--json")
    assert result.exit_code == 0, result.stderr
    [found] = json.loads(result.stdout)["runs"]
    for entry, expected in zip(found["variants"], json.loads(measured.stdout)["variants"], strict=True):
        assert entry["label"] == expected["label"]
        assert entry["latency"] == expected["latency"]
        assert entry["images"] == expected["images"]
        assert entry["golden_equal"] is True
    assert {"Not a phone", "Short run"} <= {caveat["title"] for caveat in found["caveats"]}
    content = page.read_text(encoding="utf-8")
    assert content.count("data:image/webp;base64,") == 2 + 2 + 1  # input twice, two depths, original
