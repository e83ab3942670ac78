"""The simulated phone without adb: whatever a peer sends, the next one is served and nothing outside is touched."""

import asyncio
import contextlib
import random
import socket
import struct
from collections.abc import Generator
from pathlib import Path

import hypothesis
import pytest
from hypothesis import strategies

from tests.support.phone_simulator.phone import Phone
from tests.support.phone_simulator.shell import Shell, ShellSyntaxError, no_input, parse
from tests.support.phone_simulator.storage import Storage
from tests.support.phone_simulator.wire import (
    MAX_PAYLOAD_BYTES,
    MIN_PAYLOAD_BYTES,
    VERSION,
    Authorization,
    AuthType,
    Command,
    Packet,
)
from tests.support.waiting import PATIENCE_S, wait_until

HEADER = struct.Struct("<6I")


class Peer:
    """A minimal adb server."""

    def __init__(self, phone: Phone, *, version: int = VERSION, payload_bytes: int = MAX_PAYLOAD_BYTES) -> None:
        self.socket = socket.create_connection(("127.0.0.1", phone.port), timeout=PATIENCE_S)
        self.send(Packet(Command.CNXN, version, payload_bytes, b"host::features=shell_v2"))

    def send(self, packet: Packet) -> None:
        self.socket.sendall(packet.encode())

    def receive(self) -> Packet | None:
        """The next packet; None at the end."""
        try:
            header = self._exactly(HEADER.size)
            command, arg0, arg1, length, checksum, magic = HEADER.unpack(header)
            payload = self._exactly(length)
        except (EOFError, ConnectionError):
            return None
        assert magic == command ^ 0xFFFFFFFF
        assert checksum == sum(payload)
        return Packet(command, arg0, arg1, payload)

    def _exactly(self, count: int) -> bytes:
        taken = b""
        while len(taken) < count:
            more = self.socket.recv(count - len(taken))
            if not more:
                raise EOFError
            taken += more
        return taken

    def run(self, service: str, *, local_id: int = 1) -> bytes | None:
        """Everything that a service sends; None if it is refused."""
        self.send(Packet(Command.OPEN, local_id, 0, service.encode() + b"\0"))
        if (opened := self.receive()) is None or opened.command != Command.OKAY:
            return None
        output = b""
        while (packet := self.receive()) is not None and packet.command == Command.WRTE:
            output += packet.payload
            self.send(Packet(Command.OKAY, local_id, packet.arg0))
        return output

    def __enter__(self) -> "Peer":
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()


def greeted(phone: Phone, **options: int) -> Peer:
    peer = Peer(phone, **options)
    greeting = peer.receive()
    assert greeting is not None
    assert greeting.command == Command.CNXN
    return peer


@pytest.fixture
def bare_phone() -> Generator[Phone, None, None]:
    with Phone() as phone:
        (phone.storage.root.parent / "outside").write_bytes(b"untouched")
        yield phone
        # It still answers, nothing failed inside, and what lies around its root is as it was.
        with greeted(phone) as peer:
            assert peer.run("exec:echo alive") == b"alive\n"
        assert phone.defects == []
        around = {path.name for path in phone.storage.root.parent.iterdir()}
        assert around == {"root", "scratch", "outside"}
        assert (phone.storage.root.parent / "outside").read_bytes() == b"untouched"


SERVICES = [
    "sync:",
    "sync:",
    "sync:",
    "shell,v2,raw:cat",
    "shell,v2,raw:cat > /sdcard/typed",
    "exec:sleep 1",
    "exec:\udcff",
    "shell:ls -l /sdcard",
]


