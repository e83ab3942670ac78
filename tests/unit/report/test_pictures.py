"""Pictures are kept lossless, once each, and within the budget."""

import base64
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from qsr_edge.data.bicubic import resize_bicubic
from qsr_edge.errors import BenchError
from qsr_edge.report.pictures import Encoded, Gallery, gather
from qsr_edge.report.reading import read_run
from qsr_edge.report.run import Run
from tests.support.run_folders import GALAXY, Plan, photo, variant, variants, write_run


def decoded(picture: Encoded) -> NDArray[np.uint8]:
    head, _, content = picture.uri.partition(",")
    assert head == "data:image/webp;base64"
    with Image.open(io.BytesIO(base64.b64decode(content))) as image:
        return np.asarray(image.convert("RGB"))


def by_label(gallery: Gallery, index: int = 0) -> dict[str, NDArray[np.uint8]]:
    pictures = {picture.id: decoded(picture) for picture in gallery.pictures}
    return {version.label: pictures[version.id] for version in gallery.images[index].versions}


@pytest.fixture
def run(tmp_path: Path) -> Run:
    plan = Plan(variants=variants(("tflite", "executorch")), images={"coffee": photo(160, 240)}, rounds=1)
    return read_run(write_run(tmp_path / "run", plan))


def test_every_version_is_there_bit_for_bit(run: Run) -> None:
    gallery = gather([run])
    [image] = gallery.images
    assert (image.width_px, image.height_px, image.cropped, gallery.problems) == (240, 160, False, ())
    pixels = by_label(gallery)
    folder = run.folder / "images" / "coffee"
    files = {"input, nearest": "input", "original": "original"}
    files |= {f"{entry.series}, depth {entry.depth}": str(i) for i, entry in enumerate(run.variants)}
    for label, name in files.items():
        with Image.open(folder / f"{name}.png") as expected:
            assert np.array_equal(pixels[label], np.asarray(expected)), label
    assert np.array_equal(pixels["input, bicubic"], resize_bicubic(pixels["input, nearest"], 2))
    assert set(pixels) == {*files, "input, bicubic"}


def test_equal_pictures_are_kept_once(run: Run) -> None:
    """Two targets compute the same bytes: 3 depths, input, bicubic and original are six pictures, not nine."""
    gallery = gather([run])
    assert len(gallery.images[0].versions) == 9
    assert len(gallery.pictures) == 6


def test_a_budget_crops_all_versions_alike(run: Run) -> None:
    whole = gather([run])
    budget = sum(len(picture.uri) for picture in whole.pictures) // 2
    gallery = gather([run], budget)
    assert sum(len(picture.uri) for picture in gallery.pictures) <= budget
    [image] = gallery.images
    assert image.cropped
    assert (image.full_width_px, image.full_height_px) == (240, 160)
    assert image.top_px % 2 == image.left_px % 2 == image.height_px % 2 == image.width_px % 2 == 0
    region = np.s_[image.top_px : image.top_px + image.height_px, image.left_px : image.left_px + image.width_px]
    small = tuple(slice(part.start // 2, part.stop // 2) for part in region)
    expected = by_label(whole)
    for label, pixels in by_label(gallery).items():
        assert np.array_equal(pixels, expected[label][small if label == "input, nearest" else region]), label


def test_the_region_has_the_most_detail(tmp_path: Path) -> None:
    original = np.full((400, 400, 3), 90, np.uint8)
    original[200:300, 250:350] = np.random.default_rng(0).integers(0, 256, (100, 100, 3), np.uint8)
    run = read_run(write_run(tmp_path / "run", Plan(variants=variants()[:1], images={"noise": original}, rounds=1)))
    [image] = gather([run], 60_000).images
    assert image.height_px < 200
    assert 200 - image.height_px < image.top_px < 300
    assert 250 - image.width_px < image.left_px < 350


def test_several_runs_share_an_image(run: Run, tmp_path: Path) -> None:
    other = read_run(write_run(tmp_path / "other", Plan(device=GALAXY, images={"coffee": photo(160, 240)}, rounds=1)))
    gallery = gather([run, other])
    [image] = gallery.images
    assert {version.group for version in image.versions} == {"Input", "Test Pixel", "Test Galaxy", "Reference"}
    assert len(gallery.pictures) == 6


def test_versions_have_names_of_their_own(tmp_path: Path) -> None:
    """Two kernels of one network are the same bytes, and two runs of one device are two groups."""
    entries = [variant(depth=2), variant(depth=2, label="other kernels", kernels="reference")]
    plan = Plan(variants=entries, images={"coffee": photo(40, 60)}, rounds=1)
    runs = [read_run(write_run(tmp_path / name, replace(plan, run=name))) for name in ("a", "b")]
    [image] = gather(runs[:1]).images
    assert [version.label for version in image.versions][2:4] == ["4\u2011bit tflite, depth 2", "other kernels"]
    [image] = gather(runs).images
    names = [(version.group, version.label) for version in image.versions]
    assert len(set(names)) == len(names) == 2 + 4 + 1


def test_what_cannot_be_shown_is_told(run: Run) -> None:
    folder = run.folder / "images" / "coffee"
    (folder / "1.png").unlink()
    (folder / "2.png").write_bytes(b"\x89PNG broken")
    Image.new("RGB", (10, 10)).save(folder / "3.png")
    gallery = gather([run])
    assert len(gallery.problems) == 3
    assert "no such file" in gallery.problems[0]
    assert "has 10×10 pixels, expected 240×160" in gallery.problems[2]
    assert len(gallery.images[0].versions) == 6
    (folder / "input.png").unlink()
    gallery = gather([run])
    assert (gallery.images, len(gallery.problems)) == ((), 1)


def test_without_an_original(tmp_path: Path) -> None:
    plan = Plan(images={"coffee": photo(40, 60)}, with_originals=False, rounds=1)
    [image] = gather([read_run(write_run(tmp_path / "run", plan))]).images
    assert [version.label for version in image.versions if version.depth is None] == [
        "input, nearest",
        "input, bicubic",
    ]


def test_nothing_outside_the_folder_is_read(run: Run, tmp_path: Path) -> None:
    Image.fromarray(photo(160, 240)).save(tmp_path / "secret.png")
    first = run.variants[0]
    outside = replace(first, images=(replace(first.images[0], picture="../secret.png"),))
    with pytest.raises(BenchError, match="outside its folder"):
        gather([replace(run, variants=(outside, *run.variants[1:]))])
