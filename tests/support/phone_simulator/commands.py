"""The commands of the device protocol on files, as toybox has them: in Python, inside the phone's storage."""

import asyncio
import errno
import hashlib
import os
import stat
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

from tests.support.phone_simulator.shell import Call

MAX_SLEEP_S = 60

Function = Callable[[Call], Awaitable[int]]


def _options(call: Call, known: str) -> tuple[set[str], list[str]]:
    """Single-letter options before the operands; raises ValueError on an unknown one."""
    options: set[str] = set()
    operands = call.argv[1:]
    while operands and operands[0].startswith("-") and len(operands[0]) > 1:
        first = operands.pop(0)
        if first == "--":
            break
        if unknown := set(first[1:]) - set(known):
            raise ValueError(f"Unknown option '{min(unknown)}' (see \"{call.argv[0]} --help\")")
        options |= set(first[1:])
    return options, operands


def _target(call: Call, source: str, destination: str) -> str:
    """Where ``cp``, ``ln`` or ``mv`` puts a source: into the destination if that is a folder."""
    if call.storage.host_path(call.path(destination)).is_dir():
        return f"{call.path(destination)}/{PurePosixPath(source).name}"
    return call.path(destination)


async def cat(call: Call) -> int:
    status = 0
    if not call.argv[1:]:
        while piece := await call.read_input():
            await call.out(piece)
    for named in call.argv[1:]:
        try:
            for piece in call.storage.read(call.path(named)):
                await call.out(piece)
        except OSError as exc:
            status = await call.fail(f"{named}: {exc.strerror}")
    return status


async def chmod(call: Call) -> int:
    mode, *names = call.argv[1:]
    for named in names:
        path = call.storage.writable_path(call.path(named))
        if mode == "+x":
            path.chmod(path.stat().st_mode | 0o111)
        else:
            path.chmod(int(mode, 8) & 0o777)
    return 0


async def cp(call: Call) -> int:
    options, (*sources, destination) = _options(call, "rRfpa")
    for source in sources:
        from_path = call.storage.host_path(call.path(source))
        target = _target(call, source, destination)
        if from_path.is_dir():
            if not options & set("rRa"):
                return await call.fail(f"Skipped dir '{source}'")
            for found in sorted(from_path.rglob("*")):
                inner = f"{target}/{found.relative_to(from_path).as_posix()}"
                if found.is_file() and not found.is_symlink():
                    call.storage.writable_path(inner).parent.mkdir(parents=True, exist_ok=True)
                    _copy(call, found, inner)
            continue
        _copy(call, from_path, target)
    return 0


def _copy(call: Call, source: Path, target: str) -> None:
    path = call.storage.writable_path(target)
    with source.open("rb") as reader, call.storage.writer(path, target) as writer:
        while piece := reader.read(64 * 1024):
            writer.write(piece)
    path.chmod(stat.S_IMODE(source.stat().st_mode))


