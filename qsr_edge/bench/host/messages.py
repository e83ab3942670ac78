"""What a variant's process is asked, ``{"do": NAME, ...}``, and answers: a line of JSON each."""

from dataclasses import dataclass
from enum import StrEnum

from qsr_edge.codec import Decoder
from qsr_edge.conversion.backend import Placement
from qsr_edge.errors import BenchError

DECODER = Decoder(error=BenchError)


class Action(StrEnum):
    """What is asked."""

    LOAD = "load"
    RUN = "run"
    GOLDEN = "golden"
    PLACEMENT = "placement"
    UPSCALE = "upscale"
    PEAK = "peak"


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """Verify the bundle and load the model; fields as in :class:`~qsr_edge.bench.protocol.job.JobVariant`."""

    bundle: str
    depth: int
    kernels: str
    threads: int
    height_px: int
    width_px: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """Microseconds that the loading took, and the runtime's version."""

    load_us: int
    runtime: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """So many inferences."""

    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """Wall-clock and CPU microseconds of each."""

    latencies_us: tuple[int, ...]
    cpu_us: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """Nothing besides what is to be done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Golden:
    """Sha256 of the golden input's output, and whether it is the manifest's."""

    sha256: str
    equal: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """Where operations run; None where the runtime does not tell."""

    placement: Placement | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Upscale:
    """A picture of raw RGB, upscaled into a file."""

    path: str
    height_px: int
    width_px: int
    output: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Upscaled:
    """Sha256 of the output's bytes, and microseconds that it took."""

    sha256: str
    latency_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Peak:
    """The most memory that the process has had resident."""

    peak_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """Why there is no answer, one line."""

    error: str
