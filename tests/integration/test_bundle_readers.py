"""The Kotlin, the Swift and the Python reader judge zipped bundles alike: whole ones, harmful ones, damaged ones."""

import io
import random
import struct
import subprocess
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from qsr_edge.bundle.manifest import BOM, MODEL_CARD_NAME
from qsr_edge.bundle.reader import open_bundle
from qsr_edge.errors import BundleError
from tests.support.android_build import ANDROID_BUILD, NEEDS_ANDROID_BUILD
from tests.support.swift_build import HOST, NEEDS_SWIFT_BUILD, SWIFT
from tests.support.waiting import PATIENCE_S

READERS = [
    pytest.param("kotlin", marks=NEEDS_ANDROID_BUILD, id="kotlin"),
    pytest.param("swift", marks=NEEDS_SWIFT_BUILD, id="swift"),
]
DAMAGED = 400
AT_ONCE_ROUNDS = 60
DIRECTORY_ENTRY = b"PK\1\2"


def zipped(contents: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in contents.items():
            archive.writestr(zipfile.ZipInfo(name), content, compression)
    return buffer.getvalue()


def changed(archive: bytes, offset: int, value: bytes) -> bytes:
    """With other bytes in the first entry of its directory."""
    at = archive.index(DIRECTORY_ENTRY) + offset
    return archive[:at] + value + archive[at + len(value) :]


def variants(files: dict[str, bytes]) -> Iterator[tuple[str, bytes]]:
    model = next(name for name in files if name.endswith(".tflite"))
    whole = zipped(files)
    yield "whole", whole
    yield "stored", zipped(files, zipfile.ZIP_STORED)
    yield "with folders", zipped({"more/": b"", "more/x": b"1", **files})
    yield "other order", zipped(dict(reversed(files.items())))
    yield "with comment", whole[:-2] + struct.pack("<H", 3) + b"abc"
    for name in ("../x", "/x", "a/../../x", "a\\x", "x\x07", model.upper(), model):
        yield f"member {name!r}", with_member(files, name)
    for name in files:
        yield f"without {name}", zipped({key: value for key, value in files.items() if key != name})
    card = files[MODEL_CARD_NAME].replace(b"\n", b"\r\n")
    yield "card with Windows line ends", zipped({**files, MODEL_CARD_NAME: card})
    yield "card with Windows line ends and a byte-order mark", zipped({**files, MODEL_CARD_NAME: BOM + card})
    yield "card with a byte-order mark", zipped({**files, MODEL_CARD_NAME: BOM + files[MODEL_CARD_NAME]})
    yield "card with a line more", zipped({**files, MODEL_CARD_NAME: card + b"more\r\n"})
    yield "other card", zipped({**files, MODEL_CARD_NAME: card.replace(b"a", b"b")})
    yield "longer model", zipped({**files, model: files[model] + b"1"})
    yield "shorter model", zipped({**files, model: files[model][:-1]})
    yield "other model", zipped({**files, model: bytes(len(files[model]))})
    yield "many members", zipped({**files, **{f"m{n}": b"" for n in range(2001)}})
    yield "encrypted", changed(whole, 8, b"\1")
    yield "unknown compression", changed(whole, 10, b"\x0c")
    yield "huge", changed(whole, 24, b"\0\0\0\x20")
    yield "in a folder", zipped({f"bundle/{name}": value for name, value in files.items()})
    yield "empty", zipped({})
    yield "no archive", b"PK"


def with_member(files: dict[str, bytes], name: str) -> bytes:
    """Files and one more, whatever its name."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a name is there twice
        for key, content in [*files.items(), (name, b"1")]:
            info = zipfile.ZipInfo("placeholder")
            info.filename = key  # ZipInfo would make a harmless name of it
            archive.writestr(info, content)
    return buffer.getvalue()


def read_by_python(path: Path) -> dict[str, bytes] | str:
    """The bundle's files, or why it is refused."""
    try:
        with open_bundle(path) as bundle:
            return {entry.path: (bundle.root / entry.path).read_bytes() for entry in bundle.manifest.files}
    except BundleError as error:
        return str(error)


def judge(reader: str, storage: Path) -> list[str | Path]:
    """The command that installs the archives that follow, each in a folder of its own below the storage."""
    if reader == "swift":
        return ["bash", SWIFT, HOST, "judge", storage]
    classpath = ":".join(str(ANDROID_BUILD / part) for part in ("core", "bench", "kotlin-stdlib.jar"))
    return ["java", "-XX:TieredStopAtLevel=1", "-cp", classpath, "io.qsredge.jvm.JvmJudgeKt", storage]


@pytest.mark.parametrize("reader", READERS)
def test_processes_install_one_bundle_at_once(reader: str, tiny_bundle: Path, tmp_path: Path) -> None:
    content = zipped({path.name: path.read_bytes() for path in sorted(tiny_bundle.iterdir())})
    archives = [tmp_path / f"{number}.zip" for number in range(AT_ONCE_ROUNDS)]
    for archive in archives:
        archive.write_bytes(content)
    command = [*judge(reader, tmp_path / "storage"), *archives]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    answers = [process.communicate(timeout=PATIENCE_S)[0].splitlines() for process in processes]
    for archive, *lines in zip(archives, *answers, strict=True):
        [installed] = (tmp_path / "storage" / archive.name).iterdir()
        assert lines == [f"accepted {installed}"] * len(processes)
        for path in tiny_bundle.iterdir():
            assert (installed / path.name).read_bytes() == path.read_bytes()


@pytest.mark.parametrize("reader", READERS)
def test_two_readers_judge_alike(reader: str, tiny_bundle: Path, tmp_path: Path) -> None:
    files = {path.name: path.read_bytes() for path in sorted(tiny_bundle.iterdir())}
    archives = list(variants(files))
    rng = random.Random(5)
    for number in range(DAMAGED):
        content = bytearray(zipped(files, (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)[number % 2]))
        for _ in range(rng.randint(1, 3)):
            # Half of the damage where the archive's own structure is.
            at = rng.randrange(content.index(DIRECTORY_ENTRY) if rng.random() < 0.5 else 0, len(content))
            content[at] = rng.randrange(256)
        archives.append((f"damaged {number}", bytes(content)))
    paths = []
    for number, (_, content) in enumerate(archives):
        paths.append(tmp_path / f"{number}.zip")
        paths[-1].write_bytes(content)
    lines = subprocess.run(
        [*judge(reader, tmp_path / "storage"), *paths], capture_output=True, text=True, check=True, timeout=PATIENCE_S
    ).stdout.splitlines()
    assert len(lines) == len(archives)
    accepted = stricter = looser = 0
    for (name, _), path, line in zip(archives, paths, lines, strict=True):
        theirs = read_by_python(path)
        refused = line.startswith("refused ")
        # One may be stricter than the other about damage, never about whole archives and harmful ones: Python's zipfile
        # minds checksums and versions, the others take no archive whose structure is not plain.
        assert name.startswith("damaged ") or refused == isinstance(theirs, str), f"{name}: {line}; {theirs}"
        if not refused:
            # Whatever was damaged, the files are those that the manifest lists.
            installed = Path(line.removeprefix("accepted "))
            for listed in (path for path in files if path != "manifest.json"):
                assert (installed / listed).read_bytes() == files[listed], name
        accepted += not refused and not isinstance(theirs, str)
        stricter += refused and not isinstance(theirs, str)
        looser += not refused and isinstance(theirs, str)
    print(
        f"{len(archives)} archives: {accepted} accepted by both, {stricter} by Python alone, {looser} by {reader} alone"
    )
    assert accepted >= 5
    assert stricter + looser < DAMAGED // 4
