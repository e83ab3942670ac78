"""What native runtimes write to the standard streams, kept for an error's message instead of shown.

The standard streams belong to the whole process. So one thread at a time reads a stream for itself; what other threads
print meanwhile reaches the stream at once if they use ``sys.stderr`` or ``sys.stdout``, and when the reading ends if
they use the file descriptor or an older reference to the stream (as logging handlers do). A program that another
thread *starts* meanwhile inherits the stream that is read: its messages are lost.
"""

import contextlib
import ctypes
import io
import logging
import os
import re
import sys
import tempfile
import threading
import warnings
from collections import deque
from collections.abc import Iterator
from typing import Any, Literal

from qsr_edge.errors import one_line
from qsr_edge_converters.sharing import process_lock

_STREAMS: dict[str, int] = {"stdout": 1, "stderr": 2}
_lock = process_lock()

_INFORMATION = ("INFO:", "VERBOSE:")
"""How LiteRT begins lines that inform of nothing wrong."""
_OF_A_RUNTIME = re.compile(
    rb"(INFO|VERBOSE|WARNING|ERROR): |\[\w+\.(cpp|cc|h):\d+\]|[IWEF] ?\d\d:?\d\d|(Note|Warning|Error)( \(\w+\))? in "
)
"""How lines begin that LiteRT, ExecuTorch, XNNPACK or the TOSA reference model wrote; others are of other threads."""


class _ThreadsOwn(io.TextIOBase):
    """Stands for a standard stream: keeps what one thread writes, lets through what others do.

    Somebody may hold it after its time is over; then it lets everything through, until its time comes again.
    """

    def __init__(self, stream: Any):
        """Stand for ``stream``, and let everything through so far."""
        self._stream = stream
        self._through: int | None = None
        self._owner: int | None = None
        self._kept: list[str] = []
        # Who has ended may close the descriptor: nobody may be about to write to it then.
        self._writing = threading.Lock()

    def begin(self, through: int | None) -> None:
        """Keep what this thread writes; ``through``: a descriptor of where the stream led, if it was led elsewhere."""
        self._kept = []
        self._through = through
        self._owner = threading.get_ident()

    @property
    def is_free(self) -> bool:
        """Whether it keeps nothing now."""
        return self._owner is None

    def end(self) -> str:
        """What was kept; from now on everything is let through."""
        with self._writing:
            self._owner = self._through = None
        return "".join(self._kept)

    def write(self, text: str, /) -> int:
        if threading.get_ident() == self._owner:
            self._kept.append(text)
            return len(text)
        with self._writing:
            if self._through is not None:
                encoded = text.encode(self._stream.encoding or "utf-8", self._stream.errors or "replace")
                os.write(self._through, encoded)
                return len(text)
        self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        if self._through is None:
            self._stream.flush()

    def isatty(self) -> bool:
        through = self._through
        return bool(self._stream.isatty()) if through is None else os.isatty(through)

    def fileno(self) -> int:
        return int(self._stream.fileno())

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """That of the stream that this one stands for."""
        return str(self._stream.encoding)

    @property
    def errors(self) -> str | None:  # type: ignore[override]
        """That of the stream that this one stands for."""
        errors: str | None = self._stream.errors
        return errors

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


_STREAMS_KNOWN = 16
_own_streams: deque[tuple[Any, _ThreadsOwn]] = deque(maxlen=_STREAMS_KNOWN)
"""Streams and what stands for them, kept: `print` of Python 3.11 and 3.12 takes ``sys.stdout`` without a reference of
its own, so in a thread that prints meanwhile the process would crash where ours is freed."""


if hasattr(os, "register_at_fork"):
    # A thread of the parent may have been writing: its lock would stay held in the child.
    os.register_at_fork(after_in_child=_own_streams.clear)


def _standing_for(stream: Any) -> _ThreadsOwn:
    """What stands for a stream, the same one each time unless that one is in use; only with the lock held."""
    for known, own in _own_streams:
        if known is stream and own.is_free:
            return own
    own = _ThreadsOwn(stream)
    _own_streams.append((stream, own))
    return own


