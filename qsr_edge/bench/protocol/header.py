"""The first record of a run: what is measured, where, and how much of it."""

from dataclasses import dataclass, field
from typing import Annotated, ClassVar

from qsr_edge.bench.protocol.fields import Checked, Count, Decibel, Name, PictureName, Side, Sized, Text, Within
from qsr_edge.bench.protocol.job import Effort, Gate
from qsr_edge.bench.protocol.records import AS_NULL, Record
from qsr_edge.errors import BenchError

SCHEMA = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceInfo(Checked):
    """What a device is.

    Attributes:
        kind: the name of its folder in :mod:`qsr_edge.bench`, such as ``android``; so it stands in files.
        id: what tells it from others: a serial number, or "host".
        name: for people.
        processor: name of the processor or SoC.
        system: operating system with its version.
        cores: how many; 0 or None if that is not told.
        simulator: whether it only imitates a device: none of its figures is a phone's.
        architecture: of the processor.
        build: of the system; None if it has no such name.
        timer_us: steps of the clock that latencies are taken with; None if it is finer than a microsecond.
        more: what else a header tells: key, and value as a text.
    """

    kind: Name
    id: Text = ""
    name: Name
    processor: Text = ""
    system: Text = ""
    cores: Count | None = None
    simulator: bool
    architecture: Text = ""
    build: Text | None = None
    timer_us: Count | None = None
    more: tuple[tuple[str, str], ...] = ()

    @property
    def title(self) -> str:
        """The device's name, with what it must never be taken without."""
        name = self.name or self.processor or self.id or self.kind
        return f"{name} (simulator)" if self.simulator else name

    @property
    def details(self) -> tuple[tuple[str, str], ...]:
        """What is known besides kind, names, system and cores, as texts; what is empty is left out."""
        told = (("architecture", self.architecture), ("build", self.build or ""), *self.more)
        return tuple((key.replace("_", " "), value) for key, value in told if value)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedQuality(Checked):
    """Quality of a depth on a data set, from the bundle's manifest.

    Attributes:
        dataset: its name.
        psnr_db: mean PSNR on luma; None if it is not known, as the next.
        ssim: mean SSIM.
        images: how many.
    """

    dataset: Name
    psnr_db: Decibel | None
    ssim: float | None = field(default=None, metadata=AS_NULL)
    images: Count | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant(Checked):
    """What is measured: a bundle's depth under some kernels.

    Attributes:
        label: for people, unique in a run.
        bundle: folder or archive on the machine that asks; empty if a header does not tell, as the next.
        bundle_sha256: what a run that is gone on with must find again.
        name: of the bundle.
        target: back end that wrote it.
        depth: number of residual blocks.
        kernels: family of kernels of the runtime.
        runtime: that the bundle was converted for.
        bits: of body weights and activations; None for float.
        scale: upscaling factor.
        height_px: of the timed input.
        width_px: of the timed input.
        check_golden: whether the golden output must be reproduced.
        model_bytes: of the model's file and of weights that it shares; None if it is not known, as the next.
        macs_per_pixel: multiply-accumulates for each input pixel.
        quality: from the bundle's manifest.
    """

    label: Name
    bundle: str = ""
    bundle_sha256: Text = ""
    name: Name
    target: Name
    depth: Count
    kernels: Text = ""
    runtime: Text = ""
    bits: Annotated[int, Within(1, 64)] | None = field(default=None, metadata=AS_NULL)
    scale: Annotated[int, Within(1, 16)] = 1
    height_px: Side
    width_px: Side
    check_golden: bool = False
    model_bytes: Count | None = None
    macs_per_pixel: Count | None = None
    quality: tuple[RecordedQuality, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderImage(Checked):
    """A picture that every variant upscales, as ``images/<name>/input.png`` in the run's folder has it."""

    name: PictureName
    height_px: Count | None = None
    width_px: Count | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEffort(Checked):
    """How much is measured; see :class:`~qsr_edge.bench.protocol.job.Effort`. None is what a header does not tell.

    Attributes:
        threads: of the runtimes.
        gate: what the device waits for; None for nothing.
    """

    queries: Count | None = None
    steady_ms: Count | None = None
    sustained_ms: Count | None = None
    round_ms: Count | None = None
    warm_up_ms: Count | None = None
    threads: Count | None = None
    gate: Gate | None = field(default=None, metadata=AS_NULL)

    @classmethod
    def of(cls, effort: Effort, threads: int, gate: Gate | None) -> "RunEffort":
        """An effort with what else is the same for all variants."""
        return cls(
            queries=effort.queries,
            steady_ms=effort.steady_ms,
            sustained_ms=effort.sustained_ms,
            round_ms=effort.round_ms,
            warm_up_ms=effort.warm_up_ms,
            threads=threads,
            gate=gate,
        )

    def effort(self) -> Effort:
        """How much is measured; raises ``BenchError`` if the header does not tell all of it."""
        if self.queries is None or self.steady_ms is None:
            raise BenchError("the run's header is damaged (job: missing queries or steady_ms); measure anew")
        given = {"sustained_ms": self.sustained_ms, "round_ms": self.round_ms, "warm_up_ms": self.warm_up_ms}
        known = {name: value for name, value in given.items() if value is not None}
        return Effort(queries=self.queries, steady_ms=self.steady_ms, **known)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunHeader(Record):
    """What a run measures, where and how.

    Attributes:
        schema: version of the run's records.
        run: id of the run.
        version: of qsr-edge.
        runner: what runs the models on a phone, see :class:`qsr_edge.bench.device.Runner`.
        device: where it is measured.
        job: how much.
        variants: in the order of their turns.
        images: that every variant upscales.
    """

    kind: ClassVar[str] = "run"
    schema: int
    run: Name
    version: Text
    runner: Text = "app"
    device: DeviceInfo
    job: RunEffort
    variants: Annotated[tuple[Variant, ...], Sized(1, 400)]
    images: Annotated[tuple[HeaderImage, ...], Sized(0, 1000)] = ()

    def __post_init__(self) -> None:
        """Refuse, besides, two variants of one name."""
        Record.__post_init__(self)
        if len({variant.label for variant in self.variants}) != len(self.variants):
            raise BenchError("labels of variants are not unique")
