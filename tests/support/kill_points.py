"""Kills a process at each of its steps that touch files, one after another, and looks at what each kill left.

    python -m tests.support.kill_points BUNDLE [--without-exchange]

prints one JSON object: points tried, and for each way of writing what was lost.
"""

import dataclasses
import json
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from qsr_edge import files
from qsr_edge.bundle.manifest import Manifest
from qsr_edge.bundle.reader import open_bundle
from qsr_edge.bundle.writer import write_bundle
from qsr_edge.errors import QsrError

_EVENTS = ("open", "os.", "fcntl.", "shutil.", "ctypes.", "tempfile.")


def survives(work: Callable[[], object], step: int) -> bool:
    """Do the work in a forked process that kills itself before its ``step``-th touch of a file; False if it did."""
    child = os.fork()
    if child == 0:
        count = 0

        def count_event(event: str, arguments: tuple[object, ...]) -> None:
            nonlocal count
            if event.startswith(_EVENTS):
                count += 1
                if count == step:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(count_event)
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
        return False
    if os.waitstatus_to_exitcode(status) != 0:
        raise RuntimeError(f"the work itself failed at step {step}")
    return True


def _contents(path: Path) -> tuple[Manifest, dict[str, bytes]]:
    with open_bundle(path) as bundle:
        return bundle.manifest, {entry.path: (bundle.root / entry.path).read_bytes() for entry in bundle.manifest.files}


def _name(path: Path) -> str:
    """The name in a bundle's manifest, once all of it was checked; empty if there is none."""
    try:
        return _contents(path)[0].name
    except QsrError:
        return ""


def tried(output: Path, former: str | None, write: Callable[[str, bool], object]) -> dict[str, object]:
    """Kill the writing of a bundle ``new`` at every step.

    Args:
        output: where it is written.
        former: name of the bundle that is there before; None for none.
        write: writes a bundle of a name, by force or not.
    """
    points, lost, left = 0, [], []
    while True:
        shutil.rmtree(output.parent, ignore_errors=True)
        output.parent.mkdir()
        if former:
            write(former, False)
        points += 1
        whole = survives(lambda: write("new", former is not None), points)
        found = _name(output)
        if found not in ((former or "", "new") if not whole else ("new",)):
            lost.append({"point": points, "found": found})
        # What the next run does: it mends and sweeps, and nothing but the bundle is there.
        write("next", output.exists())
        if _name(output) != "next" or os.listdir(output.parent) != [output.name]:
            left.append({"point": points, "left": sorted(os.listdir(output.parent))})
        if whole:
            return {"points": points, "lost": lost, "left": left}


def main() -> None:
    # A killed process loses nothing that it wrote; waiting for the disk would only take minutes.
    os.fsync = lambda handle: None
    manifest, contents = _contents(Path(sys.argv[1]))
    if "--without-exchange" in sys.argv:
        files._rename = lambda source, path, how: False
    with tempfile.TemporaryDirectory() as folder:
        results = {}
        for kind in ("bundle", "bundle.zip"):
            output = Path(folder) / "out" / kind

            def write(name: str, force: bool, output: Path = output) -> None:
                write_bundle(output, dataclasses.replace(manifest, name=name, files=()), contents, force=force)

            results[f"new {kind}"] = tried(output, None, write)
            results[f"replaced {kind}"] = tried(output, "former", write)
    print(json.dumps(results))


if __name__ == "__main__":
    main()
