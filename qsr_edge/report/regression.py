"""A run against a baseline: ratios of medians with an interval that knows of rounds.

Latencies within a round share temperature, clock frequency and neighbours, so they are no independent samples; whole
rounds are resampled instead (cluster bootstrap, percentile method; Davison and Hinkley, "Bootstrap Methods and their
Application", 1997, section 3.8). Both runs are resampled, since both are measurements.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from qsr_edge.bench.result import VariantResult
from qsr_edge.bench.statistics import percentile
from qsr_edge.errors import BenchError
from qsr_edge.report.quality import mean_psnr_db
from qsr_edge.report.run import Run

RESAMPLES = 2000
CONFIDENCE_PERCENT = 95
FEW_ROUNDS = 20
"""Fewer rounds than this on a side make the bootstrap's interval too narrow."""
METHOD = (
    f"{CONFIDENCE_PERCENT} % interval of the ratio of medians: bootstrap with {RESAMPLES:,} resamples of whole rounds "
    "on both sides, percentile method"
)


class Verdict(StrEnum):
    """What the interval of the ratio allows to say."""

    SLOWER = "slower"
    FASTER = "faster"
    UNDECIDED = "no difference shown"
    MISSING = "not measured"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A variant of the baseline in another run.

    Attributes:
        label: of the run, or of the baseline where the run has no such variant.
        baseline_us, run_us: medians; None where it was not measured.
        ratio: run to baseline, above 1 is slower.
        low, high: interval of the ratio.
        verdict: slower or faster only if the interval excludes 1.
        cautions: why the interval may say too much.
        psnr_change_db: mean over the images of both, or None.
        peak_ratio: of peak memory, or None.
    """

    label: str
    baseline_us: int | None
    run_us: int | None
    ratio: float | None
    low: float | None
    high: float | None
    verdict: Verdict
    cautions: tuple[str, ...]
    psnr_change_db: float | None
    peak_ratio: float | None

    def exceeds(self, percent: float) -> bool:
        """Whether it is slower by more than so many percent, and not by chance; or was not measured at all."""
        if self.verdict is Verdict.MISSING:
            return self.run_us is None
        return self.verdict is Verdict.SLOWER and self.ratio is not None and self.ratio > 1 + percent / 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A run against the baseline.

    Attributes:
        cautions: what differs between the runs besides the software.
        changes: in the run's order, then what the run lacks.
    """

    run: Run
    baseline: Run
    cautions: tuple[str, ...]
    changes: tuple[Change, ...]

    def regressions(self, percent: float) -> tuple[Change, ...]:
        """The variants that are slower than allowed."""
        return tuple(change for change in self.changes if change.exceeds(percent))


def compare(run: Run, baseline: Run) -> Comparison:
    """Compare the variants that both runs have.

    Raises:
        BenchError: if they have none in common.
    """
    old = {variant.identity: variant for variant in baseline.measured}
    new = {variant.identity: variant for variant in run.measured}
    if not old.keys() & new.keys():
        raise BenchError(
            f"{baseline.folder}: has no variant that {run.folder} measured too (same network, target, kernels, depth "
            "and input size); choose another --baseline"
        )
    changes = [
        _change(variant, old[key]) if key in old else _missing(variant, None, variant) for key, variant in new.items()
    ]
    changes += [_missing(variant, variant, None) for key, variant in old.items() if key not in new]
    return Comparison(run=run, baseline=baseline, cautions=tuple(_cautions(run, baseline)), changes=tuple(changes))


