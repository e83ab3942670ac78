import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from qsr_edge.data.bicubic import resize_bicubic
from qsr_edge.errors import OutputExistsError, TrainingError
from qsr_edge.lowering.edge import lower_checkpoint
from qsr_edge.nn.checkpoint import Checkpoint, read_checkpoint
from qsr_edge.nn.quantsr_c_edge import QuantsrCEdge
from qsr_edge.recipe.train import TrainRecipe
from qsr_edge.training import loop
from qsr_edge.training.journal import Journal
from qsr_edge.training.loop import Progress, StoppedError, initial_network, state_path, train
from qsr_edge.training.patches import ImagePair, TrainingImages, sample_batch

RECIPE = TrainRecipe(
    name="tiny", scale=2, bits=4, iterations=6, channels=8, blocks=2, depths=(1, 2), batch=2, patch_px=12,
    validation_images=1,
)  # fmt: skip


RECIPE_FLOAT = dataclasses.replace(RECIPE, bits=0)


@pytest.fixture
def pairs() -> TrainingImages:
    rng = np.random.default_rng(0)
    result = []
    for _ in range(4):
        coarse = rng.integers(0, 256, (8, 8, 3), np.uint8)
        hr = resize_bicubic(coarse, 6)
        result.append(ImagePair(hr, resize_bicubic(hr, 0.5)))
    return TrainingImages(result)


def _same(a: Checkpoint, b: Checkpoint) -> bool:
    return all(np.array_equal(a.tensors[name], b.tensors[name]) for name in a.tensors)


@pytest.mark.parametrize("bits", [0, 4])
def test_resumed_run_equals_an_uninterrupted_one_bit_for_bit(tmp_path: Path, pairs: TrainingImages, bits: int) -> None:
    recipe = dataclasses.replace(RECIPE, bits=bits, blocks=3, depths=(1, 3), order_iteration=0 if bits else 2)
    whole = train(recipe, pairs, tmp_path / "whole.safetensors", save_every=2)

    class InterruptedRunError(Exception):
        pass

    def stop(progress: Progress) -> None:
        if progress.iteration == 5:
            raise InterruptedRunError

    with pytest.raises(InterruptedRunError):
        train(recipe, pairs, tmp_path / "part.safetensors", save_every=2, on_progress=stop)
    assert not (tmp_path / "part.safetensors").exists()
    resumed = train(recipe, pairs, tmp_path / "part.safetensors", save_every=2)
    assert _same(whole, resumed)
    assert _same(resumed, read_checkpoint(tmp_path / "part.safetensors"))
    assert resumed.config == whole.config
    assert bits or whole.config.order != (0, 1, 2)


def test_a_second_run_into_one_output_is_refused_and_the_first_is_kept(tmp_path: Path, pairs: TrainingImages) -> None:
    refused = []

    def try_too(progress: Progress) -> None:
        with pytest.raises(TrainingError, match="another qsr-edge train writes there now"):
            train(dataclasses.replace(RECIPE, seed=4), pairs, tmp_path / "x.safetensors")
        refused.append(progress.iteration)

    first = train(RECIPE, pairs, tmp_path / "x.safetensors", on_progress=try_too)
    assert len(refused) == RECIPE.iterations
    assert _same(first, read_checkpoint(tmp_path / "x.safetensors"))
    assert [path.name for path in tmp_path.iterdir()] == ["x.safetensors"]


def test_a_stop_in_a_validation_does_not_wait_for_its_end(
    tmp_path: Path, pairs: TrainingImages, monkeypatch: pytest.MonkeyPatch
) -> None:
    upscaled, pictures = loop.upscaled, 0

    def counted(*args: Any) -> Any:
        nonlocal pictures
        pictures += 1
        return upscaled(*args)

    monkeypatch.setattr(loop, "upscaled", counted)
    with pytest.raises(StoppedError, match="stopped at iteration 2 of 6"):
        train(RECIPE, pairs, tmp_path / "x.safetensors", save_every=2, stop_requested=lambda: pictures == 1)
    assert pictures == 1  # of two: one held-out image at two depths
    assert state_path(tmp_path / "x.safetensors").exists()


def test_training_lowers_the_loss(tmp_path: Path, pairs: TrainingImages) -> None:
    losses: list[float] = []
    recipe = dataclasses.replace(RECIPE, bits=0, iterations=60, learning_rate=2e-3)
    train(recipe, pairs, tmp_path / "c.safetensors", on_progress=lambda p: losses.append(p.loss))
    assert np.mean(losses[-10:]) < 0.9 * np.mean(losses[:10])


def test_quantized_run_starts_from_a_float_one(tmp_path: Path, pairs: TrainingImages) -> None:
    start = train(dataclasses.replace(RECIPE, bits=0, iterations=2), pairs, tmp_path / "f.safetensors")
    trained = train(RECIPE, pairs, tmp_path / "q.safetensors", start=start)
    assert trained.provenance["start"] == start.provenance
    assert trained.config.bits == 4
    with pytest.raises(TrainingError, match="use a start of the same size"):
        train(dataclasses.replace(RECIPE, channels=4), pairs, tmp_path / "r.safetensors", start=start)


def test_damaged_state_is_named(tmp_path: Path, pairs: TrainingImages) -> None:
    (tmp_path / "c.safetensors.state").write_bytes(b"not a state")
    with pytest.raises(TrainingError, match=r"c\.safetensors\.state.*delete it"):
        train(RECIPE, pairs, tmp_path / "c.safetensors")


