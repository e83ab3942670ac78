"""The Swift of docs/ios.md compiles against the package, as an app's would."""

import re
import subprocess
from pathlib import Path

from tests.support.paths import IOS_HARNESS, REPOSITORY
from tests.support.swift_build import NEEDS_SWIFT_BUILD, SWIFT
from tests.support.waiting import PATIENCE_S

pytestmark = NEEDS_SWIFT_BUILD

SOURCE = """{imports}
import Foundation

func use(photo: CGImage, pixelBuffer: CVPixelBuffer, show: (Double) -> Void) async throws {{
{code}
    print(large.width, CVPixelBufferGetWidth(frame), result.width, isRight)
}}

func choose(_ bundle: QsrBundle) async throws -> QsrUpscaler {{
{options}
    return try await QsrUpscaler(bundle, options: options)
}}
"""
"""What the page leaves to the reader."""


def test_the_code_of_the_page_compiles(tmp_path: Path) -> None:
    page = (REPOSITORY / "docs" / "ios.md").read_text()
    blocks = re.findall(r"```swift\n(.*?)```", page, re.DOTALL)
    [imports] = [block for block in blocks if block.startswith("import ")]
    [code] = [block for block in blocks if "QsrUpscaler(" in block]
    [options] = [block for block in blocks if "UpscalerOptions()" in block]
    source = tmp_path / "Page.swift"
    source.write_text(SOURCE.format(imports=imports, code=code, options=options))
    build = IOS_HARNESS / ".build" / "debug"
    command = ["bash", str(SWIFT), "swiftc", "-typecheck", "-swift-version", "6", "-I", str(build / "Modules")]
    maps = ["-Xcc", f"-fmodule-map-file={IOS_HARNESS / 'Sources/CZlib/module.modulemap'}"]
    result = subprocess.run(
        [*command, *maps, str(source)], capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    assert result.returncode == 0, result.stderr
    assert "error" not in result.stderr
    # And it would be seen if it did not.
    source.write_text(source.read_text().replace("upscaler.upscaling(photo)", "upscaler.upscaling(17)"))
    wrong = subprocess.run(
        [*command, *maps, str(source)], capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    assert wrong.returncode != 0
