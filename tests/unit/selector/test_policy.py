"""Policies: what is refused, what is remarked, and reading them from files."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jsonschema import Draft202012Validator

from qsr_edge.bundle.manifest import schema
from qsr_edge.codec import Decoder, encode
from qsr_edge.errors import PolicyError
from qsr_edge.selector import (
    LatencyEntry,
    LatencyTable,
    Policy,
    Rule,
    Sample,
    default_policy,
    estimated_table,
    findings,
)
from qsr_edge.selector.reading import read_policy

DEPTHS = (2, 4, 8)
POLICY = default_policy(DEPTHS)


def rule(name: str = "hot", max_depth: int = 2, unknown_counts: bool = False, **conditions: Any) -> Rule:
    return Rule(name=name, max_depth=max_depth, unknown_counts=unknown_counts, **conditions)


def table(*entries: tuple[int, int]) -> LatencyTable:
    return LatencyTable(source="x", entries=tuple(LatencyEntry(depth=d, us_per_megapixel=us) for d, us in entries))


@pytest.mark.parametrize("depths", [(4,), (1, 2), (2, 4, 8), (8, 16, 32), (1, 2, 3, 4)])
def test_the_default_policy_has_nothing_to_remark(depths: tuple[int, ...]) -> None:
    policy = default_policy(depths)
    policy.check_depths(depths)
    assert findings(policy, depths) == ()
    assert bool(policy.rules) == (len(depths) > 1)


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ((rule(max_depth=8, thermal_status_at_least=3),), "rule hot caps at the deepest model, 8"),
        (
            (rule(thermal_status_at_least=2), rule("hotter", 4, thermal_status_at_least=3)),
            "rule hotter contradicts hot: hot holds whenever it does, and caps at 2, not 4",
        ),
        (
            (rule(battery_percent_below=20), rule("low", battery_percent_below=10, charging=False)),
            "rule low can never matter: hot holds whenever it does, at the same cap",
        ),
        ((rule(power_save=True), rule("again", power_save=True)), "rule again can never matter"),
        ((rule(headroom_milli_at_least=40),), "rule hot never ends"),
    ],
)
def test_what_cannot_be_meant_is_remarked(rules: tuple[Rule, ...], message: str) -> None:
    [found] = findings(replace(POLICY, rules=rules), DEPTHS)
    assert message in found


def test_rules_that_need_each_other_are_not_remarked() -> None:
    rules = (
        rule("warm", 4, thermal_status_at_least=2),
        rule("hot", 2, thermal_status_at_least=3),
        rule("warm-and-low", 2, thermal_status_at_least=2, battery_percent_below=20),
        rule("silent", 2, unknown_counts=True, headroom_milli_at_least=900),
        rule("close", 2, headroom_milli_at_least=800),
    )
    assert findings(replace(POLICY, rules=rules), DEPTHS) == ()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "Hot"}, "lower-case"),
        ({"name": "dwell"}, "lower-case"),
        ({"name": "unknown-heat"}, "lower-case"),
        ({"max_depth": 0}, "max_depth = 0, expected 1 to 64"),
        ({"thermal_status_at_least": 7}, "expected 1 to 6"),
        ({"battery_percent_below": 101}, "expected 1 to 100"),
        ({"thermal_status_at_least": None}, "has no condition"),
    ],
)
def test_rules_that_can_be_none_are_refused(change: dict, message: str) -> None:
    with pytest.raises(PolicyError, match=message):
        rule(**{"thermal_status_at_least": 3, **change})


def test_policies_tables_and_samples_out_of_range_are_refused() -> None:
    with pytest.raises(PolicyError, match="dwell_ms = -1"):
        replace(POLICY, dwell_ms=-1)
    with pytest.raises(PolicyError, match="two rules are called 'hot'"):
        replace(POLICY, rules=(rule(power_save=True), rule(charging=False)))
    with pytest.raises(PolicyError, match="ascending"):
        LatencyTable(
            source="x", entries=(LatencyEntry(depth=4, us_per_megapixel=2), LatencyEntry(depth=2, us_per_megapixel=3))
        )
    with pytest.raises(PolicyError, match="us per megapixel"):
        LatencyTable(
            source="x", entries=(LatencyEntry(depth=2, us_per_megapixel=5), LatencyEntry(depth=4, us_per_megapixel=3))
        )
    with pytest.raises(PolicyError, match="battery_percent = 101"):
        Sample(time_ms=0, pixels=1, battery_percent=101)


def test_a_policy_survives_json_and_meets_the_published_schema(tmp_path: Path) -> None:
    path = tmp_path / "policy.json"
    path.write_text(json.dumps(encode(POLICY)))
    assert read_policy(path) == POLICY
    published = {"$defs": schema()["$defs"], "$ref": "#/$defs/Policy"}
    Draft202012Validator(published).validate(encode(POLICY))
    assert Decoder(error=PolicyError).decode(LatencyTable, encode(estimated_table({2: 5})), "t") == estimated_table(
        {2: 5}
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.update(dwel_ms=1), r"policy\.json: the key 'dwel_ms' is not known, expected initial_depth"),
        (lambda t: t.pop("dwell_ms"), r"policy\.json: missing dwell_ms"),
        (lambda t: t.update(dwell_ms=1.5), r"policy\.json: dwell_ms: got 1\.5, expected int"),
        (lambda t: t.update(dwell_ms=True), r"got True, expected int"),
        (lambda t: t["rules"][0].update(charging=1), r"rules\[0\]\.charging: got 1, expected true or false"),
        (lambda t: t["rules"][0].update(charging=None), "got null; leave out"),
        (lambda t: t["rules"][0].update(max_depth=99), r"rules\[0\]: rule thermal-severe: max_depth = 99"),
        (lambda t: t.update(rules={}), "expected a list"),
    ],
)
def test_files_are_read_strictly(tmp_path: Path, change, message: str) -> None:
    table = encode(POLICY)
    change(table)
    path = tmp_path / "policy.json"
    path.write_text(json.dumps(table))
    with pytest.raises(PolicyError, match=message):
        read_policy(path)


def test_damaged_files_give_one_kind_of_error(tmp_path: Path) -> None:
    whole = json.dumps(encode(POLICY), indent=1).encode()
    rng = np.random.default_rng(2)
    path = tmp_path / "policy.json"
    refused = 0
    for _ in range(400):
        damaged = bytearray(whole)
        for position in rng.integers(0, len(whole), rng.integers(1, 4)):
            damaged[position] = rng.integers(0, 256)
        path.write_bytes(bytes(damaged[: rng.integers(1, len(whole))] if rng.random() < 0.3 else damaged))
        try:
            assert isinstance(read_policy(path), Policy)
        except PolicyError:
            refused += 1
    assert refused > 200
    for content in (b"", b"[]", b"[" * 100_000, b'{"dwell_ms": 1, "dwell_ms": 2}', b" " * 70_000, b"\xff"):
        path.write_bytes(content)
        with pytest.raises(PolicyError, match=r"policy\.json"):
            read_policy(path)
