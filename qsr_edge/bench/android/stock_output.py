"""What the runtimes' own benchmark programs print: LiteRT's ``benchmark_model`` and ExecuTorch's ``executor_runner``.

Their texts are logs and no interface. The forms read here are those of ``benchmark_model.cc``,
``benchmark_tflite_model.cc`` and ``executor_runner.cpp`` from 2020 to 2026; what a release does not print is None.
"""

import math
import re
from dataclasses import dataclass

from qsr_edge.errors import BenchError, one_line

_NUMBER = r"([-+0-9.eE]+)"
_TIMINGS = re.compile(
    rf"Inference timings in us: Init: {_NUMBER}, First inference: {_NUMBER}, Warmup \(avg\): {_NUMBER}, "
    rf"Inference \(avg\): {_NUMBER}"
)
_STATISTICS = re.compile(r"(?:^|\s)(count=\d+ .*)$")
_STATISTIC = re.compile(r"(\w+)=([-+0-9.eE]+)")
_PEAK = re.compile(rf"Overall peak memory footprint \(MB\) via periodic monitoring: {_NUMBER}")
_REPLACED = re.compile(r"Replacing (\d+) out of (\d+) node\(s\) with delegate \(([^)]+)\)")
_APPLIED = re.compile(r"Explicitly applied (\S+) delegate, and the model graph will be completely executed")
_UNKNOWN_FLAG = re.compile(r"unrecognized commandline flag: (\S+)", re.IGNORECASE)

_LOADED = re.compile(rf"Model loaded in {_NUMBER} ms")
_METHOD = re.compile(r"Using method (\S+)")
_ITERATION = re.compile(rf"Iteration (\d+) of \d+: {_NUMBER} ms")
_EXECUTED = re.compile(rf"Model executed successfully (\d+) time\(s\) in {_NUMBER} ms")
_RESIZED = re.compile(r"Inputs resized to (\S+)")
_LONG_DAY_US = 24 * 3600 * 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Averages:
    """Latencies that a program summed up itself.

    Attributes:
        count: of inferences.
        mean_us: of them.
        min_us: the shortest; None if it is not told, as the next.
        max_us: the longest.
        std_us: standard deviation.
    """

    count: int
    mean_us: int
    min_us: int | None = None
    max_us: int | None = None
    std_us: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StockPlacement:
    """Nodes that the delegate took, and how many it left."""

    delegate: str
    delegated_ops: int
    left_ops: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StockOutput:
    """One process of a stock program.

    Attributes:
        load_us: from the start to a model that can run.
        first_us: of the first inference.
        warm_up: before the timed ones.
        steady: the timed ones.
        latencies_us: each timed one; empty if only averages are told.
        peak_bytes: most memory of the process.
        placement: of the graph's nodes.
    """

    load_us: int | None
    first_us: int | None
    warm_up: Averages | None
    steady: Averages
    latencies_us: tuple[int, ...] = ()
    peak_bytes: int | None = None
    placement: StockPlacement | None = None


def _us(text: str, factor: float = 1.0) -> int | None:
    try:
        value = float(text) * factor
    except ValueError:
        return None
    return round(value) if math.isfinite(value) and 0 <= value <= _LONG_DAY_US else None


def parse_benchmark_model(text: str) -> StockOutput:
    """Read the output of LiteRT's (and TensorFlow Lite's) ``benchmark_model``.

    Raises:
        BenchError: if it knows a flag not, or ran no inference; with its last words.
    """
    unknown = _UNKNOWN_FLAG.search(text)
    if unknown is not None:
        raise BenchError(
            f"benchmark_model does not know {one_line(unknown[1], 80)}, so it is too old; build a newer one"
        )
    timings = _TIMINGS.search(text)
    runs = [averages for line in text.splitlines() if (averages := _statistics(line)) is not None]
    if timings is None or not runs:
        raise BenchError(f"benchmark_model ran no inference: {_last_words(text)}")
    peak = _PEAK.search(text)
    peak_mb = _us(peak[1]) if peak is not None else None
    return StockOutput(
        load_us=_us(timings[1]),
        first_us=_us(timings[2]),
        warm_up=runs[0] if len(runs) > 1 else None,
        steady=runs[-1],
        peak_bytes=round(float(peak[1]) * 1024 * 1024) if peak is not None and peak_mb else None,
        placement=_placement(text),
    )


