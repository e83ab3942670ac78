"""What every device offers, so that a run is the same wherever it takes place."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Protocol, runtime_checkable

from qsr_edge.bench.protocol.condition import Condition
from qsr_edge.bench.protocol.header import DeviceInfo
from qsr_edge.bench.protocol.job import Effort, Gate, Job, JobImage, JobVariant
from qsr_edge.bench.protocol.records import Image, Record
from qsr_edge.errors import BenchError


class DeviceLostError(BenchError):
    """The connection to a device broke, or the device began anew: what was asked was not answered."""


class Phase(StrEnum):
    """Where a fault came in."""

    CONNECT = "connect"
    PUSH = "push"
    START = "start"
    MEASURE = "measure"
    PULL = "pull"
    CLEAN = "clean"


class Runner(StrEnum):
    """What runs the models on a phone."""

    APP = "app"
    BENCHMARK_MODEL = "benchmark_model"
    EXECUTOR_RUNNER = "executor_runner"


@dataclass(frozen=True, slots=True, kw_only=True)
class PartPlan:
    """One part of a run, as a device is asked to measure it.

    Attributes:
        run: id of the run.
        part: counts the starts of the agent for this run, from 1.
        effort: of each variant.
        gate: what to wait for first.
        variants: in the order of their turns, those that are done too; ``bundle`` is a folder on this machine.
        images: to upscale by every variant; ``path`` is a file on this machine.
    """

    run: str
    part: int
    effort: Effort
    gate: Gate | None
    variants: tuple[JobVariant, ...]
    images: tuple[JobImage, ...]

    def job(self, *, bundles: Mapping[str, str], images: Mapping[str, str], results: str, outputs: str) -> Job:
        """The job's file for a device.

        Args:
            bundles: where each bundle lies on the device, by its folder here.
            images: where each picture lies on the device, by its name.
            results: absolute path of the results file on the device.
            outputs: absolute path of the folder of outputs on the device.
        """
        return Job(
            run=self.run,
            part=self.part,
            results=results,
            outputs=outputs,
            queries=self.effort.queries,
            steady_ms=self.effort.steady_ms,
            round_ms=self.effort.round_ms,
            warm_up_ms=self.effort.warm_up_ms,
            sustained_ms=self.effort.sustained_ms,
            gate=self.gate,
            images=tuple(replace(image, path=images[image.name]) for image in self.images),
            variants=tuple(replace(variant, bundle=bundles[variant.bundle]) for variant in self.variants),
        )


class Sink(Protocol):
    """Where a device puts what it finds, as it comes."""

    def record(self, record: Record, line: bytes | None = None) -> None:
        """A record of the agent; written to the run's log at once.

        Args:
            record: that it told.
            line: that the record was read from; None if it was made on this machine.
        """
        ...

    def output(self, record: Image, content: bytes) -> None:
        """The bytes of an upscaled picture whose record came before.

        Raises:
            BenchError: if they are not those whose sha256 the record has.
        """
        ...

    def fault(self, phase: Phase, message: str) -> None:
        """Something went wrong that the device survived or that ends the part; one line."""
        ...

    def status(self, text: str) -> None:
        """What is being done, for a progress display; not written anywhere."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PartEnd:
    """How a part ended.

    Attributes:
        complete: whether all of it was measured.
        reason: why not, one line.
        again: whether another part is worth a try now: the agent was killed or the device rebooted, say, and is there
            again.
    """

    complete: bool
    reason: str = ""
    again: bool = False


class Device(Protocol):
    """Something that bundles can be measured on."""

    @property
    def id(self) -> str:
        """What tells it from others."""
        ...

    def describe(self) -> DeviceInfo:
        """What it is; raises ``BenchError`` if it cannot be reached."""
        ...

    def condition(self) -> Condition:
        """How it is now; raises ``BenchError`` if it cannot be reached."""
        ...

    def kernel_families(self, target: str) -> tuple[str, ...]:
        """Kernels that it can run a back end's models with, the default first.

        Raises:
            BenchError: if it cannot run models of this target; it names those it can.
        """
        ...

    def run_part(self, plan: PartPlan, sink: Sink) -> PartEnd:
        """Measure one part.

        Interrupted (``KeyboardInterrupt``), it stops the agent, fetches what that has measured, and lets the
        interruption through.

        Raises:
            BenchError: if nothing could be measured, with the remedy.
        """
        ...

    def collect(self, run: str, part: int, received: int, sink: Sink) -> None:
        """Fetch what an earlier part has measured and the run's log does not have: it was interrupted out of reach.

        To be called before what is done is computed and a new part is begun. The agent is stopped, if it still runs.
        Without anything left on the device, nothing happens.

        Args:
            run: id of the run.
            part: the last one that was begun.
            received: how many of its agent's records the log has; see :func:`qsr_edge.bench.protocol.log.received_of`.
            sink: takes the rest, and the pictures that belong to it.

        Raises:
            BenchError: if the device cannot be reached.
        """
        ...

    def clean(self, run: str) -> None:
        """Remove what a run left on the device; what is out of reach now is a ``BenchError`` that says how later."""
        ...


@runtime_checkable
class ComesByItself(Protocol):
    """A device that nothing tells from others before it comes, and that something is kept open for until it goes."""

    def expect(self, device: DeviceInfo) -> None:
        """Take no other from now on: what a run was begun on."""
        ...

    def close(self) -> None:
        """Wait for it no longer; nothing happens if it was never waited for."""
        ...
