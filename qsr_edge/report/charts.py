"""The charts of the page, as SVG elements.

Each function takes a width: a page holds a chart for wide and for narrow screens, so that text keeps its size.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from qsr_edge.bench.protocol.condition import THERMAL_NAMES
from qsr_edge.bench.result import VariantResult
from qsr_edge.bench.sustained import State
from qsr_edge.report.findings import ms
from qsr_edge.report.quality import Panel, Point
from qsr_edge.report.regression import Comparison, Verdict
from qsr_edge.report.svg import (
    CHARACTER_PX,
    Axis,
    Element,
    Labels,
    element,
    linear_axis,
    log_axis,
    path,
    tick_labels,
)

LOG_RATIO = 8
"""Latencies further apart than this share a logarithmic axis."""
_BINS = 120
_MARKER_PX = 5.5


def bits_class(bits: int | None) -> str:
    """The CSS class of a bit width's colour."""
    if bits is None:
        return "bits-float"
    return f"bits-{bits}" if bits in (2, 3, 4, 8) else "bits-other"


def target_shape(target: str) -> str:
    """The marker of a target."""
    known = {"tflite": "circle", "executorch": "square", "coreml": "triangle"}
    return known.get(target, "diamond")


def marker(shape: str, x: float, y: float, class_: str, *children: Element) -> Element:
    """A marker of about equal area for each shape."""
    r = _MARKER_PX
    if shape == "circle":
        return element("circle", *children, cx=x, cy=y, r=r, class_=class_)
    corners = {
        "square": ((-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)),
        "triangle": ((0, -1.2), (1.1, 0.8), (-1.1, 0.8)),
        "diamond": ((0, -1.3), (1.3, 0), (0, 1.3), (-1.3, 0)),
    }[shape]
    return element("path", *children, d=path([(x + r * a, y + r * b) for a, b in corners], closed=True), class_=class_)


def _chart(width: float, height: float, label: str, *children: Element) -> Element:
    return element("svg", *children, viewBox=f"0 0 {width:g} {height:g}", role="img", aria_label=label, class_="chart")


def _latency_axis(low_us: float, high_us: float, start_px: float, end_px: float) -> Axis:
    low, high = max(low_us, 1) / 1000, max(high_us, 1) / 1000
    if high / low > LOG_RATIO:
        return log_axis(low, high, start_px, end_px)
    return linear_axis(0, high * 1.04, start_px, end_px, most_ticks=8 if end_px - start_px > 500 else 5)


def _x_ticks(axis: Axis, top: float, bottom: float) -> list[Element]:
    nodes = []
    for tick, label in zip(axis.ticks, tick_labels(axis.ticks), strict=True):
        x = axis(tick)
        nodes.append(element("line", x1=x, x2=x, y1=top, y2=bottom, class_="grid"))
        nodes.append(element("text", content=label, x=x, y=bottom + 17, text_anchor="middle", class_="tick"))
    return nodes


def _y_ticks(axis: Axis, left: float, right: float) -> list[Element]:
    nodes = []
    for tick, label in zip(axis.ticks, tick_labels(axis.ticks), strict=True):
        y = axis(tick)
        nodes.append(element("line", x1=left, x2=right, y1=y, y2=y, class_="grid"))
        nodes.append(element("text", content=label, x=left - 8, y=y + 4, text_anchor="end", class_="tick"))
    return nodes


def _title(content: str, x: float, y: float, anchor: str = "start", class_: str = "axis-title") -> Element:
    return element("text", content=content, x=x, y=y, text_anchor=anchor, class_=class_)


def _shortened(name: str, room: int) -> str:
    """A name that fits so many characters; the table has it whole."""
    return name if len(name) <= room else f"{name[: max(8, room - 1)]}…"