async def df(call: Call) -> int:
    _options(call, "kh")
    usage = call.storage.usage()
    total, used = usage.total_bytes // 1024, -(-usage.used_bytes // 1024)
    free = max(0, total - used)
    percent = -(-100 * used // total) if total else 100
    await call.print(
        "Filesystem     1K-blocks     Used Available Use% Mounted on",
        f"/dev/block/dm-44 {total:9d} {used:8d} {free:9d} {percent:3d}% /data/user/0",
    )
    return 0


async def echo(call: Call) -> int:
    words = call.argv[1:]
    newline = "\n"
    if words[:1] == ["-n"]:
        words, newline = words[1:], ""
    await call.out((" ".join(words) + newline).encode(errors="surrogateescape"))
    return 0


async def ln(call: Call) -> int:
    options, (*sources, destination) = _options(call, "sfn")
    for source in sources:
        target = _target(call, source, destination)
        path = call.storage.writable_path(target, follow=False)
        if "f" in options:
            path.unlink(missing_ok=True)
        try:
            if "s" in options:
                call.storage.make_link(source, target)
            elif not call.storage.hard_links:
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            else:
                os.link(call.storage.writable_path(call.path(source)), path)
        except OSError as exc:
            kind = "symbolic" if "s" in options else "hard"
            return await call.fail(f"cannot create {kind} link from '{source}' to '{destination}': {exc.strerror}")
    return 0


async def ls(call: Call) -> int:
    options, names = _options(call, "1aAldpR")
    status = 0
    for named in names or ["."]:
        try:
            path = call.storage.host_path(call.path(named))
            found = path.stat(follow_symlinks=False)
            is_listed = stat.S_ISDIR(found.st_mode) and "d" not in options
            entries = sorted(os.listdir(path)) if is_listed else [named]
        except OSError as exc:
            status = await call.fail(f"{named}: {exc.strerror}")
            continue
        if len(names) > 1 and is_listed:
            await call.print(f"{named}:")
        for entry in entries:
            if entry.startswith(".") and not options & set("aA") and is_listed:
                continue
            await call.print(_long(path / entry if is_listed else path, entry) if "l" in options else entry)
    return status


def _long(path: Path, name: str) -> str:
    found = path.stat(follow_symlinks=False)
    when = datetime.fromtimestamp(found.st_mtime, UTC).strftime("%Y-%m-%d %H:%M")
    return f"{stat.filemode(found.st_mode)} {found.st_nlink} shell shell {found.st_size} {when} {name}"


async def mkdir(call: Call) -> int:
    options, names = _options(call, "p")
    for named in names:
        try:
            call.storage.writable_path(call.path(named)).mkdir(parents="p" in options, exist_ok="p" in options)
        except OSError as exc:
            return await call.fail(f"'{named}': {exc.strerror}")
    return 0


async def mv(call: Call) -> int:
    _, (*sources, destination) = _options(call, "f")
    for source in sources:
        target = _target(call, source, destination)
        os.replace(
            call.storage.writable_path(call.path(source), follow=False),
            call.storage.writable_path(target, follow=False),
        )
    return 0


async def rm(call: Call) -> int:
    options, names = _options(call, "rRf")
    status = 0
    for named in names:
        try:
            path = call.storage.writable_path(call.path(named), follow=False)
            if path.is_dir() and not path.is_symlink() and not options & set("rR"):
                status = await call.fail(f"{named}: is directory")
                continue
            call.storage.remove(call.path(named))
        except FileNotFoundError as exc:
            if "f" not in options:
                status = await call.fail(f"{named}: {exc.strerror}")
        except OSError as exc:
            status = await call.fail(f"{named}: {exc.strerror}")
    return status


async def rmdir(call: Call) -> int:
    _, names = _options(call, "")
    for named in names:
        call.storage.writable_path(call.path(named), follow=False).rmdir()
    return 0


async def sha256sum(call: Call) -> int:
    _, names = _options(call, "b")
    status = 0
    for named in names:
        digest = hashlib.sha256()
        try:
            for piece in call.storage.read(call.path(named)):
                digest.update(piece)
        except OSError as exc:
            status = await call.fail(f"{named}: {exc.strerror}")
            continue
        await call.print(f"{digest.hexdigest()}  {named}")
    return status


async def sleep(call: Call) -> int:
    seconds = float(call.argv[1])
    if not 0 <= seconds <= MAX_SLEEP_S:
        raise ValueError(f"not between 0 and {MAX_SLEEP_S} seconds")
    await asyncio.sleep(seconds)
    return 0


async def stat_(call: Call) -> int:
    form = "%n"
    names = call.argv[1:]
    if names[:1] == ["-c"]:
        form, names = names[1], names[2:]
    status = 0
    for named in names:
        try:
            found = call.storage.stat(call.path(named), follow=False)
        except OSError as exc:
            status = await call.fail(f"'{named}': {exc.strerror}")
            continue
        fields = {
            "%n": named,
            "%s": found.st_size,
            "%Y": int(found.st_mtime),
            "%a": f"{stat.S_IMODE(found.st_mode):o}",
            "%h": found.st_nlink,
        }
        text = form
        for key, value in fields.items():
            text = text.replace(key, str(value))
        await call.print(text)
    return status


async def tail(call: Call) -> int:
    match call.argv[1:]:
        case ["-c", count, named] if count.removeprefix("+").isdigit():
            pass
        case _:
            raise ValueError("only -c N FILE and -c +N FILE are simulated")
    skip, keep = (int(count) - 1, None) if count.startswith("+") else (0, int(count))
    content = b"".join(call.storage.read(call.path(named)))
    content = content[max(0, skip) :] if keep is None else content[max(0, len(content) - keep) :]
    await call.out(content)
    return 0


async def true(_: Call) -> int:
    return 0


async def false(_: Call) -> int:
    return 1


FILE_COMMANDS: dict[str, Function] = {
    "cat": cat,
    "chmod": chmod,
    "cp": cp,
    "df": df,
    "echo": echo,
    "false": false,
    "ln": ln,
    "ls": ls,
    "mkdir": mkdir,
    "mv": mv,
    "rm": rm,
    "rmdir": rmdir,
    "sha256sum": sha256sum,
    "sleep": sleep,
    "stat": stat_,
    "tail": tail,
    "true": true,
}
