"""Bundles that came by git, by a browser's download, from a Mac, or from a model hub's cache."""

import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from qsr_edge.bundle.manifest import BOM, MANIFEST_NAME, MODEL_CARD_NAME, Manifest
from qsr_edge.bundle.reader import open_bundle
from qsr_edge.bundle.writer import write_bundle
from qsr_edge.errors import BundleError


def crlf(content: bytes) -> bytes:
    return content.replace(b"\n", b"\r\n")


def marked(content: bytes) -> bytes:
    return BOM + content


@pytest.fixture
def folder(tmp_path: Path, manifest: Manifest, files: dict[str, bytes]) -> Path:
    write_bundle(tmp_path / "bundle", manifest, {**files, "models/Manifest.json": b"{\n}\n"})
    return tmp_path / "bundle"


def refused(path: Path) -> str:
    with pytest.raises(BundleError) as caught, open_bundle(path):
        pass
    return str(caught.value)


@pytest.mark.parametrize("change", [crlf, marked, lambda content: marked(crlf(content))], ids=["CRLF", "BOM", "both"])
def test_a_card_with_other_line_ends_is_accepted_and_anything_else_is_told_why(
    folder: Path, change: Callable[[bytes], bytes]
) -> None:
    card = folder / MODEL_CARD_NAME
    card.write_bytes(change(card.read_bytes()))
    with open_bundle(folder) as bundle:
        assert bundle.root == folder
    for name in (MANIFEST_NAME, "models/Manifest.json"):
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(change(content))
        told = refused(folder)
        assert str(folder / name) in told
        assert ".gitattributes" in told
        (folder / name).write_bytes(content)


def test_a_card_with_other_words_is_refused(folder: Path) -> None:
    card = folder / MODEL_CARD_NAME
    card.write_bytes(crlf(card.read_bytes().replace(b"Apache-2.0", b"CC0-1.0...")))
    assert "cut or replaced" in refused(folder)


def zipped(folder: Path, archive: Path, top: str, *more: str) -> Path:
    with zipfile.ZipFile(archive, "w") as file:
        for path in sorted(folder.rglob("*")):
            file.write(path, top + path.relative_to(folder).as_posix())
        for name in more:
            file.writestr(name, b"more")
    return archive


@pytest.mark.parametrize("more", [(), ("__MACOSX/._bundle", "__MACOSX/bundle/._manifest.json")], ids=["Linux", "macOS"])
def test_the_zip_of_a_folder_is_as_good_as_that_of_its_content(
    folder: Path, tmp_path: Path, more: tuple[str, ...], files: dict[str, bytes]
) -> None:
    archive = zipped(folder, tmp_path / "travelled.zip", "bundle/", *more)
    with open_bundle(archive) as bundle:
        assert {name: (bundle.root / name).read_bytes() for name in files} == files


@pytest.mark.parametrize(("top", "more"), [("bundle/", ("other/x",)), ("a/bundle/", ()), ("bundle/", ("x",))])
def test_a_bundle_anywhere_else_in_an_archive_is_not_looked_for(
    folder: Path, tmp_path: Path, top: str, more: tuple[str, ...]
) -> None:
    told = refused(zipped(folder, tmp_path / "travelled.zip", top, *more))
    assert "no manifest.json at the top or in its one folder" in told


def test_a_folder_of_links_is_told_how_to_be_copied(folder: Path, tmp_path: Path) -> None:
    snapshot = tmp_path / "snapshot"
    for path in sorted(folder.rglob("*")):
        target = snapshot / path.relative_to(folder)
        if path.is_dir():
            target.mkdir(parents=True)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(path)
    told = refused(snapshot)
    assert f"cp -rL {snapshot} COPY" in told
    assert os.system(f"cp -rL {snapshot} {tmp_path / 'copy'}") == 0
    with open_bundle(tmp_path / "copy"):
        pass
