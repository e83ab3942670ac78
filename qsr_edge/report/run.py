"""A run of the bench as the report sees it: typed, checked, with every text made fit to be shown.

A run's folder may come from anywhere. Its records are checked against ``records.schema.json``; texts lose control and
direction characters, which could hide or reorder what a reader sees; escaping is left to whoever writes the page.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from qsr_edge.bench.result import AverageResult, ImageResult, PlacementResult
from qsr_edge.bench.statistics import LatencySummary
from qsr_edge.bench.sustained import Minute, State


def bits_name(bits: int | None) -> str:
    """A bit width for people; the hyphen does not break lines."""
    return "float" if bits is None else f"{bits}\u2011bit"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedQuality:
    """PSNR on a data set, from the bundle's manifest."""

    dataset: str
    psnr_db: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """A variant of a run.

    Attributes:
        label: unique within the run.
        name, target, kernels, runtime: of bundle and runtime.
        depth: residual blocks.
        bits: of body weights and activations; None for float.
        scale: upscaling factor.
        height_px, width_px: of the timed input.
        model_bytes: of the model's file, if known.
        macs_per_pixel: multiply-accumulates for each input pixel, if known.
        recorded: quality from the manifest.
        images: quality from this run.
        rounds_us: latencies of each round of the steady state; empty if it was not measured.
        latency: of all rounds, or None.
        cpu_us: median CPU time of an inference, all threads.
        load_us: cold load, as the first part of the run measured it.
        first_us: first inference.
        peak_bytes: most memory.
        golden_equal: whether the golden output was reproduced: False if any part did not, None if one did not ask.
        placement: of ops, if the runtime tells.
        minutes: of the sustained phase.
        states: of the device in the sustained phase, by time.
        energy_mj: of one inference in the sustained phase on battery, whole device, if known.
    """

    label: str
    name: str
    target: str
    kernels: str
    runtime: str
    depth: int
    bits: int | None
    scale: int
    height_px: int
    width_px: int
    model_bytes: int | None
    macs_per_pixel: float | None
    recorded: tuple[RecordedQuality, ...]
    images: tuple[ImageResult, ...]
    rounds_us: tuple[tuple[int, ...], ...]
    latency: LatencySummary | None
    cpu_us: int | None
    load_us: int | None
    first_us: int | None
    peak_bytes: int | None
    golden_equal: bool | None
    placement: PlacementResult | None
    minutes: tuple[Minute, ...]
    states: tuple[State, ...]
    energy_mj: float | None

    @property
    def series(self) -> str:
        """What the depths of one network on one runtime share, for people: ``4-bit tflite``."""
        return f"{bits_name(self.bits)} {self.target}"

    @property
    def identity(self) -> tuple[object, ...]:
        """What makes variants of two runs the same thing."""
        return self.name, self.target, self.kernels, self.depth, self.bits, self.scale, self.height_px, self.width_px


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """Where a run was made.

    Attributes:
        kind: host, android or ios.
        simulator: whether it is none: no figure of such a run is a phone's.
        details: the rest of what is known, as texts.
    """

    kind: str
    id: str
    name: str
    processor: str
    system: str
    cores: int | None
    simulator: bool
    details: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """The start gate, where a run had one."""

    max_thermal_status: int | None
    max_temperature_mc: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Something that went wrong in a phase of the run and was survived, or ended it."""

    phase: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A run.

    Attributes:
        folder: where it lies.
        id: of the run.
        version: of qsr-edge.
        began_ms: wall clock, since 1970, if known.
        device: where it was made.
        agents: what measured, by name and version.
        queries, steady_ms, sustained_ms, threads: the effort; None where the header does not tell.
        gate: the start gate, or None.
        variants: in the run's order, also those without measurements.
        images: names, in the run's order.
        parts: how often it was begun.
        complete: whether it ended by itself.
        reason: why it did not.
        invalid: why its figures may not be of one state of the device.
        faults, errors: in the order they came.
        thermal_statuses: all that were seen, ascending.
        power_save: whether the device saved power at any time.
        load: median number of processes that wanted to run, if known.
        low_memory: whether the system ran short of memory at any time.
        averages: of variants that were measured by a program that tells nothing else; they have no steady state.
        cooled: labels of variants whose sustained phase was gone on with in a later part.
    """

    folder: Path
    id: str
    version: str
    began_ms: int | None
    device: Device
    agents: tuple[str, ...]
    queries: int | None
    steady_ms: int | None
    sustained_ms: int | None
    threads: int | None
    gate: Gate | None
    variants: tuple[Variant, ...]
    images: tuple[str, ...]
    parts: int
    complete: bool
    reason: str
    invalid: tuple[str, ...]
    faults: tuple[Fault, ...]
    errors: tuple[str, ...]
    thermal_statuses: tuple[int, ...]
    power_save: bool
    load: float | None
    low_memory: bool
    averages: tuple[AverageResult, ...]
    cooled: tuple[str, ...]

    @property
    def title(self) -> str:
        """The device's name, with what it must never be taken without."""
        name = self.device.name or self.device.processor or self.device.id or self.device.kind
        return f"{name} (simulator)" if self.device.simulator else name

    @property
    def measured(self) -> tuple[Variant, ...]:
        """The variants with a steady state."""
        return tuple(variant for variant in self.variants if variant.latency is not None)


def headings(runs: Sequence[Run]) -> tuple[str, ...]:
    """A name for each run: the device's, with the run's id where devices are the same."""
    titles = [run.title for run in runs]
    return tuple(f"{run.title}, {run.id}" if titles.count(run.title) > 1 else run.title for run in runs)