def quality_chart(panel: Panel, shared: Sequence[Panel], width: float) -> Element:
    """Quality against latency; the Pareto front filled and joined.

    Args:
        panel: what is drawn.
        shared: the panels whose axes are to be the same, this one included.
        width: in pixels.
    """
    height = 430 if width > 500 else 340
    left, right, top, bottom = 50, width - 18, 34, height - 46
    points = [point for each in shared for point in each.points]
    x_axis = _latency_axis(
        min(point.latency_us for point in points), max(point.latency_us for point in points), left, right
    )
    psnr = [point.psnr_db for point in points]
    room = max(0.05, 0.08 * (max(psnr) - min(psnr)))
    y_axis = linear_axis(min(psnr) - room, max(psnr) + room, bottom, top, most_ticks=7)
    nodes = [*_y_ticks(y_axis, left, right), *_x_ticks(x_axis, bottom, bottom + 5)]
    nodes.append(element("line", x1=left, x2=right, y1=bottom, y2=bottom, class_="axis"))
    nodes.append(_title("PSNR, dB (higher is better)", 8, 16))
    nodes.append(_title("median latency, ms (further left is faster)", right, height - 8, "end"))

    def at(point: Point) -> tuple[float, float]:
        return x_axis(point.latency_us / 1000), y_axis(point.psnr_db)

    labels = Labels(width, bottom, [])
    if len(panel.front) > 1:
        nodes.append(element("path", d=path([at(point) for point in panel.front]), class_="front"))
    series: dict[tuple[str, str, str], list[Point]] = {}
    for point in panel.points:
        series.setdefault((point.variant.name, point.variant.series, point.variant.kernels), []).append(point)
        labels.keep_free(*at(point), _MARKER_PX + 1)
    for members in series.values():
        members.sort(key=lambda point: point.variant.depth)
        colour = bits_class(members[0].variant.bits)
        if len(members) > 1:
            nodes.append(element("path", d=path([at(point) for point in members]), class_=f"series {colour}"))
    texts: list[Element | None] = []
    for members in series.values():
        for point in members:
            variant = point.variant
            kind = "marker" if point.pareto else "marker hollow"
            said = f"{variant.label}: {ms(point.latency_us)} ms, {point.psnr_db:.2f} dB"
            tooltip = element("title", content=f"{said}{', on the Pareto front' if point.pareto else ''}")
            nodes.append(
                marker(target_shape(variant.target), *at(point), f"{kind} {bits_class(variant.bits)}", tooltip)
            )
    # Names of series matter more than depths, the front's depths more than others.
    if width > 500:
        texts += [labels.place(members[-1].variant.series, *at(members[-1]), "label") for members in series.values()]
    for point in sorted(panel.points, key=lambda point: not point.pareto):
        texts.append(labels.place(f"d{point.variant.depth}", *at(point), "label small"))
    nodes += [node for node in texts if node is not None]
    best = max(panel.points, key=lambda point: point.psnr_db)
    label = (
        f"Quality against latency on {panel.run.title}, {len(panel.points)} variants: from "
        f"{ms(panel.points[0].latency_us)} ms to {ms(panel.points[-1].latency_us)} ms; best quality "
        f"{best.psnr_db:.2f} dB by {best.variant.label}. The table below has every figure."
    )
    return _chart(width, height, label, *nodes)


def distribution_chart(variants: Sequence[VariantResult], width: float) -> Element:
    """A histogram of latencies for each variant on one axis, with the median and the 90th and 99th percentile."""
    rows = sorted(variants, key=lambda variant: variant.latency.p50_us if variant.latency else 0)
    row_height, top, left, right = 62, 8, 8, width - 12
    height = top + row_height * len(rows) + 44
    summaries = [variant.latency for variant in rows if variant.latency]
    axis = _latency_axis(
        min(summary.min_us for summary in summaries), 1.06 * max(summary.p99_us for summary in summaries), left, right
    )
    nodes = _x_ticks(axis, top, height - 42)
    nodes.append(_title("latency, ms", right, height - 6, "end"))
    edges_px = np.linspace(left, right, _BINS + 1)
    for index, variant in enumerate(rows):
        if variant.latency is None:
            continue
        base = top + row_height * (index + 1) - 8
        summary, colour = variant.latency, bits_class(variant.bits)
        values = np.concatenate([np.asarray(values, float) for values in variant.rounds_us]) / 1000
        inside = values[values <= axis.high]
        pixels = np.array([axis(value) for value in inside])
        counts, _ = np.histogram(pixels, edges_px)
        heights = 24 * counts / max(1, counts.max())
        # Only where there is something: a flat line at zero would read as data.
        first, last = np.flatnonzero(counts)[[0, -1]] if counts.any() else (0, -1)
        outline = [(float(edges_px[first]), float(base))]
        for i in range(first, last + 1):
            outline += [(float(edges_px[i]), base - heights[i]), (float(edges_px[i + 1]), base - heights[i])]
        outline.append((float(edges_px[last + 1]), float(base)))
        nodes.append(element("line", x1=left, x2=right, y1=base, y2=base, class_="grid"))
        if counts.any():
            nodes.append(element("path", d=path(outline, closed=True), class_=f"density {colour}"))
        for us, kind in ((summary.p90_us, "p90"), (summary.p99_us, "p99"), (summary.p50_us, "p50")):
            x = axis(us / 1000)
            tooltip = element("title", content=f"{kind} {ms(us)} ms")
            up, down = (26, 4) if kind == "p50" else (0, 6)
            nodes.append(element("line", tooltip, x1=x, x2=x, y1=base - up, y2=base + down, class_=f"quantile {kind}"))
        figures = f"p50 {ms(summary.p50_us)}"
        if width > 500:
            figures += f" · p90 {ms(summary.p90_us)} · p99 {ms(summary.p99_us)}"
            beyond = len(values) - len(inside)
            figures += f" · {beyond} of {len(values):,} beyond the axis" if beyond else ""
        room = int((right - left) / CHARACTER_PX) - len(figures) - 3
        name = variant.label if len(variant.label) <= room else f"{variant.series} d{variant.depth}"
        nodes.append(element("text", content=_shortened(name, room), x=left, y=base - 34, class_="label halo"))
        nodes.append(
            element("text", content=figures, x=right, y=base - 34, text_anchor="end", class_="label halo muted")
        )
    label = f"Distribution of latencies of {len(rows)} variants, fastest first. The table below has the percentiles."
    return _chart(width, height, label, *nodes)


