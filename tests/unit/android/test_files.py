"""The Android project's files that no tool here builds are at least well formed and agree with each other."""

import re
import tomllib
import xml.etree.ElementTree as ElementTree
from pathlib import Path

HARNESS = Path(__file__).parents[3] / "android_harness"


def test_xml_is_well_formed() -> None:
    files = [path for path in HARNESS.rglob("*.xml") if not {".toolchain", "build"} & set(path.parts)]
    assert files
    for path in files:
        ElementTree.parse(path)


def test_gradle_and_the_script_use_one_kotlin() -> None:
    catalog = tomllib.loads((HARNESS / "gradle" / "libs.versions.toml").read_text())
    script = (HARNESS / "toolchain.sh").read_text()
    assert re.search(r"^KOTLIN=(.+)$", script, re.MULTILINE)[1] == catalog["versions"]["kotlin"]
    scripts = " ".join(path.read_text() for path in HARNESS.rglob("*.gradle.kts"))
    used = set(re.findall(r"libs\.(?:plugins\.)?([\w.]+)", scripts))
    offered = {name.replace("-", ".") for table in ("libraries", "plugins") for name in catalog[table]}
    assert {name.removesuffix(".apply") for name in used} <= offered


def test_every_included_module_is_there() -> None:
    included = re.findall(r'":([\w-]+)"', (HARNESS / "settings.gradle.kts").read_text())
    assert included == ["runtime-core", "runtime-android"]
    for module in included:
        assert (HARNESS / module / "build.gradle.kts").is_file()
