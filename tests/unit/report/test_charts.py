"""Where labels stand in charts."""

import re
from itertools import pairwise
from pathlib import Path

import pytest

from qsr_edge.report.charts import timeline_chart
from qsr_edge.report.reading import read_run
from qsr_edge.report.svg import CHARACTER_PX, serialize
from tests.support.run_folders import Plan, variant, write_run


@pytest.mark.parametrize("slowness", [1, 1.5, 2, 3, 4, 6, 10])
def test_no_label_of_a_timeline_is_struck_through(tmp_path: Path, slowness: float) -> None:
    """Wherever the line is on the axis, which the slowest variant sets."""
    plan = Plan(variants=(variant(depth=2),), rounds=1, sustained_minutes=3, hot=True)
    [entry] = read_run(write_run(tmp_path / "run", plan)).variants
    high_us = round(slowness * max(minute.latency.p90_us for minute in entry.minutes))
    written = serialize(timeline_chart(entry, high_us))
    lines = [
        [tuple(map(float, point.split())) for point in re.split("[ML]", d)[1:]]
        for d in re.findall(r'd="([^"]+)" class="line (?:thin )?bits-4"', written)
    ]
    assert len(lines) == 2
    labels = [
        tag
        for tag in re.findall(r"<text[^>]*>[^<]*", written)
        if tag.endswith((">p90", ">median")) and "axis-title" not in tag
    ]
    assert labels
    for label in labels:
        x, y = (float(re.findall(rf' {name}="([^"]+)"', label)[0]) for name in "xy")
        width = CHARACTER_PX * len(label.rpartition(">")[2])
        [anchor] = re.findall('text-anchor="([^"]+)"', label)
        left = {"start": x, "middle": x - width / 2, "end": x - width}[anchor]
        for line in lines:
            for (from_x, from_y), (to_x, to_y) in pairwise(line):
                for share in (i / 100 for i in range(101)):
                    at_x, at_y = from_x + (to_x - from_x) * share, from_y + (to_y - from_y) * share
                    # A text's baseline is 4 pixels below its middle.
                    assert not (left <= at_x <= left + width and abs(at_y - (y - 4)) < 7), label
