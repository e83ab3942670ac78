"""APKs of the apps, made without Gradle: what a phone would be asked for, and what the library costs."""

import shutil
import zipfile
from pathlib import Path

import pytest

from android_harness.apk.__main__ import described
from android_harness.apk.build import FRAMEWORK, build_apk
from android_harness.apk.contents import ApkContents, Part, read_apk
from android_harness.apk.manifests import ANDROID, NAME, ApkError, read_app
from tests.support.paths import ANDROID_HARNESS

NEEDED = all(map(shutil.which, ("zipalign", "apksigner", "keytool"))) and FRAMEWORK.is_file()
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not NEEDED, reason="needs Debian's zipalign, apksigner, android-framework-res, and a JDK"),
]
SPECIAL_USE = 1 << 30
ALIGNMENT = 4


@pytest.fixture(scope="module")
def sample(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sample") / "sample.apk"
    build_apk(read_app(ANDROID_HARNESS / "sample"), path, bundle=tiny_bundle)
    # Nothing of its making stays behind.
    assert list(path.parent.iterdir()) == [path]
    return path


@pytest.fixture(scope="module")
def bench_app(tmp_path_factory: pytest.TempPathFactory) -> ApkContents:
    path = tmp_path_factory.mktemp("bench") / "bench-app.apk"
    build_apk(read_app(ANDROID_HARNESS / "bench-app"), path)
    return read_apk(path)


def test_the_sample_asks_for_nothing_and_exports_its_screen_alone(sample: Path) -> None:
    contents = read_apk(sample)
    assert (contents.package, contents.version_code, contents.version_name) == ("io.qsredge.sample", 1, "0.1.0")
    assert (contents.min_sdk, contents.target_sdk) == (26, 36)
    assert contents.permissions == ()
    assert [(part.kind, part.name, part.exported) for part in contents.components] == [
        ("activity", "io.qsredge.sample.MainActivity", True)
    ]
    # The first scheme is for Android 6 and older.
    assert contents.schemes == ("v2", "v3")


def test_the_bench_app_asks_for_what_it_says_and_exports_its_screen_alone(bench_app: ApkContents) -> None:
    assert bench_app.permissions == tuple(
        f"android.permission.{name}" for name in ("WAKE_LOCK", "FOREGROUND_SERVICE", "FOREGROUND_SERVICE_SPECIAL_USE")
    )
    assert [(part.kind, part.name, part.exported) for part in bench_app.components] == [
        ("activity", "io.qsredge.bench.BenchActivity", True),
        ("service", "io.qsredge.bench.BenchService", False),
    ]
    [service] = bench_app.manifest.iter("service")
    assert int(service.get(f"{{{ANDROID}}}foregroundServiceType", ""), 0) == SPECIAL_USE
    [instrumentation] = bench_app.manifest.iter("instrumentation")
    assert instrumentation.get(NAME) == "io.qsredge.bench.BenchInstrumentation"
    assert instrumentation.get(f"{{{ANDROID}}}targetPackage") == bench_app.package
    assert bench_app.schemes == ("v2", "v3")


def test_the_bundle_is_in_it_as_it_was(sample: Path, tiny_bundle: Path) -> None:
    # The library copies it out and checks its hashes: nothing needs to lie in the APK as a runtime would map it.
    with zipfile.ZipFile(sample) as package:
        packed = {name: package.read(name) for name in package.namelist() if name.startswith("assets/")}
    expected = {f"assets/qsr/{path.name}": path.read_bytes() for path in tiny_bundle.iterdir()}
    assert packed == expected
    assert expected


def test_resources_lie_as_a_phone_maps_them(sample: Path) -> None:
    # Since Android 11 an app whose table of resources is compressed or not aligned cannot be installed.
    with zipfile.ZipFile(sample) as package:
        entry = package.getinfo("resources.arsc")
        assert entry.compress_type == zipfile.ZIP_STORED
    head = sample.read_bytes()[entry.header_offset :]
    name, extra = (int.from_bytes(head[at : at + 2], "little") for at in (26, 28))
    assert (entry.header_offset + 30 + name + extra) % ALIGNMENT == 0


def test_every_byte_belongs_to_a_part(sample: Path) -> None:
    contents = read_apk(sample)
    parts = contents.parts
    # No code is in it: a dexer of today cannot be had from Debian, PyPI or npm.
    assert set(parts) == {Part.MANIFEST, Part.RESOURCES, Part.ASSETS, Part.SIGNATURE, Part.ZIP}
    assert sum(size.packed for size in parts.values()) == sample.stat().st_size
    told = described(contents)
    assert "permissions: none\nactivity io.qsredge.sample.MainActivity: exported\nsignature verified: v2, v3\n" in told
    assert f"{parts[Part.ASSETS].packed:,}" in told
    with zipfile.ZipFile(sample) as package:
        assert parts[Part.ASSETS].unpacked == sum(
            entry.file_size for entry in package.infolist() if entry.filename.startswith("assets/")
        )
    # What an app pays beside its bundle and code, of which signing alone takes 4 to 8 KB.
    assert sum(size.packed for part, size in parts.items() if part != Part.ASSETS) < 12_000


def test_a_changed_byte_is_found(sample: Path, tmp_path: Path) -> None:
    changed = tmp_path / "changed.apk"
    content = bytearray(sample.read_bytes())
    with zipfile.ZipFile(sample) as package:
        entry = package.getinfo("resources.arsc")
    content[entry.header_offset + 200] ^= 1
    changed.write_bytes(content)
    with pytest.raises(ApkError, match="apksigner failed"):
        read_apk(changed)


def test_a_tool_that_is_missing_is_told_with_its_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ApkError, match=r"^zipalign is missing; install Debian's package zipalign, or put it on PATH$"):
        build_apk(read_app(ANDROID_HARNESS / "sample"), tmp_path / "sample.apk")
    assert not list(tmp_path.iterdir())
