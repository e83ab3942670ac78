"""``qsr-edge simulate``, and policies of one's own in ``convert``."""

import json
from pathlib import Path

import pytest

from qsr_edge.codec import encode
from qsr_edge.data.images import read_picture
from qsr_edge.selector import default_policy

pytest.importorskip("matplotlib", reason="the extra [simulate] is not installed")
OWN = ("--author", "tests", "--licence", "CC0-1.0")


@pytest.fixture
def short(tmp_path: Path) -> Path:
    path = tmp_path / "short.toml"
    path.write_text(
        'name = "short"\ndescription = "two minutes"\nwidth_px = 320\nheight_px = 180\nframes_per_second = 30\n'
        "skin_c = 41\nbattery_percent = 50\n[[phases]]\nseconds = 60\nambient_c = 30\nother_w = 3\n"
        "[[phases]]\nseconds = 60\nambient_c = 20\nother_w = 1\n"
    )
    return path


def test_figures_and_picture(run_cli, tiny_bundle: Path, short: Path, tmp_path: Path) -> None:
    picture = tmp_path / "out.png"
    result = run_cli("simulate", "--bundle", tiny_bundle, "--scenario", short, "-o", picture, "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    report = json.loads(result.stdout)
    assert report["simulated"] is True
    assert [outcome["strategy"] for outcome in report["outcomes"]] == ["selector", "naive switch", "fixed 2", "fixed 1"]
    assert all(outcome["frames"] == 3600 for outcome in report["outcomes"])
    assert report["quality"] is None
    assert read_picture(picture).rgb.std() > 10
    again = run_cli("simulate", "--bundle", tiny_bundle, "--scenario", short, "-o", picture)
    assert again.exit_code == 1
    assert "use --force" in again.stderr


def test_the_table_says_that_it_is_simulated(
    run_cli, tiny_bundle: Path, short: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    result = run_cli("simulate", "--bundle", tiny_bundle, "--scenario", "cold_start")
    assert result.exit_code == 0
    assert "simulated, not measured on a phone" in result.stdout
    assert "latency table: estimated" in result.stdout
    assert "…" not in result.stdout
    assert max(map(len, result.stdout.splitlines()[1:])) <= 80


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--scenario", "sauna"), "no scenario is called 'sauna'"),
        (("--scenario", "cold_start", "-o", "x.gif"), "ends in .png or .svg"),
        (("--scenario", "nowhere.toml"), "No such file"),
    ],
)
def test_wrong_use_is_named(run_cli, tiny_bundle: Path, options: tuple[str, ...], message: str) -> None:
    result = run_cli("simulate", "--bundle", tiny_bundle, *options)
    assert result.exit_code == 1
    assert message in result.stderr


def test_convert_takes_a_policy(run_cli, tiny_checkpoint: Path, tmp_path: Path, recwarn) -> None:
    table = encode(default_policy((1, 2)))
    table["dwell_ms"] = 1234
    policy = tmp_path / "policy.json"
    policy.write_text(json.dumps(table))
    common = ("convert", "--target", "tflite", "--checkpoint", tiny_checkpoint, *OWN, "--no-verify", "--policy", policy)
    assert run_cli(*common, "-o", tmp_path / "own").exit_code == 0
    manifest = json.loads((tmp_path / "own" / "manifest.json").read_text())
    assert manifest["selector"]["dwell_ms"] == 1234
    assert manifest["latency"]["source"].startswith("estimated")
    table["initial_depth"] = 8
    policy.write_text(json.dumps(table))
    result = run_cli(*common, "-o", tmp_path / "other")
    assert result.exit_code == 1
    assert "initial_depth names the depth 8, expected one of 1, 2" in result.stderr
    assert not (tmp_path / "other").exists()


@pytest.mark.filterwarnings("default::qsr_edge.errors.QsrWarning")
def test_convert_remarks_on_a_policy_that_cannot_be_meant(run_cli, tiny_checkpoint: Path, tmp_path: Path) -> None:
    table = encode(default_policy((1, 2)))
    table["rules"].append({"name": "idle", "max_depth": 2, "unknown_counts": False, "power_save": True})
    policy = tmp_path / "policy.json"
    policy.write_text(json.dumps(table))
    result = run_cli("convert", "--target", "tflite", "--checkpoint", tiny_checkpoint, *OWN, "--no-verify", "--policy",
                     policy, "-o", tmp_path / "own")  # fmt: skip
    assert result.exit_code == 0
    assert "rule idle caps at the deepest model" in result.stderr