def timeline_chart(variant: VariantResult, high_us: int, width: float = 440) -> Element:
    """A variant's sustained phase: latency by the minute, and below it on the same axis the device's state.

    Args:
        variant: with minutes.
        high_us: the largest latency that the axis must hold, shared between variants.
        width: in pixels.
    """
    left, right, top = 46, width - 14, 26
    span_ms = max(60_000 * (variant.minutes[-1].minute + 1), *(state.at_ms for state in variant.states), 0)
    x_axis = Axis(low=0, high=span_ms / 60_000, start_px=left, end_px=right, logarithmic=False, ticks=())
    y_axis = linear_axis(0, high_us / 1000, top + 130, top, most_ticks=5)
    nodes = [_title("latency, ms", 0, 12), *_y_ticks(y_axis, left, right)]
    median = [(x_axis(minute.minute + 0.5), y_axis(minute.latency.p50_us / 1000)) for minute in variant.minutes]
    p90 = [(x_axis(minute.minute + 0.5), y_axis(minute.latency.p90_us / 1000)) for minute in variant.minutes]
    colour = bits_class(variant.bits)
    nodes.append(element("path", d=path([*median, *reversed(p90)], closed=True), class_=f"band {colour}"))
    nodes.append(element("path", d=path(p90), class_=f"line thin {colour}"))
    nodes.append(element("path", d=path(median), class_=f"line {colour}"))
    for minute, (x, y) in zip(variant.minutes, median, strict=True):
        said = f"minute {minute.minute + 1}: median {ms(minute.latency.p50_us)} ms, p90 {ms(minute.latency.p90_us)} ms"
        nodes.append(element("circle", element("title", content=said), cx=x, cy=y, r=2.6, class_=f"dot {colour}"))
    lines = [*_along(median), *_along(p90)]
    labels = Labels(width, top + 128, [(x - 2, y - 5, x + 2, y + 5) for x, y in lines])
    ends = (labels.place("p90", *p90[-1], "label small"), labels.place("median", *median[-1], "label small"))
    nodes += [node for node in ends if node is not None]
    y = top + 146
    for draw in (_thermal_strip, _temperature_strip, _battery_strip):
        strip, y = draw(variant.states, x_axis, y)
        nodes += strip
    time = linear_axis(0, span_ms / 60_000, left, right, most_ticks=7)
    for tick, label in zip(time.ticks, tick_labels(time.ticks), strict=True):
        if tick <= x_axis.high * 1.0001:
            x = x_axis(tick)
            nodes.append(element("line", x1=x, x2=x, y1=y - 4, y2=y, class_="axis"))
            nodes.append(element("text", content=label, x=x, y=y + 14, text_anchor="middle", class_="tick"))
    nodes.append(element("line", x1=left, x2=right, y1=y - 4, y2=y - 4, class_="axis"))
    nodes.append(_title("minutes without a pause", right, y + 32, "end"))
    first_ms, last_ms = (ms(minute.latency.p50_us) for minute in (variant.minutes[0], variant.minutes[-1]))
    said = (
        f"{variant.label}: median latency by the minute, {first_ms} ms in the first and {last_ms} ms in the last "
        f"({variant.minutes[-1].minute + 1}), with the device's state below. The table has every minute."
    )
    return _chart(width, y + 40, said, *nodes)


