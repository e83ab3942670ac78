import json
from collections.abc import Callable
from typing import Any

import pytest

from qsr_edge import zoo
from qsr_edge.zoo import zoo_entries

RunCli = Callable[..., Any]


def test_every_bundled_checkpoint_is_listed(run_cli: RunCli) -> None:
    result = run_cli("models")
    assert result.exit_code == 0
    for entry in zoo_entries():
        assert entry.name in result.stdout
    listed = json.loads(run_cli("models", "--json").stdout)
    assert [row["name"] for row in listed] == [entry.name for entry in zoo_entries()]
    assert all(row["quality"] for row in listed)


def test_a_card_is_printed(run_cli: RunCli) -> None:
    assert run_cli("models", "x2_w4a4").stdout.startswith("# x2_w4a4\n")
    assert json.loads(run_cli("models", "x2_w4a4", "--json").stdout)["bits"] == 4
    unknown = run_cli("models", "x9")
    assert unknown.exit_code == 1
    assert "no bundled checkpoint is called 'x9'; choose from " in unknown.stderr
    assert "x2_fp32" in unknown.stderr


def test_networks_of_one_size(run_cli: RunCli) -> None:
    listed = json.loads(run_cli("models", "--size", "edge", "--json").stdout)
    assert [row["name"] for row in listed] == [entry.name for entry in zoo_entries() if entry.size == "edge"]
    assert listed
    assert all(row["variant"] in ("clean", "photo") for row in listed)
    assert run_cli("models", "x2_w4a4", "--size", "edge").exit_code == 2


def test_a_size_of_which_none_is_bundled(run_cli: RunCli, monkeypatch: pytest.MonkeyPatch) -> None:
    only = zoo._paths()["x2_w4a4"]
    monkeypatch.setattr(zoo, "_paths", lambda: {"x2_w4a4": only})
    result = run_cli("models", "--size", "plus")
    assert result.exit_code == 1
    assert "no network of the size plus is bundled, only edge" in result.stderr