def random_payload(rng: random.Random, service: str) -> bytes:
    if service != "sync:":
        text = rng.randbytes(rng.randrange(50))
        return struct.pack("<BI", rng.choice([0, 0, 3, 5, 9]), len(text) if rng.random() < 0.8 else 1 << 30) + text
    requests = []
    for _ in range(rng.randrange(1, 4)):
        path = rng.choice([b"/sdcard/../../outside", b"/sdcard/s", b"/sdcard/d/s", b"../outside", rng.randbytes(9)])
        match rng.randrange(8):
            case 0 | 1 | 2:
                known = rng.choice([b"STAT", b"STA2", b"LST2", b"LIST", b"LIS2", b"RECV", b"JUNK"])
                requests.append(struct.pack("<4sI", known, len(path)) + path)
            case 3 | 4 | 5 | 6:
                path += rng.choice([b",33188", b",33188", b",33188", b",41471", b",x", b""])
                content = rng.randbytes(rng.randrange(40))
                requests += [struct.pack("<4sI", b"SEND", len(path)) + path]
                requests += [struct.pack("<4sI", b"DATA", len(content)) + content]
                requests += [struct.pack("<4sI", b"DONE", rng.getrandbits(32))]
            case _:
                length = rng.getrandbits(rng.randrange(1, 33))
                requests.append(struct.pack("<4sI", rng.choice([b"DATA", b"DONE", b"SEND"]), length))
    return b"".join(requests)


def random_packet(rng: random.Random, service: str) -> bytes:
    command = rng.choice([*Command, rng.getrandbits(32)]) if rng.random() < 0.3 else Command.WRTE
    identity = (1, 1) if rng.random() < 0.9 else (rng.getrandbits(2), rng.getrandbits(2))
    packet = bytearray(Packet(command, *identity, random_payload(rng, service)).encode())
    if rng.random() < 0.15:
        packet[rng.randrange(len(packet))] ^= 1 << rng.randrange(8)
    return bytes(packet[: rng.randrange(len(packet))] if rng.random() < 0.1 else packet)


def test_random_packets_harm_nothing(bare_phone: Phone) -> None:
    rng = random.Random(20240229)
    pushed: list[bytes] = []
    receive = bare_phone.received
    bare_phone.received = lambda piece, write: (pushed.append(piece), receive(piece, write))
    for _ in range(120):
        service = rng.choice(SERVICES)
        with greeted(bare_phone) as peer, contextlib.suppress(ConnectionError):
            peer.send(Packet(Command.OPEN, 1, 0, service.encode(errors="surrogateescape") + b"\0"))
            peer.receive()
            if service == "sync:":
                # Some pushes come through, however slow this machine is.
                push = struct.pack("<4sI", b"SEND", 15) + b"/sdcard/s,33188"
                push += struct.pack("<4sI", b"DATA", 2) + b"ok" + struct.pack("<4sI", b"DONE", 0)
                peer.send(Packet(Command.WRTE, 1, 1, push))
                assert {peer.receive().command, peer.receive().command} == {Command.OKAY, Command.WRTE}
                peer.send(Packet(Command.OKAY, 1, 1))
            for _ in range(rng.randrange(1, 4)):
                peer.socket.sendall(random_packet(rng, service))
                peer.socket.settimeout(0.01)
                with contextlib.suppress(TimeoutError):
                    # Whatever comes is acknowledged, so that the service goes on.
                    while peer.socket.recv(65536):
                        peer.send(Packet(Command.OKAY, 1, 1))
    # The commands and pushes among them were carried out.
    assert len(bare_phone.commands) > 5
    assert len(pushed) > 5


def test_a_peer_that_breaks_the_protocol_is_cut(bare_phone: Phone) -> None:
    wrong = [
        b"\0" * 24,
        HEADER.pack(Command.WRTE, 1, 1, MAX_PAYLOAD_BYTES + 1, 0, Command.WRTE ^ 0xFFFFFFFF),
        Packet(Command.CNXN, VERSION, MAX_PAYLOAD_BYTES, b"host::").encode(),
        Packet(Command.AUTH, AuthType.PUBLIC_KEY, 0, b"key").encode(),
        Packet(int.from_bytes(b"JUNK", "little"), 0, 0).encode(),
    ]
    for packet in wrong:
        with greeted(bare_phone) as peer:
            peer.socket.sendall(packet)
            assert peer.receive() is None
    with socket.create_connection(("127.0.0.1", bare_phone.port), timeout=PATIENCE_S) as early:
        early.sendall(Packet(Command.OPEN, 1, 0, b"exec:echo\0").encode())
        assert early.recv(1) == b""


