"""The Kotlin of docs/android.md compiles against the library, as an app's would."""

import re
import shutil
import subprocess
from pathlib import Path

from tests.support.android_build import ANDROID_BUILD, NEEDS_ANDROID_BUILD
from tests.support.paths import ANDROID_HARNESS, REPOSITORY
from tests.support.waiting import PATIENCE_S

pytestmark = NEEDS_ANDROID_BUILD

OPTIONS = """
val named = io.qsredge.core.UpscalerOptions(budgetUs = 33_000) to io.qsredge.core.YuvRange.LIMITED
"""
"""What the page's text names besides."""


def test_the_code_of_the_page_compiles(tmp_path: Path) -> None:
    page = (REPOSITORY / "docs" / "android.md").read_text()
    [code] = [block for block in re.findall(r"```kotlin\n(.*?)```", page, re.DOTALL) if "QsrUpscaler(" in block]
    source = tmp_path / "Enlarger.kt"
    source.write_text(code + OPTIONS)
    [compiler] = ANDROID_HARNESS.glob(".toolchain/kotlin-*/bin/kotlinc")
    bash = shutil.which("bash")
    assert bash
    classes = ":".join(str(ANDROID_BUILD / part) for part in ("core", "android", "stubs"))
    command = [bash, str(compiler), "-Xjdk-release=8", "-cp", classes, "-d", str(tmp_path / "out"), str(source)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "out" / "Enlarger.class").is_file()
