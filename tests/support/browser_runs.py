"""A run of ``--device browser`` whose page is in the hands of a test: the run goes on in a thread."""

from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

from qsr_edge.bench.browser.device import BrowserDevice
from qsr_edge.bench.discovery import Invitation
from qsr_edge.bench.plan import RunRequest, add_images, new_header
from qsr_edge.bench.protocol.header import RunHeader
from qsr_edge.bench.protocol.job import Effort, Gate
from qsr_edge.bench.protocol.log import RESULTS_NAME, RunLog, read_log
from qsr_edge.bench.protocol.records import Fault, Part, Record, of_kind
from qsr_edge.bench.result import RunResult, evaluate_run
from qsr_edge.bench.run import measure_run
from tests.support.waiting import PATIENCE_S


class BrowserRun:
    """A device that waits for a browser, and the folder of a run on it.

    Args:
        bundle: to be measured.
        folder: of the run.
    """

    def __init__(self, bundle: Path, folder: Path) -> None:
        self.bundle = bundle
        self.folder = folder
        self._invitations: SimpleQueue[Invitation] = SimpleQueue()
        self.device = BrowserDevice(wait_s=PATIENCE_S, invite=self._invitations.put)
        self._pool = ThreadPoolExecutor(2)
        self._address = ""

    def close(self) -> None:
        self.device.close()
        self._pool.shutdown(cancel_futures=True)

    def describe(self, effort: Effort, *, gate: Gate | None = None, images: tuple[Path, ...] = ()) -> "Future[None]":
        """Write a new run's header, once a browser came."""
        request = RunRequest(bundles=(self.bundle,), depths=(), kernels=(), threads=1, size_px=(12, 16), effort=effort,
                             gate=gate, originals=images)  # fmt: skip

        def write() -> None:
            header: RunHeader = new_header(request, self.device)
            RunLog(self.folder / RESULTS_NAME).append(add_images(header, images, self.folder))

        return self._pool.submit(write)

    @property
    def address(self) -> str:
        """Where the browser is to go, as soon as it is waited for."""
        if not self._address:
            self._address = self._invitations.get(timeout=PATIENCE_S).address
        return self._address

    def measure(self) -> "Future[None]":
        """Measure what the header asks for."""
        return self._pool.submit(measure_run, self.folder, self.device)

    def records(self) -> tuple[Record, ...]:
        return read_log(self.folder)

    def result(self) -> RunResult:
        return evaluate_run(self.records())

    def faults(self) -> list[str]:
        return [fault.message for fault in of_kind(self.records(), Fault)]

    def parts(self) -> list[int]:
        return [part.part for part in of_kind(self.records(), Part)]
