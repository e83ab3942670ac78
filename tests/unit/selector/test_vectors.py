"""The committed vectors are what the reference computes now, and hold what they promise."""

import importlib.util
import json
from collections import Counter
from types import ModuleType

import pytest

from tests.support.paths import REPOSITORY

FOLDER = REPOSITORY / "tests" / "vectors"


def lines(name: str) -> list[str]:
    # Not splitlines(): U+2028 may stand within a line of JSON.
    return (FOLDER / name).read_text(encoding="utf-8").rstrip("\n").split("\n")


@pytest.fixture(scope="module")
def make() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_vectors", FOLDER / "make.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_vectors_are_up_to_date(make: ModuleType) -> None:
    expected = make.vectors()
    present = {path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*.jsonl")}
    assert present == expected.keys()
    for name, text in expected.items():
        assert (FOLDER / name).read_text(encoding="utf-8") == text, f"{name}: run python tests/vectors/make.py"


def test_there_are_enough_and_they_reach_every_branch() -> None:
    samples, restarts, ups, downs = 0, 0, 0, 0
    reasons: Counter[str] = Counter()
    for path in (FOLDER / "selector").glob("*.jsonl"):
        depth = None
        for line in path.read_text(encoding="utf-8").splitlines()[1:]:
            entry = json.loads(line)
            if entry == "restart":
                restarts += 1
                continue
            _, state, why = entry
            samples += 1
            reasons.update(why)
            if depth is not None:
                ups += state["depth"] > depth
                downs += state["depth"] < depth
            depth = state["depth"]
    assert samples >= 10_000
    assert min(restarts, ups, downs) >= 100
    unknown = {
        "unknown-battery",
        "unknown-charging",
        "unknown-power-save",
        "unknown-thermal-status",
        "unknown-headroom",
    }
    defaults = {"thermal-severe", "thermal-moderate", "headroom-gone", "headroom-small", "power-save", "battery-low"}
    assert unknown | defaults | {"latency", "dwell", "battery-very-low"} <= reasons.keys()
    verdicts = Counter(json.loads(line)["accept"] for line in lines("manifests.jsonl"))
    assert verdicts[False] >= 150
    assert verdicts[True] >= 5
    assert len(lines("tiles.jsonl")) == 1000