def _cautions(run: Run, baseline: Run) -> list[str]:
    found = []
    if (run.device.kind, run.device.name, run.device.id) != (
        baseline.device.kind,
        baseline.device.name,
        baseline.device.id,
    ):
        found.append(f"another device: {run.title} against {baseline.title}")
    if run.device.simulator or baseline.device.simulator:
        found.append("a simulator takes part")
    threads, baseline_threads = run.header.job.threads, baseline.header.job.threads
    if threads != baseline_threads:
        found.append(f"{threads} threads against {baseline_threads}")
    if run.device.system != baseline.device.system:
        found.append(f"{run.device.system} against {baseline.device.system}")
    for name, each in (("this run", run), ("the baseline", baseline)):
        found += [f"{name} is invalid: {reason}" for reason in each.invalid]
        if not each.complete:
            found.append(f"{name} is incomplete")
    return found


def _missing(variant: VariantResult, old: VariantResult | None, new: VariantResult | None) -> Change:
    return Change(
        label=variant.label,
        baseline_us=old.latency.p50_us if old and old.latency else None,
        run_us=new.latency.p50_us if new and new.latency else None,
        ratio=None,
        low=None,
        high=None,
        verdict=Verdict.MISSING,
        cautions=(),
        psnr_change_db=None,
        peak_ratio=None,
    )


def _change(new: VariantResult, old: VariantResult) -> Change:
    new_us, old_us = (percentile(sorted(chain.from_iterable(each.rounds_us)), 50) for each in (new, old))
    ratio = new_us / max(1, old_us)
    low, high = ratio_interval(new.rounds_us, old.rounds_us)
    verdict = Verdict.SLOWER if low > 1 else Verdict.FASTER if high < 1 else Verdict.UNDECIDED
    cautions = []
    rounds = min(len(new.rounds_us), len(old.rounds_us))
    if rounds < FEW_ROUNDS:
        cautions.append(f"only {rounds} rounds on a side; measure longer")
    if new.runtime != old.runtime:
        cautions.append(f"{new.runtime} against {old.runtime}")
    shared = sorted(
        {image.image for image in new.images if image.psnr_db is not None}
        & {image.image for image in old.images if image.psnr_db is not None}
    )
    new_db, old_db = mean_psnr_db(new, shared), mean_psnr_db(old, shared)
    return Change(
        label=new.label,
        baseline_us=old_us,
        run_us=new_us,
        ratio=ratio,
        low=low,
        high=high,
        verdict=verdict,
        cautions=tuple(cautions),
        psnr_change_db=None if new_db is None or old_db is None else new_db - old_db,
        peak_ratio=new.peak_bytes / old.peak_bytes if new.peak_bytes and old.peak_bytes else None,
    )


def ratio_interval(
    new_rounds_us: Sequence[Sequence[int]], old_rounds_us: Sequence[Sequence[int]]
) -> tuple[float, float]:
    """The interval of median(new) / median(old); the same rounds give the same interval.

    Args:
        new_rounds_us: latencies by round, at least one of each.
        old_rounds_us: likewise.
    """
    rng = np.random.default_rng(0)
    ratios = _resampled_medians(new_rounds_us, rng) / np.maximum(1, _resampled_medians(old_rounds_us, rng))
    tail = (100 - CONFIDENCE_PERCENT) / 2
    low, high = np.percentile(ratios, (tail, 100 - tail))
    return float(low), float(high)


def _resampled_medians(rounds_us: Sequence[Sequence[int]], rng: np.random.Generator) -> NDArray[np.float64]:
    """(RESAMPLES,) medians, by nearest rank as everywhere in the bench, of rounds drawn with replacement."""
    values = np.concatenate([np.asarray(values, np.int64) for values in rounds_us])
    owner = np.repeat(np.arange(len(rounds_us)), [len(values) for values in rounds_us])
    order = np.argsort(values, kind="stable")
    values, owner = values[order], owner[order]
    medians = np.empty(RESAMPLES)
    for i in range(RESAMPLES):
        times = np.bincount(rng.integers(0, len(rounds_us), len(rounds_us)), minlength=len(rounds_us))
        counts = np.cumsum(times[owner])
        medians[i] = values[np.searchsorted(counts, (counts[-1] + 1) // 2)]
    return medians
