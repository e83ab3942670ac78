"""Writing bundles and reading them back: folders and archives, whole, damaged, hostile, cut short by a full disk."""

import errno
import io
import os
import shutil
import stat
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from qsr_edge import files as writing
from qsr_edge.bundle.manifest import Manifest
from qsr_edge.bundle.reader import open_bundle, read_bundle
from qsr_edge.bundle.writer import check_output, write_bundle
from qsr_edge.errors import BundleError, OutputExistsError

Files = dict[str, bytes]
FORMS = ("bundle", "bundle.zip")


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def refused(path: Path) -> str:
    with pytest.raises(BundleError) as caught, open_bundle(path):
        pass
    message = str(caught.value)
    assert message.startswith(str(path)), message
    assert message.isprintable()
    return message


@pytest.fixture
def folder(tmp_path: Path, manifest: Manifest, files: Files) -> Path:
    write_bundle(tmp_path / "bundle", manifest, files)
    return tmp_path / "bundle"


@pytest.fixture
def archive(tmp_path: Path, manifest: Manifest, files: Files) -> Path:
    write_bundle(tmp_path / "bundle.zip", manifest, files)
    return tmp_path / "bundle.zip"


@pytest.mark.parametrize("form", FORMS)
def test_round_trip(tmp_path: Path, manifest: Manifest, files: Files, form: str) -> None:
    written = write_bundle(tmp_path / form, manifest, files)
    with open_bundle(tmp_path / form) as bundle:
        assert bundle.manifest == written
        assert replace(written, files=()) == manifest
        for entry in written.depths:
            assert bundle.model_path(entry.depth).read_bytes() == files[entry.file]
        assert (bundle.root / "MODEL_CARD.md").read_text().startswith("# qsr-edge-x2-w4a4-tflite\n")
        root = bundle.root
    assert root.exists() == (form == "bundle"), "an archive is unpacked for as long as it is open"
    assert [path.name for path in tmp_path.iterdir()] == [form]


@pytest.mark.parametrize("form", FORMS)
def test_equal_bundles_have_equal_bytes(tmp_path: Path, manifest: Manifest, files: Files, form: str) -> None:
    for run in ("first", "second"):
        (tmp_path / run).mkdir()
        write_bundle(tmp_path / run / form, manifest, dict(sorted(files.items(), reverse=run == "second")))
    assert tree(tmp_path / "first") == tree(tmp_path / "second")


def test_modes_follow_the_umask(folder: Path) -> None:
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o777 & ~umask
    assert stat.S_IMODE((folder / "manifest.json").stat().st_mode) == 0o666 & ~umask


def test_files_beside_those_listed_are_left_alone(folder: Path) -> None:
    (folder / "notes.txt").write_text("mine")
    read_bundle(folder)


# Damage


def test_flipped_bytes_of_models_are_noticed(folder: Path) -> None:
    model = folder / "models" / "depth-2.tflite"
    content = model.read_bytes()
    for i in range(0, len(content), 7):
        damaged = bytearray(content)
        damaged[i] ^= 0x01
        model.write_bytes(damaged)
        with pytest.raises(BundleError, match=r"depth-2\.tflite: sha256 is"):
            read_bundle(folder)


def test_flipped_bytes_of_the_manifest_are_noticed(folder: Path) -> None:
    # Every byte is flipped in the manifest's own test; here the way through the file is what counts.
    path = folder / "manifest.json"
    content = path.read_bytes()
    for i in range(0, len(content), 101):
        damaged = bytearray(content)
        damaged[i] ^= 0xFF
        path.write_bytes(damaged)
        with pytest.raises(BundleError, match=r"manifest\.json: "):
            read_bundle(folder)


@pytest.mark.parametrize("content", [b"", bytes(range(199)), bytes(range(201)), bytes(10**6)])
def test_sizes_are_compared(folder: Path, content: bytes) -> None:
    (folder / "models" / "depth-2.tflite").write_bytes(content)
    assert "expected 200: cut or replaced" in refused(folder)


def test_missing_parts_are_named(tmp_path: Path, folder: Path) -> None:
    (folder / "models" / "depth-4.tflite").unlink()
    assert "depth-4.tflite: missing" in refused(folder)
    (folder / "manifest.json").unlink()
    assert "is not a bundle" in refused(folder)
    assert "no such bundle" in refused(tmp_path / "nowhere")