def _statistics(line: str) -> Averages | None:
    """Figures of a line like ``count=50 first=9 curr=8 min=7 max=9 avg=8.1 std=1``; newer releases add percentiles."""
    match = _STATISTICS.search(line)
    if match is None:
        return None
    values = {key: _us(value) for key, value in _STATISTIC.findall(match[1])}
    # All alike: "count=3 curr=7 (all same)", or one: "count=1 curr=7".
    mean_us = values.get("avg", values.get("curr"))
    count = values.get("count")
    if not count or mean_us is None:
        return None
    alike = mean_us if "avg" not in values else None
    return Averages(
        count=count,
        mean_us=mean_us,
        min_us=values.get("min", alike),
        max_us=values.get("max", alike),
        std_us=values.get("std"),
    )


def _placement(text: str) -> StockPlacement | None:
    """Where the graph ran, by the runtime's own lines; of several graphs they do not tell which one was run."""
    replaced = [(int(taken), int(of), name) for taken, of, name in _REPLACED.findall(text)]
    if len(replaced) == 1 and replaced[0][0] <= replaced[0][1]:
        taken, of, name = replaced[0]
        return StockPlacement(delegate=name, delegated_ops=taken, left_ops=of - taken)
    applied = _APPLIED.search(text)
    if applied is not None and replaced and all(taken == of for taken, of, _ in replaced):
        return StockPlacement(delegate=applied[1], delegated_ops=replaced[-1][0], left_ops=0)
    return None


def parse_executor_runner(text: str, *, method: str | None, shape: str | None) -> StockOutput:
    """Read the output of ExecuTorch's ``executor_runner``.

    Args:
        text: its standard error, or what it wrote to Android's log.
        method: that it was to run; None for the program's only one.
        shape: of the input that it was told, such as ``1x3x180x320``; None if the program has one size only.

    Raises:
        BenchError: if it ran another method or size, because it is too old for these options, or none.
    """
    executed = _EXECUTED.search(text)
    if executed is None:
        raise BenchError(f"executor_runner ran no inference, or does not time it: {_last_words(text)}")
    ran = _METHOD.search(text)
    if method is not None and (ran is None or ran[1] != method):
        raise BenchError(
            f"executor_runner ran the method {ran[1] if ran else '?'} and not {method}, so it is too old for "
            "bundles of several depths; build a newer one, or convert each depth to a bundle of its own"
        )
    resized = _RESIZED.search(text)
    if shape is not None and (resized is None or resized[1] != shape):
        raise BenchError(
            f"executor_runner ran the largest input and not {shape}, so it knows no --input_shapes; build a newer one"
        )
    iterations = [_us(milliseconds, 1000) for _, milliseconds in _ITERATION.findall(text)]
    latencies_us = tuple(value for value in iterations if value is not None)
    count, total_us = int(executed[1]), _us(executed[2], 1000)
    if count < 1 or total_us is None:
        raise BenchError(f"executor_runner ran no inference: {_last_words(text)}")
    loaded = _LOADED.search(text)
    # The first inference has its own figure, and is no steady one.
    steady_us = latencies_us[1:]
    return StockOutput(
        load_us=_us(loaded[1], 1000) if loaded is not None else None,
        first_us=latencies_us[0] if latencies_us else None,
        warm_up=None,
        steady=Averages(count=count, mean_us=round(total_us / count)),
        latencies_us=steady_us,
    )


def _last_words(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if "error" in line.lower() or "fail" in line.lower()]
    return one_line(" / ".join((errors or lines)[-2:]), None)[-200:] or "it printed nothing"
