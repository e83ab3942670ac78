"""Loaded models that any thread may use: instances lent to one thread at a time, and locks of the process."""

import atexit
import ctypes
import os
import threading
import weakref
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

Instance = TypeVar("Instance")


def process_lock() -> threading.RLock:
    """A reentrant lock of the whole process, to be made once for what native code shares.

    Forking waits until it is free, so nobody holds it in the forked process. So does the end of Python, which keeps it:
    a daemon thread would otherwise be stopped in native code, which aborts the process, or with a standard stream led
    elsewhere.
    """
    lock = threading.RLock()
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=lock.acquire, after_in_parent=lock.release, after_in_child=lock.release)
    atexit.register(lock.acquire)
    return lock


def never_free(thing: Any) -> None:
    """Keep a native object for ever: in a forked process its destructor would wait for threads that are not there."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(thing))


class _Runs:
    """Runs that are in native code, for the end of Python to wait until they are out of it."""

    def __init__(self) -> None:
        self.begin_anew()

    def begin_anew(self) -> None:
        """Forget runs of other threads, in a process that was forked just now."""
        self._changed = threading.Condition()
        self._by_thread: Counter[int] = Counter()
        self._over = False

    @contextmanager
    def one(self) -> Iterator[None]:
        """A run; one that would begin when Python ends waits for ever, as its thread is stopped anyway."""
        me = threading.get_ident()
        with self._changed:
            main = threading.current_thread() is threading.main_thread()
            self._changed.wait_for(lambda: not self._over or main or me in self._by_thread)
            self._by_thread[me] += 1
        try:
            yield
        finally:
            with self._changed:
                self._by_thread[me] -= 1
                if not self._by_thread[me]:
                    del self._by_thread[me]
                self._changed.notify_all()

    def end(self) -> None:
        """Wait until none is left, and let none begin."""
        with self._changed:
            self._over = True
            self._changed.wait_for(lambda: not self._by_thread)


_runs = _Runs()
atexit.register(_runs.end)


class InstancePool(Generic[Instance]):
    """Instances of one model. A thread borrows one; if all are lent it gets a new one, or waits at the limit.

    A forked process begins without any: an instance's threads, and what they were about to do, stay in the parent.
    """

    def __init__(self, make: Callable[[], Instance], *, limit: int):
        """Make instances by ``make``, ``limit`` of them at most; none is made yet."""
        if limit < 1:
            raise ValueError(f"limit = {limit}, expected at least 1")
        self._make = make
        self._limit = limit
        self._made = 0
        self._free: list[Instance] = []
        self._changed = threading.Condition()
        _pools.add(self)

    @contextmanager
    def borrow(self, suits: Callable[[Instance], bool] = lambda instance: True) -> Iterator[Instance]:
        """An instance that no other thread has, one that suits if there is a choice.

        An instance that was used last is lent first: its memory is still in the caches.

        Raises:
            Exception: whatever making an instance raises.
        """
        with _runs.one():
            instance = self._take(suits)
            try:
                yield instance
            finally:
                with self._changed:
                    self._free.append(instance)
                    self._changed.notify()

    def _take(self, suits: Callable[[Instance], bool]) -> Instance:
        with self._changed:
            self._changed.wait_for(lambda: self._free or self._made < self._limit)
            if self._free:
                index = next((i for i in reversed(range(len(self._free))) if suits(self._free[i])), -1)
                return self._free.pop(index)
            self._made += 1
        try:
            return self._make()
        except BaseException:
            with self._changed:
                self._made -= 1
                self._changed.notify()
            raise

    def begin_anew(self) -> None:
        """Abandon every instance, in a process that was forked just now and has one thread."""
        for instance in self._free:
            never_free(instance)
        self._made, self._free, self._changed = 0, [], threading.Condition()


class OneInstance(Generic[Instance]):
    """An instance that threads use at the same time, as its runtime allows; a forked process makes its own."""

    def __init__(self, make: Callable[[], Instance]):
        """Make it.

        Raises:
            Exception: whatever making it raises, now or in a forked process.
        """
        self._make = make
        self._lock = threading.Lock()
        self._instance: Instance | None = make()
        _pools.add(self)

    @contextmanager
    def use(self) -> Iterator[Instance]:
        """The instance."""
        with _runs.one():
            with self._lock:
                if self._instance is None:
                    self._instance = self._make()
                instance = self._instance
            yield instance

    def begin_anew(self) -> None:
        """As :meth:`InstancePool.begin_anew`."""
        if self._instance is not None:
            never_free(self._instance)
        self._instance, self._lock = None, threading.Lock()


_pools: "weakref.WeakSet[InstancePool[Any] | OneInstance[Any]]" = weakref.WeakSet()


def _begin_anew() -> None:
    _runs.begin_anew()
    for pool in list(_pools):
        pool.begin_anew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)


def useful_instances(threads: int) -> int:
    """How many models of so many threads each keep this machine's processors busy; at least 1."""
    affinity = getattr(os, "sched_getaffinity", None)
    processors = len(affinity(0)) if affinity else os.cpu_count() or 1
    return max(1, processors // threads)
