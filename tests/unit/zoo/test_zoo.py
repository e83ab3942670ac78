"""The shipped checkpoints keep what their cards and the README say."""

import csv
from pathlib import Path

import numpy as np
import pytest

from qsr_edge.data.dataset import load_dataset
from qsr_edge.lowering.edge import lower_checkpoint
from qsr_edge.metrics import psnr_y
from qsr_edge.nn.checkpoint import read_checkpoint
from qsr_edge.nn.variant import Variant
from qsr_edge.zoo import ZooEntry, attributions, zoo_entries

BICUBIC_SET5_PSNR_DB = {2: 33.67, 4: 28.43}


QUANTIZED = [entry for entry in zoo_entries() if entry.bits]


def test_both_scales_are_bundled_at_every_bit_width() -> None:
    entries = zoo_entries()
    found = [(entry.scale, entry.bits) for entry in entries if (entry.size, entry.variant) == ("edge", Variant.CLEAN)]
    assert set(found) == {(scale, bits) for scale in (2, 4) for bits in (0, 8, 4, 3, 2)}
    # Those come first; each family is listed by scale, from most bits to fewest, and floats first.
    assert found == [(entry.scale, entry.bits) for entry in entries[: len(found)]]
    for family in {(entry.size, entry.variant) for entry in entries}:
        listed = [(e.scale, e.bits) for e in entries if (e.size, e.variant) == family]
        assert listed == sorted(listed, key=lambda entry: (entry[0], -(entry[1] or 32)))


@pytest.mark.parametrize("entry", zoo_entries(), ids=lambda entry: entry.name)
def test_cards_and_sizes(entry: ZooEntry) -> None:
    assert entry.path.stat().st_size < 1_000_000
    card = entry.card()
    for setting in ("iterations", "batch", "epochs", "seed", "learning rate", "Set5"):
        assert setting in card
    checkpoint = read_checkpoint(entry.path)
    assert (checkpoint.config.scale, checkpoint.config.bits or 0) == (entry.scale, entry.bits)
    assert {(q.dataset, q.depth) for q in entry.quality} == {(d, n) for d in ("Set5", "Set14") for n in entry.depths}


@pytest.mark.slow
@pytest.mark.parametrize("entry", QUANTIZED, ids=lambda entry: entry.name)
def test_recorded_quality_is_measured_again(standard_images: Path, entry: ZooEntry) -> None:
    checkpoint = read_checkpoint(entry.path)
    network = lower_checkpoint(checkpoint)
    rows = checkpoint.provenance["quality"]
    assert isinstance(rows, list)
    lr_folder = standard_images / "test_lr" / "Set5" / f"X{entry.scale}"
    samples = list(load_dataset(standard_images / "test" / "Set5", entry.scale, lr_folder=lr_folder))
    for depth, graph in network.items():
        figures = [psnr_y(graph.run(sample.lr), sample.hr, border_px=entry.scale) for sample in samples]
        recorded = next(row["psnr_db"] for row in rows if (row["dataset"], row["depth"]) == ("Set5", depth))
        assert np.mean(figures) == pytest.approx(recorded, abs=1e-3)
        assert np.mean(figures) > BICUBIC_SET5_PSNR_DB[entry.scale] + 1


def test_every_training_photograph_has_author_and_a_free_licence() -> None:
    with attributions().open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len({row["file"] for row in rows}) == 827
    for row in rows:
        assert row["source"]
        free_of_credit = row["licence"].startswith(("CC0", "Public domain", "Unlicense"))
        assert row["author_or_credit"] or free_of_credit, row
        assert row["licence"].startswith(("CC0", "CC-BY", "Public domain", "Unlicense", "LGPL", "BSD")), row
        assert "NC" not in row["licence"]
        assert "ND" not in row["licence"]


@pytest.mark.parametrize("entry", zoo_entries(), ids=lambda entry: entry.name)
def test_weights_may_be_shipped_if_every_stage_saw_free_images(entry: ZooEntry) -> None:
    stage: object = read_checkpoint(entry.path).provenance
    seen = []
    while isinstance(stage, dict):
        seen.append(str(stage.get("data", "")))
        stage = stage.get("start")
    assert seen
    assert entry.may_be_shipped == all("SOURCES.csv" in data for data in seen)
    assert not (entry.may_be_shipped and any("BSDS500" in data for data in seen))
