"""The Android project's files that no tool here builds are well formed and agree with each other and the protocol."""

import hashlib
import re
import tomllib
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from tests.support.paths import ANDROID_HARNESS as HARNESS
from tests.support.paths import REPOSITORY

NAMESPACE = "{http://schemas.android.com/apk/res/android}"
MODULES = [
    "runtime-core",
    "runtime-android",
    "runtime-litert",
    "runtime-executorch",
    "runtime-onnx",
    "bench-core",
    "bench-jvm",
    "bench-app",
    "sample",
]
# A build of its own, which takes the library as published.
ALONE = ["sample"]
APPS = {"bench-app": "io.qsredge.bench", "sample": "io.qsredge.sample"}
# Whose a package is: of a module, or of a library of the catalog.
OWNERS = {
    "io.qsredge.core.": "runtime-core",
    "io.qsredge.android.": "runtime-android",
    "io.qsredge.litert.": "runtime-litert",
    "io.qsredge.executorch.": "runtime-executorch",
    "io.qsredge.onnx.": "runtime-onnx",
    "io.qsredge.bench.core.": "bench-core",
    "org.tensorflow.": "litert",
    "org.pytorch.": "executorch",
    "ai.onnxruntime.": "onnx",
    "org.junit.": "junit",
    "androidx.test.": "androidx-test-runner",
}
PUBLISHED = ["runtime-core", "runtime-android", "runtime-litert", "runtime-executorch", "runtime-onnx"]
RUNTIMES = ["runtime-litert", "runtime-executorch", "runtime-onnx"]
# Whose code runs here against stand-ins alone; how much of it there may be, and how little that does not run.
ANDROID_ONLY = ["runtime-android", *RUNTIMES, "bench-app", "sample"]
MAX_ANDROID_LINES = 368
MAX_NOT_RUN = 5
# None of them is asked of the user.
BENCH_APP_ASKS = ["WAKE_LOCK", "FOREGROUND_SERVICE", "FOREGROUND_SERVICE_SPECIAL_USE"]


def xml_files() -> list[Path]:
    return sorted(path for path in HARNESS.rglob("*.xml") if not {".toolchain", "build"} & set(path.parts))


def manifest(module: str) -> ElementTree.Element:
    return ElementTree.parse(HARNESS / module / "src" / "main" / "AndroidManifest.xml").getroot()


def build_file(module: str) -> str:
    return (HARNESS / module / "build.gradle.kts").read_text()


def kotlin_files(module: str) -> list[Path]:
    """What a module ships: neither tests nor what they share."""
    found = (HARNESS / module / "src").rglob("*.kt")
    return sorted(path for path in found if not re.search(r"/src/(?:test|androidTest)", path.as_posix()))


@pytest.mark.parametrize("path", xml_files(), ids=lambda path: str(path.relative_to(HARNESS)))
def test_xml_is_well_formed_and_its_references_are_there(path: Path) -> None:
    tree = ElementTree.parse(path)
    module = HARNESS / path.relative_to(HARNESS).parts[0]
    texts = [value for element in tree.iter() for value in [*element.attrib.values(), element.text or ""]]
    for kind, name in (match for text in texts for match in re.findall(r"@(\w+)/(\w+)", text)):
        values = [ElementTree.parse(file).getroot() for file in module.glob("src/main/res/values/*.xml")]
        assert any(entry.tag == kind and entry.get("name") == name for root in values for entry in root), (
            f"@{kind}/{name}"
        )


def test_gradle_and_the_script_use_one_kotlin() -> None:
    catalog = tomllib.loads((HARNESS / "gradle" / "versions.toml").read_text())
    script = (HARNESS / "toolchain.sh").read_text()
    assert re.search(r"^KOTLIN=(.+)$", script, re.MULTILINE)[1] == catalog["versions"]["kotlin"]
    scripts = " ".join(path.read_text() for path in HARNESS.rglob("*.gradle.kts"))
    used = set(re.findall(r"libs\.(?:plugins\.)?([\w.]+)", scripts))
    offered = {name.replace("-", ".") for table in ("libraries", "plugins") for name in catalog[table]}
    assert {name.removesuffix(".apply") for name in used} == offered
    for table in ("libraries", "plugins"):
        for entry in catalog[table].values():
            assert entry["version"]["ref"] in catalog["versions"]


def test_every_included_module_is_there() -> None:
    included = re.findall(r'":([\w-]+)"', (HARNESS / "settings.gradle.kts").read_text())
    assert sorted([*included, *ALONE]) == sorted(MODULES)
    for module in included:
        for other in re.findall(r'project\(":([\w-]+)"\)', build_file(module)):
            assert other in included
        for consumed in re.findall(r'consumerProguardFiles\("(.+)"\)', build_file(module)):
            assert (HARNESS / module / consumed).is_file()


def dependencies(module: str, configurations: str) -> set[str]:
    """What a module's build file names under these configurations: modules, and libraries of the catalog."""
    named = r'project\(":([\w-]+)"\)|"io\.qsredge:([\w-]+):[\d.]+"|libs\.([\w.]+)'
    call = rf'^    "?(?:{configurations})"?\((?:{named})\)'
    found = re.findall(call, build_file(module), re.MULTILINE)
    return {name.replace(".", "-") for names in found for name in names if name}


