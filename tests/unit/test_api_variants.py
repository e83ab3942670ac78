"""Networks for clean pictures and for photos in the Python interface: which one takes a picture, when it is made."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import qsr_edge
from qsr_edge import zoo
from qsr_edge.lowering.checkpoint import lower_checkpoint
from qsr_edge.nn.checkpoint import read_checkpoint
from tests.support.tiny_model import convert, write_photo_checkpoint

pytest.importorskip("ai_edge_litert", reason="the extra [tflite] is not installed")


@pytest.fixture(scope="module")
def photo_checkpoint(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_photo_checkpoint(tiny_checkpoint, tmp_path_factory.mktemp("photo") / "photo.safetensors")


@pytest.fixture(scope="module")
def photo_bundle(photo_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return convert(photo_checkpoint, tmp_path_factory.mktemp("photo") / "bundle", None)


@pytest.fixture
def cache(tiny_checkpoint: Path, photo_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Both networks are bundled; gives the cache folder, which does not exist yet."""
    monkeypatch.setattr(zoo, "_paths", lambda: {"x2_w4a4": tiny_checkpoint, "photo_x2_w4a4": photo_checkpoint})
    monkeypatch.setenv("QSR_EDGE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def kept(cache: Path) -> list[str]:
    return sorted(path.name.partition("-")[0] for path in cache.iterdir() if path.is_dir())


@pytest.fixture
def jpeg(tmp_path: Path) -> Path:
    rgb = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    Image.fromarray(rgb).save(tmp_path / "low.jpg", quality=62)
    Image.fromarray(rgb).save(tmp_path / "high.jpg", quality=96)
    return tmp_path / "low.jpg"


def golden(checkpoint: Path, picture: Path) -> np.ndarray:
    return lower_checkpoint(read_checkpoint(checkpoint))[2].run(qsr_edge.read_picture(picture).rgb)


def test_each_picture_goes_to_its_network(
    cache: Path, tiny_checkpoint: Path, photo_checkpoint: Path, jpeg: Path
) -> None:
    clean, photo = golden(tiny_checkpoint, jpeg), golden(photo_checkpoint, jpeg)
    assert not np.array_equal(clean, photo)
    with qsr_edge.load("x2_w4a4") as network:
        assert network.variants == ("clean", "photo")
        assert "tflite, clean and photo>" in repr(network)
        high = network.upscale(jpeg.with_name("high.jpg"))
        np.testing.assert_array_equal(high.rgb, golden(tiny_checkpoint, jpeg.with_name("high.jpg")))
        array = qsr_edge.read_picture(jpeg).rgb
        np.testing.assert_array_equal(network.upscale(array), clean)
        assert kept(cache) == ["x2_w4a4"]  # no picture needed the other one
        from_file = network.upscale(jpeg)
        np.testing.assert_array_equal(from_file.rgb, photo)
        assert kept(cache) == ["photo_x2_w4a4", "x2_w4a4"]
        np.testing.assert_array_equal(network.upscale(qsr_edge.read_picture(jpeg)).rgb, photo)
        with Image.open(jpeg) as image:
            np.testing.assert_array_equal(np.asarray(network.upscale(image)), photo)
            assert [network.variant_for(each) for each in (image, image.copy())] == ["photo", "clean"]
        sources = (jpeg, str(jpeg), jpeg.with_name("high.jpg"), array, qsr_edge.read_picture(jpeg), from_file)
        expected = ["photo", "photo", "clean", "clean", "photo", "clean"]
        assert [network.variant_for(each) for each in sources] == expected
        with pytest.raises(qsr_edge.QsrError, match=r"missing\.jpg: no such file"):
            network.variant_for("missing.jpg")
        assert network.upscale(jpeg, depth=1).size_px == (60, 40)
        with pytest.raises(qsr_edge.QsrError, match="depth 3"):
            network.upscale(jpeg, depth=3)
    with pytest.raises(qsr_edge.QsrError, match="was closed; load it again"):
        network.upscale(jpeg)


@pytest.mark.parametrize(("name", "variant"), [("x2_w4a4", "photo"), ("photo_x2_w4a4", "auto")])
def test_who_wants_the_network_for_photos_gets_it_for_every_picture(
    cache: Path, photo_checkpoint: Path, jpeg: Path, name: str, variant: str
) -> None:
    with qsr_edge.load(name, variant=variant) as network:
        assert (network.variants, network.manifest.name) == (("photo",), "qsr-edge-x2-w4a4-photo")
        array = qsr_edge.read_picture(jpeg).rgb
        assert network.variant_for(array) == "photo"
        np.testing.assert_array_equal(network.upscale(array), golden(photo_checkpoint, jpeg))
    assert kept(cache) == ["photo_x2_w4a4"]


def test_a_variant_that_is_not_there_is_told(
    cache: Path, tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(qsr_edge.QsrError, match="got the variant 'foto', expected one of auto, clean, photo"):
        qsr_edge.load("x2_w4a4", variant="foto")
    monkeypatch.setattr(zoo, "_paths", lambda: {"x2_w4a4": tiny_checkpoint})
    with pytest.raises(qsr_edge.QsrError, match="x2_w4a4: variant photo was asked for, but only a clean network"):
        qsr_edge.load("x2_w4a4", variant="photo")
    assert not cache.exists()


def test_bundles_of_ones_own(
    tiny_bundle: Path, photo_bundle: Path, tiny_checkpoint: Path, photo_checkpoint: Path, jpeg: Path
) -> None:
    with qsr_edge.load([tiny_bundle, photo_bundle]) as network:
        assert network.variants == ("clean", "photo")
        np.testing.assert_array_equal(network.upscale(jpeg).rgb, golden(photo_checkpoint, jpeg))
    with qsr_edge.load([tiny_bundle, photo_bundle], variant="clean") as network:
        np.testing.assert_array_equal(network.upscale(jpeg).rgb, golden(tiny_checkpoint, jpeg))
    with qsr_edge.load(photo_bundle) as network:
        assert network.variants == ("photo",)
    refused: dict[str, tuple[Path | list[Path], str]] = {
        "variant photo was asked for, but only a clean network": (tiny_bundle, "photo"),
        "two photo networks": ([photo_bundle, photo_bundle], "auto"),
        "no network is at hand": ([], "auto"),
    }
    for message, (bundles, variant) in refused.items():
        with pytest.raises(qsr_edge.QsrError, match=message):
            qsr_edge.load(bundles, variant=variant)
