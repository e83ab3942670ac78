"""The phone's files: a private folder as the device's root, which no path or link leaves, with a quota."""

import errno
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

MAX_LINKS = 40
BLOCK_BYTES = 1024

# Where the shell may write. Apps (the agent) write below /sdcard only, by the protocol; nothing here enforces that.
WRITABLE = (PurePosixPath("/data/local/tmp"), PurePosixPath("/sdcard"))


def _error(code: int, device_path: object) -> OSError:
    return OSError(code, os.strerror(code), str(device_path))


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    total_bytes: int
    used_bytes: int


class Storage:
    """Files below ``root``.

    Every method takes device paths. They are resolved here, component by component, never by the machine's kernel:
    ``..`` stops at the device's ``/``, links are followed inside the root, and a link that someone put there to lead
    out of it is refused.

    Args:
        root: An existing private folder.
        quota_bytes: What all files together may take.
        generated: Contents of files that the kernel makes up, such as ``/proc/uptime``.
    """

    def __init__(self, root: Path, *, quota_bytes: int, generated: dict[str, Callable[[], bytes]]) -> None:
        self.root = root.resolve(strict=True)
        self.quota_bytes = quota_bytes
        # SELinux forbids them to the shell on most phones.
        self.hard_links = False
        self.generated = generated
        for folder in WRITABLE:
            self._below(folder.parts[1:]).mkdir(parents=True, exist_ok=True)

    def host_path(self, device_path: str, *, follow: bool = True) -> Path:
        """The file of this machine that ``device_path`` is; it need not exist.

        Args:
            device_path: Relative ones count from ``/``.
            follow: Whether a link that is the last component is followed.

        Raises:
            OSError: A loop, a link that leaves the root, a name that is no name.
        """
        if "\0" in device_path:
            raise _error(errno.EINVAL, device_path.replace("\0", "?"))
        if len(device_path.encode(errors="surrogateescape")) > 4096:
            raise _error(errno.ENAMETOOLONG, device_path[:40])
        pending = list(reversed(PurePosixPath("/", device_path).parts[1:]))
        resolved: list[str] = []
        links = 0
        while pending:
            part = pending.pop()
            if part == "..":
                del resolved[-1:]
                continue
            here = self._below(resolved) / part
            if here.is_symlink() and (pending or follow):
                links += 1
                if links > MAX_LINKS:
                    raise _error(errno.ELOOP, device_path)
                target = PurePosixPath(os.readlink(here))
                if self._leaves(resolved, target):
                    raise _error(errno.EACCES, device_path)
                pending.extend(reversed(target.parts))
            else:
                resolved.append(part)
        return self._below(resolved)

    def device_path(self, host_path: Path) -> str:
        """The inverse of ``host_path``."""
        return "/" + "/".join(host_path.relative_to(self.root).parts)

    def writable_path(self, device_path: str, *, follow: bool = True) -> Path:
        """As ``host_path``, of what the shell may change.

        Raises:
            OSError: It may not, or as ``host_path``.
        """
        path = self.host_path(device_path, follow=follow)
        if not any(path.is_relative_to(self._below(folder.parts[1:])) for folder in WRITABLE):
            raise _error(errno.EROFS if path.parent == self.root else errno.EACCES, device_path)
        return path

    def make_link(self, target: str, link: str) -> None:
        """A symbolic link that stays right for processes of this machine, too: it is written relative to its folder."""
        path = self.writable_path(link, follow=False)
        parent = PurePosixPath("/", link).parent
        aimed = self.host_path(str(parent / target))
        os.symlink(os.path.relpath(aimed, path.parent), path)

    def read(self, device_path: str) -> Iterator[bytes]:
        """The content in pieces."""
        made = self.generated.get(str(PurePosixPath("/", device_path)))
        if made is not None:
            yield made()
            return
        path = self.host_path(device_path)
        if path.is_dir():
            raise _error(errno.EISDIR, device_path)
        with path.open("rb") as file:
            while piece := file.read(64 * 1024):
                yield piece

    def stat(self, device_path: str, *, follow: bool = True) -> os.stat_result:
        """As ``os.stat``; raises its errors."""
        return self.host_path(device_path, follow=follow).stat(follow_symlinks=False)

    def usage(self) -> Usage:
        """What the files take; a file with several links counts once."""
        sizes = {}
        for folder, _, names in os.walk(self.root):
            for name in names:
                try:
                    found = os.lstat(os.path.join(folder, name))
                except FileNotFoundError:
                    continue
                if stat.S_ISREG(found.st_mode):
                    sizes[found.st_ino] = found.st_size
        return Usage(total_bytes=self.quota_bytes, used_bytes=sum(sizes.values()))

    def free_bytes(self) -> int:
        usage = self.usage()
        return max(0, usage.total_bytes - usage.used_bytes)

    def writer(self, path: Path, device_path: str, *, append: bool = False) -> "Writer":
        """Open a resolved ``path`` for writing within the quota."""
        return Writer(self, path, device_path, append=append)

    def remove(self, device_path: str) -> None:
        """A file, link or whole folder."""
        path = self.writable_path(device_path, follow=False)
        if any(path == self._below(folder.parts[1:]) for folder in WRITABLE):
            raise _error(errno.EACCES, device_path)
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()

    def _below(self, parts: list[str] | tuple[str, ...]) -> Path:
        return self.root.joinpath(*parts)

    @staticmethod
    def _leaves(resolved: list[str], target: PurePosixPath) -> bool:
        # Links of ours are relative; a process of this machine would follow an absolute one out of the root.
        depth = len(resolved)
        for part in target.parts:
            depth += -1 if part == ".." else 1
            if depth < 0:
                return True
        return target.is_absolute()


class Writer:
    """A file being written. The quota is looked up once, when it is opened, and kept after."""

    def __init__(self, storage: Storage, path: Path, device_path: str, *, append: bool) -> None:
        self._device_path = device_path
        if path.is_dir():
            raise _error(errno.EISDIR, device_path)
        flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | (os.O_APPEND if append else os.O_TRUNC)
        self._descriptor = os.open(path, flags, 0o644)
        self._storage = storage
        self._quota_bytes = storage.quota_bytes
        self._free_bytes = storage.free_bytes()

    def write(self, data: bytes) -> None:
        """Append; what still fits is written before ENOSPC is raised."""
        if self._storage.quota_bytes != self._quota_bytes:
            self._quota_bytes = self._storage.quota_bytes
            self._free_bytes = self._storage.free_bytes()
        fits = data[: self._free_bytes]
        os.write(self._descriptor, fits)
        self._free_bytes -= len(fits)
        if len(fits) < len(data):
            raise _error(errno.ENOSPC, self._device_path)

    def close(self) -> None:
        os.close(self._descriptor)

    def __enter__(self) -> "Writer":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
