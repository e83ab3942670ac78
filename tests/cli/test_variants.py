"""``--variant``: networks for clean pictures and for photos, and which of them upscales a picture."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from qsr_edge import zoo
from qsr_edge.data.images import read_picture
from qsr_edge.lowering.checkpoint import lower_checkpoint
from qsr_edge.nn.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from tests.support.tiny_model import convert, write_photo_checkpoint


@pytest.fixture
def photo_checkpoint(tiny_checkpoint: Path, tmp_path: Path) -> Path:
    return write_photo_checkpoint(tiny_checkpoint, tmp_path / "photo_x2_w4a4.safetensors")


@pytest.fixture
def photo_bundle(photo_checkpoint: Path, tmp_path: Path) -> Path:
    return convert(photo_checkpoint, tmp_path / "photo", None)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    rgb = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    folder = tmp_path / "pictures"
    folder.mkdir()
    image = Image.fromarray(rgb)
    image.save(folder / "a.jpg", quality=62)
    image.save(folder / "b.jpg", quality=96)
    image.save(folder / "c.png")
    return folder


def golden(checkpoint: Path, picture: Path) -> np.ndarray:
    return lower_checkpoint(read_checkpoint(checkpoint))[2].run(read_picture(picture).rgb)


def test_each_picture_goes_to_the_network_for_it(
    run_cli, tiny_bundle: Path, tiny_checkpoint: Path, photo_bundle: Path, photo_checkpoint: Path, pictures: Path,
    tmp_path: Path,
) -> None:  # fmt: skip
    assert not np.array_equal(golden(tiny_checkpoint, pictures / "c.png"), golden(photo_checkpoint, pictures / "c.png"))
    bundles = ["--bundle", photo_bundle, "--bundle", tiny_bundle]
    result = run_cli("upscale", *bundles, pictures, "-o", tmp_path / "out")
    assert result.exit_code == 0, result.stderr
    a, b, c = result.stdout.splitlines()
    assert a.endswith(", photo network: JPEG of quality 62")
    assert b.endswith(", clean network: JPEG of quality 96")
    assert c.endswith(", clean network: no JPEG")
    for name, checkpoint in (("a.jpg", photo_checkpoint), ("b.jpg", tiny_checkpoint), ("c.png", tiny_checkpoint)):
        upscaled = read_picture(tmp_path / "out" / f"{Path(name).stem}_x2.png").rgb
        np.testing.assert_array_equal(upscaled, golden(checkpoint, pictures / name))
    wished = run_cli("upscale", *bundles, "--variant", "photo", pictures, "-o", tmp_path / "wished", "--json")
    report = json.loads(wished.stdout)
    assert [image["variant"] for image in report["images"]] == ["photo"] * 3
    assert report["bundles"] == [str(photo_bundle), str(tiny_bundle)]


def test_one_network_takes_everything_and_says_nothing(
    run_cli, photo_bundle: Path, pictures: Path, tmp_path: Path
) -> None:
    result = run_cli("upscale", "--bundle", photo_bundle, pictures / "c.png", "-o", tmp_path / "out.png")
    assert result.exit_code == 0, result.stderr
    assert "network:" not in result.stdout
    refused = run_cli(
        "upscale", "--bundle", photo_bundle, "--variant", "clean", pictures / "c.png", "-o", tmp_path / "other.png"
    )
    assert refused.exit_code == 1
    assert "variant clean was asked for, but only a photo network is at hand" in refused.stderr
    twice = ["--bundle", photo_bundle, "--bundle", photo_bundle]
    refused = run_cli("upscale", *twice, pictures / "c.png", "-o", tmp_path / "other.png")
    assert "two photo networks; give one, or one of each variant" in refused.stderr


@pytest.fixture
def cache(tiny_checkpoint: Path, photo_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Both networks are bundled; gives the cache folder, which does not exist yet."""
    monkeypatch.setattr(zoo, "_paths", lambda: {"x2_w4a4": tiny_checkpoint, "photo_x2_w4a4": photo_checkpoint})
    monkeypatch.setenv("QSR_EDGE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def kept(cache: Path) -> list[str]:
    """Names of the networks that were converted."""
    return sorted(path.name.partition("-")[0] for path in cache.iterdir() if path.is_dir()) if cache.exists() else []


def test_a_bundled_network_is_converted_when_a_picture_needs_it(
    run_cli, cache: Path, pictures: Path, tmp_path: Path
) -> None:
    named = ("upscale", "--network", "x2_w4a4")
    result = run_cli(*named, pictures / "c.png", "-o", tmp_path / "c.png", "--json")
    assert result.exit_code == 0, result.stderr
    assert kept(cache) == ["x2_w4a4"]
    report = json.loads(result.stdout)
    assert [Path(bundle).name.partition("-")[0] for bundle in report["bundles"]] == ["x2_w4a4"]
    assert (report["bundle"], report["depth"]) == (report["bundles"][0], 2)
    result = run_cli(*named, pictures, "-o", tmp_path / "out")
    assert result.stdout.splitlines()[0].endswith(", photo network: JPEG of quality 62")
    assert kept(cache) == ["photo_x2_w4a4", "x2_w4a4"]


def test_nothing_is_converted_for_nothing(run_cli, cache: Path, pictures: Path, tmp_path: Path) -> None:
    done = tmp_path / "a.png"
    done.touch()
    named = ("upscale", "--network", "x2_w4a4")
    skipped = run_cli(*named, pictures / "a.jpg", "-o", done, "--skip-existing", "--json")
    assert (skipped.exit_code, json.loads(skipped.stdout)["bundle"]) == (0, None)
    assert kept(cache) == []
    # What cannot be loaded for one picture could not be for the next: the batch ends.
    refused = run_cli(*named, "--depth", "7", pictures, "-o", tmp_path / "out")
    assert refused.exit_code == 1
    assert refused.stderr.count("error: ") == 1
    assert "depth 7" in refused.stderr
    only = run_cli(*named, "--variant", "photo", pictures, "-o", tmp_path / "out", "--json")
    assert [image["variant"] for image in json.loads(only.stdout)["images"]] == ["photo"] * 3
    assert "photo_x2_w4a4" in kept(cache)


@pytest.mark.parametrize("name", ["x2_photo_w4a4", "photo_x2_w4a4"])
def test_bundled_networks_for_photos_are_found_by_what_they_are(
    run_cli, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clean = zoo.zoo_entry("x2_w4a4").path
    given = read_checkpoint(clean)
    recipe = {**given.provenance["recipe"], "degradation": "photo"}
    photo = tmp_path / f"{name}.safetensors"
    write_checkpoint(
        photo,
        Checkpoint(config=given.config, tensors=given.tensors, provenance={**given.provenance, "recipe": recipe}),
    )
    convert = ("convert", "--target", "tflite", "--no-verify", "-o", tmp_path / "bundle")
    missing = run_cli(*convert, "--variant", "photo")
    monkeypatch.setattr(zoo, "_paths", lambda: {"x2_w4a4": clean, name: photo})
    assert zoo.find_checkpoint(scale=2, bits=4) == clean
    assert zoo.find_checkpoint(scale=2, bits=4, variant=zoo.Variant.PHOTO) == photo
    assert set(zoo.variants_of(zoo.zoo_entry("x2_w4a4"))) == set(zoo.Variant)
    assert run_cli(*convert, "--variant", "photo").exit_code == 0
    manifest = json.loads((tmp_path / "bundle" / "manifest.json").read_text())
    assert manifest["name"] == "qsr-edge-x2-w4a4-photo"
    monkeypatch.setattr(zoo, "_paths", lambda: {name: photo})
    assert zoo.find_checkpoint(scale=2, bits=4) == photo
    if missing.exit_code:  # until networks for photos are bundled
        assert "no bundled checkpoint is called x2_w4a4 for photo pictures" in missing.stderr


def test_a_checkpoint_of_another_variant_is_refused(run_cli, photo_checkpoint: Path, tmp_path: Path) -> None:
    weights = ("--checkpoint", photo_checkpoint, "--author", "tests", "--licence", "CC0-1.0", "-o", tmp_path / "b")
    result = run_cli("convert", "--target", "tflite", *weights, "--variant", "clean")
    assert result.exit_code == 1
    assert "--variant clean was asked for, but the checkpoint has photo" in result.stderr