def test_a_file_that_is_no_archive_is_refused(tmp_path: Path) -> None:
    for name, content in {"empty.zip": b"", "text.txt": b"hello", "cut.zip": b"PK\x03\x04"}.items():
        (tmp_path / name).write_bytes(content)
        assert "cannot be read as .zip" in refused(tmp_path / name)


def test_links_may_not_leave_the_bundle(tmp_path: Path, folder: Path) -> None:
    model = folder / "models" / "depth-2.tflite"
    outside = tmp_path / "outside.tflite"
    shutil.move(model, outside)
    model.symlink_to(outside)
    assert "leaves the bundle" in refused(folder)
    shutil.move(folder / "models", tmp_path / "elsewhere")
    (folder / "models").symlink_to(tmp_path / "elsewhere")
    assert "leaves the bundle" in refused(folder)


def test_links_within_the_bundle_and_to_it_are_followed(tmp_path: Path, folder: Path) -> None:
    model = folder / "models" / "depth-2.tflite"
    model.rename(folder / "real")
    model.symlink_to("../real")
    (tmp_path / "link").symlink_to(folder)
    read_bundle(tmp_path / "link")


def test_what_is_not_a_regular_file_is_refused(folder: Path) -> None:
    for name in ("models/depth-2.tflite", "manifest.json"):
        (folder / name).unlink()
        os.mkfifo(folder / name)
        assert "missing" in refused(folder)
    (folder / "manifest.json").unlink()
    (folder / "manifest.json").symlink_to("manifest.json")
    refused(folder)


def test_flipped_bytes_of_an_archive_do_no_harm(tmp_path: Path, archive: Path) -> None:
    with open_bundle(archive) as bundle:
        whole, manifest = tree(bundle.root), bundle.manifest
    content = archive.read_bytes()
    damaged_archive = tmp_path / "damaged.zip"
    for i in range(len(content)):
        # Densely where the archive's own records are: at its start and in the directory at its end.
        if i % (29 if 60 < i < len(content) - 400 else 4):
            continue
        for mask in (0x01, 0xFF):
            damaged = bytearray(content)
            damaged[i] ^= mask
            damaged_archive.write_bytes(damaged)
            # Not every byte of an archive means something (dates, modes): what is read is right, or nothing is.
            try:
                with open_bundle(damaged_archive) as bundle:
                    assert bundle.manifest == manifest
                    assert tree(bundle.root) == whole
            except BundleError:
                continue


def test_cut_archives_are_refused(tmp_path: Path, archive: Path) -> None:
    content = archive.read_bytes()
    cut = tmp_path / "cut.zip"
    for length in range(0, len(content), 13):
        cut.write_bytes(content[:length])
        refused(cut)


# Hostile archives


def repacked(
    archive: Path, change: Callable[[zipfile.ZipFile, dict[str, bytes]], object], compression: int = zipfile.ZIP_STORED
) -> Path:
    """The archive's members in a new archive, ``change`` having had its way with both."""
    with zipfile.ZipFile(archive) as file:
        members = {name: file.read(name) for name in file.namelist()}
    target = archive.with_name("hostile.zip")
    with zipfile.ZipFile(target, "w", compression) as file:
        change(file, members)
        for name, content in members.items():
            file.writestr(name, content)
    return target


def test_deflated_archives_with_more_in_them_are_read(archive: Path) -> None:
    target = repacked(
        archive, lambda file, _: file.writestr("notes/mine.txt", "hello"), compression=zipfile.ZIP_DEFLATED
    )
    with open_bundle(target) as bundle:
        assert not (bundle.root / "notes").exists()


@pytest.mark.parametrize("name", ["../evil", "/evil", "a/../../evil", "a\\..\\evil", "a\x1bb"])
def test_members_that_would_leave_are_refused(archive: Path, name: str) -> None:
    assert "would leave the bundle" in refused(repacked(archive, lambda file, _: file.writestr(name, "x")))


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("name", ["manifest.json", "Manifest.JSON"])
def test_members_that_are_there_twice_are_refused(archive: Path, name: str) -> None:
    assert "is there twice" in refused(repacked(archive, lambda file, _: file.writestr(name, "{}")))


