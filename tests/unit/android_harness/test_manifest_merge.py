"""The rules by which an app's manifest and its libraries' become one, where Gradle does not do it."""

from pathlib import Path
from xml.etree import ElementTree

import pytest

from android_harness.apk.manifests import NAME, ApkError, App, merge_manifests, read_app
from tests.support.paths import ANDROID_HARNESS

GRADLE = """
android {
    namespace = "a.code"
    defaultConfig {
        applicationId = "a.app"
        minSdk = 26
        targetSdk = 36
        versionCode = 7
        versionName = "1.2.3"
    }
}
dependencies {
    implementation(project(":library"))
    implementation(project(":plain"))
    "litertImplementation"(project(":runtime"))
    "onnxImplementation"(project(":other"))
}
"""
MANIFEST = '<manifest xmlns:android="http://schemas.android.com/apk/res/android"{more}>{inside}</manifest>'
APP = """<uses-permission android:name="p.ONE" />
<application android:label="x"><activity android:name=".Main" android:exported="true" /></application>"""


def written(folder: Path, inside: str, more: str = "") -> None:
    path = folder / "src" / "main" / "AndroidManifest.xml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(MANIFEST.format(inside=inside, more=more))


@pytest.fixture
def app(tmp_path: Path) -> App:
    written(tmp_path / "app", APP)
    (tmp_path / "app" / "build.gradle.kts").write_text(GRADLE)
    for library in ("library", "runtime", "other"):
        written(tmp_path / library, "")
    return read_app(tmp_path / "app")


def listed(root: ElementTree.Element) -> list[tuple[str, str | None]]:
    return [(entry.tag, entry.get(NAME)) for entry in root.iter()][1:]


def test_an_app_is_read_from_its_build_file(app: App) -> None:
    assert (app.application_id, app.namespace, app.version_code, app.version_name) == ("a.app", "a.code", 7, "1.2.3")
    assert (app.min_sdk, app.target_sdk) == (26, 36)
    assert app.modules == ("library", "plain", "runtime")
    assert [folder.name for folder in app.libraries] == ["library", "runtime"]


def test_a_build_file_without_a_field_is_told(app: App) -> None:
    (app.folder / "build.gradle.kts").write_text(GRADLE.replace("        minSdk = 26\n", ""))
    with pytest.raises(ApkError, match=r"build\.gradle\.kts: 0 lines set minSdk, expected one"):
        read_app(app.folder)


def test_the_package_is_the_applications_and_classes_are_of_the_namespace(app: App) -> None:
    merged = merge_manifests(app)
    assert merged.get("package") == "a.app"
    assert listed(merged) == [("uses-permission", "p.ONE"), ("application", None), ("activity", "a.code.Main")]


@pytest.mark.parametrize(
    ("named", "whole"), [(".inner.Main", "a.code.inner.Main"), ("Main", "a.code.Main"), ("b.Main", "b.Main")]
)
def test_a_class_may_be_named_by_less_than_its_whole_name(app: App, named: str, whole: str) -> None:
    written(app.folder, APP.replace(".Main", named))
    assert [entry.get(NAME) for entry in merge_manifests(app).iter("activity")] == [whole]


def test_what_a_library_asks_for_comes_in_once(app: App) -> None:
    service = '<service android:name="b.Service" android:exported="false" />'
    asks = '<uses-permission android:name="p.ONE" /><uses-permission android:name="p.TWO" />'
    for library in ("library", "runtime"):
        written(app.folder.parent / library, f"{asks}<application>{service}</application>")
    assert listed(merge_manifests(app)) == [
        ("uses-permission", "p.ONE"),
        ("application", None),
        ("activity", "a.code.Main"),
        ("service", "b.Service"),
        ("uses-permission", "p.TWO"),
    ]


@pytest.mark.parametrize(
    ("inside", "more", "told"),
    [
        ('<uses-permission android:name="p.ONE" android:maxSdkVersion="28" />', "", "otherwise in the app's"),
        ("<queries />", "", "<queries> is told from others by more than its whole name"),
        ('<application><service android:name=".Here" /></application>', "", "<service> is told from others"),
        ('<application><service android:name="Here" /></application>', "", "<service> is told from others"),
        ('<application android:theme="@style/x" />', "", "<application> has attributes"),
        ("", ' android:sharedUserId="x"', "<manifest> has attributes"),
        (
            '<uses-permission android:name="p.ONE" t:node="remove" />',
            ' xmlns:t="http://schemas.android.com/tools"',
            "an attribute of tools:",
        ),
    ],
)
def test_what_only_androids_merger_knows_is_refused(app: App, inside: str, more: str, told: str) -> None:
    written(app.folder.parent / "runtime", inside, more)
    with pytest.raises(ApkError, match=told):
        merge_manifests(app)


@pytest.mark.parametrize(
    ("name", "flavor"), [("sample", "litert"), *(("bench-app", name) for name in ("litert", "executorch", "onnx"))]
)
def test_our_libraries_add_nothing_to_an_app(name: str, flavor: str) -> None:
    app = read_app(ANDROID_HARNESS / name, flavor)
    assert [library.name for library in app.libraries] == ["runtime-android", f"runtime-{flavor}"]
    own = ElementTree.parse(app.manifest).getroot()
    assert [entry.tag for entry in merge_manifests(app).iter()] == [entry.tag for entry in own.iter()]
