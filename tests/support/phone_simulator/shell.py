"""A shell for lists of simple commands with quotes and redirections; it runs the simulator's own, never the machine's.

What it does not know (pipes, globs, substitutions, loops) it refuses by name with exit code 2, so that no test passes
by accident.
"""

import errno
import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from posixpath import join

from tests.support.phone_simulator.storage import Storage, Writer

MAX_COMMAND_CHARS = 128 * 1024
NOT_FOUND = 127
NOT_EXECUTABLE = 126
SYNTAX_ERROR = 2

Write = Callable[[bytes], Awaitable[None]]


class ShellSyntaxError(Exception):
    """What was written is no command, or more of a shell than the simulator has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Redirection:
    descriptor: int
    target: str  # a path, or "&1"
    append: bool = False


@dataclass(slots=True, kw_only=True)
class SimpleCommand:
    """Words, of which each is a tuple of texts and (as None) places of ``$?``."""

    joined_by: str  # ";", "&&" or "||": how it follows the one before
    words: list[tuple[str | None, ...]] = field(default_factory=list)
    redirections: list[Redirection] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class Call:
    """A command that runs: what it was called with and where its output goes."""

    argv: list[str]
    environment: Mapping[str, str]
    storage: Storage
    cwd: str
    out: Write
    err: Write
    read_input: Callable[[], Awaitable[bytes]]

    def path(self, named: str) -> str:
        return join(self.cwd, named)

    async def fail(self, text: str, code: int = 1) -> int:
        await self.err(f"{self.argv[0]}: {text}\n".encode(errors="surrogateescape"))
        return code

    async def print(self, *lines: str) -> None:
        await self.out("".join(f"{line}\n" for line in lines).encode(errors="surrogateescape"))


# Runs a call; None if there is no such command.
Runner = Callable[[Call], Awaitable[int | None]]


class Shell:
    """Runs command lines one after the other, with a working directory of its own.

    Args:
        storage: The phone's files.
        run: Runs one simple command.
        out: Takes standard output.
        err: Takes standard error.
        read_input: Gives standard input, piece by piece; nothing at its end.
    """

    def __init__(
        self, storage: Storage, run: Runner, *, out: Write, err: Write, read_input: Callable[[], Awaitable[bytes]]
    ):
        self._storage = storage
        self._run = run
        self._out = out
        self._err = err
        self._read_input = read_input
        self._cwd = "/"
        self._status = 0

    async def execute(self, text: str) -> int:
        """The exit code of the whole line."""
        try:
            commands = parse(text)
        except ShellSyntaxError as exc:
            await self._err(f"/system/bin/sh: syntax error: {exc}\n".encode(errors="surrogateescape"))
            return SYNTAX_ERROR
        for command in commands:
            if (command.joined_by == "&&" and self._status != 0) or (command.joined_by == "||" and self._status == 0):
                continue
            words = ["".join(str(self._status) if part is None else part for part in word) for word in command.words]
            if words[:1] == ["exit"]:
                return int(words[1]) & 0xFF if words[1:] and words[1].isdigit() else self._status
            self._status = await self._simple(words, command.redirections)
        return self._status

    async def _simple(self, words: list[str], redirections: list[Redirection]) -> int:
        environment = {}
        while words and "=" in words[0] and words[0].partition("=")[0].isidentifier():
            name, _, environment[name] = words.pop(0).partition("=")
        outputs: dict[int, Write] = {1: self._out, 2: self._err}
        files: list[Writer] = []
        try:
            for redirection in redirections:
                if redirection.target == "&1":
                    outputs[redirection.descriptor] = outputs[1]
                elif redirection.target == "/dev/null":
                    outputs[redirection.descriptor] = _discard
                else:
                    file = self._open(redirection)
                    files.append(file)
                    outputs[redirection.descriptor] = _into(file)
        except OSError as exc:
            await self._err(f"/system/bin/sh: can't create {exc.filename}: {exc.strerror}\n".encode())
            return 1
        try:
            if not words:
                return 0
            if words[0] == "cd":
                return await self._change_folder(words)
            call = Call(
                argv=words,
                environment=environment,
                storage=self._storage,
                cwd=self._cwd,
                out=outputs[1],
                err=outputs[2],
                read_input=self._read_input,
            )
            try:
                status = await self._run(call)
            except OSError as exc:
                return await call.fail(f"{exc.filename}: {exc.strerror}" if exc.filename else str(exc.strerror))
            if status is None:
                # The words of Android's mksh.
                await outputs[2](
                    f"/system/bin/sh: {words[0]}: inaccessible or not found\n".encode(errors="surrogateescape")
                )
                return NOT_FOUND
            return status
        finally:
            for file in files:
                file.close()

    def _open(self, redirection: Redirection) -> Writer:
        device_path = join(self._cwd, redirection.target)
        return self._storage.writer(
            self._storage.writable_path(device_path), redirection.target, append=redirection.append
        )

    async def _change_folder(self, words: list[str]) -> int:
        wanted = join(self._cwd, words[1]) if words[1:] else "/"
        try:
            path = self._storage.host_path(wanted)
            if not path.is_dir():
                raise OSError(errno.ENOENT, os.strerror(errno.ENOENT))
        except OSError as exc:
            await self._err(f"/system/bin/sh: cd: {wanted}: {exc.strerror}\n".encode(errors="surrogateescape"))
            return 2
        self._cwd = self._storage.device_path(path)
        return 0


async def _discard(data: bytes) -> None:
    del data


def _into(file: Writer) -> Write:
    async def write(data: bytes) -> None:
        file.write(data)

    return write


def parse(text: str) -> list[SimpleCommand]:
    """The simple commands of a line, in order.

    Raises:
        ShellSyntaxError: It is none, or uses what the simulator lacks.
    """
    if len(text) > MAX_COMMAND_CHARS:
        raise ShellSyntaxError("command too long")
    commands: list[SimpleCommand] = []
    current = SimpleCommand(joined_by=";")
    pending: tuple[int, bool, bool] | None = None  # descriptor, append, is output
    for kind, value in _tokens(text):
        if kind == "word":
            if pending is None:
                current.words.append(value)
                continue
            descriptor, append, is_output = pending
            target = "".join(part for part in value if part is not None)
            if is_output:
                current.redirections.append(Redirection(descriptor=descriptor, target=target, append=append))
            elif target != "/dev/null":
                raise ShellSyntaxError("input from a file is not simulated")
            pending = None
            continue
        if pending is not None:
            raise ShellSyntaxError(f"unexpected {value!r} after a redirection")
        if kind == "redirection":
            pending = value
            continue
        if not current.words and not current.redirections:
            if value == ";" and not commands:
                continue
            raise ShellSyntaxError(f"unexpected {value!r}")
        commands.append(current)
        current = SimpleCommand(joined_by=value)
    if pending is not None:
        raise ShellSyntaxError("unexpected end after a redirection")
    if current.words or current.redirections:
        commands.append(current)
    elif current.joined_by != ";":
        raise ShellSyntaxError(f"unexpected end after {current.joined_by!r}")
    return commands


def _tokens(text: str):
    index = 0
    word: list[str | None] | None = None
    while index < len(text):
        char = text[index]
        index += 1
        if char in " \t":
            if word is not None:
                yield "word", tuple(word)
                word = None
        elif char in ";\n&|":
            if word is not None:
                yield "word", tuple(word)
                word = None
            doubled = text[index : index + 1] == char
            if char in "&|" and not doubled:
                raise ShellSyntaxError(f"{char!r} is not simulated")
            if char in "&|":
                index += 1
                yield "operator", char * 2
            else:
                yield "operator", ";"
        elif char in "<>":
            descriptor = 0 if char == "<" else 1
            if word in (["1"], ["2"]):
                descriptor = int(word[0])
            elif word is not None:
                yield "word", tuple(word)
            word = None
            append = text[index : index + 1] == ">"
            index += append
            if text.startswith("&1", index):
                index += 2
                yield "redirection", (descriptor, append, True)
                yield "word", ("&1",)
            else:
                yield "redirection", (descriptor, append, char == ">")
        elif char == "'":
            end = text.find("'", index)
            if end < 0:
                raise ShellSyntaxError("no closing quote")
            word = [*(word or []), text[index:end]]
            index = end + 1
        elif char == '"':
            word = [*(word or []), ""]
            while True:
                if index >= len(text):
                    raise ShellSyntaxError("no closing quote")
                char = text[index]
                index += 1
                if char == '"':
                    break
                if char == "\\" and text[index : index + 1] in ("\\", '"', "$", "`"):
                    char = text[index]
                    index += 1
                elif char in "$`":
                    index = _status_parameter(text, index, char)
                    word.append(None)
                    continue
                word.append(char)
        elif char == "\\":
            word = [*(word or []), text[index : index + 1]]
            index += 1
        elif char in "$`":
            index = _status_parameter(text, index, char)
            word = [*(word or []), None]
        elif char in "*?[](){}#~":
            # Inside a word these two are plain; so are paths and names that programs make.
            if char in "#~" and word is not None:
                word.append(char)
            else:
                raise ShellSyntaxError(f"{char!r} is not simulated")
        else:
            word = [*(word or []), char]
    if word is not None:
        yield "word", tuple(word)


def _status_parameter(text: str, index: int, char: str) -> int:
    if char == "$" and text[index : index + 1] == "?":
        return index + 1
    raise ShellSyntaxError(f"{text[index - 1 : index + 8]!r} is not simulated")


async def no_input() -> bytes:
    return b""