def test_archives_that_unpack_to_too_much_are_refused(
    archive: Path, monkeypatch: pytest.MonkeyPatch, manifest: Manifest
) -> None:
    bomb = repacked(archive, lambda file, _: file.writestr("b", bytes(1 << 20)), compression=zipfile.ZIP_DEFLATED)
    monkeypatch.setattr("qsr_edge.bundle.reader.CONTENT_LIMIT_BYTES", 1 << 20)
    assert "expected at most" in refused(bomb)
    monkeypatch.setattr("qsr_edge.bundle.reader.MEMBER_LIMIT", 3)
    assert "members, expected at most 3" in refused(bomb)


def test_a_bomb_in_the_place_of_the_manifest_is_not_unpacked(archive: Path) -> None:
    def swell(_: zipfile.ZipFile, members: dict[str, bytes]) -> None:
        members["manifest.json"] = b" " * (64 << 20)

    assert "more than 1048576 bytes" in refused(repacked(archive, swell, compression=zipfile.ZIP_DEFLATED))


def test_missing_members_and_other_compressions_are_refused(archive: Path) -> None:
    assert "is missing" in refused(repacked(archive, lambda _, members: members.pop("models/depth-2.tflite")))
    assert "at the top" in refused(repacked(archive, lambda _, members: members.pop("manifest.json")))
    assert "unusual" in refused(repacked(archive, lambda *_: None, compression=zipfile.ZIP_LZMA))


def test_a_replaced_model_in_an_archive_is_refused(archive: Path) -> None:
    target = repacked(archive, lambda _, members: members.update({"models/depth-2.tflite": bytes(200)}))
    assert "models/depth-2.tflite: sha256 is" in refused(target)


# Writing


@pytest.mark.parametrize("form", FORMS)
def test_an_output_that_exists_is_kept_without_force(
    tmp_path: Path, manifest: Manifest, files: Files, form: str
) -> None:
    write_bundle(tmp_path / form, manifest, files)
    before = tree(tmp_path)
    with pytest.raises(OutputExistsError, match="--force"):
        write_bundle(tmp_path / form, replace(manifest, name="other"), files)
    assert tree(tmp_path) == before
    write_bundle(tmp_path / form, replace(manifest, name="other"), files, force=True)
    with open_bundle(tmp_path / form) as bundle:
        assert bundle.manifest.name == "other"
    assert [path.name for path in tmp_path.iterdir()] == [form]


def test_force_replaces_only_bundles(tmp_path: Path, manifest: Manifest, files: Files) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "wedding.jpg").write_bytes(b"precious")
    (tmp_path / "text").write_text("precious")
    (tmp_path / "folder.zip").mkdir()
    (tmp_path / "extension").mkdir()
    (tmp_path / "extension" / "manifest.json").write_text('{"name": "my extension"}')
    (tmp_path / "extension" / "code.js").write_text("precious")
    (tmp_path / "holiday.zip").write_text("not a bundle")
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as foreign:
        foreign.writestr("wedding.jpg", "precious")
    for form in ("notes", "notes.zip"):
        write_bundle(tmp_path / form, manifest, files)
    (tmp_path / "notes" / "mynotes.txt").write_text("precious")
    with zipfile.ZipFile(tmp_path / "notes.zip", "a") as mixed:
        mixed.writestr("mynotes.txt", "precious")
    before = tree(tmp_path)
    for name in ("photos", "text", "folder.zip", "extension", "holiday.zip", "photos.zip", "notes", "notes.zip"):
        with pytest.raises(OutputExistsError, match="not even --force"):
            write_bundle(tmp_path / name, manifest, files, force=True)
    assert tree(tmp_path) == before


def test_force_keeps_a_damaged_archive_which_may_be_anything(archive: Path, manifest: Manifest, files: Files) -> None:
    archive.write_bytes(archive.read_bytes()[:50])
    before = archive.read_bytes()
    with pytest.raises(OutputExistsError, match="delete it yourself"):
        write_bundle(archive, manifest, files, force=True)
    assert archive.read_bytes() == before


def test_force_replaces_a_bundle_with_a_damaged_model(folder: Path, manifest: Manifest, files: Files) -> None:
    (folder / "models" / "depth-2.tflite").write_bytes(b"damaged")
    write_bundle(folder, manifest, files, force=True)
    assert read_bundle(folder)


