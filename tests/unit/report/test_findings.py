"""What a run says of itself: every caveat is there when it should be, and not otherwise."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from qsr_edge.report.findings import Severity, caveats, ms, sentences, slowdown
from qsr_edge.report.quality import mean_psnr_db, panels
from qsr_edge.report.reading import read_run
from qsr_edge.report.run import Run
from tests.support.run_folders import HOST, SIMULATOR, Plan, photo, variant, variants, write_run

SET14 = [{"dataset": "Set14", "psnr_db": 30}]


@pytest.fixture
def run_of(tmp_path: Path):
    def make(**plan: Any) -> Run:
        return read_run(write_run(tmp_path / f"run{len(list(tmp_path.iterdir()))}", Plan(**{"rounds": 2, **plan})))

    return make


def titles(run: Run) -> dict[str, Severity]:
    return {caveat.title: caveat.severity for caveat in caveats(run)}


def asked(run: Run, **effort: int) -> Run:
    return replace(run, header=replace(run.header, job=replace(run.header.job, **effort)))


def test_a_good_run_has_no_caveat(run_of) -> None:
    assert caveats(run_of()) == ()


def test_caveats(run_of) -> None:
    invalid, caution, note = Severity.INVALID, Severity.CAUTION, Severity.NOTE
    labels = [entry["label"] for entry in variants()]
    assert titles(run_of(device=SIMULATOR)) == {"Simulator": invalid}
    assert "No figure here is a phone's" in caveats(run_of(device=SIMULATOR))[0].text
    assert titles(run_of(device=HOST)) == {"Not a phone": note}
    assert titles(run_of(complete=False)) == {"Incomplete": invalid}
    assert titles(run_of(golden={labels[0]: False})) == {"Other bytes than the reference": invalid}
    assert titles(run_of(golden={labels[0]: None})) == {"Golden output not asked for": note}
    assert titles(run_of(extra=[{"event": "thermal", "thermal_status": 2}])) == {"Thermal status changed": caution}
    assert titles(run_of(extra=[{"event": "low-memory"}])) == {"Short of memory": caution}
    fault = {"kind": "fault", "phase": "measure", "message": "the cable was pulled"}
    run = run_of(extra=[fault, fault, {"kind": "part", "part": 2, "reason": "resumed"}])
    assert titles(run) == {"2 faults survived": caution}
    assert caveats(run)[0].text.startswith("measure: the cable was pulled and measure: the cable was pulled.")
    assert titles(run_of(extra=[{"kind": "part", "part": 2}])) == {"Gone on with": note}
    assert titles(run_of(extra=[{"kind": "error", "message": "no model"}])) == {"Errors of the agent": caution}
    power_save = {"kind": "condition", "condition": {"power_save": True}}
    assert titles(run_of(extra=[power_save])) == {"Power saving": caution}
    busy = {"kind": "condition", "condition": {"load_milli": 4500}}
    assert titles(run_of(device=HOST, extra=[busy])) == {"Not a phone": note, "Busy machine": caution}
    assert "4.5 processes wanted its 2 cores" in caveats(run_of(device=HOST, extra=[busy]))[0].text
    assert titles(run_of(extra=[busy])) == {}  # a phone's load is no such sign
    assert titles(run_of(rounds=0)) == {"Not measured": caution}
    assert titles(asked(run_of(), queries=50, steady_ms=3000)) == {"Short run": caution}
    assert titles(replace(run_of(), invalid=("the power source changed",))) == {"Invalid run": invalid}
    assert titles(replace(run_of(), thermal_statuses=(2,))) == {"Hot throughout": caution}


def test_averages_are_told_and_not_called_missing(run_of) -> None:
    """As a stock program leaves them, which may not tell the time of loading."""
    label = variants()[0]["label"]
    extra = [
        {"kind": "start", "variant": label, "load_us": None, "first_us": None, "golden_equal": None},
        {"kind": "averages", "variant": label, "phase": "steady", "count": 90, "mean_us": 39_500},
    ]
    run = run_of(rounds=0, variants=variants()[:1], extra=extra)
    # What the folder's maker wrote of a start goes before it.
    assert [(average.count, average.mean_us) for average in run.averages] == [(90, 39_500)]
    assert "Not measured" not in titles(run)
    [caveat] = [caveat for caveat in caveats(run) if caveat.title == "Averages only"]
    assert f"{label}: mean 39.50 ms of 90" in caveat.text


def test_a_sustained_phase_that_was_gone_on_with_has_cooled(run_of) -> None:
    label = variants()[0]["label"]
    sustained = {"kind": "sustained", "variant": label, "latencies_us": [1000]}
    further = {**sustained, "since_ms": 600_000}
    assert run_of(sustained_minutes=1, extra=[further]).cooled == ()
    run = run_of(sustained_minutes=1, extra=[{"kind": "part", "part": 2}, {"kind": "agent"}, further])
    assert run.cooled == (label,)
    [caveat] = [caveat for caveat in caveats(run) if caveat.title == "Sustained phase interrupted"]
    assert label in caveat.text


def test_the_gravest_comes_first(run_of) -> None:
    run = run_of(device=SIMULATOR, complete=False, extra=[{"event": "low-memory"}, {"kind": "part", "part": 2}])
    order = [caveat.severity for caveat in caveats(run)]
    assert order == sorted(order, key=list(Severity).index)
    assert len(order) == 4


def test_pictures_of_other_bytes_are_told(run_of) -> None:
    run = run_of(images={"coffee": photo(40, 60)})
    first = run.variants[0]
    other = replace(first, images=(replace(first.images[0], equal=False),))
    run = replace(run, variants=(other, *run.variants[1:]))
    [caveat] = caveats(run)
    assert caveat.severity is Severity.INVALID
    assert f"{first.label} (coffee)" in caveat.text


def test_pareto_front_by_its_definition(run_of) -> None:
    run = run_of(variants=variants(("tflite", "executorch"), (2, 4, 8)))
    [panel] = panels(run)
    assert (panel.basis, panel.measured, len(panel.points)) == ("Set5", False, 18)
    for point in panel.points:
        beaten = [
            other
            for other in panel.points
            if other.latency_us <= point.latency_us
            and other.psnr_db >= point.psnr_db
            and (other.latency_us, other.psnr_db) != (point.latency_us, point.psnr_db)
        ]
        assert point.pareto == (not beaten)
    assert 0 < len(panel.front) < 18


def test_measured_quality_goes_before_recorded(run_of) -> None:
    run = run_of(images={"coffee": photo(40, 60), "wide": photo(32, 80)})
    [panel] = panels(run)
    assert (panel.basis, panel.measured) == ("2 images (coffee, wide)", True)
    assert [point.psnr_db for point in panel.points] == [mean_psnr_db(entry) for entry in run.variants]
    [panel] = panels(run_of(images={"coffee": photo(40, 60)}, with_originals=False))
    assert (panel.basis, panel.measured) == ("Set5", False)


def test_what_is_not_comparable_is_not_on_one_chart(run_of) -> None:
    other_scale = [variant(depth=2, label="a"), variant(depth=4, label="b", scale=4)]
    other_size = [variant(depth=2, label="a"), variant(depth=4, label="b", width_px=640)]
    other_set = [
        variant(depth=2, label="a"),
        variant(depth=4, label="b", quality=[{"dataset": "Set14", "psnr_db": 30}]),
    ]
    for entries in (other_scale, other_size, other_set):
        assert sorted(len(panel.points) for panel in panels(run_of(variants=entries))) == [1, 1]
    assert panels(run_of(variants=[variant(quality=[], bits=4)])) == ()


def test_sentences(run_of) -> None:
    run = run_of(sustained_minutes=4, hot=True)
    told = sentences(run, panels(run))
    assert told[0].startswith("Test Pixel (Test SoC G9, 8 cores, Android 16) ran 3 variants on 24 November 2025")
    assert "timed input 320×180 pixels" in told[0]
    fastest = run.variants[0]
    assert fastest.latency is not None
    assert f"depth 2 ({ms(fastest.latency.p50_us)} ms, 36.79 dB)" in told[2]
    ratios = {entry.label: slowdown(entry) or 0 for entry in run.variants}
    worst = max(ratios, key=lambda label: ratios[label])
    assert told[3] == f"Over 4 minutes without a pause {worst} slowed down most, by {100 * (ratios[worst] - 1):.0f} %."
    assert 1.1 < ratios[worst] < 1.4
    cool = run_of(sustained_minutes=3)
    assert sentences(cool, ())[-1] == "Over 3 minutes without a pause no variant's median rose by more than 5 %."


@pytest.mark.parametrize(
    ("us", "shown"), [(821, "0.82"), (9_994, "9.99"), (16_140, "16.1"), (134_400, "134"), (1_234_000, "1,234")]
)
def test_milliseconds(us: int, shown: str) -> None:
    assert ms(us) == shown
