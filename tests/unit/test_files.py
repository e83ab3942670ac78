"""Writing, locks, and what killed processes leave."""

import fcntl
import os
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from qsr_edge import files
from qsr_edge.errors import QsrError, TrainingError
from qsr_edge.files import atomic_write, hold, new_file, new_folder, sweep, temporary_folder
from tests.support.paths import REPOSITORY

HOLDER = """
import sys, time
from contextlib import ExitStack
from pathlib import Path
from qsr_edge.errors import QsrError
from qsr_edge.files import hold, new_file, new_folder, temporary_folder
folder = Path(sys.argv[1])
with ExitStack() as stack:
    stack.enter_context(hold(folder / "x", QsrError("busy")))
    stack.enter_context(new_file(folder / "file")).write(b"half")
    (stack.enter_context(new_folder(folder / "folder")) / "member").write_bytes(b"half")
    (stack.enter_context(temporary_folder("test")) / "scratch").mkdir()
    print("ready", flush=True)
    time.sleep(1000)
"""


@contextmanager
def other_process(folder: Path, scratch: Path) -> Iterator[subprocess.Popen[str]]:
    """One that holds ``folder/x`` and is in the middle of writing a file and two folders."""
    environment = {**os.environ, "TMPDIR": str(scratch)}
    command = [sys.executable, "-c", HOLDER, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, cwd=REPOSITORY) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
        process.kill()


def test_what_a_killed_process_left_is_swept_and_what_a_living_one_uses_is_not(tmp_path: Path) -> None:
    folder, scratch = tmp_path / "folder", tmp_path / "scratch"
    folder.mkdir()
    scratch.mkdir()
    (folder / ".mine.0123456789abcdeX.tmp").write_bytes(b"no name of ours")
    (folder / "kept.tmp").write_bytes(b"nor this")
    mine = {".mine.0123456789abcdeX.tmp", "kept.tmp"}
    with other_process(folder, scratch) as process:
        before = set(os.listdir(folder))
        assert len(before) == len(mine) + 3
        sweep(folder)
        sweep(scratch)
        assert set(os.listdir(folder)) == before
        assert len(os.listdir(scratch)) == 1
        with pytest.raises(QsrError, match="busy"), hold(folder / "x", QsrError("busy")):
            pass
        process.kill()
        process.wait()
        with hold(folder / "x", QsrError("busy")):
            sweep(folder)
            sweep(scratch)
    assert set(os.listdir(folder)) == mine
    assert os.listdir(scratch) == []


def test_a_lock_is_refused_to_another_thread_and_leaves_nothing(tmp_path: Path) -> None:
    refused = []

    def ask() -> None:
        try:
            with hold(tmp_path / "x", TrainingError("x: busy")):
                pass
        except TrainingError as error:
            refused.append(str(error))

    with hold(tmp_path / "x", TrainingError("x: busy")):
        thread = threading.Thread(target=ask)
        thread.start()
        thread.join()
        ask()
    assert refused == ["x: busy", "x: busy"]
    ask()
    assert len(refused) == 2
    assert os.listdir(tmp_path) == []


def test_of_many_who_ask_at_once_one_at_a_time_has_it(tmp_path: Path) -> None:
    inside, most, got = 0, 0, 0
    counting = threading.Lock()

    def ask() -> None:
        nonlocal inside, most, got
        for _ in range(200):
            try:
                with hold(tmp_path / "x", TrainingError("busy")):
                    with counting:
                        inside, got = inside + 1, got + 1
                        most = max(most, inside)
                    with counting:
                        inside -= 1
            except TrainingError:
                pass

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1
    assert got > 0
    assert os.listdir(tmp_path) == []


def test_without_locks_nothing_is_refused_and_nothing_is_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_locks(handle: object, operation: int) -> None:
        raise OSError(95, "Operation not supported")

    (tmp_path / ".x.0123456789abcdef.tmp").write_bytes(b"whose?")
    monkeypatch.setattr(fcntl, "flock", no_locks)
    with hold(tmp_path / "x", TrainingError("busy")), hold(tmp_path / "x", TrainingError("busy")):
        sweep(tmp_path)
    atomic_write(tmp_path / "y", b"whole")
    assert sorted(os.listdir(tmp_path)) == [".x.0123456789abcdef.tmp", "y"]