def test_a_link_to_a_bundle_stays_a_link(tmp_path: Path, folder: Path, manifest: Manifest, files: Files) -> None:
    (tmp_path / "link").symlink_to(folder)
    write_bundle(tmp_path / "link", replace(manifest, name="other"), files, force=True)
    assert (tmp_path / "link").is_symlink()
    assert read_bundle(folder).manifest.name == "other"


def test_check_output_says_the_same_before_any_work(tmp_path: Path, folder: Path) -> None:
    check_output(tmp_path / "new", force=False)
    check_output(folder, force=True)
    with pytest.raises(OutputExistsError):
        check_output(folder, force=False)


@pytest.mark.parametrize("form", FORMS)
def test_what_is_no_bundle_is_not_written(tmp_path: Path, manifest: Manifest, files: Files, form: str) -> None:
    with pytest.raises(BundleError, match="bits"):
        write_bundle(tmp_path / form, replace(manifest, bits=5), files)
    with pytest.raises(BundleError, match=r"not allowed|does not match"):
        write_bundle(tmp_path / form, manifest, {**files, "../evil": b""})
    with pytest.raises(BundleError, match=r"depth-2\.tflite"):
        write_bundle(tmp_path / form, manifest, {"models/depth-4.tflite": b""})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("existing", [False, True])
@pytest.mark.parametrize("fault", ["fsync", "write", "replace", "rename"])
def test_a_full_disk_leaves_nothing_new(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    manifest: Manifest,
    files: Files,
    form: str,
    existing: bool,
    fault: str,
) -> None:
    if existing:
        write_bundle(tmp_path / form, manifest, files)
    before, calls = tree(tmp_path), 0
    error = OSError(errno.ENOSPC, "No space left on device")

    def fail_late(real: Callable[..., object], good: int) -> Callable[..., object]:
        def call(*args: object) -> object:
            nonlocal calls
            calls += 1
            if calls == good + 1:
                raise error
            return real(*args)

        return call

    with monkeypatch.context() as patch:
        if fault == "fsync":
            patch.setattr(os, "fsync", fail_late(os.fsync, 0 if form == "bundle.zip" else 2))
        elif fault == "write":
            patch.setattr(os, "fdopen", lambda handle, mode: FullDisk(handle))
        elif fault == "replace":
            patch.setattr(Path, "replace", fail_late(Path.replace, 0))
        else:
            patch.setattr(writing, "_rename", fail_late(writing._rename, 0))
        if form == "bundle.zip" and fault == "rename":
            write_bundle(tmp_path / form, manifest, files, force=True)  # an archive is replaced in one step
        else:
            with pytest.raises(OSError, match="No space left"):
                write_bundle(tmp_path / form, manifest, files, force=True)
            assert tree(tmp_path) == before
    assert [path.name for path in tmp_path.iterdir()] == ([form] if existing or tree(tmp_path) else [])


class FullDisk(io.FileIO):
    """A file on a disk that takes ten bytes."""

    def __init__(self, handle: int):
        super().__init__(handle, "wb")

    def write(self, content: object) -> int:
        assert isinstance(content, bytes)
        super().write(content[:10])
        raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("form", FORMS)
def test_an_interrupt_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, manifest: Manifest, files: Files, form: str
) -> None:
    def interrupt(handle: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_bundle(tmp_path / form, manifest, files)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("form", FORMS)
def test_places_that_cannot_be_written_to(tmp_path: Path, manifest: Manifest, files: Files, form: str) -> None:
    (tmp_path / "file").write_text("not a folder")
    for parent in ("nowhere", "file"):
        with pytest.raises(OSError, match=r"nowhere|file"):
            write_bundle(tmp_path / parent / form, manifest, files)
    assert tree(tmp_path) == {"file": b"not a folder"}


@pytest.mark.parametrize("form", FORMS)
def test_a_folder_without_write_permission(tmp_path: Path, manifest: Manifest, files: Files, form: str) -> None:
    tmp_path.chmod(0o500)
    try:
        if os.access(tmp_path, os.W_OK):
            return  # root may write everywhere; the simulated faults above take the same way out
        with pytest.raises(PermissionError):
            write_bundle(tmp_path / form, manifest, files)
        assert list(tmp_path.iterdir()) == []
    finally:
        tmp_path.chmod(0o700)
