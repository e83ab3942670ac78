"""Opening a bundle, a folder or a .zip, with everything checked before anything is used."""

import hashlib
import io
import os
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from qsr_edge.bundle.manifest import (
    BOM,
    CHANGED_TEXT,
    MANIFEST_LIMIT_BYTES,
    MANIFEST_NAME,
    MODEL_CARD_NAME,
    REMEDY,
    FileEntry,
    Manifest,
    parse_manifest,
)
from qsr_edge.errors import BundleError, one_line
from qsr_edge.files import sweep, temporary_folder

CONTENT_LIMIT_BYTES = 1 << 28
"""The most that the files of a zipped bundle may unpack to; models are below 1 MB."""
MEMBER_LIMIT = 2000
"""The most members of a zipped bundle."""
_CHUNK_BYTES = 1 << 20
_ENCRYPTED = 0x1  # general purpose bit 0 of the .zip format (APPNOTE 4.4.4)
_COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
# What zipfile raises on damaged archives, besides its own error; OSError covers seeking before the start.
_ZIP_ERRORS = (zipfile.BadZipFile, struct.error, zlib.error, EOFError, OSError, RuntimeError, ValueError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """A bundle whose every file was checked.

    Attributes:
        root: folder that holds it.
        manifest: what it holds.
    """

    root: Path
    manifest: Manifest

    def model_path(self, depth: int) -> Path:
        """Where the model of a depth is.

        Raises:
            BundleError: if the bundle does not offer the depth.
        """
        return self.root / self.manifest.depth_entry(depth).file


@contextmanager
def open_bundle(path: Path) -> Iterator[Bundle]:
    """Open a folder or a .zip; a .zip is unpacked into a private folder that is gone afterwards.

    Raises:
        BundleError: if it is missing, incomplete, damaged, or of an unknown version.
        OSError: if there is no room to unpack it.
    """
    if not path.exists():
        sweep(path.parent)  # a process that was killed may have left it moved aside
    if path.is_dir():
        yield read_bundle(path)
        return
    if not path.is_file():
        raise BundleError(f"{path}: no such bundle, expected a folder or a .zip; {REMEDY}")
    manifest, contents = _read_archive(path)
    with temporary_folder("bundle") as folder:
        for entry_path, content in contents.items():
            # The manifest allows only paths that stay below the folder.
            (folder / entry_path).parent.mkdir(parents=True, exist_ok=True)
            (folder / entry_path).write_bytes(content)
        yield Bundle(root=folder, manifest=manifest)


def read_bundle(root: Path) -> Bundle:
    """Read the bundle in a folder; files that the manifest does not list are left alone.

    Raises:
        BundleError: if it is missing, incomplete, damaged, or of an unknown version.
    """
    source = root / MANIFEST_NAME
    try:
        # Asked first: opening a named pipe would wait for ever.
        if not source.is_file():
            raise BundleError(f"{source}: missing, so {root} is not a bundle; {REMEDY}")
        with source.open("rb") as file:
            content = file.read(MANIFEST_LIMIT_BYTES + 1)
    except OSError as error:
        raise BundleError(f"{source}: cannot be read ({error.strerror}); check its permissions") from error
    manifest = parse_manifest(content, str(source))
    for entry in manifest.files:
        _check_file(root, entry)
    return Bundle(root=root, manifest=manifest)


def _check_file(root: Path, entry: FileEntry) -> None:
    path = root / entry.path
    if not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(root)):
        raise BundleError(
            f"{path}: a link that leaves the bundle, as in the cache of a model hub; copy the folder with its files in "
            f"the links' place (cp -rL {root} COPY) and open that"
        )
    try:
        if not path.is_file():
            raise BundleError(f"{path}: missing, but listed in {MANIFEST_NAME}; {REMEDY}")
        with path.open("rb") as file:
            _check_content(file, entry, str(path))
    except OSError as error:
        raise BundleError(f"{path}: cannot be read ({error.strerror}); check its permissions") from error


