"""Whatever the back end: threads share a loaded model, it works in a forked process, and Python ends in peace."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from qsr_edge.conversion.backend import Backend, ConvertOptions, ModelMetadata, model_contents
from qsr_edge.conversion.registry import backend_names, find_backend
from qsr_edge.errors import BackendError, QsrWarning
from tests.support.graph_builders import random_network
from tests.support.waiting import PATIENCE_S

THREADS = 6
ROUNDS = 10
FIXED_PX = (12, 20)
METADATA = ModelMetadata(name="shared", version="1", author="tests", licence="CC0-1.0", description="random")

Image = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A model in a file, pictures, and what becomes of each."""

    target: str
    backend: Backend
    path: Path
    kernels: str | None
    pictures: list[Image]
    expected: list[Image]


# Their SDKs take many seconds to import, in each process of a test.
SLOW = ("coreml", "executorch")


@pytest.fixture(
    scope="module", params=[pytest.param(n, marks=pytest.mark.slow) if n in SLOW else n for n in backend_names()]
)
def written(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Written:
    """One model of each back end that is installed: two sizes of pictures, or one where the model takes no other."""
    try:
        backend = find_backend(request.param)
    except BackendError as error:
        pytest.skip(str(error))
    size_px = None if backend.capabilities.any_size else FIXED_PX
    network = random_network(bits=4, scale=2, channels=8, depths=(1,))
    models = backend.convert(network, ConvertOptions(input_size_px=size_px, metadata=METADATA))
    folder = tmp_path_factory.mktemp(request.param)
    for name, content in model_contents(models).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    rng = np.random.default_rng(0)
    sizes = [FIXED_PX if size_px or i % 2 else (17, 9) for i in range(THREADS)]
    pictures = [rng.integers(0, 256, (*size, 3), np.uint8) for size in sizes]
    return Written(
        target=request.param,
        backend=backend,
        path=folder / models[0].name,
        kernels=backend.kernel_families()[0] if request.param == "coreml" else None,
        pictures=pictures,
        expected=[network[1].run(picture) for picture in pictures],
    )


def together(tasks: Sequence[Callable[[], object]]) -> None:
    """Run each in a thread of its own, all from one moment on; raises what any of them raised."""
    start, failures = threading.Barrier(len(tasks)), list[BaseException]()

    def work(task: Callable[[], object]) -> None:
        try:
            start.wait(PATIENCE_S)
            task()
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=work, args=(task,), daemon=True) for task in tasks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
        assert not thread.is_alive(), "a thread hangs"
    if failures:
        raise failures[0]


def test_six_threads_share_one_model(written: Written) -> None:
    runner = written.backend.open_model(written.path, depth=1, kernels=written.kernels)

    def upscale(i: int) -> None:
        for _ in range(ROUNDS):
            np.testing.assert_array_equal(runner.run(written.pictures[i]), written.expected[i])

    together([lambda i=i: upscale(i) for i in range(THREADS)])


def test_threads_load_run_and_drop_models_of_their_own(written: Written) -> None:
    def load_and_run(i: int) -> None:
        for _ in range(3):
            runner = written.backend.open_model(written.path, depth=1, kernels=written.kernels)
            np.testing.assert_array_equal(runner.run(written.pictures[i]), written.expected[i])

    streams = sys.stdout, sys.stderr
    devices = [os.fstat(descriptor) for descriptor in (1, 2)]
    together([lambda i=i: load_and_run(i) for i in range(THREADS)])
    assert (sys.stdout, sys.stderr) == streams
    assert [os.path.samestat(os.fstat(number), before) for number, before in zip((1, 2), devices, strict=True)]


# Two threads a model, so that the runtime has threads that a forked process has not. A second thread is in the middle
# of a run when the process forks, and when it ends.
_PROGRAM = """
import os, sys, threading
from pathlib import Path
import numpy as np
from qsr_edge.conversion.registry import find_backend

target, path, kernels, ending, data = sys.argv[1:]
arrays = np.load(data)
picture, expected = arrays["picture"], arrays["expected"]
runner = find_backend(target).open_model(Path(path), depth=1, threads=2, kernels=kernels or None)

def right():
    return all(np.array_equal(runner.run(picture), expected) for _ in range(3))

ran = threading.Event()
def run_for_ever():
    while True:
        runner.run(picture)
        ran.set()

assert right()
threading.Thread(target=run_for_ever, daemon=True).start()
ran.wait()
if ending == "fork":
    for _ in range(3):
        child = os.fork()
        if child == 0:
            os._exit(0 if right() else 3)  # as multiprocessing ends its workers
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
print("done")
"""


@pytest.mark.parametrize("ending", ["fork", "shutdown"])
def test_forks_and_the_end_of_the_interpreter(written: Written, ending: str, tmp_path: Path) -> None:
    if ending == "fork" and not hasattr(os, "fork"):
        pytest.skip("this system has no fork")
    data = tmp_path / "data.npz"
    np.savez(data, picture=written.pictures[0], expected=written.expected[0])
    arguments = [written.target, str(written.path), written.kernels or "", ending, str(data)]
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, *arguments], capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr[-2000:]


def test_models_with_other_numbers_of_threads(written: Written) -> None:
    if written.target != "executorch":
        runners = [
            written.backend.open_model(written.path, depth=1, threads=threads, kernels=written.kernels)
            for threads in (3, 1, 2)
        ]
    else:
        runners = [written.backend.open_model(written.path, depth=1, threads=3)]
        for threads, before in ((1, 3), (2, 1)):
            # It has one pool for all models.
            with pytest.warns(QsrWarning, match=f"for {before} thread.* run with {threads} from now on"):
                runners.append(written.backend.open_model(written.path, depth=1, threads=threads))
    for runner in runners * 2:
        np.testing.assert_array_equal(runner.run(written.pictures[0]), written.expected[0])
