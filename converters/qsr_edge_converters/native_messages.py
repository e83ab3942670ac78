"""What native runtimes write to the standard streams, kept for an error's message instead of shown."""

import contextlib
import ctypes
import io
import logging
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator


@contextlib.contextmanager
def native_messages(messages: list[str]) -> Iterator[None]:
    """Collect what native code writes to the standard error stream, without the lines that inform of nothing wrong."""
    sys.stderr.flush()
    try:
        saved = os.dup(2)
    except OSError:  # no standard error stream: nothing to keep clean
        yield
        return
    # Bindings made with pybind11 may write to sys.stderr instead.
    with tempfile.TemporaryFile() as sink, io.StringIO() as python_sink:
        os.dup2(sink.fileno(), 2)
        try:
            with contextlib.redirect_stderr(python_sink):
                yield
        finally:
            os.dup2(saved, 2)
            os.close(saved)
            sink.seek(0)
            lines = [*python_sink.getvalue().splitlines(), *sink.read().decode(errors="replace").splitlines()]
            messages.extend(line for line in lines if line.strip() and not line.startswith(("INFO:", "VERBOSE:")))


@contextlib.contextmanager
def printed_as_messages() -> Iterator[None]:
    """Lead what native code prints to the standard output, which is ours alone, to the standard error stream."""
    sys.stdout.flush()
    try:
        os.fstat(2)
        saved = os.dup(1)
    except OSError:  # no standard output to keep clean, or nowhere to lead it
        yield
        return
    os.dup2(2, 1)
    try:
        yield
    finally:
        ctypes.CDLL(None).fflush(None)  # into a file or pipe C's library writes when its buffer is full
        os.dup2(saved, 1)
        os.close(saved)


@contextlib.contextmanager
def quiet_sdk() -> Iterator[None]:
    """Without an SDK's warnings, log lines and native messages, which tell a user nothing."""
    previous = logging.root.manager.disable
    with warnings.catch_warnings(), native_messages([]):
        warnings.simplefilter("ignore")
        logging.disable(logging.WARNING)
        try:
            yield
        finally:
            logging.disable(previous)


def one_line(error: Exception, messages: list[str]) -> str:
    """An error and what native code said before it, on one line."""
    return "; ".join(" ".join(text.split()) for text in (str(error) or type(error).__name__, *messages))
