"""Bundles that a process was writing when it was killed, and two processes that write one."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from qsr_edge import files as writing
from qsr_edge.bundle.manifest import Manifest
from qsr_edge.bundle.reader import open_bundle
from qsr_edge.bundle.writer import write_bundle
from qsr_edge.errors import OutputExistsError
from tests.support.paths import REPOSITORY


@pytest.mark.slow
@pytest.mark.parametrize("options", [[], ["--without-exchange"]], ids=["exchange", "no exchange"])
def test_a_kill_at_any_step_leaves_a_whole_bundle_and_the_next_run_cleans_up(
    tmp_path: Path, manifest: Manifest, files: dict[str, bytes], options: list[str]
) -> None:
    write_bundle(tmp_path / "bundle", manifest, files)
    command = [sys.executable, "-m", "tests.support.kill_points", str(tmp_path / "bundle"), *options]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)
    assert all(result["points"] > 5 for result in results.values()), results
    assert all(result["lost"] == [] and result["left"] == [] for result in results.values()), results


@pytest.mark.parametrize("name", ["bundle", "bundle.zip"])
def test_without_force_a_bundle_that_appeared_meanwhile_stays(
    tmp_path: Path, manifest: Manifest, files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    other = dataclasses.replace(manifest, name="first")
    rename = writing._rename_to_free_name

    def late(source: Path, path: Path) -> None:
        # The other one's last step comes right before ours.
        monkeypatch.setattr(writing, "_rename_to_free_name", rename)
        write_bundle(tmp_path / name, other, files)
        rename(source, path)

    monkeypatch.setattr(writing, "_rename_to_free_name", late)
    with pytest.raises(OutputExistsError, match="exists already"):
        write_bundle(tmp_path / name, manifest, files)
    with open_bundle(tmp_path / name) as bundle:
        assert bundle.manifest.name == "first"
    assert os.listdir(tmp_path) == [name]


@pytest.mark.parametrize("aside", [".bundle.0123456789abcdef.old", ".bundle.k2_w8d9x.old"], ids=["now", "0.1"])
def test_a_bundle_that_a_killed_process_moved_aside_is_found_by_its_name(
    tmp_path: Path, manifest: Manifest, files: dict[str, bytes], aside: str
) -> None:
    write_bundle(tmp_path / "bundle", manifest, files)
    (tmp_path / aside).mkdir()
    (tmp_path / "bundle").rename(tmp_path / aside / "bundle")
    with open_bundle(tmp_path / "bundle") as bundle:
        assert bundle.manifest.name == manifest.name
    assert os.listdir(tmp_path) == ["bundle"]