@pytest.mark.parametrize("one_step", [True, False], ids=["by one rename", "without such a rename"])
def test_a_name_that_was_taken_meanwhile_is_not_taken_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, one_step: bool
) -> None:
    if not one_step:
        monkeypatch.setattr(files, "_rename", lambda source, path, how: False)

    def two_files() -> None:
        with new_file(tmp_path / "file", replace=False) as file:
            file.write(b"late")
            (tmp_path / "file").write_bytes(b"first")

    def two_folders() -> None:
        with new_folder(tmp_path / "folder") as folder:
            (folder / "late").touch()
            (tmp_path / "folder").mkdir()
            (tmp_path / "folder" / "first").touch()

    with pytest.raises(FileExistsError, match="file"):
        two_files()
    assert (tmp_path / "file").read_bytes() == b"first"
    with pytest.raises(FileExistsError, match="folder"):
        two_folders()
    assert os.listdir(tmp_path / "folder") == ["first"]
    with new_file(tmp_path / "free", replace=False) as file:
        file.write(b"new")
    with new_folder(tmp_path / "replaced", replace=True) as folder:
        (folder / "a").touch()
    with new_folder(tmp_path / "replaced", replace=True) as folder:
        (folder / "b").touch()
    assert os.listdir(tmp_path / "replaced") == ["b"]
    assert sorted(os.listdir(tmp_path)) == ["file", "folder", "free", "replaced"]


def test_a_failed_exchange_brings_the_former_folder_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_rename", lambda source, path, how: False)
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "former").touch()
    rename = Path.rename

    def no_new_name(self: Path, target: Path) -> Path:
        if self.suffix == ".tmp":
            raise OSError(28, "No space left on device")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", no_new_name)
    with pytest.raises(OSError, match=r"No space left on device: '.*/x'"), new_folder(tmp_path / "x", replace=True):
        pass
    assert os.listdir(tmp_path) == ["x"]
    assert os.listdir(tmp_path / "x") == ["former"]


@pytest.mark.parametrize("name", [".x.0123456789abcdef.old", ".x.a8_chars.old"], ids=["this release", "0.1"])
def test_what_was_moved_aside_comes_back(tmp_path: Path, name: str) -> None:
    (tmp_path / name / "x").mkdir(parents=True)
    (tmp_path / name / "x" / "former").touch()
    sweep(tmp_path)
    assert os.listdir(tmp_path) == ["x"]
    assert os.listdir(tmp_path / "x") == ["former"]


def test_permissions_are_those_of_the_users_own_files(tmp_path: Path) -> None:
    umask = os.umask(0o027)
    try:
        with new_folder(tmp_path / "folder") as folder:
            atomic_write(folder / "file", b"")
        with temporary_folder("test") as private:
            assert stat.S_IMODE(private.stat().st_mode) == 0o700
    finally:
        os.umask(umask)
    assert stat.S_IMODE((tmp_path / "folder").stat().st_mode) == 0o750
    assert stat.S_IMODE((tmp_path / "folder" / "file").stat().st_mode) == 0o640


@pytest.mark.usefixtures("usual_signals")
def test_an_interruption_leaves_nothing(tmp_path: Path) -> None:
    def interrupted_file() -> None:
        with new_file(tmp_path / "file") as file:
            file.write(b"half")
            signal.raise_signal(signal.SIGINT)

    def interrupted_folder() -> None:
        with new_folder(tmp_path / "folder") as folder:
            (folder / "half").touch()
            signal.raise_signal(signal.SIGINT)

    for interrupted in (interrupted_file, interrupted_folder):
        with pytest.raises(KeyboardInterrupt):
            interrupted()
    assert os.listdir(tmp_path) == []
