"""The committed vectors are what the reference computes now, and hold what they promise."""

import base64
import importlib.util
import json
import sys
from collections import Counter
from types import ModuleType

import numpy as np
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
    # Its dataclasses look for their module there.
    sys.modules[spec.name] = module
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


def test_the_pictures_hold_every_kind() -> None:
    entries = [json.loads(line) for line in lines("pictures.jsonl")]
    kinds = Counter(entry["why"].split(", ")[0] for entry in entries if "upscaled" in entry)
    assert kinds.keys() == {"colour", "grey", "grey on hidden magenta"}
    assert min(kinds.values()) >= 10
    assert {(entry["scale"], entry["grid"]) for entry in entries if "scale" in entry} == {
        (2, 1),
        (3, 1),
        (4, 4),
        (2, 8),
    }
    refilled = 0
    for entry in entries:
        argb = np.frombuffer(base64.b64decode(entry["argb"]), np.uint8).reshape(*entry["size"], 4)
        seen = np.frombuffer(base64.b64decode(entry["seen"]), np.uint8).reshape(*entry["size"], 3)
        np.testing.assert_array_equal(seen[argb[:, :, 0] > 0], argb[argb[:, :, 0] > 0, 1:])
        refilled += bool((seen != argb[:, :, 1:]).any())
    assert refilled >= 30
