"""Reading what native code says: other threads' messages get through, and the streams are afterwards as they were."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable

import pytest

from qsr_edge_converters.native_messages import native_messages, quiet_sdk, without_native_prints

# Its standard streams are pipes; those of a test are pytest's.
_PREAMBLE = """
import logging, os, sys, threading
from qsr_edge_converters.native_messages import native_messages, quiet_sdk, without_native_prints

logging.basicConfig(format="logged: %(message)s")

def in_thread(task):
    thread = threading.Thread(target=task)
    thread.start()
    thread.join()
"""


def run(body: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([sys.executable, "-c", _PREAMBLE + body], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done


def test_messages_of_native_code_and_of_this_thread_are_kept() -> None:
    done = run("""
messages = []
with native_messages(messages):
    os.write(2, b"INFO: all is well\\nERROR: it broke\\n")
    print("bound by pybind11", file=sys.stderr)
print(messages)
print("after", file=sys.stderr)
""")
    assert done.stdout == "['bound by pybind11', 'ERROR: it broke']\n"
    assert done.stderr == "after\n"


def test_other_threads_are_heard() -> None:
    done = run("""
def other():
    print("printed", file=sys.stderr)
    logging.warning("kept by a handler")
    os.write(2, b"written\\n")

with native_messages([]):
    os.write(2, b"INFO: Created a delegate\\n[method.cpp:12] loaded\\n")
    in_thread(other)
    print("this thread's", file=sys.stderr)
""")
    # Through sys.stderr at once; through what is bound to the descriptor when the reading ends.
    assert done.stderr == "printed\nlogged: kept by a handler\nwritten\n"


def test_prints_of_other_threads_reach_the_output() -> None:
    done = run("""
with without_native_prints():
    os.write(1, b"WARNING: Different TOSA spec in flatbuffer\\n")
    in_thread(lambda: print("printed", flush=True))
with quiet_sdk():
    print("a progress bar of the SDK")
    in_thread(lambda: print("printed again", flush=True))
""")
    assert done.stdout == "printed\nprinted again\n"


def test_a_thread_that_prints_may_look_at_what_stands_for_the_stream_any_time() -> None:
    """`print` holds no reference to it, so it is never freed; else this ended the process about every third time."""
    done = run("""
import weakref
sys.setswitchinterval(1e-6)
seen, over = weakref.WeakSet(), threading.Event()

def read():
    while not over.is_set():
        with without_native_prints():
            seen.add(sys.stdout)

reader = threading.Thread(target=read, daemon=True)  # an error here ends the process, not a wait for that thread
reader.start()
for i in range(1000):
    print("line", i)
over.set()
reader.join()
assert len(seen) == 1
""")
    # A line's text and its end are written one after the other, and may go different ways: nothing is lost, though.
    assert sorted(done.stdout) == sorted("".join(f"line {i}\n" for i in range(1000)))


def test_who_kept_the_stream_meanwhile_can_go_on_writing() -> None:
    done = run("""
with native_messages([]):
    kept = sys.stderr
print("later", file=kept)
in_thread(lambda: print("later still", file=kept))
""")
    assert done.stderr == "later\nlater still\n"


def test_a_forked_process_has_the_streams() -> None:
    done = run("""
inside, leave = threading.Event(), threading.Event()

def read():
    with native_messages([]):
        inside.set()
        leave.wait()

thread = threading.Thread(target=read)
thread.start()
inside.wait()
threading.Timer(0.2, leave.set).start()  # the fork waits for it
child = os.fork()
os.write(2, b"child\\n" if child == 0 else b"parent\\n")
with native_messages([]):
    pass
if child == 0:
    os._exit(0)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
""")
    assert sorted(done.stderr.split()) == ["child", "parent"]


@pytest.mark.parametrize("missing", ["os.close(2)", "sys.stderr = None", "os.close(1)", "sys.stdout = None"])
def test_a_stream_that_is_missing_is_no_trouble(missing: str) -> None:
    run(f"""
{missing}
with quiet_sdk(), native_messages([]), without_native_prints():
    pass
os._exit(0)
""")


@pytest.mark.parametrize("reading", [lambda: native_messages([]), without_native_prints, quiet_sdk])
def test_threads_take_turns_and_leave_the_streams_as_they_were(reading: Callable[[], object]) -> None:
    streams = sys.stdout, sys.stderr
    before = [os.fstat(descriptor) for descriptor in (1, 2)]
    start = threading.Barrier(6)
    inside: list[int] = []
    most: list[int] = []

    def work() -> None:
        start.wait()
        for _ in range(20):
            with reading():
                inside.append(1)
                most.append(len(inside))
                inside.pop()

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(most) == 1
    assert (sys.stdout, sys.stderr) == streams
    assert all(os.path.samestat(os.fstat(number), one) for number, one in zip((1, 2), before, strict=True))
