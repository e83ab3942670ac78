"""Against a baseline: a change is found, noise is not taken for one."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qsr_edge.errors import BenchError
from qsr_edge.report.reading import read_run
from qsr_edge.report.regression import FEW_ROUNDS, Verdict, compare, ratio_interval
from qsr_edge.report.run import Run
from tests.support.run_folders import GALAXY, Plan, variant, write_run


def rounds(
    rng: np.random.Generator, median_us: float, count: int = 40, between: float = 0.02
) -> Sequence[Sequence[int]]:
    """Rounds of 30 latencies whose own medians differ by ``between``."""
    centres = median_us * (1 + rng.normal(0, between, count))
    return [[round(value) for value in centre * rng.lognormal(0, 0.03, 30)] for centre in centres]


@pytest.fixture
def run_of(tmp_path: Path):
    def make(name: str, **plan: Any) -> Run:
        return read_run(write_run(tmp_path / name, Plan(**{"variants": (variant(depth=2),), "rounds": 30, **plan})))

    return make


def test_a_change_is_found(run_of) -> None:
    baseline, run = run_of("old"), run_of("new", speed=1.1, seed=2)
    [change] = compare(run, baseline).changes
    assert change.verdict is Verdict.SLOWER
    assert change.low is not None
    assert change.high is not None
    assert change.low < 1.1 < change.high
    assert change.ratio == pytest.approx(1.1, abs=0.02)
    assert (change.exceeds(5), change.exceeds(20)) == (True, False)
    [change] = compare(baseline, run).changes
    assert change.verdict is Verdict.FASTER
    assert not change.exceeds(0)


def test_noise_is_not_taken_for_a_change(run_of) -> None:
    [change] = compare(run_of("new", seed=2), run_of("old")).changes
    assert change.verdict is Verdict.UNDECIDED
    assert not change.exceeds(0)


@pytest.mark.slow
def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    """Both sides have one median and rounds that differ by 2 %; single latencies would claim a change far too often."""
    rng = np.random.default_rng(7)
    covered = 0
    for _ in range(60):
        low, high = ratio_interval(rounds(rng, 20_000), rounds(rng, 20_000))
        covered += low <= 1 <= high
    # 57 of 60 expected; fewer than 51 come by chance once in a few thousand.
    assert covered >= 51


def test_the_interval_is_the_same_each_time() -> None:
    rng = np.random.default_rng(1)
    new, old = rounds(rng, 20_000), rounds(rng, 21_000)
    assert ratio_interval(new, old) == ratio_interval(new, old)
    assert ratio_interval([[5]], [[10]]) == (0.5, 0.5)


def test_resampled_medians_are_those_of_the_resample() -> None:
    """With one round of several latencies every resample is the round itself, with two it is one of three mixtures."""
    assert ratio_interval([[1, 2, 3, 4]], [[1]]) == (2.0, 2.0)
    low, high = ratio_interval([[10, 10, 10], [30, 30, 30]], [[10]])
    assert (low, high) == (1.0, 3.0)


def test_cautions(run_of) -> None:
    run = run_of("few", rounds=5, device=GALAXY, complete=False)
    comparison = compare(run, run_of("old"))
    assert comparison.cautions == (
        "another device: Test Galaxy against Test Pixel",
        "Android 15 against Android 16",
        "this run is incomplete",
    )
    assert comparison.changes[0].cautions == ("only 5 rounds on a side; measure longer",)
    assert FEW_ROUNDS > 5


def test_what_only_one_run_has(run_of) -> None:
    baseline = run_of("old", variants=(variant(depth=2), variant(depth=4)))
    run = run_of("new", variants=(variant(depth=2), variant(depth=8)))
    comparison = compare(run, baseline)
    shown = {change.label: (change.verdict, change.exceeds(50)) for change in comparison.changes}
    assert shown[variant(depth=8)["label"]] == (Verdict.MISSING, False)  # new, so it cannot be worse
    assert shown[variant(depth=4)["label"]] == (Verdict.MISSING, True)
    assert [change.label for change in comparison.regressions(50)] == [variant(depth=4)["label"]]
    with pytest.raises(BenchError, match="has no variant that"):
        compare(run_of("other", variants=(variant(depth=2, width_px=64),)), baseline)
