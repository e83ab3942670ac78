"""Programs from elsewhere run in a process of their own first: a damaged one ends that, and not the user's.

ExecuTorch checks that a program is a whole flatbuffer, and takes the numbers in it on trust: an index out of range
aborts the process, from native code that no exception leaves. So a program that this user's machine has not run yet is
loaded and run once by a child process. What passed is remembered in the cache folder, by the digest of its bytes and
the version of the runtime; what ``convert`` has written is remembered there at once.
"""

import contextlib
import hashlib
import os
import signal
import subprocess
import sys
from importlib import metadata
from pathlib import Path

from qsr_edge.errors import BackendError, one_line
from qsr_edge.files import atomic_write, cache_folder

TRIAL_LIMIT_S = 300
"""How long a trial may take: loading the runtime and one small image, on a slow machine."""
_SMALL_PX = (16, 16)


def remember(depth: int, program: bytes, weights: bytes = b"") -> None:
    """Trust a program from now on; what cannot be written down is tried again instead.

    Args:
        depth: of the method that may be run.
        program: content of a .pte file.
        weights: content of its .ptd file, if it has one.
    """
    with contextlib.suppress(OSError):
        record = _record(depth, program, weights)
        record.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(record, b"")


def try_first(path: Path, depth: int, program: bytes, weights: Path | None) -> None:
    """Have a child process load and run a program, unless that was done before.

    Args:
        path: of the .pte file.
        depth: which of its methods.
        program: its content.
        weights: its .ptd file; None for none.

    Raises:
        BackendError: if that process fails, crashes, or does not come to an end.
    """
    content = b"" if weights is None else weights.read_bytes()
    if _record(depth, program, content).exists():
        return
    command = [sys.executable, "-m", __name__, str(path), "" if weights is None else str(weights), str(depth)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    try:
        done = subprocess.run(
            command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=TRIAL_LIMIT_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise BackendError(
            f"{path}: this ExecuTorch program does not come to an end; fetch it anew, or convert anew"
        ) from error
    if done.returncode < 0:
        ended = signal.Signals(-done.returncode).name
        raise BackendError(f"{path}: this ExecuTorch program is damaged: it ends its process ({ended}); convert anew")
    if done.returncode != 0:
        told = done.stderr.decode(errors="replace").strip().splitlines() or [f"exit code {done.returncode}"]
        raise BackendError(f"{path}: ExecuTorch cannot run it: {one_line(told[-1])}; fetch it anew, or convert anew")
    remember(depth, program, content)


def _record(depth: int, program: bytes, weights: bytes) -> Path:
    digest = hashlib.sha256(program)
    digest.update(b"\0" + weights)
    version = metadata.version("executorch")
    return cache_folder() / "programs" / f"{digest.hexdigest()}-d{depth}-executorch-{version}"


def _main() -> int:
    path, weights, depth = sys.argv[1], sys.argv[2] or None, int(sys.argv[3])
    import torch

    # Past executorch.runtime, which imports the whole compiler and takes three times as long.
    from executorch.extension.pybindings import _C

    failure: Exception | None = None
    try:
        program = _C._load_program(path, data_path=weights)
        names = [program.get_method_name(i) for i in range(program.num_methods())]
        method = program.load_method("forward" if "forward" in names else f"d{depth}")
        _, _, *largest_px = method.method_meta().input_tensor_meta(0).sizes()
        for height, width in (_SMALL_PX, largest_px):
            image = torch.zeros(1, height, width, 3, dtype=torch.uint8).permute(0, 3, 1, 2)
            try:
                method([image], clone_outputs=False)
                return 0
            except RuntimeError as error:
                failure = error  # a program for images of one size refuses another
    except (RuntimeError, ValueError, MemoryError, TypeError) as error:
        failure = error
    print(one_line(failure), file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(_main())
