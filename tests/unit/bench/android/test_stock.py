"""Command lines of the stock programs."""

from dataclasses import replace
from pathlib import PurePosixPath

from qsr_edge.bench.android.stock import Round, benchmark_model_words, executor_runner_words
from qsr_edge.bench.protocol.job import JobVariant

VARIANT = JobVariant(
    label="a d4",
    bundle="a",
    depth=4,
    kernels="xnnpack",
    threads=2,
    height_px=180,
    width_px=320,
    check_golden=True,
)
ROUND = Round(
    program=PurePosixPath("/data/p"),
    model=PurePosixPath("/data/m"),
    weights=None,
    variant=VARIANT,
    signature="d4",
    fixed_size=False,
    queries=257,
    steady_ms=15_000,
    warm_up_ms=1000,
)


def test_benchmark_model() -> None:
    words = benchmark_model_words(ROUND)
    assert words == [
        "/data/p",
        "--graph=/data/m",
        "--num_threads=2",
        "--num_runs=257",
        "--min_secs=15",
        "--max_secs=900",
        "--warmup_runs=1",
        "--warmup_min_secs=1",
        "--input_layer=image",
        "--input_layer_shape=1,180,320,3",
        "--use_xnnpack=true",
        "--signature_to_run_for=d4",
    ]
    builtin = benchmark_model_words(replace(ROUND, variant=replace(VARIANT, kernels="builtin"), signature=None))
    assert builtin[-1] == "--use_xnnpack=false"


def test_executor_runner() -> None:
    assert executor_runner_words(replace(ROUND, weights=PurePosixPath("/data/w"))) == [
        "/data/p",
        "--undefok=method_name,input_shapes,cpu_threads,print_output",
        "--model_path=/data/m",
        "--data_path=/data/w",
        "--method_name=d4",
        "--num_executions=257",
        "--input_shapes=1x3x180x320",
        "--cpu_threads=2",
        "--print_output=none",
    ]
    fixed = executor_runner_words(replace(ROUND, signature=None, fixed_size=True))
    assert not [word for word in fixed if word.startswith(("--input_shapes", "--method_name", "--data_path"))]
