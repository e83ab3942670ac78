"""The agent's procedure on this machine: gate, start, steady rounds in turns, sustained runs.

Every record is on disk before the next measurement is taken. As variants alternate in the steady state, heat and other
load meet all of them alike. The order and the records are those of docs/device-protocol.md.
"""

import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from qsr_edge import __version__
from qsr_edge.bench.gate import pass_gate
from qsr_edge.bench.host.worker_process import WorkerProcess
from qsr_edge.bench.protocol.condition import Condition
from qsr_edge.bench.protocol.fields import MAX_MESSAGE
from qsr_edge.bench.protocol.job import PROTOCOL, Job, JobVariant
from qsr_edge.bench.protocol.log import Recorder
from qsr_edge.bench.protocol.records import (
    Agent,
    ConditionRecord,
    End,
    Error,
    Image,
    Placement,
    Start,
    Steady,
    Sustained,
    WarmUp,
)
from qsr_edge.errors import QsrError, one_line

AGENT = f"qsr-edge-python-agent {__version__}"
_SUSTAINED_CONDITION_EVERY_S = 10.0
_SUSTAINED_RECORD_MS = 5000
_CHUNK_MS = 500
"""How long a worker is left alone; between chunks it can be stopped."""


def run_job(job: Job, log: Recorder, read_condition: Callable[[], Condition]) -> bool:
    """Measure a job.

    Args:
        job: one part of a run.
        log: where records go.
        read_condition: tells the state of the device.

    Returns:
        Whether it went through; if not, the log tells why.

    Raises:
        OSError: if a record cannot be written.
    """
    log.append(Agent(protocol=PROTOCOL, run=job.run, part=job.part, agent=AGENT))
    try:
        _Measurement(job, log, read_condition).run()
    except (QsrError, OSError) as error:
        reason = one_line(error, MAX_MESSAGE)
        log.append(Error(message=reason))
        log.append(End(complete=False, reason=reason))
        return False
    log.append(End(complete=True))
    return True


class _Measurement:
    def __init__(self, job: Job, log: Recorder, read_condition: Callable[[], Condition]):
        self._job = job
        self._effort = job.effort()
        self._log = log
        self._read_condition = read_condition
        self._queries = {variant.label: variant.done.queries for variant in job.variants}
        self._steady_us = {variant.label: variant.done.steady_us for variant in job.variants}
        self._typical_us: dict[str, int] = {}

    def run(self) -> None:
        self._pass_gate()
        with ExitStack() as stack:
            workers: dict[str, WorkerProcess] = {}
            for variant in self._job.variants:
                if self._is_steady_done(variant.label) and not (self._images_left(variant) or self._left(variant)):
                    continue
                worker = stack.enter_context(WorkerProcess(variant))
                self._start(variant, worker)
                workers[variant.label] = worker
            self._steady(workers)
            for variant in self._job.variants:
                if self._left(variant):
                    self._sustained(variant, workers[variant.label])
        self._condition()

    def _pass_gate(self) -> None:
        pass_gate(self._job.gate, self._condition, self._log.append)

    def _condition(self, variant: str | None = None) -> Condition:
        condition = self._read_condition()
        self._log.append(ConditionRecord(source="agent", condition=condition, variant=variant))
        return condition

    def _is_steady_done(self, label: str) -> bool:
        return self._effort.has_steady(self._queries[label], self._steady_us[label])

    def _images_left(self, variant: JobVariant) -> list[str]:
        return [image.name for image in self._job.images if image.name not in variant.done.images]

    def _left(self, variant: JobVariant) -> int:
        """Milliseconds of the sustained phase that are left."""
        return max(0, self._effort.sustained_ms - variant.done.sustained_ms)

    def _start(self, variant: JobVariant, worker: WorkerProcess) -> None:
        load_us = worker.load()
        [first_us], _ = worker.run(1)
        sha256, equal = worker.golden() if variant.check_golden else (None, None)
        self._log.append(
            Start(
                variant=variant.label,
                load_us=load_us,
                first_us=first_us,
                golden_equal=equal,
                golden_sha256=sha256,
                runtime=worker.runtime,
            )
        )
        placement = worker.placement()
        if placement is not None:
            self._log.append(
                Placement(
                    variant=variant.label,
                    delegate=placement.delegate,
                    delegated_ops=placement.delegated_ops,
                    fallback=dict(placement.fallback),
                    source=placement.source,
                )
            )
        warm = [first_us]
        if self._effort.warm_up_ms:
            warm = [*worker.run(1)[0]]
            while (left_us := 1000 * self._effort.warm_up_ms - sum(warm)) > 0:
                # Asking for each inference takes longer than a short one does.
                warm += worker.run(max(1, min(left_us, 1000 * _CHUNK_MS) // max(1, min(warm))))[0]
            self._log.append(WarmUp(variant=variant.label, latencies_us=tuple(warm)))
        self._typical_us[variant.label] = max(1, min(warm))
        left = self._images_left(variant)
        index = self._job.variants.index(variant)
        for image in self._job.images:
            if image.name in left:
                output = Path(self._job.outputs) / f"{index}-{image.name}.rgb"
                sha256, latency_us = worker.upscale(image, output)
                self._log.append(
                    Image(
                        variant=variant.label,
                        image=image.name,
                        sha256=sha256,
                        output=output.name,
                        latency_us=latency_us,
                    )
                )

    def _count(self, label: str, duration_ms: int) -> int:
        return max(1, round(1000 * duration_ms / self._typical_us[label]))

    def _steady(self, workers: dict[str, WorkerProcess]) -> None:
        waiting = {label: worker for label, worker in workers.items() if not self._is_steady_done(label)}
        while waiting:
            self._condition()
            for label, worker in list(waiting.items()):
                wall, cpu = worker.run(self._count(label, self._effort.round_ms))
                peak_bytes = worker.peak_bytes()
                steady = Steady(variant=label, latencies_us=tuple(wall), cpu_us=tuple(cpu), peak_bytes=peak_bytes)
                self._log.append(steady)
                self._queries[label] += len(wall)
                self._steady_us[label] += sum(wall)
                if self._is_steady_done(label):
                    del waiting[label]

    def _sustained(self, variant: JobVariant, worker: WorkerProcess) -> None:
        self._pass_gate()
        before_ms, began, told = variant.done.sustained_ms, time.monotonic(), float("-inf")
        latencies_us: list[int] = []
        recorded_ms = since_ms = before_ms
        while since_ms < self._effort.sustained_ms:
            if time.monotonic() - told >= _SUSTAINED_CONDITION_EVERY_S:
                self._condition(variant.label)
                told = time.monotonic()
            chunk_ms = min(_CHUNK_MS, self._effort.sustained_ms - since_ms)
            latencies_us += worker.run(self._count(variant.label, chunk_ms))[0]
            since_ms = before_ms + round(1000 * (time.monotonic() - began))
            if since_ms - recorded_ms >= _SUSTAINED_RECORD_MS or since_ms >= self._effort.sustained_ms:
                latencies = tuple(latencies_us)
                self._log.append(Sustained(variant=variant.label, since_ms=since_ms, latencies_us=latencies))
                latencies_us, recorded_ms = [], since_ms
        self._condition(variant.label)
