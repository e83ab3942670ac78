"""What is read from the output of the runtimes' own benchmark programs."""

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qsr_edge.bench.android.stock_output import (
    Averages,
    StockOutput,
    StockPlacement,
    parse_benchmark_model,
    parse_executor_runner,
)
from qsr_edge.errors import BenchError

SAMPLES = Path(__file__).resolve().parents[1] / "stock"
SHAPE = "1x3x24x40"

BENCHMARK_MODEL = {
    "2021": StockOutput(
        load_us=4283,
        first_us=339_304,
        warm_up=Averages(count=2, mean_us=302_814, min_us=266_325, max_us=339_304, std_us=36_489),
        steady=Averages(count=50, mean_us=266_473, min_us=265_837, max_us=268_116, std_us=419),
    ),
    "2024_xnnpack": StockOutput(
        load_us=6059,
        first_us=1_003_120,
        warm_up=Averages(count=1, mean_us=1_003_120, min_us=1_003_120, max_us=1_003_120),
        steady=Averages(count=257, mean_us=1_002_830, min_us=991_787, max_us=1_113_649, std_us=3250),
        placement=StockPlacement(delegate="TfLiteXNNPackDelegate", delegated_ops=17, left_ops=0),
    ),
    "partial": StockOutput(
        load_us=2100,
        first_us=32_942,
        warm_up=Averages(count=40, mean_us=12_582, min_us=11_340, max_us=32_942, std_us=3331),
        steady=Averages(count=75, mean_us=12_167, min_us=12_167, max_us=12_167),
        peak_bytes=25_690_112,
        placement=StockPlacement(delegate="TfLiteXNNPackDelegate", delegated_ops=14, left_ops=3),
    ),
    # Which of the two graphs was run is not told.
    "signatures": StockOutput(
        load_us=3200,
        first_us=9100,
        warm_up=Averages(count=60, mean_us=8422, min_us=8300, max_us=9100, std_us=99),
        steady=Averages(count=6, mean_us=8410, min_us=8380, max_us=8455, std_us=21),
    ),
}


def sample(name: str) -> str:
    return (SAMPLES / f"{name}.txt").read_text()


@pytest.mark.parametrize("name", BENCHMARK_MODEL)
def test_benchmark_model(name: str) -> None:
    assert parse_benchmark_model(sample(f"benchmark_model_{name}")) == BENCHMARK_MODEL[name]


@pytest.mark.parametrize(
    ("name", "words"),
    [("old_flag", "does not know --signature_to_run_for=d4.*too old"), ("failed", "no inference.*Benchmarking failed")],
)
def test_benchmark_model_without_a_figure(name: str, words: str) -> None:
    with pytest.raises(BenchError, match=words):
        parse_benchmark_model(sample(f"benchmark_model_{name}"))


def test_executor_runner_with_one_sum() -> None:
    output = parse_executor_runner(sample("executor_runner_2025"), method=None, shape=None)
    assert output == StockOutput(load_us=None, first_us=None, warm_up=None, steady=Averages(count=4, mean_us=5000))


def test_executor_runner_tells_each_inference() -> None:
    assert parse_executor_runner(sample("executor_runner_2026"), method="d4", shape=SHAPE) == StockOutput(
        load_us=1585,
        first_us=2701,
        warm_up=None,
        steady=Averages(count=5, mean_us=2068),
        latencies_us=(1911, 1901, 1905, 1920),
    )


@pytest.mark.parametrize(
    ("name", "method", "words"),
    [
        ("2026", "d8", "ran the method d4 and not d8, so it is too old"),
        ("2025", "d4", "ran the method forward and not d4"),
        # A figure of another size would be a wrong one.
        ("2025", None, "knows no --input_shapes"),
        ("failed", None, "ran no inference.*assert failed"),
    ],
)
def test_executor_runner_that_ran_something_else(name: str, method: str | None, words: str) -> None:
    with pytest.raises(BenchError, match=words):
        parse_executor_runner(sample(f"executor_runner_{name}"), method=method, shape=SHAPE)


_TEXTS = [path.read_text() for path in sorted(SAMPLES.glob("*.txt"))]


@given(st.data())
def test_changed_output_gives_figures_or_an_error(data: st.DataObject) -> None:
    changed = list(data.draw(st.sampled_from(_TEXTS)))
    for _ in range(data.draw(st.integers(0, 8))):
        index = data.draw(st.integers(0, len(changed) - 1))
        changed[index] = data.draw(st.sampled_from(["", "9", "-", ".", "e", "e999", "\n", "=", "nan", "٣", "\0"]))
    text = "".join(changed)[: data.draw(st.integers(0, len(changed)))]
    for parse in (parse_benchmark_model, lambda text: parse_executor_runner(text, method=None, shape=SHAPE)):
        with contextlib.suppress(BenchError):
            output = parse(text)
            assert output.steady.count >= 1
            assert output.steady.mean_us >= 0