def offered_to(module: str, configurations: str) -> set[str]:
    """What is on the compiler's path: what is named, and what that offers by ``api`` in turn."""
    found = dependencies(module, configurations)
    new = found
    while new:
        new = {name for one in new if one in MODULES for name in dependencies(one, "api")} - found
        found |= new
    return found


@pytest.mark.parametrize("module", MODULES)
def test_gradle_gives_a_module_what_it_imports(module: str) -> None:
    # The script compiles with everything at hand; Gradle hands out what the build files name.
    checked = 0
    sets = [path for path in (HARNESS / module / "src").iterdir() if not path.name.endswith("Fixtures")]
    for source_set in sorted(sets):
        configurations = {"main": "api|implementation"}.get(
            source_set.name, f"api|implementation|{source_set.name}Implementation"
        )
        offered = offered_to(module, configurations) | {module}
        for path in source_set.rglob("*.kt"):
            for imported in re.findall(r"^import ([\w.]+)", path.read_text(), re.MULTILINE):
                owner = next((owner for prefix, owner in OWNERS.items() if imported.startswith(prefix)), None)
                assert owner is None or owner in offered, f"{path}: {imported}"
                checked += owner is not None
    assert checked


@pytest.mark.parametrize("module", MODULES)
def test_a_module_is_compiled_for_one_java(module: str) -> None:
    # Kotlin's plug-in ends a build whose Java is for another version than its Kotlin.
    text = build_file(module)
    java = re.findall(r"(?:source|target)Compatibility = JavaVersion\.VERSION_(\w+)", text)
    assert len(java) == 2
    assert set(java) == set(re.findall(r"JvmTarget\.JVM_(\w+)", text))


def test_the_sample_is_of_the_versions_of_the_library() -> None:
    catalog = tomllib.loads((HARNESS / "gradle" / "versions.toml").read_text())["versions"]
    plugins = dict(re.findall(r'id\("([\w.]+)"\) version "([\d.]+)"', build_file("sample")))
    assert plugins == {"com.android.application": catalog["agp"], "org.jetbrains.kotlin.android": catalog["kotlin"]}
    version = re.search(r'^    version = "([\d.]+)"', (HARNESS / "build.gradle.kts").read_text(), re.MULTILINE)[1]
    taken = re.findall(r'"io\.qsredge:([\w-]+):([\d.]+)"', build_file("sample"))
    assert {name: PUBLISHED.count(name) for name, _ in taken} == dict.fromkeys([name for name, _ in taken], 1)
    assert {found for _, found in taken} == {version}


def test_the_library_is_published_with_its_sources() -> None:
    assert [module for module in MODULES if "`maven-publish`" in build_file(module)] == PUBLISHED
    for module in PUBLISHED:
        component = "java" if module == "runtime-core" else "release"
        assert f'from(components["{component}"])' in build_file(module)
        assert "withSourcesJar()" in build_file(module)
        # An app would have to find what a published module offers or needs: published too, or of a public repository.
        assert dependencies(module, "api|implementation") <= {
            *PUBLISHED,
            *(name.partition("-")[2] for name in RUNTIMES),
        }


def test_the_wrapper_is_gradles_own() -> None:
    # The checksums that Gradle publishes for the wrapper's program and for the distribution that it fetches.
    wrapper = HARNESS / "gradle" / "wrapper"
    program = "7d3a4ac4de1c32b59bc6a4eb8ecb8e612ccd0cf1ae1e99f66902da64df296172"
    assert hashlib.sha256((wrapper / "gradle-wrapper.jar").read_bytes()).hexdigest() == program
    properties = dict(line.split("=", 1) for line in (wrapper / "gradle-wrapper.properties").read_text().splitlines())
    assert properties["distributionUrl"].endswith("/gradle-8.14-bin.zip")
    distribution = "61ad310d3c7d3e5da131b76bbf22b5a4c0786e9d892dae8c1658d4b484de3caa"
    assert properties["distributionSha256Sum"] == distribution
    assert (HARNESS / "gradlew").stat().st_mode & 0o111


def test_an_app_ships_one_runtime() -> None:
    for module in MODULES:
        runtimes = set(re.findall(r"libs\.(litert|executorch|onnx)\b", build_file(module)))
        assert runtimes == ({module.removeprefix("runtime-")} if module in RUNTIMES else set())
    assert re.findall(r"runtime-(?:litert|executorch|onnx)\b", build_file("sample")) == ["runtime-litert"]
    # The core is what an app takes whichever the runtime.
    assert "implementation(" not in build_file("runtime-core").replace("testImplementation(", "")


