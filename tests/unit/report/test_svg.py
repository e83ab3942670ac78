"""Scales and labels of charts."""

import math
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qsr_edge.report.svg import Labels, element, linear_axis, log_axis, path, serialize, tick_labels

finite = st.floats(-1e6, 1e6, allow_nan=False)


@given(low=finite, span=st.floats(0, 1e6), most=st.integers(2, 10))
def test_linear_axis(low: float, span: float, most: int) -> None:
    axis = linear_axis(low, low + span, 10, 210, most_ticks=most)
    rounding = 1e-6 * (1 + abs(low) + span)
    assert axis.low <= low + rounding
    assert axis.high >= low + span - rounding
    assert 2 <= len(axis.ticks) <= most + 2
    assert (axis(axis.low), axis(axis.high)) == (10, 210)
    assert axis(axis.high + 1e9) == 210  # beyond the end it stays there


@given(low=st.floats(1e-3, 1e5), ratio=st.floats(8, 1e5))
def test_log_axis(low: float, ratio: float) -> None:
    axis = log_axis(low, low * ratio, 0, 100)
    assert axis.low < low
    assert axis.high > low * ratio
    assert axis.ticks
    assert axis(math.sqrt(axis.low * axis.high)) == pytest.approx(50)


def test_tick_labels() -> None:
    assert tick_labels([0, 0.5, 1.0]) == ["0.0", "0.5", "1.0"]
    assert tick_labels([0, 500, 1000]) == ["0", "500", "1,000"]
    assert tick_labels([0.001, 0.002]) == ["0.001", "0.002"]


def test_labels_never_overlap() -> None:
    labels = Labels(300, 200, [])
    placed = [labels.place("a label", 100 + i, 100, "label") for i in range(30)]
    assert placed[0] is not None
    assert None in placed  # there is no room for thirty
    boxes = labels.taken
    for i, a in enumerate(boxes):
        for b in boxes[:i]:
            assert a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]


def test_text_stays_text() -> None:
    hostile = "</svg><script>alert(1)</script>\"'&"
    node = element("text", content=hostile, aria_label=hostile, x=1.23, text_anchor="end", class_="label")
    written = serialize(node)
    assert "<script" not in written
    parsed = ElementTree.fromstring(written)
    assert (parsed.text, parsed.get("aria-label"), parsed.get("x"), parsed.get("class")) == (
        hostile,
        hostile,
        "1.2",
        "label",
    )


def test_path() -> None:
    assert path([(0, 0), (1.25, 2)], closed=True) == "M0.0 0.0L1.2 2.0Z"
