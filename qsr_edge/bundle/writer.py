"""Writing a bundle so that it is there whole or not at all."""

import io
import os
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from qsr_edge.bundle.manifest import (
    MANIFEST_LIMIT_BYTES,
    MANIFEST_NAME,
    MODEL_CARD_NAME,
    Manifest,
    dump_manifest,
    file_entries,
    parse_manifest,
)
from qsr_edge.bundle.model_card import model_card
from qsr_edge.errors import BundleError, OutputExistsError
from qsr_edge.files import atomic_write, new_folder, sweep

# The first moment that a .zip can express: equal bundles are to give equal archives.
_ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)
_UNIX = 3
_REGULAR_FILE_MODE = 0o100644
_EXISTS = "exists already; choose another output, or use --force to replace it"


def write_bundle(output: Path, manifest: Manifest, files: Mapping[str, bytes], *, force: bool = False) -> Manifest:
    """Write a bundle with its model card; equal arguments give equal bytes.

    Args:
        output: folder to make, or file if it ends in ``.zip``; the folder around it must exist.
        manifest: what the bundle holds, without ``files``, which are filled in here.
        files: contents by path. ``MODEL_CARD.md`` is added if it is not among them.
        force: replace a bundle that is there already, once the new one is whole.

    Returns:
        The manifest as readers will see it.

    Raises:
        OutputExistsError: if the output exists, and ``force`` is not given or what is there is not a bundle.
        BundleError: if manifest and files do not make a bundle.
        OSError: if it cannot be written; nothing new is left, and what was there is still there. A process that is
            killed leaves either the former bundle or the new one.
    """
    # Of a link, what it points to is written.
    output = Path(os.path.realpath(output))
    check_output(output, force=force)
    contents = _contents(manifest, files)
    try:
        if output.suffix == ".zip":
            atomic_write(output, _zip(contents), replace=force)
        else:
            _write_folder(output, contents, force=force)
    except FileExistsError as error:
        raise OutputExistsError(f"{output}: {_EXISTS}") from error
    return parse_manifest(contents[MANIFEST_NAME], str(output))


def check_output(output: Path, *, force: bool) -> None:
    """Refuse an output that :func:`write_bundle` would refuse, before any work is spent on it.

    Raises:
        OutputExistsError: if it exists, and ``force`` is not given or what is there is not a bundle and nothing else.
    """
    # A bundle that a killed process had moved aside is back before it is asked for.
    sweep(Path(os.path.realpath(output)).parent)
    if not output.exists():
        return
    if not force:
        raise OutputExistsError(f"{output}: {_EXISTS}")
    try:
        present, manifest = _present_files(output)
    except (BundleError, OSError, zipfile.BadZipFile) as error:
        raise OutputExistsError(
            f"{output}: not a whole bundle, so not even --force replaces it; "
            "choose another output, or delete it yourself"
        ) from error
    foreign = sorted(present - {entry.path for entry in manifest.files} - {MANIFEST_NAME})
    if foreign:
        raise OutputExistsError(
            f"{output}: holds {foreign[0]!r}, which is no part of the bundle, so not even --force replaces it; "
            "choose another output, or move that file away"
        )


def _present_files(output: Path) -> tuple[set[str], Manifest]:
    """Every file and link in what may be a bundle, by relative path, and its manifest.

    Raises:
        BundleError: if it has no manifest of ours.
        OSError, zipfile.BadZipFile: if it cannot be read.
    """
    if output.suffix == ".zip":
        with zipfile.ZipFile(output) as archive:
            if MANIFEST_NAME not in archive.namelist():
                raise BundleError(f"{output}: holds no {MANIFEST_NAME}")
            with archive.open(MANIFEST_NAME) as file:
                content = file.read(MANIFEST_LIMIT_BYTES + 1)
            present = {name for name in archive.namelist() if not name.endswith("/")}
    else:
        with (output / MANIFEST_NAME).open("rb") as file:
            content = file.read(MANIFEST_LIMIT_BYTES + 1)
        # An empty folder is no loss; a link is, whatever it leads to.
        paths = (path for path in output.rglob("*") if path.is_symlink() or not path.is_dir())
        present = {path.relative_to(output).as_posix() for path in paths}
    return present, parse_manifest(content, str(output))


def _contents(manifest: Manifest, files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Every file of the bundle, the manifest first, then by path."""
    models = {entry.file for entry in manifest.depths}
    missing = sorted(name for name in models if not any(f"{path}/".startswith(f"{name}/") for path in files))
    if missing:
        raise BundleError(f"{manifest.name}: no content was given for {', '.join(missing)}; give every model's")
    named = dict(files)
    if MODEL_CARD_NAME not in named:
        card = model_card(replace(manifest, files=file_entries(files)))
        named[MODEL_CARD_NAME] = card.encode()
    complete = replace(manifest, files=file_entries(named))
    return {MANIFEST_NAME: dump_manifest(complete), **dict(sorted(named.items()))}


def _zip(contents: Mapping[str, bytes]) -> bytes:
    # Stored, not compressed: the bytes then do not depend on the version of zlib, and weights do not compress.
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, content in contents.items():
            info = zipfile.ZipInfo(name, date_time=_ZIP_EPOCH)
            info.create_system = _UNIX
            info.external_attr = _REGULAR_FILE_MODE << 16
            archive.writestr(info, content)
    return buffer.getvalue()


def _write_folder(output: Path, contents: Mapping[str, bytes], *, force: bool) -> None:
    with new_folder(output, replace=force) as folder:
        for name, content in contents.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            atomic_write(path, content)