def test_a_state_of_another_run_is_not_resumed(tmp_path: Path, pairs: TrainingImages) -> None:
    output = tmp_path / "c.safetensors"
    with pytest.raises(StoppedError, match="stopped at iteration 1 of 6"):
        train(RECIPE, pairs, output, stop_requested=lambda: True)
    other = TrainingImages(list(pairs)[::-1])
    cases = [(dataclasses.replace(RECIPE, seed=1), pairs, "another recipe or start"), (RECIPE, other, "another set of")]
    for recipe, images, message in cases:
        with pytest.raises(TrainingError, match=message):
            train(recipe, images, output)
    assert _same(train(RECIPE, pairs, output), read_checkpoint(output))
    assert not state_path(output).exists()
    with pytest.raises(OutputExistsError, match="exists already"):
        train(RECIPE, pairs, output)


def test_divergence_stops_the_run_and_keeps_the_saved_state(
    tmp_path: Path, pairs: TrainingImages, monkeypatch: pytest.MonkeyPatch
) -> None:
    networks: list[QuantsrCEdge] = []

    def remembered(recipe: TrainRecipe, start: Checkpoint | None, images: TrainingImages) -> QuantsrCEdge:
        networks.append(initial_network(recipe, start, images))
        return networks[-1]

    monkeypatch.setattr(loop, "initial_network", remembered)
    output = tmp_path / "c.safetensors"
    saved: list[bytes] = []

    def poison(progress: Progress) -> None:
        saved.append(state_path(output).read_bytes())
        if progress.iteration == 3 and networks[-1].tail.bias is not None:
            torch.nn.init.constant_(networks[-1].tail.bias, float("nan"))

    with pytest.raises(TrainingError, match=r"not finite at iteration 3;.*intact"):
        train(RECIPE_FLOAT, pairs, output, save_every=1, on_progress=poison)
    assert len(saved) == 3
    assert not output.exists()
    assert state_path(output).read_bytes() == saved[-1]


def test_importance_is_decided_once_and_frozen(tmp_path: Path, pairs: TrainingImages) -> None:
    recipe = dataclasses.replace(RECIPE, bits=0, blocks=3, depths=(1, 3), iterations=8, order_iteration=2)
    first = train(dataclasses.replace(recipe, iterations=2), pairs, tmp_path / "a.safetensors")
    last = train(recipe, pairs, tmp_path / "b.safetensors")
    assert last.config.order != (0, 1, 2) or first.config.order == (0, 1, 2)
    quantized = dataclasses.replace(RECIPE, blocks=3, depths=(1, 3))
    assert train(quantized, pairs, tmp_path / "c.safetensors", start=last).config.order == last.config.order


def test_a_teacher_must_be_asked_for_and_float(tmp_path: Path, pairs: TrainingImages) -> None:
    teacher = train(dataclasses.replace(RECIPE, bits=0, iterations=1), pairs, tmp_path / "t.safetensors")
    taught = dataclasses.replace(RECIPE, teacher_weight=0.5)
    with pytest.raises(TrainingError, match="set teacher_weight"):
        train(RECIPE, pairs, tmp_path / "a.safetensors", teacher=teacher)
    with pytest.raises(TrainingError, match="give --teacher"):
        train(taught, pairs, tmp_path / "a.safetensors")
    trained = train(taught, pairs, tmp_path / "a.safetensors", teacher=teacher)
    assert trained.provenance["teacher"] == teacher.provenance
    with pytest.raises(TrainingError, match="give a float checkpoint of x2"):
        train(taught, pairs, tmp_path / "b.safetensors", teacher=trained)


def test_depth_biases_are_trained_and_deployed(tmp_path: Path, pairs: TrainingImages) -> None:
    recipe = dataclasses.replace(RECIPE, depth_biases=True, iterations=12, learning_rate=0.02)
    trained = train(recipe, pairs, tmp_path / "c.safetensors")
    biases = trained.tensors["tail_depth_bias"]
    assert np.abs(biases).min(axis=1).max() > 0
    assert not np.array_equal(biases[0], biases[1])
    lowered = lower_checkpoint(trained)
    assert {"tail.bias.d1", "tail.bias.d2"} <= {str(key) for key in lowered.deepest.constants}


def test_the_journal_keeps_curves_and_pictures(tmp_path: Path, pairs: TrainingImages) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with Journal(tmp_path / "log") as journal:
        train(RECIPE, pairs, tmp_path / "c.safetensors", save_every=3, journal=journal)
    events = EventAccumulator(str(tmp_path / "log"))
    events.Reload()
    assert len(events.Scalars("loss")) == RECIPE.iterations
    assert [event.step for event in events.Scalars("psnr_db/depth_2")] == [3, 6]
    assert sorted(p.name for p in (tmp_path / "log" / "pictures").iterdir()) == ["0000003.png", "0000006.png"]


def test_patches_are_aligned_and_reproducible(pairs: TrainingImages) -> None:
    low, high = sample_batch(pairs, np.random.default_rng([1, 2]), batch=8, patch_px=10, scale=2)
    again, _ = sample_batch(pairs, np.random.default_rng([1, 2]), batch=8, patch_px=10, scale=2)
    assert np.array_equal(low, again)
    reduced = high.reshape(8, 3, 10, 2, 10, 2).mean(axis=(3, 5))
    assert np.abs(reduced - low).mean() < 6
    assert low.shape == (8, 3, 10, 10)
    assert high.shape == (8, 3, 20, 20)
