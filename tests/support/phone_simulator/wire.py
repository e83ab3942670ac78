"""The device's side of ADB's transport: packets, the handshake, and streams multiplexed over a connection.

As adb's ``protocol.txt`` describes it: six little-endian words (command, two arguments, length, sum of the payload's
bytes, command inverted), then the payload. A side sends the next WRTE of a stream only after the OKAY of the one
before.
"""

import asyncio
import contextlib
import os
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Any

VERSION = 0x01000001
# The first version whose packets need no sum.
VERSION_SKIP_CHECKSUM = 0x01000001
MAX_PAYLOAD_BYTES = 256 * 1024
# What a peer must accept that has not said more yet.
MIN_PAYLOAD_BYTES = 4096
MAX_STREAMS = 64
HANDSHAKE_S = 30.0
TOKEN_BYTES = 20

_HEADER = struct.Struct("<6I")


class Command(IntEnum):
    CNXN = int.from_bytes(b"CNXN", "little")
    AUTH = int.from_bytes(b"AUTH", "little")
    OPEN = int.from_bytes(b"OPEN", "little")
    OKAY = int.from_bytes(b"OKAY", "little")
    WRTE = int.from_bytes(b"WRTE", "little")
    CLSE = int.from_bytes(b"CLSE", "little")


class AuthType(IntEnum):
    TOKEN = 1
    SIGNATURE = 2
    PUBLIC_KEY = 3


class Authorization(StrEnum):
    """What became of the question whether the computer may debug the phone."""

    GRANTED = "granted"
    ASKING = "asking"


class WireError(Exception):
    """The peer broke the protocol: the connection is closed, as adbd does."""


class StreamClosedError(Exception):
    """The other side closed the stream or the connection."""


@dataclass(frozen=True, slots=True)
class Packet:
    command: int
    arg0: int
    arg1: int
    payload: bytes = b""

    def encode(self) -> bytes:
        return (
            _HEADER.pack(
                self.command,
                self.arg0,
                self.arg1,
                len(self.payload),
                sum(self.payload) & 0xFFFFFFFF,
                self.command ^ 0xFFFFFFFF,
            )
            + self.payload
        )


async def read_packet(reader: asyncio.StreamReader, *, checked: bool) -> Packet:
    """Read one packet.

    Raises:
        WireError: The header or (if ``checked``) the sum is not that of a packet.
        asyncio.IncompleteReadError: The connection ended.
    """
    command, arg0, arg1, length, checksum, magic = _HEADER.unpack(await reader.readexactly(_HEADER.size))
    if magic != command ^ 0xFFFFFFFF:
        raise WireError(f"magic {magic:#x} does not belong to command {command:#x}")
    if length > MAX_PAYLOAD_BYTES:
        raise WireError(f"{length} bytes of payload; at most {MAX_PAYLOAD_BYTES}")
    payload = await reader.readexactly(length)
    if checked and checksum != sum(payload) & 0xFFFFFFFF:
        raise WireError(f"sum {checksum} of the payload is wrong")
    return Packet(command, arg0, arg1, payload)


class Stream:
    """One service's two-way stream of bytes."""

    def __init__(self, connection: "Connection", local_id: int, remote_id: int) -> None:
        self.local_id = local_id
        self.remote_id = remote_id
        self.task: asyncio.Task[None] | None = None
        self._connection = connection
        self._may_write = asyncio.Event()
        self._may_write.set()
        self._writing = asyncio.Lock()
        self._received: bytes | None = None
        self._arrived = asyncio.Event()
        self._buffer = bytearray()
        self._ended = False

    async def write(self, data: bytes) -> None:
        """Send all of ``data``; waits for the peer to take it.

        Raises:
            StreamClosedError: The peer is gone.
        """
        size = self._connection.max_payload_bytes
        async with self._writing:
            for start in range(0, len(data), size):
                await self._may_write.wait()
                if self._ended:
                    raise StreamClosedError
                self._may_write.clear()
                await self._connection.send(
                    Packet(Command.WRTE, self.local_id, self.remote_id, data[start : start + size])
                )

    async def read(self) -> bytes:
        """The next bytes, as many as came together; none at the end."""
        if self._buffer:
            taken = bytes(self._buffer)
            self._buffer.clear()
            return taken
        await self._arrived.wait()
        if self._received is None:
            return b""
        taken, self._received = self._received, None
        if not self._ended:
            self._arrived.clear()
            await self._connection.send(Packet(Command.OKAY, self.local_id, self.remote_id))
        return taken

    async def read_exactly(self, count: int) -> bytes:
        """``count`` bytes.

        Raises:
            StreamClosedError: The stream ended before.
        """
        while len(self._buffer) < count:
            kept, self._buffer = self._buffer, bytearray()
            more = await self.read()
            self._buffer = kept + more
            if not more:
                raise StreamClosedError
        taken = bytes(self._buffer[:count])
        del self._buffer[:count]
        return taken

    def deliver(self, payload: bytes) -> None:
        if self._received is not None:
            raise WireError(f"WRTE to stream {self.local_id} before the OKAY of the last one")
        if payload:
            self._received = payload
            self._arrived.set()

    def acknowledge(self) -> None:
        self._may_write.set()

    def end(self) -> None:
        self._ended = True
        self._arrived.set()
        self._may_write.set()


Service = Callable[[Stream], Awaitable[None]]


