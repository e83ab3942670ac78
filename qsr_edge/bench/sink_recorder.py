"""Records that are made on this machine on their way to a run."""

from qsr_edge.bench.device import Sink
from qsr_edge.bench.protocol.log import Recorder
from qsr_edge.bench.protocol.records import Record


class SinkRecorder(Recorder):
    """Gives each record both clocks and hands it on at once."""

    def __init__(self, sink: Sink) -> None:
        """The monotonic clock of its records begins now."""
        super().__init__()
        self._sink = sink

    def write(self, record: Record) -> None:
        """Hand a whole record on; what the run's log raises comes through."""
        self._sink.record(record)
