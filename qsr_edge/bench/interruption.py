"""Ctrl-C ends what it interrupts, even where a package swallows the exception that it is; so do signals to end."""

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Ctrl-C; what `kill` and job runners send; what a terminal that is closed sends."""


class Interruption:
    """Remembers that Ctrl-C came while it is entered, and takes ``SIGTERM`` and ``SIGHUP`` for it.

    Python raises ``KeyboardInterrupt`` wherever the main thread happens to be. In a destructor, in a callback of native
    code or under a bare ``except`` it is lost, and what should have ended goes on. :meth:`deferred` keeps it away from
    such places, :meth:`check` raises it again where it was lost all the same.

    In other threads than the main one nothing is changed; a signal that is ignored stays so.
    """

    def __init__(self) -> None:
        self._came: int | None = None
        self._is_deferred = False
        self._before: dict[int, Callable[[int, FrameType | None], object] | signal.Handlers] = {}

    def __enter__(self) -> "Interruption":
        """Listen."""
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                handler = signal.getsignal(number)
                if callable(handler) or handler is signal.SIG_DFL:
                    self._before[number] = handler
                    signal.signal(number, self._take)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Leave signals as they were."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _take(self, number: int, frame: FrameType | None) -> None:
        self._came = number
        if not self._is_deferred:
            self._hand_on(number, frame)

    def _hand_on(self, number: int, frame: FrameType | None) -> None:
        handler = self._before[number]
        if callable(handler):
            handler(number, frame)
        else:
            raise KeyboardInterrupt

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
        if self._came is not None:
            self._hand_on(self._came, None)
