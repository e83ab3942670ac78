"""Files and folders of which nothing half-written is seen, nothing is lost, and nothing is left for ever.

A new file is written under a temporary name beside its own, and renamed when it is whole. Whoever writes holds a lock
(``flock``) on what has the temporary name. The system lets go of that lock with the process, however it ended: what
nobody holds was left by a process that was killed, and :func:`sweep` removes it.

On a file system without locks nothing is refused and nothing is swept.
"""

import contextlib
import errno
import fcntl
import os
import re
import secrets
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import IO, BinaryIO

from qsr_edge.errors import QsrError

_KEPT_NAME_LENGTH = 40
"""How much of a file's name its temporary name keeps: file systems bound names at 255 bytes."""
_RANDOM_BYTES = 8
_TEMPORARY_NAME = re.compile(r"\..+\.[0-9a-f]{16}\.tmp|qsr-edge-[a-z]+-[0-9a-f]{16}", re.DOTALL)
_ASIDE_NAME = re.compile(r"\.(.+)\.(?:[0-9a-f]{16}|[a-z0-9_]{8})\.old", re.DOTALL)
"""Names of folders that hold what was moved out of the way; release 0.1 wrote eight characters."""
_WITHOUT_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL, errno.EBADF, errno.ENOSYS)
_NOT_POSSIBLE = (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP)


class _Renaming(Enum):
    """What a rename can do besides replacing; flags of Linux's ``renameat2`` and of macOS's ``renamex_np``."""

    NO_REPLACE = (1, 4)
    EXCHANGE = (2, 2)


def atomic_write(path: Path, content: bytes, *, replace: bool = True) -> None:
    """Write a file that is there whole or not at all; see :func:`new_file`."""
    with new_file(path, replace=replace) as file:
        file.write(content)


@contextmanager
def new_file(path: Path, *, replace: bool = True) -> Iterator[BinaryIO]:
    """A file to write to, and to read from; it gets its name at the end of the block, when it is on the disk.

    Args:
        path: its name. What a link leads to is not touched: the link is replaced.
        replace: whether a file that has the name already gives way.

    Raises:
        FileExistsError: naming ``path``, if it exists, perhaps since a moment ago, and ``replace`` is not given.
        OSError: naming ``path``, if the folder is missing, not writable, or the disk is full. The temporary file is
            removed.
    """
    temporary = _temporary_beside(path)
    try:
        with _own_file(temporary) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
            # While the lock is held: nobody may take the file for one that was left behind.
            if replace:
                temporary.replace(path)
            else:
                _rename_to_free_name(temporary, path)
    except BaseException as error:
        if isinstance(error, OSError):
            # A full disk does not say which file had no room, and nobody knows the temporary name.
            error.filename, error.filename2 = str(path), None
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


@contextmanager
def new_folder(path: Path, *, replace: bool = False) -> Iterator[Path]:
    """A folder to fill; it gets its name at the end of the block.

    Args:
        path: its name.
        replace: whether a folder that has the name already gives way. Both change places in one step where the
            system can do that. Elsewhere the former one is moved aside first; :func:`sweep` puts it back if the
            process is killed before the new one is there.

    Yields:
        The folder under its temporary name, beside ``path``.

    Raises:
        FileExistsError: naming ``path``, if it exists, perhaps since a moment ago, and ``replace`` is not given.
        OSError: naming ``path``, if it cannot be written; what was there before is still there.
    """
    temporary = _temporary_beside(path)
    try:
        with _own_folder(temporary, 0o777):
            yield temporary
            if replace and path.exists():
                _replace_folder(temporary, path)
            else:
                _rename_to_free_name(temporary, path)
    except BaseException as error:
        if isinstance(error, OSError):
            error.filename, error.filename2 = str(path), None
        raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def temporary_folder(purpose: str) -> Iterator[Path]:
    """A private folder where the system keeps such, gone at the end of the block.

    What killed processes left there is swept first.

    Args:
        purpose: part of its name; lower-case letters.
    """
    parent = Path(tempfile.gettempdir())
    sweep(parent)
    folder = parent / f"qsr-edge-{purpose}-{secrets.token_hex(_RANDOM_BYTES)}"
    with _own_folder(folder, 0o700):
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def cache_folder() -> Path:
    """Where this system keeps files that can be made again: ``QSR_EDGE_CACHE``, or the user's cache folder."""
    if chosen := os.environ.get("QSR_EDGE_CACHE"):
        return Path(chosen)
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "qsr-edge"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "qsr-edge"


