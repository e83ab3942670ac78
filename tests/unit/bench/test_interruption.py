"""Ctrl-C is not lost where an exception is, and does not disturb those who deal with it."""

import contextlib
import signal
import threading

import pytest

from qsr_edge.bench.interruption import Interruption

pytestmark = pytest.mark.usefixtures("usual_signals")


def test_what_was_swallowed_is_raised_at_the_next_check() -> None:
    with Interruption() as interruption:
        interruption.check()
        with contextlib.suppress(BaseException):
            signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            interruption.check()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_it_is_raised_at_once_elsewhere(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with Interruption(), pytest.raises(KeyboardInterrupt):
        signal.raise_signal(number)
    assert signal.getsignal(number) is before


def test_deferred_it_comes_at_the_end() -> None:
    steps = []

    def go_on(error: Exception | None) -> None:
        with Interruption() as interruption, interruption.deferred():
            signal.raise_signal(signal.SIGINT)
            steps.append("went on")
            if error is not None:
                raise error

    for error in (None, OSError("which is less than the interruption")):
        with pytest.raises(KeyboardInterrupt):
            go_on(error)
    assert steps == ["went on"] * 2


def test_deferred_by_an_inner_one_it_is_remembered_by_the_outer() -> None:
    with Interruption() as outer:
        with contextlib.suppress(KeyboardInterrupt), Interruption() as inner, inner.deferred():
            signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            outer.check()


def test_who_cleans_up_after_it_is_not_interrupted_by_the_same_one() -> None:
    steps = []

    def work() -> None:
        with Interruption() as interruption:
            try:
                signal.raise_signal(signal.SIGINT)
            except KeyboardInterrupt:
                interruption.check()
                try:
                    raise OSError("while cleaning")
                except OSError:
                    interruption.check()
                with interruption.deferred():
                    steps.append("cleaned")
                raise

    with pytest.raises(KeyboardInterrupt):
        work()
    assert steps == ["cleaned"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_what_is_ignored_stays_so(number: signal.Signals) -> None:
    """As a shell starts what runs in the background, and as nohup does."""
    before = signal.signal(number, signal.SIG_IGN)
    try:
        with Interruption() as interruption:
            signal.raise_signal(number)
            interruption.check()
    finally:
        signal.signal(number, before)


def test_other_threads_leave_it_alone() -> None:
    handlers = []

    def work() -> None:
        with Interruption() as interruption, interruption.deferred():
            handlers.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert handlers == [signal.default_int_handler]
