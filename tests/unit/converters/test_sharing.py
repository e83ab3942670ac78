"""Instances are lent to one thread at a time, up to a limit, and none outlives a fork."""

import threading

import pytest

from qsr_edge_converters.sharing import InstancePool, useful_instances
from tests.support.waiting import PATIENCE_S


def numbered(limit: int) -> InstancePool[str]:
    made: list[str] = []

    def make() -> str:
        made.append(f"instance {len(made)}")
        return made[-1]

    return InstancePool(make, limit=limit)


def test_one_thread_has_one_instance() -> None:
    pool = numbered(3)
    for _ in range(5):
        with pool.borrow() as instance:
            assert instance == "instance 0"


def test_what_suits_is_lent_first() -> None:
    pool = numbered(2)
    with pool.borrow() as first, pool.borrow() as second:
        assert (first, second) == ("instance 0", "instance 1")
    for wanted in ("instance 1", "instance 0", "instance 1"):
        with pool.borrow(lambda instance, wanted=wanted: instance == wanted) as instance:
            assert instance == wanted
    with pool.borrow(lambda instance: False) as instance:
        assert instance == "instance 1"  # that was used last


def test_at_the_limit_a_thread_waits_until_one_is_given_back() -> None:
    pool = numbered(1)
    got: list[str] = []
    asked = threading.Event()

    def work() -> None:
        asked.set()
        with pool.borrow() as instance:
            got.append(instance)

    thread = threading.Thread(target=work, daemon=True)
    with pool.borrow():
        thread.start()
        assert asked.wait(PATIENCE_S)
        assert got == []
    thread.join(PATIENCE_S)
    assert got == ["instance 0"]


def test_an_instance_comes_back_from_a_run_that_failed() -> None:
    pool = numbered(1)
    with pytest.raises(ValueError, match="in use"), pool.borrow():
        raise ValueError("in use")
    with pool.borrow() as instance:
        assert instance == "instance 0"


def test_what_cannot_be_made_leaves_room_for_another_try() -> None:
    answers = iter((OSError("no room"), "made"))

    def make() -> str:
        answer = next(answers)
        if isinstance(answer, OSError):
            raise answer
        return answer

    pool = InstancePool(make, limit=1)
    with pytest.raises(OSError, match="no room"), pool.borrow():
        pass
    with pool.borrow() as instance:
        assert instance == "made"


def test_a_forked_process_begins_without_instances() -> None:
    pool = numbered(1)
    with pool.borrow():
        pool.begin_anew()  # the parent's thread has the only instance
        with pool.borrow() as instance:
            assert instance == "instance 1"


@pytest.mark.parametrize("threads", [1, 2, 10_000])
def test_there_is_always_a_useful_instance(threads: int) -> None:
    assert useful_instances(threads) >= 1


def test_a_limit_below_one_is_a_defect() -> None:
    with pytest.raises(ValueError, match="limit = 0"):
        InstancePool(str, limit=0)
