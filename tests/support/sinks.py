"""Where devices put what they find, in tests: lists."""

from qsr_edge.bench.device import Phase
from qsr_edge.bench.protocol.records import Image, R, Record, of_kind
from qsr_edge.errors import BenchError


class ListSink:
    """Keeps everything; a picture whose bytes are ``damaged`` is refused."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.outputs: list[bytes] = []
        self.faults: list[tuple[Phase, str]] = []

    def record(self, record: Record, line: bytes | None = None) -> None:
        self.records.append(record)

    def output(self, record: Image, content: bytes) -> None:
        if content == b"damaged":
            raise BenchError("another sha256")
        self.outputs.append(content)

    def fault(self, phase: Phase, message: str) -> None:
        self.faults.append((phase, message))

    def status(self, text: str) -> None:
        pass

    def of(self, kind: type[R]) -> list[R]:
        return list(of_kind(self.records, kind))

    @property
    def kinds(self) -> list[str]:
        return [record.kind for record in self.records]