def test_modules_that_use_what_is_not_for_apps_say_so_to_gradle() -> None:
    core = "".join(path.read_text() for path in kotlin_files("runtime-core"))
    internal = re.findall(r"@InternalQsrApi\n\w[\w ]* (?:class|interface|fun(?: <T>)?) (\w+)", core)
    assert len(internal) == core.count("\n@InternalQsrApi\n")
    for module in MODULES:
        sources = "".join(path.read_text() for path in kotlin_files(module))
        used = [name for name in internal if re.search(rf"\b{name}\b", sources)]
        assert ("io.qsredge.core.InternalQsrApi" in build_file(module)) == bool(used), (module, used)


def test_what_a_phone_runs_is_compiled_against_its_library() -> None:
    # android.jar is that of Gradle's Android modules; the others would get the library of whatever JDK runs Gradle.
    for module in ("runtime-core", "bench-core"):
        assert '"-Xjdk-release=8"' in build_file(module)
        assert "JvmTarget.JVM_1_8" in build_file(module)


@pytest.mark.parametrize("module", [module for module in MODULES if "android {" in build_file(module)])
def test_android_modules_are_for_android_8_and_ask_for_nothing(module: str) -> None:
    assert re.findall(r"minSdk = (\d+)", build_file(module)) == ["26"]
    permissions = [entry.get(f"{NAMESPACE}name") for entry in manifest(module).iter("uses-permission")]
    assert permissions == ([f"android.permission.{name}" for name in BENCH_APP_ASKS] if module == "bench-app" else [])


@pytest.mark.parametrize(("module", "package"), APPS.items())
def test_manifests_name_classes_that_are_there(module: str, package: str) -> None:
    assert f'applicationId = "{package}"' in build_file(module)
    sources = "".join(path.read_text() for path in kotlin_files(module))
    named = [
        entry.get(f"{NAMESPACE}name", "")
        for tag in ("activity", "instrumentation", "service")
        for entry in manifest(module).iter(tag)
    ]
    assert named
    for name in named:
        kind = re.search(rf"^class {name.removeprefix('.')} : (\w+)\(\)", sources, re.MULTILINE)
        assert kind is not None, name
        assert kind[1] in ("Activity", "Instrumentation", "Service"), name
    assert f"package {package}\n" in sources


def test_the_app_is_started_as_the_protocol_says() -> None:
    protocol = (REPOSITORY / "docs" / "device-protocol.md").read_text()
    started = set(re.findall(r"io\.qsredge\.bench/\.(\w+)", protocol))
    named = {
        entry.get(f"{NAMESPACE}name", "").removeprefix(".")
        for tag in ("activity", "instrumentation")
        for entry in manifest("bench-app").iter(tag)
    }
    assert started == named
    [instrumentation] = manifest("bench-app").iter("instrumentation")
    assert instrumentation.get(f"{NAMESPACE}targetPackage") == APPS["bench-app"]
    assert all(entry.get(f"{NAMESPACE}exported") == "true" for entry in manifest("bench-app").iter("activity"))
    assert (
        'const val JOB = "job"' in (HARNESS / "bench-app/src/main/kotlin/io/qsredge/bench/BenchActivity.kt").read_text()
    )


def test_a_part_goes_on_whatever_is_in_front() -> None:
    [activity] = manifest("bench-app").iter("activity")
    # Android makes an activity anew for what it does not handle itself.
    handled = set(activity.get(f"{NAMESPACE}configChanges", "").split("|"))
    assert handled >= {"orientation", "screenLayout", "screenSize", "smallestScreenSize", "uiMode"}
    # A phone that sleeps, its screen locked.
    assert activity.get(f"{NAMESPACE}showWhenLocked") == activity.get(f"{NAMESPACE}turnScreenOn") == "true"
    [service] = manifest("bench-app").iter("service")
    kind = service.get(f"{NAMESPACE}foregroundServiceType")
    assert kind == "specialUse"
    # Since Android 14 a service of a kind without its permission ends the app.
    assert "FOREGROUND_SERVICE_SPECIAL_USE" in BENCH_APP_ASKS
    assert service.get(f"{NAMESPACE}exported") == "false"
    [application] = manifest("bench-app").iter("application")
    # The notification has the app's icon; Android ends an app whose notification has none.
    assert application.get(f"{NAMESPACE}icon")


def lines_of_code(path: Path) -> int:
    """Lines that hold code: neither blank, nor comment, nor package and imports, nor a bracket alone."""
    text = re.sub(r"/\*.*?\*/", "", path.read_text(), flags=re.DOTALL)
    lines = [line.split("//")[0].strip() for line in text.splitlines()]
    return sum(bool(re.search(r"\w", line)) and not line.startswith(("import ", "package ")) for line in lines)


def test_what_runs_against_stand_ins_alone_is_little_and_told() -> None:
    counted = {module: sum(map(lines_of_code, kotlin_files(module))) for module in ANDROID_ONLY}
    total = sum(counted.values())
    assert total <= MAX_ANDROID_LINES, counted
    told = " ".join((HARNESS / "README.md").read_text().split())
    assert f"{total} lines" in told, counted
    listed = (HARNESS / "coverage" / "not-run.txt").read_text().splitlines()
    not_run = [line for line in listed if line and not line.startswith("#")]
    assert f"(now {len(not_run)})" in told
    assert len(not_run) <= MAX_NOT_RUN
