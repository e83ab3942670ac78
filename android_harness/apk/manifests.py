"""An app's manifest with what Gradle adds to it: identity and versions from the build file, entries of libraries.

Android's own merger is part of Gradle's plug-in and cannot be had alone. This one has four rules and refuses the rest:
the package is the application's id; class names are completed with the namespace; an entry of a library is added where
the app has none of its kind and name; the same entry twice is one.
"""

import copy
import re
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path

from qsr_edge.errors import QsrError

ANDROID = "http://schemas.android.com/apk/res/android"
NAME = f"{{{ANDROID}}}name"
_TOOLS = "{http://schemas.android.com/tools}"
_WITH_CLASS = {"activity", "activity-alias", "application", "instrumentation", "provider", "receiver", "service"}


class ApkError(QsrError):
    """An APK cannot be made or read: a tool is missing, or a file is not as expected."""


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """What an app's build file says. ``modules`` are ours that it names: the libraries, one runtime among them."""

    folder: Path
    application_id: str
    namespace: str
    version_code: int
    version_name: str
    min_sdk: int
    target_sdk: int
    modules: tuple[str, ...]

    @property
    def libraries(self) -> tuple[Path, ...]:
        """Folders of those modules that have a manifest; the others are plain Kotlin."""
        folders = [self.folder.parent / name for name in self.modules]
        return tuple(folder for folder in folders if manifest_of(folder).is_file())

    @property
    def manifest(self) -> Path:
        """The manifest as it is in the source."""
        return manifest_of(self.folder)


def manifest_of(module: Path) -> Path:
    """Where a module's manifest lies."""
    return module / "src" / "main" / "AndroidManifest.xml"


def read_app(folder: Path, flavor: str = "litert") -> App:
    """Read ``build.gradle.kts`` of an app beside our libraries; ``flavor`` is the runtime, where there are several.

    Raises:
        ApkError: a field is not there exactly once.
    """
    path = folder / "build.gradle.kts"
    text = path.read_text(encoding="utf-8")

    def field(name: str) -> str:
        found = re.findall(rf'^ +{name} = "?([\w.]+)"?$', text, re.MULTILINE)
        if len(found) != 1:
            raise ApkError(f"{path}: {len(found)} lines set {name}, expected one")
        return str(found[0])

    taken = rf'"?(?:implementation|{flavor}Implementation)"?\((?:project\(":|"io\.qsredge:)([\w-]+)'
    return App(
        folder=folder,
        application_id=field("applicationId"),
        namespace=field("namespace"),
        version_code=int(field("versionCode")),
        version_name=field("versionName"),
        min_sdk=int(field("minSdk")),
        target_sdk=int(field("targetSdk")),
        modules=tuple(re.findall(taken, text)),
    )


def merge_manifests(app: App) -> ElementTree.Element:
    """The manifest that the app's package gets, but for versions, which aapt2 writes.

    Raises:
        ApkError: two entries contradict each other, or only Android's own merger knows what a manifest asks for.
    """
    merged = copy.deepcopy(_parsed(app.manifest))
    merged.set("package", app.application_id)
    _complete_names(merged, app.namespace)
    for library in app.libraries:
        path = manifest_of(library)
        _add(merged, _parsed(path), path)
    return merged


def _parsed(path: Path) -> ElementTree.Element:
    root = ElementTree.parse(path).getroot()
    for element in root.iter():
        if any(key.startswith(_TOOLS) for key in element.attrib):
            raise ApkError(f"{path}: <{element.tag}> has an attribute of tools:, which only Android's own merger knows")
    return root


def _complete_names(root: ElementTree.Element, namespace: str) -> None:
    for element in root.iter():
        name = element.get(NAME)
        if element.tag in _WITH_CLASS and name and _is_relative(name):
            element.set(NAME, f"{namespace}.{name.removeprefix('.')}")


def _is_relative(name: str) -> bool:
    """Whether a class is named within the namespace: ``.Main``, or ``Main`` alone."""
    return name.startswith(".") or "." not in name


def _add(into: ElementTree.Element, library: ElementTree.Element, path: Path) -> None:
    """Add a library's entries to an app's, at the root and within <application>."""
    if library.attrib:
        raise ApkError(f"{path}: <{library.tag}> has attributes, which only Android's own merger knows how to merge")
    for entry in library:
        if entry.tag == "application":
            _add(_the_application(into), entry, path)
            continue
        name = entry.get(NAME)
        if name is None or (entry.tag in _WITH_CLASS and _is_relative(name)):
            raise ApkError(f"{path}: <{entry.tag}> is told from others by more than its whole name; merge it by hand")
        there = [other for other in into if other.tag == entry.tag and other.get(NAME) == name]
        if not there:
            into.append(copy.deepcopy(entry))
        elif ElementTree.canonicalize(ElementTree.tostring(entry), strip_text=True) != ElementTree.canonicalize(
            ElementTree.tostring(there[0]), strip_text=True
        ):
            raise ApkError(f"{path}: <{entry.tag}> {name} is otherwise in the app's manifest; let them agree")


def _the_application(root: ElementTree.Element) -> ElementTree.Element:
    found = root.find("application")
    return found if found is not None else ElementTree.SubElement(root, "application")
