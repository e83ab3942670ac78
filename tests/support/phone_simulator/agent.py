"""The installed app: ``am start`` runs a measuring agent as a process of this machine, with host paths in its job.

Android gives an app a process of its own and does with it what it likes; here the process can be killed, starved of
storage or given a clock that jumps in the same way. What it measures is this machine.
"""

import asyncio
import contextlib
import json
import os
import resource
import signal
import subprocess
import sys
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.support.phone_simulator.storage import Storage

PACKAGE = "io.qsredge.bench"
ACTIVITY = f"{PACKAGE}/.BenchActivity"
INSTRUMENTATION = f"{PACKAGE}/.BenchInstrumentation"

POLL_S = 0.02

# On the agent's PYTHONPATH, so that Python imports its `sitecustomize`.
DEVICE_CLOCK = Path(__file__).resolve().parent / "device_clock"

# {job} becomes the host path of the job, {state} that of the phone's state as a condition record.
PYTHON_AGENT = (sys.executable, "-m", "qsr_edge.bench.agent", "{job}")
# The same measurement, which waits at the gate for the simulated phone to cool; -P: nothing is imported from beside it.
PHONE_STATE_AGENT = (sys.executable, "-P", str(Path(__file__).with_name("phone_agent.py")), "{job}", "{state}")


class App:
    """The benchmark app.

    Args:
        storage: The phone's files.
        scratch: A folder for what the phone does not see: translated jobs, the agent's own output (``agent.log``).
        command: What is run, with ``{job}`` in it, and perhaps ``{state}``.
        environment: Added to this process's environment.
    """

    def __init__(
        self, storage: Storage, scratch: Path, command: Sequence[str], environment: Mapping[str, str] | None = None
    ) -> None:
        self.installed = True
        self.command = tuple(command)
        self.environment = dict(environment or {})
        self.results: Path | None = None
        self._storage = storage
        self._scratch = scratch
        self._process: subprocess.Popen[bytes] | None = None
        self._clock = scratch / "clock"
        self._state = scratch / "state.json"
        self.set_clock(0)

    @property
    def log(self) -> Path:
        """What the agents printed."""
        return self._scratch / "agent.log"

    def pid(self) -> int | None:
        """Of the running agent, or None."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def start(self, job: str) -> None:
        """Start the agent on a job file of the device.

        Raises:
            OSError: The command cannot be run on this machine.
        """
        self.kill()
        translated = self._translate(job)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [word.replace("{job}", str(translated)).replace("{state}", str(self._state)) for word in self.command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment(),
                start_new_session=True,
            )
        if self._storage.free_bytes() == 0:
            self.forbid_growth()

    async def wait(self) -> int:
        """The exit code once the agent ended; negative if a signal ended it."""
        process = self._process
        while process is not None and process.poll() is None:
            await asyncio.sleep(POLL_S)
        return process.returncode if process is not None else 0

    def kill(self) -> bool:
        """End the agent at once, as Android does; whether there was one."""
        process, self._process = self._process, None
        if process is None:
            return False
        running = process.poll() is None
        if running:
            # Its workers are in sessions of their own.
            for pid in [*_descendants(process.pid), process.pid]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        process.wait()
        return running

    def set_clock(self, seconds: int) -> None:
        """From now on the wall clock of Python agents, running or not, is ahead by so much (negative: behind)."""
        _replace(self._clock, str(seconds))

    def tell_state(self, condition: Mapping[str, int | bool]) -> None:
        """What an agent that reads ``{state}`` finds from now on."""
        _replace(self._state, json.dumps(condition))

    def forbid_growth(self) -> None:
        """From now on the running agent's results file cannot grow: its writes fail with EFBIG.

        A full disk's ENOSPC would need a file system of its own, which needs root. Both reach the agent as an OSError
        of a write.
        """
        pid = self.pid()
        if pid is None or self.results is None:
            return
        size = self.results.stat().st_size if self.results.exists() else 0
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    def _environment(self) -> dict[str, str]:
        merged = {**os.environ, **self.environment, "QSR_EDGE_SIMULATED_CLOCK": str(self._clock)}
        merged["PYTHONPATH"] = os.pathsep.join(filter(None, [str(DEVICE_CLOCK), merged.get("PYTHONPATH")]))
        return merged

    def _translate(self, job: str) -> Path:
        """A copy of the job with host paths; the job itself where it is none, for the agent to complain about."""
        path = self._storage.host_path(job)
        try:
            content = json.loads(path.read_bytes())
            self.results = self._storage.host_path(content["results"])
            content["results"] = str(self.results)
            content["outputs"] = str(self._storage.host_path(content["outputs"]))
            for image in content["images"]:
                image["path"] = str(self._storage.host_path(image["path"]))
            for variant in content["variants"]:
                variant["bundle"] = str(self._storage.host_path(variant["bundle"]))
        except (OSError, ValueError, KeyError, TypeError):
            return path
        translated = self._scratch / f"job-{uuid.uuid4().hex}.json"
        translated.write_text(json.dumps(content))
        return translated


def _replace(path: Path, text: str) -> None:
    new = path.with_suffix(".new")
    new.write_text(text)
    new.replace(path)


def _descendants(pid: int) -> list[int]:
    children: list[int] = []
    # It may end while it is looked at.
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            children += [int(word) for word in (task / "children").read_text().split()]
    return [*(grandchild for child in children for grandchild in _descendants(child)), *children]