def test_sums_are_checked_for_peers_that_have_them(bare_phone: Phone) -> None:
    good = Packet(Command.OPEN, 1, 0, b"exec:echo a\0").encode()
    bad = good[:16] + b"\x01" + good[17:]
    with greeted(bare_phone, version=0x01000000) as peer:
        peer.socket.sendall(bad)
        assert peer.receive() is None
    with greeted(bare_phone, version=0x01000000) as peer:
        assert peer.run("exec:echo a") == b"a\n"
    with greeted(bare_phone) as peer:
        peer.socket.sendall(bad)
        assert peer.receive().command == Command.OKAY


def test_payloads_keep_to_what_the_peer_takes(bare_phone: Phone) -> None:
    bare_phone.storage.host_path("/sdcard/big").write_bytes(bytes(20_000))
    with greeted(bare_phone, payload_bytes=MIN_PAYLOAD_BYTES) as peer:
        peer.send(Packet(Command.OPEN, 7, 0, b"exec:cat /sdcard/big\0"))
        assert peer.receive().command == Command.OKAY
        sizes = []
        while (packet := peer.receive()).command == Command.WRTE:
            # Nothing more comes until this one is acknowledged.
            peer.socket.settimeout(0.01)
            with pytest.raises(TimeoutError):
                peer.socket.recv(1)
            peer.socket.settimeout(PATIENCE_S)
            sizes.append(len(packet.payload))
            peer.send(Packet(Command.OKAY, 7, packet.arg0))
        assert sizes == [4096, 4096, 4096, 4096, 3616]
        assert packet == Packet(Command.CLSE, packet.arg0, 7)


def test_services_that_are_not_there_are_refused(bare_phone: Phone) -> None:
    with greeted(bare_phone) as peer:
        for service in (
            "shell:",
            "shell,v2,pty:",
            "tcp:22",
            "local:/etc/passwd",
            "root:",
            "jdwp:1",
            "framebuffer:",
            "",
        ):
            assert peer.run(service) is None


def test_an_unknown_computer_is_asked_about_until_it_is_allowed() -> None:
    with Phone(authorization=Authorization.ASKING) as phone, Peer(phone) as peer:
        tokens = []
        for reply in (AuthType.SIGNATURE, AuthType.SIGNATURE, AuthType.PUBLIC_KEY):
            packet = peer.receive()
            assert (packet.command, packet.arg0, len(packet.payload)) == (Command.AUTH, AuthType.TOKEN, 20)
            tokens.append(packet.payload)
            peer.send(Packet(Command.AUTH, reply, 0, b"x" * 256))
        assert len(set(tokens)) == 3
        # Nobody is let in meanwhile.
        with Peer(phone) as other:
            other.receive()
            other.send(Packet(Command.OPEN, 1, 0, b"exec:echo\0"))
            assert other.receive() is None
        peer.socket.settimeout(0.1)
        with pytest.raises(TimeoutError):
            peer.socket.recv(1)
        peer.socket.settimeout(PATIENCE_S)
        phone.authorize()
        assert peer.receive().command == Command.CNXN
        assert peer.run("exec:echo in") == b"in\n"


def test_a_phone_that_boots_without_a_cable_waits_for_it(bare_phone: Phone) -> None:
    first = bare_phone.boot_id
    bare_phone.reboot(seconds=0.05)
    bare_phone.pull_cable()
    wait_until(lambda: bare_phone.boot_id != first)
    with pytest.raises(ConnectionRefusedError):
        Peer(bare_phone)
    with socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind(("127.0.0.1", bare_phone.port))  # nobody gets the port meanwhile
    assert not bare_phone.battery.plugged_in
    bare_phone.plug_in()
    with greeted(bare_phone) as peer:
        assert peer.run("exec:cat /proc/sys/kernel/random/boot_id") == f"{bare_phone.boot_id}\n".encode()


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Storage:
    folder = tmp_path_factory.mktemp("storage")
    (folder / "outside").write_bytes(b"untouched")
    (folder / "root" / "data" / "local" / "tmp").mkdir(parents=True)
    made = Storage(folder / "root", quota_bytes=100_000, generated={})
    made.hard_links = True
    (folder / "root" / "sdcard" / "out").symlink_to("../../outside")
    (folder / "root" / "sdcard" / "loop").symlink_to("loop")
    (folder / "root" / "sdcard" / "up").symlink_to("..")
    return made