@contextlib.contextmanager
def _own(name: Literal["stdout", "stderr"], through: int | None = None) -> Iterator[list[str]]:
    """Keep what this thread writes to ``sys.stdout`` or ``sys.stderr``; the list has it afterwards."""
    stream, kept = getattr(sys, name), list[str]()
    if stream is None:  # a program without a console
        yield kept
        return
    leads_there = False
    with contextlib.suppress(OSError, ValueError, AttributeError):
        leads_there = stream.fileno() == _STREAMS[name] and not isinstance(stream, _ThreadsOwn)
    own = _standing_for(stream)
    own.begin(through if leads_there else None)
    setattr(sys, name, own)
    try:
        yield kept
    finally:
        kept.append(own.end())
        # Who has led the stream elsewhere meanwhile will lead it back to ours, which lets everything through.
        if getattr(sys, name) is own:
            setattr(sys, name, stream)


@contextlib.contextmanager
def _read_stream(name: Literal["stdout", "stderr"], lines: list[str], *, all_ours: bool = False) -> Iterator[None]:
    """Collect what is written to a standard stream by this thread or by native code; only with the lock held.

    ``all_ours``: what is written in no known form is native code's as well, unless there are other threads.
    """
    descriptor, stream = _STREAMS[name], getattr(sys, name)
    if stream is not None:
        stream.flush()
    try:
        saved = os.dup(descriptor)
    except OSError:  # no such stream: nothing to keep clean
        yield
        return
    alone = threading.active_count() == 1
    try:
        with tempfile.TemporaryFile() as sink, _own(name, saved) as kept:
            os.dup2(sink.fileno(), descriptor)
            try:
                yield
            except BaseException:
                all_ours = True  # an error's message will have it
                raise
            finally:
                ctypes.CDLL(None).fflush(None)  # into a file or pipe C's library writes when its buffer is full
                os.dup2(saved, descriptor)
                sink.seek(0)
                content = sink.read()
                if not (all_ours and alone and threading.active_count() == 1):
                    _hand_back(content, descriptor)
        lines.extend([*"".join(kept).splitlines(), *content.decode(errors="replace").splitlines()])
    finally:
        os.close(saved)


def _hand_back(content: bytes, descriptor: int) -> None:
    """Write what no runtime has written, so another thread has, to where it was meant to go."""
    foreign = b"".join(line for line in content.splitlines(keepends=True) if not _OF_A_RUNTIME.match(line))
    with contextlib.suppress(OSError):
        while foreign:
            foreign = foreign[os.write(descriptor, foreign) :]


@contextlib.contextmanager
def native_messages(messages: list[str]) -> Iterator[None]:
    """Collect what native code writes to the standard error stream, without the lines that inform of nothing wrong.

    One thread at a time is let in; a fork waits until it is out.
    """
    with _reading_messages(messages):
        yield


@contextlib.contextmanager
def _reading_messages(messages: list[str], *, all_ours: bool = False) -> Iterator[None]:
    lines: list[str] = []
    with _lock:
        try:
            with _read_stream("stderr", lines, all_ours=all_ours):
                yield
        finally:
            messages.extend(line for line in lines if line.strip() and not line.startswith(_INFORMATION))


@contextlib.contextmanager
def without_native_prints() -> Iterator[None]:
    """Keep what native code and this thread print out of the standard output, which is ours alone; as above."""
    with _lock, _read_stream("stdout", []):
        yield


@contextlib.contextmanager
def quiet_sdk() -> Iterator[None]:
    """Without an SDK's warnings, log lines, prints and native messages, which tell a user nothing.

    Warnings and log lines below an error are off in the whole process meanwhile. One thread at a time is let in.
    """
    with _lock, warnings.catch_warnings(), _reading_messages([], all_ours=True), _own("stdout"):
        previous = logging.root.manager.disable
        warnings.simplefilter("ignore")
        logging.disable(logging.WARNING)
        try:
            yield
        finally:
            logging.disable(previous)


def with_messages(error: Exception, messages: list[str]) -> str:
    """An error and what native code said before it, on one line."""
    return "; ".join(one_line(text, None) for text in (str(error) or type(error).__name__, *messages))
