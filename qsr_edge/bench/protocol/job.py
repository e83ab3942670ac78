"""The job that an agent measures, as docs/device-protocol.md defines it: records, and their one form as JSON."""

import json
import re
from dataclasses import dataclass
from pathlib import PurePosixPath

from qsr_edge.codec import Decoder, encode
from qsr_edge.errors import BenchError, one_line

PROTOCOL = 1
JOB_LIMIT_BYTES = 1 << 20
DEFAULT_ROUND_MS = 500
"""A variant's turn: long against switching processes, short against warming up."""
DEFAULT_WARM_UP_MS = 1000
NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,79}")
"""What a picture may be called: a file name on every system."""
RUN_ID = re.compile(r"[A-Za-z0-9_-]{1,40}")
_MAX_PX = 8192
_MAX_MS = 7 * 24 * 3600 * 1000


def _check(problems: dict[str, bool], record: object) -> None:
    for name, ok in problems.items():
        if not ok:
            raise BenchError(f"{name} = {getattr(record, name)!r} is not possible")


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """A state that the device must not be above before it is measured.

    Attributes:
        max_thermal_status: Android's 0 to 6.
        max_temperature_mc: of the battery on a phone, of the hottest zone elsewhere, in thousandths of a degree
            Celsius; None for any.
        max_wait_ms: how long to wait for it.
    """

    max_thermal_status: int = 0
    max_temperature_mc: int | None = None
    max_wait_ms: int = 600_000

    def __post_init__(self) -> None:
        """Refuse what can be no gate."""
        temperature = self.max_temperature_mc
        _check(
            {
                "max_thermal_status": 0 <= self.max_thermal_status <= 6,
                "max_temperature_mc": temperature is None or -50_000 <= temperature <= 150_000,
                "max_wait_ms": 0 <= self.max_wait_ms <= _MAX_MS,
            },
            self,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How much is measured of each variant, at least.

    Attributes:
        queries: inferences of the steady state.
        steady_ms: their summed latency.
        sustained_ms: how long it then runs without a pause; 0 for not at all.
        round_ms: its turn among the others.
        warm_up_ms: inferences that do not count.
    """

    queries: int
    steady_ms: int
    sustained_ms: int = 0
    round_ms: int = DEFAULT_ROUND_MS
    warm_up_ms: int = DEFAULT_WARM_UP_MS

    def __post_init__(self) -> None:
        """Refuse what can be no effort."""
        durations = ("steady_ms", "sustained_ms", "warm_up_ms")
        _check({name: 0 <= getattr(self, name) <= _MAX_MS for name in durations}, self)
        _check({"queries": 1 <= self.queries <= 10**9, "round_ms": 1 <= self.round_ms <= 60_000}, self)

    def has_steady(self, queries: int, steady_us: int) -> bool:
        """Whether so many inferences of the steady state, of so many microseconds in all, are enough."""
        return queries >= self.queries and steady_us >= 1000 * self.steady_ms


FULL = Effort(queries=1024, steady_ms=60_000)
"""MLPerf Mobile's: at least 1,024 queries and 60 s."""
QUICK = Effort(queries=50, steady_ms=3000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What earlier parts of a run have measured of a variant."""

    queries: int = 0
    steady_us: int = 0
    sustained_ms: int = 0
    images: tuple[str, ...] = ()


NOTHING_DONE = Done()


@dataclass(frozen=True, slots=True, kw_only=True)
class JobImage:
    """A picture to upscale: raw RGB in a file, rows first, one byte a channel."""

    name: str
    path: str
    height_px: int
    width_px: int

    def __post_init__(self) -> None:
        """Refuse a name that is no file name, and sizes that no picture has."""
        sizes = ("height_px", "width_px")
        _check({"name": bool(NAME.fullmatch(self.name))}, self)
        _check({name: 1 <= getattr(self, name) <= _MAX_PX for name in sizes}, self)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobVariant:
    """What is measured: a bundle's depth under some kernels.

    Attributes:
        label: for people, unique in a run.
        bundle: folder with the manifest, where the agent runs.
        depth: number of residual blocks.
        kernels: family of kernels of the runtime.
        threads: of the runtime.
        height_px: of the timed input.
        width_px: of the timed input.
        check_golden: whether the golden output must be reproduced.
        done: what earlier parts have measured.
    """

    label: str
    bundle: str
    depth: int
    kernels: str
    threads: int
    height_px: int
    width_px: int
    check_golden: bool
    done: Done = NOTHING_DONE

    def __post_init__(self) -> None:
        """Refuse what cannot be measured."""
        sizes = ("height_px", "width_px")
        _check({"label": bool(self.label), "depth": self.depth >= 1, "threads": 1 <= self.threads <= 256}, self)
        _check({name: 1 <= getattr(self, name) <= _MAX_PX for name in sizes}, self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One part of a run, as an agent reads it.

    Attributes:
        protocol: version of the protocol.
        run: id of the run.
        part: counts the starts of the agent for this run, from 1.
        results: file that records are appended to.
        outputs: folder of the upscaled pictures.
        queries: see :class:`Effort`, as the next four.
        steady_ms: summed latency of the steady state.
        sustained_ms: of each variant, without a pause.
        round_ms: a variant's turn.
        warm_up_ms: inferences that do not count.
        gate: what to wait for first.
        images: to upscale by every variant.
        variants: in the order of their turns.
    """

    protocol: int = PROTOCOL
    run: str
    part: int
    results: str
    outputs: str
    queries: int
    steady_ms: int
    round_ms: int
    warm_up_ms: int
    sustained_ms: int
    gate: Gate | None = None
    images: tuple[JobImage, ...]
    variants: tuple[JobVariant, ...]

    def __post_init__(self) -> None:
        """Refuse what no agent could measure."""
        labels = [variant.label for variant in self.variants]
        names = [image.name.casefold() for image in self.images]
        _check(
            {
                "protocol": self.protocol == PROTOCOL,
                "run": bool(RUN_ID.fullmatch(self.run)),
                "part": 1 <= self.part <= 9999,
                "results": PurePosixPath(self.results).is_absolute(),
                "outputs": PurePosixPath(self.outputs).is_absolute(),
                "images": len(set(names)) == len(names),
                "variants": bool(labels) and len(set(labels)) == len(labels),
            },
            self,
        )
        self.effort()

    def effort(self) -> Effort:
        """How much is to be measured of each variant."""
        return Effort(
            queries=self.queries,
            steady_ms=self.steady_ms,
            sustained_ms=self.sustained_ms,
            round_ms=self.round_ms,
            warm_up_ms=self.warm_up_ms,
        )


def dump_job(job: Job) -> bytes:
    """The job's file."""
    return (json.dumps(encode(job), indent=2, ensure_ascii=False) + "\n").encode()


def parse_job(content: bytes, source: str) -> Job:
    """Read a job's file.

    Args:
        content: the file.
        source: its name, for messages.

    Raises:
        BenchError: naming what is wrong.
    """
    decoder = Decoder(error=BenchError)
    table = decoder.parse_json(content, source, limit_bytes=JOB_LIMIT_BYTES)
    protocol = table.get("protocol") if isinstance(table, dict) else None
    if protocol != PROTOCOL:
        raise BenchError(
            f"{source}: protocol {one_line(repr(protocol), 60)}, expected {PROTOCOL}; use the agent of the same release"
        )
    return decoder.decode(Job, table, source)
