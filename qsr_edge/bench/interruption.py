"""Ctrl-C ends what it interrupts, even where a package swallows the exception that it is."""

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType


class Interruption:
    """Remembers that Ctrl-C came while it is entered.

    Python raises ``KeyboardInterrupt`` wherever the main thread happens to be. In a destructor, in a callback of native
    code or under a bare ``except`` it is lost, and what should have ended goes on. :meth:`deferred` keeps it away from
    such places, :meth:`check` raises it again where it was lost all the same.

    In other threads than the main one, and where Ctrl-C is ignored, nothing is changed.
    """

    def __init__(self) -> None:
        self._came = False
        self._is_deferred = False
        self._before: Callable[[int, FrameType | None], object] | None = None

    def __enter__(self) -> "Interruption":
        """Listen."""
        handler = signal.getsignal(signal.SIGINT)
        if threading.current_thread() is threading.main_thread() and callable(handler):
            self._before = handler
            signal.signal(signal.SIGINT, self._take)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Leave Ctrl-C as it was."""
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)

    def _take(self, number: int, frame: FrameType | None) -> None:
        self._came = True
        if not self._is_deferred and self._before is not None:
            self._before(number, frame)

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Ctrl-C takes effect at the end of the block."""
        self._is_deferred = True
        try:
            yield
        finally:
            self._is_deferred = False
            self.check()

    def check(self) -> None:
        """Raise ``KeyboardInterrupt`` if Ctrl-C came, unless it is what the caller deals with already.

        One that is entered within another tells that too.
        """
        error = sys.exception()
        while error is not None:
            if isinstance(error, KeyboardInterrupt):
                return
            error = error.__context__
        if self._came and self._before is not None:
            self._before(signal.SIGINT, None)