PARTS = strategies.sampled_from(
    ["..", ".", "", "sdcard", "data", "local", "tmp", "out", "loop", "up", "a b", "ä", "-", "x" * 300]
)
PATHS = strategies.lists(PARTS | strategies.text(max_size=4), max_size=12).map("/".join)


@hypothesis.given(path=PATHS, follow=strategies.booleans())
@hypothesis.example(path="sdcard/out", follow=True)
@hypothesis.example(path="sdcard/up/up/../sdcard/up/sdcard/out", follow=True)
@hypothesis.example(path="sdcard/up/../../../outside", follow=False)
def test_paths_stay_below_the_root(storage: Storage, path: str, follow: bool) -> None:
    try:
        found = storage.host_path(path, follow=follow)
    except OSError:
        return
    parent = found.resolve(strict=False) if follow else found.parent.resolve(strict=False) / found.name
    assert parent.is_relative_to(storage.root)
    assert storage.host_path(storage.device_path(found), follow=follow) == found


WORDS = strategies.sampled_from(
    "cat cp ln mkdir rm rmdir chmod stat ls tail echo df sha256sum cd exit false -c -rf -s -p +1 777 "
    "& && || ; > >> 2>&1 2> $? ' \" \\ /sdcard/a /sdcard/../.. /data/local/tmp/b .. ../../outside /sdcard/out x".split()
)  # fmt: skip


@hypothesis.given(line=strategies.lists(WORDS | strategies.text(max_size=6), max_size=10).map(" ".join))
def test_any_command_line_ends_with_an_exit_code_inside_the_root(storage: Storage, line: str) -> None:
    from tests.support.phone_simulator.commands import FILE_COMMANDS

    async def run(call):
        function = FILE_COMMANDS.get(call.argv[0])
        if function is None or call.argv[0] == "sleep":
            return None
        try:
            return await function(call)
        except (ValueError, IndexError) as exc:
            return await call.fail(str(exc))

    printed: list[bytes] = []

    async def write(data: bytes) -> None:
        printed.append(data)

    code = asyncio.run(Shell(storage, run, out=write, err=write, read_input=no_input).execute(line))
    assert 0 <= code <= 255
    assert code == 0 or printed or any(word in line for word in ("false", "exit", ">"))
    around = storage.root.parent
    assert {path.name for path in around.iterdir()} == {"root", "outside"}
    assert (around / "outside").read_bytes() == b"untouched"
    assert sum(path.lstat().st_size for path in around.rglob("*") if path.is_file()) < 200_000


@pytest.mark.parametrize(
    "line",
    ["a |", "a | b", "a & b", "echo `id`", "echo $HOME", "a 'b", 'a "b', "a >", "&& a", "a &&", "a ;; b", "a < b"],
)  # fmt: skip
def test_what_is_more_than_a_list_of_commands_is_refused(line: str) -> None:
    with pytest.raises(ShellSyntaxError):
        parse(line)


def test_quota_counts_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    made = Storage(tmp_path / "root", quota_bytes=1000, generated={})
    path = made.writable_path("/sdcard/a")
    with made.writer(path, "/sdcard/a") as writer:
        writer.write(bytes(600))
        with pytest.raises(OSError, match="No space left on device: '/sdcard/a'"):
            writer.write(bytes(600))
    assert (made.usage().used_bytes, made.free_bytes(), path.stat().st_size) == (1000, 0, 1000)
    made.remove("/sdcard/a")
    assert made.free_bytes() == 1000