def _along(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Points on the line through points, close enough that no label fits in between."""
    found = list(points)
    for (x, y), (next_x, next_y) in pairwise(points):
        count = math.ceil(max(abs(next_x - x), abs(next_y - y)) / 4)
        found += [(x + (next_x - x) * i / count, y + (next_y - y) * i / count) for i in range(1, count)]
    return found


def _thermal_strip(states: Sequence[State], x_axis: Axis, y: float) -> tuple[list[Element], float]:
    known = [(state.at_ms, state.thermal_status) for state in states if state.thermal_status is not None]
    if not known:
        return [], y
    nodes = [_title("thermal status", 0, y + 10)]
    y += 16
    starts = [entry for i, entry in enumerate(known) if i == 0 or known[i - 1][1] != entry[1]]
    for i, (at_ms, status) in enumerate(starts):
        begin = x_axis(0 if i == 0 else at_ms / 60_000)
        end = x_axis(starts[i + 1][0] / 60_000) if i + 1 < len(starts) else x_axis.end_px
        tooltip = element("title", content=f"{status} ({THERMAL_NAMES[status]}) from minute {at_ms / 60_000:.1f}")
        block = element(
            "rect", tooltip, x=begin, y=y, width=max(1.0, end - begin), height=20, class_=f"heat heat-{status}"
        )
        nodes.append(block)
        name = f"{status} {THERMAL_NAMES[status]}"
        shown = name if end - begin > len(name) * CHARACTER_PX + 8 else str(status)
        if end - begin > 12:
            nodes.append(element("text", content=shown, x=begin + 5, y=y + 14, class_=f"label small on-heat-{status}"))
    return nodes, y + 36


def _strip(
    name: str, values: Sequence[tuple[int, float]], x_axis: Axis, y: float, unit: str, least_span: float
) -> tuple[list[Element], float]:
    if len(values) < 2:
        return [], y
    low, high = min(value for _, value in values), max(value for _, value in values)
    middle = (low + high) / 2
    axis = linear_axis(
        min(low, middle - least_span / 2), max(high, middle + least_span / 2), y + 60, y + 18, most_ticks=3
    )
    nodes = [_title(name, 0, y + 10), *_y_ticks(axis, x_axis.start_px, x_axis.end_px)]
    points = [(x_axis(at_ms / 60_000), axis(value)) for at_ms, value in values]
    said = f"{name}: {values[0][1]:.0f} {unit} to {values[-1][1]:.0f} {unit}, at most {high:.0f} {unit}"
    nodes.append(element("path", element("title", content=said), d=path(points), class_="line state"))
    return nodes, y + 76


def _temperature_strip(states: Sequence[State], x_axis: Axis, y: float) -> tuple[list[Element], float]:
    values = [(state.at_ms, state.temperature_mc / 1000) for state in states if state.temperature_mc is not None]
    return _strip("temperature, °C", values, x_axis, y, "°C", 6)


def _battery_strip(states: Sequence[State], x_axis: Axis, y: float) -> tuple[list[Element], float]:
    values = [(state.at_ms, state.battery_percent) for state in states if state.battery_percent is not None]
    return _strip("battery, %", values, x_axis, y, "%", 10)


def ratio_chart(comparison: Comparison, width: float) -> Element:
    """The ratio of medians with its interval for each variant; the line at 1 is the baseline."""
    changes = [change for change in comparison.changes if change.ratio is not None]
    row_height, top, left, right = 46, 10, 14, width - 14
    height = top + row_height * len(changes) + 40
    lows = [change.low or 1.0 for change in changes]
    highs = [change.high or 1.0 for change in changes]
    axis = linear_axis(min([*lows, 0.95]), max([*highs, 1.05]), left, right, most_ticks=7 if width > 500 else 5)
    nodes = _x_ticks(axis, top, height - 40)
    nodes.append(element("line", x1=axis(1), x2=axis(1), y1=top, y2=height - 38, class_="baseline"))
    nodes.append(_title("median over the baseline's (right of 1 is slower)", right, height - 6, "end"))
    for index, change in enumerate(changes):
        y = top + row_height * index + 32
        low, high, ratio = change.low or 1.0, change.high or 1.0, change.ratio or 1.0
        kind = {Verdict.SLOWER: "slower", Verdict.FASTER: "faster"}.get(change.verdict, "undecided")
        figures = f"{ratio:.3f} ({low:.3f} to {high:.3f})"
        room = int((right - left) / CHARACTER_PX) - len(figures) - 3
        nodes.append(element("text", content=_shortened(change.label, room), x=left, y=y - 13, class_="label halo"))
        nodes.append(element("text", content=figures, x=right, y=y - 13, text_anchor="end", class_="label halo muted"))
        nodes.append(element("line", x1=axis(low), x2=axis(high), y1=y, y2=y, class_=f"interval {kind}"))
        nodes.append(element("circle", cx=axis(ratio), cy=y, r=5, class_=f"estimate {kind}"))
    worst = max(changes, key=lambda change: change.ratio or 0)
    said = (
        f"Ratio of medians to the baseline of {len(changes)} variants; the largest is {worst.ratio:.3f}, of "
        f"{worst.label}. The table has every figure."
    )
    return _chart(width, height, said, *nodes)


def minutes_high_us(variants: Sequence[VariantResult]) -> int:
    """The largest 90th percentile of any minute."""
    return max((minute.latency.p90_us for variant in variants for minute in variant.minutes), default=math.ceil(1e3))
