"""What a page may claim in its records, and what is called a lie."""

import json

import pytest

from qsr_edge.bench.browser.claims import Claims
from qsr_edge.bench.device import PartPlan
from qsr_edge.bench.protocol.job import Effort, JobImage, JobVariant
from qsr_edge.errors import BenchError

SHA = "a" * 64


def variant(label: str, *, check_golden: bool = True) -> JobVariant:
    return JobVariant(label=label, bundle="/b", depth=1, kernels="xnnpack", threads=1, height_px=8, width_px=8,
                      check_golden=check_golden)  # fmt: skip


PLAN = PartPlan(
    run="r",
    part=2,
    effort=Effort(queries=1, steady_ms=0),
    gate=None,
    variants=(variant("one"), variant("two", check_golden=False)),
    images=(JobImage(name="cat", path="/cat", height_px=8, width_px=8),),
)
CLAIMS = Claims(plan=PLAN, golden_sha256={"one": SHA, "two": SHA})
AGENT = {"kind": "agent", "protocol": 1, "run": "r", "part": 2, "agent": "page"}
START = {"kind": "start", "variant": "one", "load_us": 1, "first_us": 1, "golden_equal": True, "golden_sha256": SHA}
IMAGE = {"kind": "image", "variant": "two", "image": "cat", "sha256": SHA, "output": "1-cat.rgb"}


def check(record: dict[str, object] | bytes) -> None:
    CLAIMS.check(record if isinstance(record, bytes) else json.dumps(record).encode())


@pytest.mark.parametrize(
    "record",
    [
        AGENT,
        START,
        START | {"golden_equal": False, "golden_sha256": "b" * 64},
        START | {"variant": "two", "golden_equal": None, "golden_sha256": None},
        IMAGE,
        {"kind": "steady", "variant": "one", "latencies_us": [1, 2]},
        {"kind": "condition", "source": "agent", "condition": {}},
        {"kind": "of another release"},
    ],
)
def test_what_was_asked_for_is_taken(record: dict[str, object]) -> None:
    check(record)


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (b"{", "damaged"),
        (b"[]", "no record"),
        ({"kind": "steady", "variant": "one", "latencies_us": [-1]}, "latencies_us"),
        ({"kind": "steady", "variant": "one", "latencies_us": [1.5]}, "latencies_us"),
        ({"kind": "quality", "variant": "one", "image": "cat", "psnr_db": 99}, "the run's own"),
        (AGENT | {"run": "other"}, "not what was asked for"),
        (AGENT | {"part": 1}, "not what was asked for"),
        (START | {"variant": "three"}, "which nobody asked for"),
        ({"kind": "condition", "source": "agent", "condition": {}, "variant": "three"}, "which nobody asked for"),
        (START | {"golden_sha256": "b" * 64}, "equal: True, but its sha256 is b+, expected a+"),
        (START | {"golden_equal": None, "golden_sha256": None}, "equal: None"),
        (START | {"variant": "two"}, "equal: True"),
        (IMAGE | {"image": "dog"}, "name '1-cat.rgb' the output of 'dog'"),
        (IMAGE | {"output": "../results.jsonl"}, "name '../results.jsonl'"),
        ({"kind": "placement", "variant": "one", "delegate": "NPU", "delegated_ops": 9, "fallback": {}}, "placement"),
    ],
)
def test_what_cannot_be_is_called_so(record: dict[str, object] | bytes, message: str) -> None:
    with pytest.raises(BenchError, match=message):
        check(record)