@contextmanager
def hold(path: Path, busy: QsrError) -> Iterator[None]:
    """Have ``path`` to oneself among the processes that ask; nothing need exist there.

    A file ``.NAME.lock`` lies beside it meanwhile. One that a killed process left holds nobody up.

    Raises:
        QsrError: ``busy``, if another process, or another thread, has it.
        OSError: naming ``path``, if nothing can be written beside it.
    """
    lock = path.with_name(f".{path.name}.lock")
    while True:
        try:
            handle = os.open(lock, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            error.filename = str(path)
            raise
        try:
            locked = _try_lock(handle)
            if locked is False:
                raise busy
            # Who had it before may have removed the file after we opened it: then it is nobody's lock any more.
            if locked and not _is_named(handle, lock):
                continue
            try:
                yield
            finally:
                with contextlib.suppress(OSError):
                    lock.unlink()
            return
        finally:
            os.close(handle)


@contextmanager
def hold_file(file: IO[bytes], busy: QsrError) -> Iterator[None]:
    """Have an open file to oneself among the processes that ask.

    Raises:
        QsrError: ``busy``, if another process has it.
    """
    if _try_lock(file.fileno()) is False:
        raise busy
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            fcntl.flock(file.fileno(), fcntl.LOCK_UN)


def sweep(folder: Path) -> None:
    """Remove temporary files and folders in a folder whose process is gone, and put back what one had moved aside.

    What cannot be removed, is another user's, or belongs to a process that still runs is left alone. A folder that
    cannot be listed is, too.
    """
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return
    for entry in entries:
        aside = _ASIDE_NAME.fullmatch(entry.name)
        if not (aside or _TEMPORARY_NAME.fullmatch(entry.name)):
            continue
        with contextlib.suppress(OSError), _abandoned(Path(entry.path)) as left:
            if left and aside:
                _put_back(Path(entry.path), folder / aside[1])
            elif left and entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path, ignore_errors=True)
            elif left:
                os.unlink(entry.path)


def _put_back(aside: Path, path: Path) -> None:
    """Give what lies in ``aside`` its name again, unless that is taken. Then it was replaced as it should have been."""
    # The folder is called after the beginning of the name only; what lies in it has all of it.
    names = os.listdir(aside)
    if not names:
        aside.rmdir()
    if len(names) == 1 and names[0].startswith(path.name):
        with contextlib.suppress(FileExistsError):
            _rename_to_free_name(aside / names[0], path.with_name(names[0]))
            aside.rmdir()
            return
        shutil.rmtree(aside, ignore_errors=True)


def _temporary_beside(path: Path, suffix: str = "tmp") -> Path:
    return path.with_name(f".{path.name[:_KEPT_NAME_LENGTH]}.{secrets.token_hex(_RANDOM_BYTES)}.{suffix}")


@contextmanager
def _own_file(path: Path) -> Iterator[BinaryIO]:
    """A new file, open and locked."""
    while True:
        with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666), "w+b") as file:
            _wait_for_lock(file.fileno())
            if not _is_named(file.fileno(), path):
                continue  # swept before it was locked
            yield file
            return


@contextmanager
def _own_folder(path: Path, mode: int) -> Iterator[None]:
    """A new folder, locked."""
    while True:
        path.mkdir(mode)
        try:
            handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            continue  # swept before it was locked
        try:
            _wait_for_lock(handle)
            if not _is_named(handle, path):
                continue
            yield
            return
        finally:
            os.close(handle)


@contextmanager
def _abandoned(path: Path) -> Iterator[bool]:
    """Whether nobody holds a file or folder of this user; it is held meanwhile."""
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        status = os.fstat(handle)
        plain = stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)
        yield plain and status.st_uid == os.geteuid() and _try_lock(handle) is True
    finally:
        os.close(handle)


def _try_lock(handle: int) -> bool | None:
    """Lock an open file; False if somebody else has, None if the file system has no locks."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in _WITHOUT_LOCKS:
            raise
        return None
    return True


def _wait_for_lock(handle: int) -> None:
    # Only who sweeps can have it, and not for long.
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
    except OSError as error:
        if error.errno not in _WITHOUT_LOCKS:
            raise


def _is_named(handle: int, path: Path) -> bool:
    """Whether an open file still has its name."""
    try:
        return os.path.samestat(os.fstat(handle), os.lstat(path))
    except FileNotFoundError:
        return False


def _replace_folder(new: Path, path: Path) -> None:
    if _rename(new, path, _Renaming.EXCHANGE):
        return  # the former folder has the temporary name now, and goes with it
    aside = _temporary_beside(path, "old")
    with _own_folder(aside, 0o700):
        former = aside / path.name
        try:
            path.rename(former)
            new.rename(path)
        except BaseException:
            if former.exists() and not path.exists():
                former.rename(path)
            with contextlib.suppress(OSError):
                aside.rmdir()
            raise
        shutil.rmtree(aside, ignore_errors=True)


def _rename_to_free_name(source: Path, path: Path) -> None:
    """Rename, and replace nothing.

    Raises:
        FileExistsError: if the name is taken.
        OSError: if it cannot be done.
    """
    if _rename(source, path, _Renaming.NO_REPLACE):
        return
    if source.is_dir():
        # A folder replaces nothing but an empty folder.
        try:
            source.rename(path)
        except OSError as error:
            if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path)) from error
            raise
    else:
        os.link(source, path)
        source.unlink()


def _rename(source: Path, path: Path, how: _Renaming) -> bool:
    """Rename in one step as Python's own functions cannot; False if this system or file system cannot either."""
    import ctypes

    library = ctypes.CDLL(None, use_errno=True)
    linux_flag, macos_flag = how.value
    first, second = os.fsencode(source), os.fsencode(path)
    if sys.platform == "linux" and hasattr(library, "renameat2"):
        here = -100  # AT_FDCWD: paths are relative to the current folder
        result = library.renameat2(here, first, here, second, ctypes.c_uint(linux_flag))
    elif sys.platform == "darwin" and hasattr(library, "renamex_np"):
        result = library.renamex_np(first, second, ctypes.c_uint(macos_flag))
    else:
        return False
    if result == 0:
        return True
    number = ctypes.get_errno()
    if number in _NOT_POSSIBLE:
        return False
    raise OSError(number, os.strerror(number), str(source), None, str(path))
