from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from qsr_edge.bundle.layout import Pack
from qsr_edge.bundle.manifest import Manifest, QualityEntry, file_entries
from qsr_edge.bundle.model_card import checkpoint_card, model_card
from qsr_edge.graph.cost import UNTILED_HALO_PX, TileGrid
from qsr_edge.nn.checkpoint import Checkpoint, expected_shapes
from qsr_edge.nn.config import EdgeConfig


def rows(card: str) -> list[list[str]]:
    return [
        [cell.strip() for cell in line.strip("|").split(" | ")] for line in card.splitlines() if line.startswith("| ")
    ]


@pytest.fixture
def card(manifest: Manifest, files: dict[str, bytes]) -> str:
    return model_card(replace(manifest, files=file_entries(files)))


def test_depths_have_quality_costs_and_bytes(card: str) -> None:
    table = rows(card)
    assert [
        "2",
        "36.50 / 0.9500",
        "40,000",
        "640,000",
        "99 B per pixel",
        "6 px",
        "models/depth-2.tflite",
        "200",
    ] in table
    assert [
        "4",
        "37.00 / 0.9500",
        "80,000",
        "1,280,000",
        "99 B per pixel",
        "10 px",
        "models/depth-4.tflite",
        "240",
    ] in table


def test_every_setting_of_every_stage_is_there_first_stage_first(card: str, manifest: Manifest) -> None:
    assert card.index("### 1. x2-float") < card.index("### 2. x2-w4a4")
    stage: Any = manifest.provenance
    for section in reversed(card.split("## Verifying")[0].split("### ")[1:]):
        table = dict(row for row in rows(section) if len(row) == 2)
        for key, value in stage["recipe"].items():
            if key != "name":
                assert table[key.replace("_", " ")].replace(",", "") == str(value)
        assert table["epochs"] == str(stage["epochs"])
        assert table["data"].replace("\\", "") == stage["data"]
        stage = stage["start"]
    assert stage is None


def test_parity_licence_and_golden_hashes_are_there(card: str, manifest: Manifest) -> None:
    table = rows(card)
    assert ["XNNPACK", "4", "5", "123,456", "0"] in table
    assert ["Licence", "Apache-2.0"] in table
    for entry in manifest.depths:
        assert [str(entry.depth), entry.golden_sha256] in table
    assert "24 rows of 40 RGB pixels of noise with seed 7" in card


def test_the_program_in_it_compiles(card: str) -> None:
    program = card.split("```python\n")[1].split("```")[0]
    compile(program, "card", "exec")


def test_tables_keep_their_shape_whatever_the_provenance_says(manifest: Manifest) -> None:
    odd: dict[str, object] = {
        "data": "a | b\n# heading <script> `x` [l](u)",
        "note": {"k": [1, None, True]},
        "recipe": "not a table",
    }
    card = model_card(replace(manifest, provenance=odd))
    assert "\n# heading" not in card
    assert "<script>" not in card.replace("\\<", "")
    assert "k = 1, –, yes" in card


def test_a_card_of_little_says_so(manifest: Manifest) -> None:
    bare = replace(
        manifest,
        provenance={},
        parity=(),
        input_size_px=(24, 40),
        pack=Pack.SHARED,
        depths=tuple(replace(entry, file="all", signature=f"d{entry.depth}", quality=()) for entry in manifest.depths),
    )
    card = model_card(bare)
    assert "Not recorded." in card
    assert "Not verified at conversion." in card
    assert "24 × 40 pixels" in card
    assert "all, signature d2" in card
    assert "PSNR" not in card


def test_a_network_that_is_not_tiled_has_no_halo(manifest: Manifest) -> None:
    depths = tuple(replace(entry, halo_px=UNTILED_HALO_PX) for entry in manifest.depths)
    card = model_card(replace(manifest, depths=depths))
    assert "32" not in "".join(row[6] for row in rows(card) if row[0] in ("2", "4") and len(row) > 6)
    assert card.count("| the whole picture |") == len(depths)


def test_tiles_on_a_grid_are_told(manifest: Manifest) -> None:
    depths = tuple(replace(entry, grid=TileGrid(step_px=8, halo_px=4 * entry.depth)) for entry in manifest.depths)
    card = model_card(replace(manifest, depths=depths))
    assert "| 8 px, tiles at multiples of 8 px |" in card
    assert "| 16 px, tiles at multiples of 8 px |" in card


def test_data_sets_that_one_depth_lacks_leave_a_gap(manifest: Manifest) -> None:
    urban = QualityEntry(dataset="Urban100", psnr_db=30.0, ssim=0.9, images=100)
    first, second = manifest.depths
    card = model_card(replace(manifest, depths=(first, replace(second, quality=(*second.quality, urban)))))
    assert "| Depth | Set5 | Urban100 |" in card
    assert "| 2 | 36.50 / 0.9500 | – |" in card
    assert "| 4 | 37.00 / 0.9500 | 30.00 / 0.9000 |" in card


def test_checkpoint_card(manifest: Manifest) -> None:
    config = EdgeConfig(scale=2, channels=4, blocks=2, depths=(1, 2), order=(1, 0), bits=4)
    tensors = {name: np.ones(shape, np.float32) for name, shape in expected_shapes(config).items()}
    checkpoint = Checkpoint(config=config, tensors=tensors, provenance=manifest.provenance)
    quality = {2: (QualityEntry(dataset="Set5", psnr_db=37.3, ssim=0.96, images=5),), 1: ()}
    card = checkpoint_card(checkpoint, quality, name="x2-w4a4", licence="Apache-2.0")
    table = rows(card)
    for row in (["order", "1, 0"], ["bits", "4"], ["licence", "Apache-2.0"], ["2", "37.30 / 0.9600"], ["1", "–"]):
        assert row in table
    assert "### 1. x2-float" in card
    floating = replace(checkpoint, config=replace(config, bits=None), provenance={})
    card = checkpoint_card(floating, {}, name="x2", licence="Apache-2.0")
    assert ["bits", "float"] in rows(card)
    assert "## Quality" not in card


def test_the_cost_of_integers_is_a_table_of_its_own(manifest: Manifest) -> None:
    depths = [
        {
            "depth": 1,
            "psnr_db": {"as_trained": 30.5, "residual_stream": 30.4567},
            "cost_db": {"residual_stream": 0.0433},
        }
    ]
    found = {"images": 16, "measured_images": 8, "depths": depths}
    card = model_card(replace(manifest, provenance={**manifest.provenance, "calibration": found}))
    assert "| Depth | as trained | residual stream |" in card
    assert "| 1 | 30.500 | 30.457 |" in card
    assert "on 8 images; step sizes were calibrated on 16 others" in card
    assert "calibration" not in card.split("## Training")[1]
    for damaged in ("none", {}, {"depths": "none"}, {"depths": [3, {"depth": 1}, {"psnr_db": {"a": "|"}}]}):
        assert model_card(replace(manifest, provenance={"calibration": damaged}))
