"""What is in an APK: identity, permissions, components, signature, sizes; read by another library than wrote it."""

import struct
import zipfile
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from xml.etree import ElementTree

from android_harness.apk.build import find_program, run
from android_harness.apk.manifests import ANDROID, NAME, ApkError

_COMPONENTS = ("activity", "activity-alias", "service", "receiver", "provider")
_ENDS = b"APK Sig Block 42"


class Part(StrEnum):
    """What an entry of an APK is."""

    MANIFEST = "manifest"
    RESOURCES = "resources"
    ASSETS = "assets"
    CODE = "classes.dex"
    MORE_CODE = "further .dex files"
    NATIVE = "native libraries"
    OTHER = "other files"
    SIGNATURE = "signature"
    ZIP = "the zip itself"


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """A part of an app that the system starts. ``exported``: by other apps too; None: the manifest does not say."""

    kind: str
    name: str
    exported: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PartSize:
    """Entries of one part, their bytes in the APK and unpacked."""

    files: int
    packed: int
    unpacked: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ApkContents:
    """An APK as it is on the disk. ``schemes`` are the signature schemes that verified, such as ``v2``."""

    package: str
    version_code: int
    version_name: str
    min_sdk: int
    target_sdk: int
    permissions: tuple[str, ...]
    components: tuple[Component, ...]
    schemes: tuple[str, ...]
    parts: dict[Part, PartSize]
    manifest: ElementTree.Element

    @property
    def exported(self) -> tuple[str, ...]:
        """Names of the components that other apps can start."""
        return tuple(component.name for component in self.components if component.exported)


def read_apk(path: Path) -> ApkContents:
    """Read an APK and verify its signature and alignment.

    Raises:
        ApkError: it is not aligned, its signature is not right, or a tool is missing.
    """
    try:
        from apkInspector.axml import parse_apk_for_manifest
    except ImportError:
        raise ApkError("apkInspector is missing; pip install apkInspector (it is in the extra dev)") from None
    run(find_program("zipalign"), "-c", "4", path)
    manifest = ElementTree.fromstring(parse_apk_for_manifest(str(path)))
    [sdk] = manifest.iter("uses-sdk")
    return ApkContents(
        package=manifest.get("package", ""),
        version_code=int(_get(manifest, "versionCode")),
        version_name=_get(manifest, "versionName"),
        min_sdk=int(_get(sdk, "minSdkVersion")),
        target_sdk=int(_get(sdk, "targetSdkVersion")),
        permissions=tuple(entry.get(NAME, "") for entry in manifest if entry.tag.startswith("uses-permission")),
        components=tuple(
            Component(kind=entry.tag, name=entry.get(NAME, ""), exported=_flag(entry, "exported"))
            for entry in manifest.iter()
            if entry.tag in _COMPONENTS
        ),
        schemes=_schemes(run(find_program("apksigner"), "verify", "--verbose", path)),
        parts=_sizes(path),
        manifest=manifest,
    )


def _get(element: ElementTree.Element, name: str) -> str:
    value = element.get(f"{{{ANDROID}}}{name}")
    if value is None:
        raise ApkError(f"the manifest's <{element.tag}> has no {name}")
    return value


def _flag(element: ElementTree.Element, name: str) -> bool | None:
    value = element.get(f"{{{ANDROID}}}{name}")
    return None if value is None else value == "true"


def _schemes(said: str) -> tuple[str, ...]:
    """Of apksigner's lines ``Verified using v2 scheme (...): true``."""
    lines = [line for line in said.splitlines() if line.startswith("Verified using ") and line.endswith(": true")]
    return tuple(line.split()[2] for line in lines)


def _part(name: str) -> Part:
    match name.split("/"):
        case ["AndroidManifest.xml"]:
            return Part.MANIFEST
        case ["resources.arsc"] | ["res", *_]:
            return Part.RESOURCES
        case ["assets", *_]:
            return Part.ASSETS
        case ["classes.dex"]:
            return Part.CODE
        case [other] if other.endswith(".dex"):
            return Part.MORE_CODE
        case ["lib", *_]:
            return Part.NATIVE
        case _:
            return Part.OTHER


def _sizes(path: Path) -> dict[Part, PartSize]:
    """Sizes by part; all of the file's bytes are in one of them."""
    found: dict[Part, PartSize] = {}

    def add(part: Part, files: int, packed: int, unpacked: int) -> None:
        old = found.get(part, PartSize(files=0, packed=0, unpacked=0))
        found[part] = PartSize(files=old.files + files, packed=old.packed + packed, unpacked=old.unpacked + unpacked)

    with zipfile.ZipFile(path) as package:
        for entry in package.infolist():
            add(_part(entry.filename), 1, entry.compress_size, entry.file_size)
        directory = package.start_dir
    signature = _signature_bytes(path, directory)
    add(Part.SIGNATURE, 0, signature, signature)
    rest = path.stat().st_size - sum(size.packed for size in found.values())
    add(Part.ZIP, 0, rest, rest)
    return found


def _signature_bytes(path: Path, directory: int) -> int:
    """The block before the zip's directory: 8 bytes before its last 16 tell its length, without the first 8."""
    with path.open("rb") as file:
        file.seek(directory - 24)
        (length,) = struct.unpack("<Q", file.read(8))
        if file.read(16) != _ENDS:
            raise ApkError(f"{path}: no block of signatures before the zip's directory, expected one")
    return int(length) + 8
