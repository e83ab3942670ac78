"""Loading images, with and without a cache, and drawing batches ahead."""

import os
import threading
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from qsr_edge.data.degradation import Degradation
from qsr_edge.errors import DatasetError, TrainingError
from qsr_edge.files import cache_folder
from qsr_edge.recipe.train import TrainRecipe
from qsr_edge.training.patches import Ahead, TrainingImages, load_pairs, sample_batch


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    folder = tmp_path / "images" / "nested"
    folder.mkdir(parents=True)
    for i, (height, width) in enumerate(((41, 60), (50, 44), (10, 90), (48, 48))):
        Image.fromarray(rng.integers(0, 256, (height, width, 3), np.uint8)).save(folder / f"{i}.png")
    return folder.parent


def _load(folder: Path, cache: Path | None) -> TrainingImages:
    return load_pairs((folder,), 2, min_px=12, progress=lambda done, total: None, cache=cache)


def _same(a: TrainingImages, b: TrainingImages) -> bool:
    return len(a) == len(b) and all(
        np.array_equal(x.hr, y.hr) and np.array_equal(x.lr, y.lr) for x, y in zip(a, b, strict=True)
    )


def test_the_cache_holds_the_decoded_images(folder: Path, tmp_path: Path) -> None:
    plain = _load(folder, None)
    assert [pair.hr.shape for pair in plain] == [(40, 60, 3), (50, 44, 3), (48, 48, 3)]
    built = _load(folder, tmp_path / "cache")
    (file,) = (tmp_path / "cache").iterdir()
    written = file.stat().st_mtime_ns
    read = _load(folder, tmp_path / "cache")
    assert file.stat().st_mtime_ns == written
    for images in (built, read):
        assert _same(plain, images)
        assert images.digest == plain.digest
    assert read[1:].digest == plain.digest


@pytest.mark.parametrize("cached", [False, True])
def test_an_image_that_is_too_small_is_named(folder: Path, tmp_path: Path, cached: bool) -> None:
    pytest.importorskip("torch")
    from qsr_edge.training.loop import train

    for _ in range(2):  # the second time from the cache
        images = _load(folder, tmp_path / "cache" if cached else None)
        (told,) = images[:1].left_out
        assert "2.png is 90x10, expected at least 24 pixels a side" in told
        recipe = TrainRecipe(name="r", scale=2, bits=4, iterations=1, validation_images=3)
        with pytest.raises(TrainingError, match=r"3 images are too few to hold out 3 \(1 left out: .*2\.png is 90x10"):
            train(recipe, images, tmp_path / "x.safetensors")


def test_a_changed_image_is_decoded_anew(folder: Path, tmp_path: Path) -> None:
    before = _load(folder, tmp_path / "cache")
    Image.new("RGB", (48, 48)).save(folder / "nested" / "3.png")
    after = _load(folder, tmp_path / "cache")
    assert after.digest != before.digest
    assert not after[2].hr.any()


@pytest.mark.parametrize("keep", [0, 7, 20, 200, -1])
def test_a_damaged_cache_is_made_again(folder: Path, tmp_path: Path, keep: int) -> None:
    plain = _load(folder, None)
    _load(folder, tmp_path / "cache")
    (file,) = (tmp_path / "cache").iterdir()
    file.write_bytes(file.read_bytes()[:keep])
    assert _same(_load(folder, tmp_path / "cache"), plain)
    (file,) = (tmp_path / "cache").iterdir()
    content = bytearray(file.read_bytes())
    for position in range(0, 60, 7):
        content[position] ^= 0xFF
    file.write_bytes(content)
    assert _same(_load(folder, tmp_path / "cache"), plain)


def test_two_builders_leave_one_whole_cache(folder: Path, tmp_path: Path) -> None:
    results: list[TrainingImages] = []
    threads = [threading.Thread(target=lambda: results.append(_load(folder, tmp_path / "cache"))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert _same(*results)
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_nothing_is_left_where_nothing_can_be_written(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(DatasetError, match="give --cache FOLDER, or --no-cache"):
        _load(folder, tmp_path / "file" / "cache")
    (folder / "nested" / "4.png").write_bytes(b"no picture")
    with pytest.raises(Exception, match=r"4\.png"):
        _load(folder, tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_the_cache_folder_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("QSR_EDGE_CACHE", os.fspath(tmp_path))
    assert cache_folder() == tmp_path


def test_what_is_drawn_ahead_depends_on_seed_and_iteration_alone(folder: Path) -> None:
    sample = partial(sample_batch, _load(folder, None), batch=4, patch_px=10, scale=2)
    with Ahead(sample, seed=3, first=5) as loader:
        taken = [loader.take() for _ in range(4)]
        assert loader.waiting_s >= 0
    for iteration, ((low, high), rng) in enumerate(taken, start=5):
        expected_rng = np.random.default_rng([3, iteration])
        expected = sample(expected_rng)
        assert np.array_equal(low, expected[0])
        assert np.array_equal(high, expected[1])
        assert rng.integers(1 << 30) == expected_rng.integers(1 << 30)


def test_an_error_in_the_thread_reaches_the_taker(folder: Path) -> None:
    sample = partial(sample_batch, _load(folder, None), batch=1, patch_px=1000, scale=2)
    with Ahead(sample, seed=0, first=0) as loader, pytest.raises(ValueError, match="high <= 0"):
        loader.take()


def test_permuted_colours_are_permuted_alike_in_both_images(folder: Path) -> None:
    images = _load(folder, None)
    orders = set()
    for seed in range(30):
        draws = {
            permuted: sample_batch(
                images,
                np.random.default_rng(seed),
                batch=1,
                patch_px=10,
                scale=2,
                permute_colours=permuted,
            )
            for permuted in (False, True)
        }
        (low,), (high,) = draws[False]
        (permuted_low,), (permuted_high,) = draws[True]
        order = [next(i for i in range(3) if np.array_equal(low[i], channel)) for channel in permuted_low]
        assert np.array_equal(permuted_high, high[order])
        orders.add(tuple(order))
    assert len(orders) == 6


def test_a_degraded_patch_shows_what_its_original_shows(folder: Path) -> None:
    y, x = np.mgrid[:96, :96]
    smooth = np.stack([x * 2, y * 2, 128 + 60 * np.sin(x / 7) * np.cos(y / 9)], axis=-1).astype(np.uint8)
    Image.fromarray(smooth).save(folder / "smooth.png")
    images = [pair for pair in _load(folder, None) if pair.hr.shape[0] == 96]
    assert len(images) == 1
    changed = 0
    for seed in range(20):
        clean, degraded = (
            sample_batch(
                images,
                np.random.default_rng(seed),
                batch=1,
                patch_px=16,
                scale=2,
                degradation=degradation,
            )
            for degradation in Degradation
        )
        assert np.array_equal(clean[1], degraded[1])
        changed += not np.array_equal(clean[0], degraded[0])
        assert np.abs(clean[0] - degraded[0]).mean() < 6
    assert changed > 10