def _check_content(file: IO[bytes], entry: FileEntry, source: str) -> None:
    """Compare size and sha256; of a file that is too large, no more is read than its line ends can make it larger.

    A model card may have had its line ends changed on its way: it is no model.
    """
    digest, size = hashlib.sha256(), 0
    while chunk := file.read(min(_CHUNK_BYTES, entry.bytes + 1 - size)):
        digest.update(chunk)
        size += len(chunk)
    if size > entry.bytes and file.seekable():
        file.seek(0)
        plain = file.read(2 * entry.bytes + len(BOM) + 1).removeprefix(BOM).replace(b"\r\n", b"\n")
        if hashlib.sha256(plain).hexdigest() == entry.sha256:
            if entry.path == MODEL_CARD_NAME:
                return
            raise BundleError(f"{source}: {CHANGED_TEXT}")
    if size != entry.bytes:
        got = "more" if size > entry.bytes else str(size)
        raise BundleError(f"{source}: {got} bytes, expected {entry.bytes}: cut or replaced; {REMEDY}")
    if digest.hexdigest() != entry.sha256:
        raise BundleError(f"{source}: sha256 is {digest.hexdigest()}, expected {entry.sha256}: damaged; {REMEDY}")


def _read_archive(path: Path) -> tuple[Manifest, dict[str, bytes]]:
    """The manifest of an archive; its content and those of the files that it lists, and of no others, all checked."""
    contents: dict[str, bytes] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            members = _below_one_folder(_members(path, archive))
            if MANIFEST_NAME not in members:
                raise BundleError(
                    f"{path}: no {MANIFEST_NAME} at the top or in its one folder, so not a bundle; {REMEDY}"
                )
            with archive.open(members[MANIFEST_NAME]) as file:
                content = file.read(MANIFEST_LIMIT_BYTES + 1)
                manifest = parse_manifest(content, f"{path}: {MANIFEST_NAME}")
            # A folder that another process can open, too.
            contents[MANIFEST_NAME] = content
            for entry in manifest.files:
                if entry.path not in members:
                    raise BundleError(f"{path}: {entry.path} is missing, but listed in {MANIFEST_NAME}; {REMEDY}")
                contents[entry.path] = archive.read(members[entry.path])
                _check_content(io.BytesIO(contents[entry.path]), entry, f"{path}: {entry.path}")
    except _ZIP_ERRORS as error:
        raise BundleError(f"{path}: cannot be read as .zip ({one_line(error)}); {REMEDY}") from error
    return manifest, contents


def _below_one_folder(members: dict[str, zipfile.ZipInfo]) -> dict[str, zipfile.ZipInfo]:
    """The members as they are named below the one folder that was zipped with its content; else all as they are."""
    # What macOS adds is no part of what was zipped.
    named = {name: info for name, info in members.items() if not name.startswith("__MACOSX/")}
    tops = {name.partition("/")[0] for name in named}
    folder = f"{next(iter(tops))}/" if len(tops) == 1 else ""
    if MANIFEST_NAME in members or not folder or f"{folder}{MANIFEST_NAME}" not in named:
        return members
    return {name.removeprefix(folder): info for name, info in named.items()}


def _members(path: Path, archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """The members by name, after checks that need no unpacking."""
    members: dict[str, zipfile.ZipInfo] = {}
    seen: set[str] = set()
    infos = archive.infolist()
    if len(infos) > MEMBER_LIMIT:
        raise BundleError(f"{path}: {len(infos)} members, expected at most {MEMBER_LIMIT}; {REMEDY}")
    total = sum(info.file_size for info in infos)
    if total > CONTENT_LIMIT_BYTES:
        raise BundleError(f"{path}: unpacks to {total} bytes, expected at most {CONTENT_LIMIT_BYTES}; {REMEDY}")
    for info in infos:
        # zipfile cuts names at a NUL; the name as it is in the archive must be the one that is judged.
        name = info.orig_filename
        parts = PurePosixPath(name).parts
        if not name.isprintable() or name.startswith("/") or "\\" in name or ".." in parts:
            raise BundleError(f"{path}: member {name!r} would leave the bundle; {REMEDY}")
        if name.casefold() in seen:
            raise BundleError(f"{path}: member {name!r} is there twice; {REMEDY}")
        if info.flag_bits & _ENCRYPTED or info.compress_type not in _COMPRESSIONS:
            raise BundleError(f"{path}: member {name!r} is encrypted or compressed in an unusual way; {REMEDY}")
        seen.add(name.casefold())
        members[name] = info
    return members
