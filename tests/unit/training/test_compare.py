"""A real comparison of a tiny network: every method trained, resumed, reported."""

import json
import statistics
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch")

from qsr_edge.errors import RecipeError, TrainingError
from qsr_edge.nn.checkpoint import write_checkpoint
from qsr_edge.nn.config import EdgeConfig
from qsr_edge.nn.quantsr_c_edge import QuantsrCEdge
from qsr_edge.recipe.compare import CompareRecipe, Method
from qsr_edge.recipe.reader import preset_names, read_recipe
from qsr_edge.training.compare import Job, Result, TestSet, _run, _set_up, compare, read_results
from qsr_edge.training.comparison_report import markdown, rows, write_report
from qsr_edge.training.patches import load_pairs
from qsr_edge.training.state import checkpoint_from_network

RECIPE = CompareRecipe(
    name="tiny", start="", methods=tuple(Method), reference=Method.LSQ, bits=(2,), seeds=(0,), scale=2, iterations=2,
    batch=2, patch_px=12, learning_rate=1e-3, channels=6, blocks=2, depths=(1, 2),
)  # fmt: skip


@pytest.fixture
def job(tmp_path: Path, photo: Path) -> Job:
    torch.manual_seed(0)
    network = QuantsrCEdge(EdgeConfig(scale=2, channels=6, blocks=2, depths=(1, 2), order=(1, 0)))
    start = tmp_path / "start.safetensors"
    write_checkpoint(start, checkpoint_from_network(network, network.state_dict(), {}))
    for folder, count in (("train", 10), ("test", 2)):
        (tmp_path / folder).mkdir()
        with Image.open(photo) as image:
            for i in range(count):
                image.crop((i * 40, 0, i * 40 + 48, 40)).save(tmp_path / folder / f"{i}.png")
    test_set = TestSet(name="cups", hr=tmp_path / "test", lr=None)
    return Job(folders=(tmp_path / "train",), cache=None, start=start, test_sets=(test_set,), fused=False)


def test_every_method_runs_and_differs(job: Job) -> None:
    threads = torch.get_num_threads()
    try:
        _set_up(RECIPE, job)
        results = [_run(run) for run in RECIPE.runs()]
        again = _run(next(RECIPE.runs()))
    finally:
        torch.set_num_threads(threads)
    assert [result.method for result in results] == list(Method)
    assert len({result.key for result in results}) == len(results)
    assert again.psnr_db == results[0].psnr_db
    assert len({result.psnr_db["cups"]["2"] for result in results}) > 6
    assert {result.training_images for result in results} == {2}


@pytest.mark.slow
def test_an_interrupted_comparison_does_only_what_is_missing(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    methods = (Method.LSQ, Method.RLQ)
    recipe = CompareRecipe(**{**{f: getattr(RECIPE, f) for f in RECIPE.__slots__}, "methods": methods, "seeds": (0, 1)})
    images = load_pairs(job.folders, 2, min_px=12, progress=lambda done, total: None)
    file = tmp_path / "runs.jsonl"
    whole = compare(recipe, job, images, file, jobs=2)
    lines = file.read_bytes().splitlines(keepends=True)
    assert len(lines) == 4
    file.write_bytes(lines[0] + lines[1] + lines[2][:20])  # killed while writing
    done: list[int] = []
    resumed = compare(recipe, job, images, file, on_result=lambda result, count, total: done.append(count))
    assert done == [3, 4]
    assert [(r.key, r.psnr_db) for r in resumed] == [(r.key, r.psnr_db) for r in whole]
    assert len(read_results(file)) == 4
    file.write_bytes(b"{}\n")
    with pytest.raises(TrainingError, match=r"is damaged \(line 1: missing key, method"):
        compare(recipe, job, images, file)


def _result(method: Method, seed: int, db: float) -> Result:
    return Result(
        key=f"{method}{seed}", method=method.value, bits=4, seed=seed, psnr_db={"Set5": {"2": db}}, training_images=10,
        cpu_s=1.0,
    )  # fmt: skip


def test_the_report_holds_spreads_and_paired_differences(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    recipe = CompareRecipe(
        name="r", start="s", methods=(Method.LSQ, Method.RLQ), reference=Method.LSQ, bits=(4,), seeds=(0, 1, 2),
        scale=2, iterations=100, batch=4, patch_px=12, learning_rate=1e-3, blocks=2, depths=(2,),
    )  # fmt: skip
    reference, other = [30.0, 31.0, 32.5], [30.1, 31.3, 32.6]
    results = [_result(Method.LSQ, i, db) for i, db in enumerate(reference)]
    results += [_result(Method.RLQ, i, db) for i, db in enumerate(other)]
    first, second = rows(recipe, results)
    assert (first.difference_db, first.difference_sd_db) == (0, 0)
    assert second.mean_db == pytest.approx(np.mean(other), abs=1e-4)
    assert second.sd_db == pytest.approx(statistics.stdev(other), abs=1e-4)
    assert second.difference_db == pytest.approx(0.5 / 3, abs=1e-4)
    assert second.difference_sd_db == pytest.approx(statistics.stdev([0.1, 0.3, 0.1]), abs=1e-4)
    text = markdown(recipe, results)
    assert "| epochs | 40.0 |" in text
    assert "| iterations | 100 |" in text
    assert "| RLQ | 31.333 ± 1.250 (+0.167 ± 0.116) |" in text
    assert "mean ± sample standard deviation over 3 seeds; in brackets" in text
    alone = markdown(replace(recipe, seeds=(0,)), [result for result in results if result.seed == 0])
    assert "PSNR on luma in dB, of one seed; in brackets the difference from LSQ" in alone
    assert "| RLQ | 30.100 (+0.100) |" in alone
    assert "±" not in alone
    write_report(recipe, results, tmp_path)
    first_picture = (tmp_path / "compare.svg").read_bytes()
    write_report(recipe, results, tmp_path)
    assert (tmp_path / "compare.svg").read_bytes() == first_picture
    content = json.loads((tmp_path / "compare.json").read_text())
    assert content["settings"]["epochs"] == 40.0
    assert len(content["rows"]) == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"methods": ()}, "methods"),
        ({"methods": (Method.LSQ, Method.LSQ)}, "methods"),
        ({"reference": Method.RLQ, "methods": (Method.LSQ,)}, "reference = 'rlq'"),
        ({"bits": (0,)}, "bits = 0"),
        ({"bits": (5,)}, "bits"),
        ({"bits": (8,)}, "guard bit"),
        ({"depths": (2,)}, "several depths"),
    ],
)
def test_impossible_comparisons_are_refused(change: dict[str, object], message: str) -> None:
    settings = {f: getattr(RECIPE, f) for f in RECIPE.__slots__}
    with pytest.raises(RecipeError, match=message):
        CompareRecipe(**{**settings, **change})


@pytest.mark.parametrize("name", preset_names(CompareRecipe))
def test_presets_can_be_read(name: str) -> None:
    assert read_recipe(name, CompareRecipe).name == name