class Connection:
    """One adb server's connection.

    Args:
        banner: What CNXN says of the device, such as ``device::ro.product.model=...;features=...``.
        authorization: Asked at each handshake.
        open_service: Service by name, such as ``sync:``; None for what the device lacks.
    """

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        banner: Callable[[], str],
        authorization: Callable[[], Authorization],
        open_service: Callable[[str], Service | None],
    ) -> None:
        self.max_payload_bytes = MIN_PAYLOAD_BYTES
        self._reader = reader
        self._writer = writer
        self._banner = banner
        self._authorization = authorization
        self._open_service = open_service
        self._version = 0
        self._online = False
        self._asked = False
        self._streams: dict[int, Stream] = {}
        self._last_id = 0
        self._running: asyncio.Task[Any] | None = None

    async def send(self, packet: Packet) -> None:
        self._writer.write(packet.encode())
        try:
            await self._writer.drain()
        except OSError as exc:
            raise StreamClosedError from exc

    async def run(self) -> None:
        """Serve until the peer leaves, breaks the protocol, or ``abort`` is called."""
        self._running = asyncio.current_task()
        try:
            async with asyncio.timeout(HANDSHAKE_S) as patience:
                while True:
                    packet = await read_packet(self._reader, checked=self._version < VERSION_SKIP_CHECKSUM)
                    await self._take(packet)
                    if self._online or self._asked:
                        patience.reschedule(None)
        except (WireError, StreamClosedError, TimeoutError, OSError, asyncio.IncompleteReadError):
            pass
        finally:
            await self._end()

    def abort(self) -> None:
        """Cut the connection without a word, as a pulled cable does: what is still on its way is lost."""
        self._writer.transport.abort()
        if self._running is not None:
            self._running.cancel()
        for stream in self._streams.values():
            stream.end()
            if stream.task is not None:
                stream.task.cancel()

    async def grant(self) -> None:
        """The user allowed the computer: what waited for that is told."""
        if self._asked and not self._online:
            await self._welcome()

    async def _end(self) -> None:
        tasks = [stream.task for stream in self._streams.values() if stream.task is not None]
        for stream in self._streams.values():
            stream.end()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._writer.transport.abort()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()

    async def _take(self, packet: Packet) -> None:
        match packet.command:
            case Command.CNXN:
                await self._greet(packet)
            case Command.AUTH:
                await self._authorize(packet)
            case _ if not self._online:
                raise WireError("a packet before the handshake")
            case Command.OPEN:
                await self._open(packet)
            case Command.WRTE:
                stream = self._stream_of(packet)
                if stream is not None and packet.payload:
                    stream.deliver(packet.payload)
                elif stream is not None:
                    await self.send(Packet(Command.OKAY, stream.local_id, stream.remote_id))
                else:
                    await self.send(Packet(Command.CLSE, packet.arg1, packet.arg0))
            case Command.OKAY:
                if stream := self._stream_of(packet):
                    stream.acknowledge()
            case Command.CLSE:
                if stream := self._streams.pop(packet.arg1, None):
                    stream.end()
                    if stream.task is not None:
                        stream.task.cancel()
            case _:
                raise WireError(f"unknown command {packet.command:#x}")

    def _stream_of(self, packet: Packet) -> Stream | None:
        stream = self._streams.get(packet.arg1)
        return stream if stream is not None and stream.remote_id == packet.arg0 else None

    async def _greet(self, packet: Packet) -> None:
        if self._online:
            raise WireError("a second CNXN")
        self._version = min(VERSION, packet.arg0)
        self.max_payload_bytes = max(MIN_PAYLOAD_BYTES, min(MAX_PAYLOAD_BYTES, packet.arg1))
        if self._authorization() is Authorization.GRANTED:
            await self._welcome()
        else:
            await self._challenge()

    async def _welcome(self) -> None:
        self._online = True
        await self.send(Packet(Command.CNXN, VERSION, MAX_PAYLOAD_BYTES, self._banner().encode()))

    async def _challenge(self) -> None:
        await self.send(Packet(Command.AUTH, AuthType.TOKEN, 0, os.urandom(TOKEN_BYTES)))

    async def _authorize(self, packet: Packet) -> None:
        if self._version == 0 or self._online:
            raise WireError("AUTH where none was asked for")
        if packet.arg0 == AuthType.SIGNATURE:
            # A key that this phone has not seen: adb tries the next one, and in the end asks the user by its public
            # key.
            await self._challenge()
        elif packet.arg0 == AuthType.PUBLIC_KEY:
            self._asked = True
        else:
            raise WireError(f"AUTH of type {packet.arg0}")

    async def _open(self, packet: Packet) -> None:
        name = packet.payload.rstrip(b"\0").decode(errors="surrogateescape")
        service = self._open_service(name) if packet.arg0 and len(self._streams) < MAX_STREAMS else None
        if service is None:
            await self.send(Packet(Command.CLSE, 0, packet.arg0))
            return
        self._last_id += 1
        stream = Stream(self, self._last_id, packet.arg0)
        self._streams[stream.local_id] = stream
        await self.send(Packet(Command.OKAY, stream.local_id, stream.remote_id))
        stream.task = asyncio.create_task(self._serve(service, stream))

    async def _serve(self, service: Service, stream: Stream) -> None:
        try:
            await service(stream)
        except StreamClosedError:
            pass
        except Exception as exc:
            # A defect of the simulator: tests look for it when they close the phone.
            asyncio.get_running_loop().call_exception_handler({"message": "a service failed", "exception": exc})
        finally:
            stream.end()
            if self._streams.pop(stream.local_id, None) is not None:
                with contextlib.suppress(StreamClosedError):
                    await self.send(Packet(Command.CLSE, stream.local_id, stream.remote_id))
