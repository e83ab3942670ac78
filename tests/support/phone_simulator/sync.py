"""The ``sync:`` service, which push, pull and ls use: SEND, RECV, and LIST and STAT in both versions."""

import asyncio
import contextlib
import errno
import os
import stat
import struct
from collections.abc import Callable

from tests.support.phone_simulator.storage import Storage
from tests.support.phone_simulator.wire import Stream, StreamClosedError

MAX_DATA_BYTES = 64 * 1024
MAX_PATH_BYTES = 1024

_REQUEST = struct.Struct("<4sI")
_STAT_V1 = struct.Struct("<4sIII")
_STAT_V2 = struct.Struct("<4sIQQIIIIQqqq")
_ENTRY_V1 = struct.Struct("<4sIIII")
_ENTRY_V2 = struct.Struct("<4sIQQIIIIQqqqI")


class SyncService:
    """One ``sync:`` stream's requests, one after the other.

    Args:
        storage: The phone's files.
        receiving: Writes a pushed piece, by the function it is given; it may act (pull the cable) at any byte of it.
        powered: Whether the phone still runs; a partial file stays if it does not, as after a crash.
    """

    def __init__(
        self,
        storage: Storage,
        *,
        receiving: Callable[[bytes, Callable[[bytes], None]], None],
        powered: Callable[[], bool],
    ) -> None:
        self._storage = storage
        self._receiving = receiving
        self._powered = powered

    async def __call__(self, stream: Stream) -> None:
        while True:
            request, length = _REQUEST.unpack(await stream.read_exactly(_REQUEST.size))
            if request == b"QUIT":
                return
            if length > MAX_PATH_BYTES:
                await self._fail(stream, "path too long")
                return
            path = (await stream.read_exactly(length)).decode(errors="surrogateescape")
            match request:
                case b"STAT":
                    await stream.write(self._stat_v1(path))
                case b"STA2":
                    await stream.write(self._stat_v2(request, path, follow=True))
                case b"LST2":
                    await stream.write(self._stat_v2(request, path, follow=False))
                case b"LIST":
                    await self._list(stream, path, version=1)
                case b"LIS2":
                    await self._list(stream, path, version=2)
                case b"RECV":
                    await self._receive(stream, path)
                case b"SEND":
                    await self._send(stream, path)
                case _:
                    await self._fail(stream, f"unknown command {request!r}")
                    return

    async def _fail(self, stream: Stream, message: str) -> None:
        text = message.encode(errors="surrogateescape")
        await stream.write(_REQUEST.pack(b"FAIL", len(text)) + text)

    def _stat_v1(self, path: str) -> bytes:
        try:
            found = self._storage.stat(path, follow=False)
        except OSError:
            return _STAT_V1.pack(b"STAT", 0, 0, 0)
        return _STAT_V1.pack(b"STAT", found.st_mode, found.st_size & 0xFFFFFFFF, int(found.st_mtime))

    def _stat_v2(self, request: bytes, path: str, *, follow: bool) -> bytes:
        try:
            found = self._storage.stat(path, follow=follow)
        except OSError as exc:
            return _STAT_V2.pack(request, exc.errno or errno.EIO, *(0,) * 10)
        return _STAT_V2.pack(request, 0, *_numbers(found))

    async def _list(self, stream: Stream, path: str, *, version: int) -> None:
        try:
            # A copy: names may come and go while they are told.
            entries = list(os.scandir(self._storage.host_path(path)))
        except OSError:
            entries = []
        for entry in entries:
            try:
                found = entry.stat(follow_symlinks=False)
            except OSError:
                continue
            name = os.fsencode(entry.name)
            if version == 1:
                mode, size, mtime = found.st_mode, found.st_size & 0xFFFFFFFF, int(found.st_mtime)
                await stream.write(_ENTRY_V1.pack(b"DENT", mode, size, mtime, len(name)) + name)
            else:
                await stream.write(_ENTRY_V2.pack(b"DNT2", 0, *_numbers(found), len(name)) + name)
        done = _ENTRY_V1.pack(b"DONE", *(0,) * 4) if version == 1 else _ENTRY_V2.pack(b"DONE", *(0,) * 12)
        await stream.write(done)

    async def _receive(self, stream: Stream, path: str) -> None:
        try:
            for piece in self._storage.read(path):
                await stream.write(_REQUEST.pack(b"DATA", len(piece)) + piece)
        except OSError as exc:
            await self._fail(stream, f"open failed: {exc.strerror}")
            return
        await stream.write(_REQUEST.pack(b"DONE", 0))

    async def _send(self, stream: Stream, specification: str) -> None:
        path, _, mode_text = specification.rpartition(",")
        failure = ""
        try:
            mode = int(mode_text)
        except ValueError:
            mode, failure = 0, "missing mode"
        if stat.S_ISLNK(mode):
            await self._send_link(stream, path, failure)
            return
        writer = host_path = None
        try:
            if not failure:
                try:
                    host_path = self._storage.writable_path(path)
                    host_path.parent.mkdir(parents=True, exist_ok=True)
                    if host_path.is_file():
                        # A new file, as adbd makes: other hard links keep the old content.
                        host_path.unlink()
                    writer = self._storage.writer(host_path, path)
                except OSError as exc:
                    failure = f"couldn't create file: {exc.strerror}"
            while True:
                kind, length = _REQUEST.unpack(await stream.read_exactly(_REQUEST.size))
                if kind == b"DONE":
                    mtime = length
                    break
                if kind != b"DATA" or length > MAX_DATA_BYTES:
                    await self._fail(stream, "invalid data message")
                    raise StreamClosedError
                piece = await stream.read_exactly(length)
                if writer is not None and not failure:
                    try:
                        self._receiving(piece, writer.write)
                    except OSError as exc:
                        failure = f"write failed: {exc.strerror}"
                        host_path.unlink()
            if not failure:
                # As adbd: what the owner may, the group may, and what the group may, all may.
                mode |= (mode >> 3) & 0o070
                mode |= (mode >> 3) & 0o007
                os.chmod(host_path, mode & 0o777)
                os.utime(host_path, (mtime, mtime))
        except (StreamClosedError, asyncio.CancelledError):
            if host_path is not None and self._powered():
                host_path.unlink(missing_ok=True)
            raise
        finally:
            if writer is not None:
                writer.close()
        await (self._fail(stream, failure) if failure else stream.write(_REQUEST.pack(b"OKAY", 0)))

    async def _send_link(self, stream: Stream, path: str, failure: str) -> None:
        kind, length = _REQUEST.unpack(await stream.read_exactly(_REQUEST.size))
        if kind != b"DATA" or length > MAX_PATH_BYTES:
            await self._fail(stream, "invalid data message")
            raise StreamClosedError
        target = (await stream.read_exactly(length)).rstrip(b"\0").decode(errors="surrogateescape")
        await stream.read_exactly(_REQUEST.size)
        if not failure:
            try:
                with contextlib.suppress(FileNotFoundError):
                    self._storage.remove(path)
                self._storage.make_link(target, path)
            except OSError as exc:
                failure = f"symlink failed: {exc.strerror}"
        await (self._fail(stream, failure) if failure else stream.write(_REQUEST.pack(b"OKAY", 0)))


def _numbers(found: os.stat_result) -> tuple[int, ...]:
    times = (int(found.st_atime), int(found.st_mtime), int(found.st_ctime))
    # Owner and group of the shell on every Android.
    return (found.st_dev, found.st_ino, found.st_mode, found.st_nlink, 2000, 2000, found.st_size, *times)
