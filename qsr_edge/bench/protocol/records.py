"""The records of docs/device-protocol.md, one type for each kind; None is what is not told."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, TypeVar

from qsr_edge.bench.protocol.condition import Condition
from qsr_edge.bench.protocol.fields import (
    MAX_COUNT,
    Checked,
    Count,
    Decibel,
    Latencies,
    Name,
    PictureName,
    Signed,
    Sized,
    Status,
    Text,
    Within,
)

AS_NULL = {"as null": True}
"""Marks a field that is written as null where it is None; others are left out, unless their kind always has them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record(Checked):
    """A line of a results file.

    Attributes:
        kind: as it stands in the line.
        time_ms: wall clock of who made it, which may jump.
        elapsed_ms: monotonic clock of who made it, since its part began.
        received_ms: wall clock of the machine that asked, when an agent's record came over; None for its own.
    """

    kind: ClassVar[str] = ""
    time_ms: Signed | None = None
    elapsed_ms: Count | None = None
    received_ms: Signed | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantRecord(Record):
    """A record of one variant, by its label."""

    variant: Name


@dataclass(frozen=True, slots=True, kw_only=True)
class Part(Record):
    """The run starts its agent: parts are counted from 1."""

    kind: ClassVar[str] = "part"
    part: Count = 0
    reason: Text = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent(Record):
    """Who measures: the first record of a part.

    Attributes:
        protocol: version of the protocol.
        run: id of the run.
        part: of the run.
        agent: name and version.
        runtime: name and version, if there is one for all variants.
    """

    kind: ClassVar[str] = "agent"
    protocol: Count | None = None
    run: Text | None = None
    part: Count | None = None
    agent: Text | None = None
    runtime: Text | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting(Record):
    """The device is above the gate."""

    kind: ClassVar[str] = "waiting"
    reason: Text = "the device is too hot"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConditionRecord(Record):
    """The device's state.

    Attributes:
        source: who tells it, ``agent`` or ``adb``; they may read other sensors.
        variant: whose sustained phase it belongs to; None in the others.
        condition: the state.
    """

    kind: ClassVar[str] = "condition"
    source: Text = ""
    condition: Condition
    variant: Name | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Start(VariantRecord):
    """A variant was loaded.

    Attributes:
        load_us: cold, of the model alone; None of programs that do not tell, as the next.
        first_us: of the first inference.
        golden_equal: whether the golden output was reproduced; None if that was not asked for.
        golden_sha256: of the output's bytes.
        runtime: its version, where the agent knows it.
    """

    kind: ClassVar[str] = "start"
    load_us: Count | None
    first_us: Count | None
    golden_equal: bool | None
    golden_sha256: Text | None = field(default=None, metadata=AS_NULL)
    runtime: Text | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement(VariantRecord):
    """Operations that the delegate took, and those it left to other kernels, by name."""

    kind: ClassVar[str] = "placement"
    delegate: Text
    delegated_ops: Count
    fallback: Annotated[dict[str, int], Sized(0, 400), Within(0, MAX_COUNT)]
    source: Text = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WarmUp(VariantRecord):
    """Inferences that do not count."""

    kind: ClassVar[str] = "warm-up"
    latencies_us: Latencies


@dataclass(frozen=True, slots=True, kw_only=True)
class Image(VariantRecord):
    """A picture was upscaled.

    Attributes:
        image: its name.
        sha256: of the output's bytes.
        output: file name below the job's outputs.
        latency_us: that it took.
    """

    kind: ClassVar[str] = "image"
    image: PictureName
    sha256: Text
    output: Text
    latency_us: Count | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Steady(VariantRecord):
    """A variant's turn in the steady state.

    Attributes:
        latencies_us: wall clock of each inference.
        cpu_us: CPU time of each, all threads; None if the agent does not tell.
        peak_bytes: most memory of the process.
    """

    kind: ClassVar[str] = "steady"
    latencies_us: Latencies
    cpu_us: Latencies | None = None
    peak_bytes: Count | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Averages(VariantRecord):
    """What a program tells that tells no latency of its own for each inference.

    Attributes:
        phase: ``warm-up`` or ``steady``.
        count: of inferences.
        mean_us: of all of them.
        min_us, max_us, std_us, peak_bytes: where they are known.
    """

    kind: ClassVar[str] = "averages"
    phase: Name
    count: Annotated[int, Within(1, MAX_COUNT)]
    mean_us: Count
    min_us: Count | None = None
    max_us: Count | None = None
    std_us: Count | None = None
    peak_bytes: Count | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sustained(VariantRecord):
    """Inferences without a pause.

    Attributes:
        since_ms: since the variant's sustained phase began, at the record's end, earlier parts included.
        latencies_us: wall clock of each inference.
    """

    kind: ClassVar[str] = "sustained"
    since_ms: Count
    latencies_us: Latencies


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality(VariantRecord):
    """A picture came over whole and was judged.

    Attributes:
        image: its name.
        psnr_db: on luma, borders cropped; None without an original, or if it is infinite.
        ssim: likewise; None without an original.
        equal: whether the bytes are those that the computer which asked gets from the same bundle; None if it has not
            that runtime, or is the device.
        picture: file in the run's folder.
    """

    kind: ClassVar[str] = "quality"
    image: PictureName
    psnr_db: Decibel | None = None
    ssim: float | None = None
    equal: bool | None = field(default=None, metadata=AS_NULL)
    picture: Text | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Event(Record):
    """Something that the system told: ``thermal``, ``paused``, ``resumed``, ``low-memory``, ``power``."""

    kind: ClassVar[str] = "event"
    event: Name
    thermal_status: Status | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Error(Record):
    """What went wrong on the device, and what to do."""

    kind: ClassVar[str] = "error"
    message: Text
    variant: Name | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Damaged(Record):
    """A line of the agent's, of so many bytes, that was no record and was left out."""

    kind: ClassVar[str] = "damaged"
    bytes: Count = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault(Record):
    """Something that went wrong in a phase of the run and was survived, or ended it."""

    kind: ClassVar[str] = "fault"
    phase: Text
    message: Text

    def __str__(self) -> str:
        """For people."""
        return f"{self.phase}: {self.message}"


@dataclass(frozen=True, slots=True, kw_only=True)
class End(Record):
    """The end of a part, if it came over from an agent, or of the run.

    Attributes:
        complete: whether all was measured.
        reason: why not.
    """

    kind: ClassVar[str] = "end"
    complete: bool
    reason: Text | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown(Record):
    """A record of a kind that this release does not know."""

    called: str


R = TypeVar("R", bound=Record)
V = TypeVar("V", bound=VariantRecord)


def of_kind(records: Iterable[Record], kind: type[R]) -> Iterator[R]:
    """The records of a kind, in their order."""
    return (record for record in records if isinstance(record, kind))


def of_variant(records: Iterable[Record], kind: type[V], label: str) -> list[V]:
    """The records of a kind that are a variant's, in their order."""
    return [record for record in of_kind(records, kind) if record.variant == label]


def own_end(records: Iterable[Record]) -> End | None:
    """The run's last word: an end that came over from an agent closes a part, not the run."""
    return next((end for end in reversed([*of_kind(records, End)]) if end.received_ms is None), None)
