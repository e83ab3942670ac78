"""The Python interface: kinds of pictures, the cache, closing, threads; and that importing it costs nothing."""

import io
import json
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import qsr_edge
from qsr_edge import zoo
from qsr_edge.bundle.manifest import MANIFEST_NAME
from qsr_edge.conversion.cached import cached_bundle
from qsr_edge.lowering.checkpoint import lower_checkpoint
from qsr_edge.nn.checkpoint import read_checkpoint

pytest.importorskip("ai_edge_litert", reason="the extra [tflite] is not installed")


@pytest.fixture
def network(tiny_bundle: Path) -> qsr_edge.Network:
    return qsr_edge.load(tiny_bundle)


def noise(*shape: int, dtype: type = np.uint8) -> np.ndarray:
    return np.random.default_rng(0).integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


def test_importing_the_package_imports_nothing_else() -> None:
    code = "import sys, json, qsr_edge; print(json.dumps([n for n in sys.modules if n in ('numpy', 'PIL', 'click')]))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []


def test_all_names_are_there_and_no_others() -> None:
    assert set(qsr_edge.__all__) <= set(dir(qsr_edge))
    assert all(getattr(qsr_edge, name) is not None for name in qsr_edge.__all__)
    with pytest.raises(AttributeError, match="no attribute 'lod'"):
        qsr_edge.lod  # noqa: B018


@pytest.mark.parametrize("depth", [None, 1, 2])
def test_a_colour_array_gives_the_golden_bytes(
    network: qsr_edge.Network, tiny_checkpoint: Path, depth: int | None
) -> None:
    image = noise(30, 21, 3)
    golden = lower_checkpoint(read_checkpoint(tiny_checkpoint))[depth or 2].run(image)
    tiles: list[tuple[int, int]] = []
    upscaled = network.upscale(image, depth=depth, progress=lambda done, of: tiles.append((done, of)), tile_px=16)
    np.testing.assert_array_equal(upscaled, golden)
    assert tiles == [(i, len(tiles)) for i in range(1, len(tiles) + 1)]
    assert len(tiles) > 1


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("shape", [(9, 7), (9, 7, 3), (9, 7, 4)])
def test_an_array_comes_back_as_it_was(network: qsr_edge.Network, shape: tuple[int, ...], dtype: type) -> None:
    upscaled = network.upscale(noise(*shape, dtype=dtype))
    assert (upscaled.shape, upscaled.dtype) == ((18, 14, *shape[2:]), dtype)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_a_pillow_image_is_upscaled_as_its_file(network: qsr_edge.Network, tmp_path: Path, mode: str) -> None:
    if mode == "I;16":
        image = Image.fromarray(noise(9, 7, dtype=np.uint16))
    else:
        image = Image.fromarray(noise(9, 7, 4)).convert("RGB").convert(mode)
    image.save(tmp_path / "image.png")
    upscaled = network.upscale(image)
    assert upscaled.size == (14, 18)
    expected = network.upscale(tmp_path / "image.png")
    qsr_edge.write_picture(tmp_path / "expected.png", expected)
    with Image.open(tmp_path / "expected.png") as again:
        assert again.mode == upscaled.mode
        np.testing.assert_array_equal(np.asarray(upscaled), np.asarray(again))


def test_a_pillow_image_keeps_profile_and_resolution_and_is_turned_upright(network: qsr_edge.Network) -> None:
    image = Image.fromarray(noise(8, 4, 3))
    image.getexif()[0x0112] = 6  # turn right by 90 degrees to see it upright
    image.info.update(dpi=(300, 300), icc_profile=Image.open(_with_profile()).info["icc_profile"])
    upscaled = network.upscale(image)
    assert upscaled.size == (16, 8)
    assert upscaled.getexif().get(0x0112, 1) == 1
    assert upscaled.info["icc_profile"] == image.info["icc_profile"]
    assert upscaled.info["dpi"] == pytest.approx((300, 300), abs=0.1)


def _with_profile() -> io.BytesIO:
    from PIL import ImageCms

    file = io.BytesIO()
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.new("RGB", (1, 1)).save(file, format="PNG", icc_profile=profile)
    return file


def test_a_file_and_several_pictures(network: qsr_edge.Network, images: Path) -> None:
    path = images / "rgb_96x64.png"
    (from_path, from_text, from_picture) = network.upscale_all([path, str(path), qsr_edge.read_picture(path)])
    assert isinstance(from_path, qsr_edge.Picture)
    assert from_path.size_px == (192, 128)
    np.testing.assert_array_equal(from_path.rgb, from_text.rgb)
    np.testing.assert_array_equal(from_path.rgb, from_picture.rgb)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (np.zeros((4, 4, 3), np.float32), "got float32 of shape (4, 4, 3), expected uint8 or uint16"),
        (np.zeros((4, 4, 2), np.uint8), "got uint8 of shape (4, 4, 2)"),
        (np.zeros((4,), np.uint8), "got uint8 of shape (4,)"),
        (np.zeros((0, 4, 3), np.uint8), "not empty"),
        (Image.new("CMYK", (4, 4)), "mode CMYK and 4x4 pixels"),
        (Image.new("F", (4, 4)), "convert it, for example by image.convert('RGB')"),
        ("missing.png", "missing.png: no such file"),
    ],
)
def test_what_is_no_picture_is_refused(network: qsr_edge.Network, source: object, message: str) -> None:
    with pytest.raises(qsr_edge.QsrError) as raised:
        network.upscale(source)  # type: ignore[call-overload]
    assert message in str(raised.value)


def test_another_type_is_a_mistake_of_the_program(network: qsr_edge.Network) -> None:
    with pytest.raises(TypeError, match="got list"):
        network.upscale([[0]])  # type: ignore[call-overload]


def test_a_closed_network_says_so(tiny_bundle: Path) -> None:
    with qsr_edge.load(tiny_bundle) as network:
        network.upscale(noise(4, 4, 3))
        assert "depths (1, 2), tflite>" in repr(network)
    assert "closed" in repr(network)
    with pytest.raises(qsr_edge.QsrError, match="was closed; load it again"):
        network.upscale(noise(4, 4, 3))
    network.close()  # again: nothing happens


def test_closing_lets_runs_of_other_threads_come_to_their_end(tiny_bundle: Path) -> None:
    image = noise(40, 40, 3)
    network = qsr_edge.load(tiny_bundle)
    expected = network.upscale(image)
    first, closed = threading.Event(), threading.Event()
    results: list[np.ndarray] = []

    def wait(done: int, tiles: int) -> None:
        first.set()
        closed.wait()

    thread = threading.Thread(target=lambda: results.append(network.upscale(image, progress=wait, tile_px=16)))
    thread.start()
    first.wait()
    network.close()
    closed.set()
    thread.join()
    np.testing.assert_array_equal(results[0], expected)


@pytest.fixture
def bundled(tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The tiny network is bundled, as ``tiny_w4a4``; gives the cache folder, which does not exist yet."""
    monkeypatch.setattr(zoo, "_paths", lambda: {"tiny_w4a4": tiny_checkpoint})
    monkeypatch.setenv("QSR_EDGE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_a_bundled_network_is_converted_once(bundled: Path, network: qsr_edge.Network) -> None:
    image = noise(8, 8, 3)
    expected = network.upscale(image)
    with qsr_edge.load("tiny_w4a4") as loaded:
        np.testing.assert_array_equal(loaded.upscale(image), expected)
        assert [entry.mismatching_bytes for entry in loaded.manifest.parity] == [0] * 6
    (bundle,) = (path for path in bundled.iterdir() if path.is_dir())
    written = (bundle / MANIFEST_NAME).stat().st_mtime_ns
    with qsr_edge.load("tiny_w4a4") as loaded:
        np.testing.assert_array_equal(loaded.upscale(image), expected)
    assert (bundle / MANIFEST_NAME).stat().st_mtime_ns == written
    # What is damaged there is made anew.
    (model,) = bundle.glob("*d2.tflite")
    model.write_bytes(b"damaged")
    with qsr_edge.load("tiny_w4a4") as loaded:
        np.testing.assert_array_equal(loaded.upscale(image), expected)


def test_threads_that_want_one_network_convert_it_once(bundled: Path) -> None:
    paths: list[Path] = []
    threads = [threading.Thread(target=lambda: paths.append(cached_bundle("tiny_w4a4", "tflite"))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(paths) == 4
    assert {path for path in bundled.iterdir() if path.is_dir()} == set(paths)


def test_upscale_with_a_bundled_network(run_cli, bundled: Path, images: Path, tmp_path: Path) -> None:
    result = run_cli("upscale", "--network", "tiny_w4a4", images / "rgb_96x64.png", "-o", tmp_path / "o.png")
    assert (result.exit_code, result.stderr) == (0, "")
    with qsr_edge.load("tiny_w4a4") as loaded:
        expected = loaded.upscale(images / "rgb_96x64.png")
    np.testing.assert_array_equal(qsr_edge.read_picture(tmp_path / "o.png").rgb, expected.rgb)
    wrong = run_cli("upscale", "--network", "x9", images / "rgb_96x64.png", "-o", tmp_path / "p.png")
    assert (wrong.exit_code, wrong.stderr) == (
        1,
        "error: no bundled checkpoint is called 'x9'; choose from tiny_w4a4\n",
    )
    for options in ((), ("--network", "tiny_w4a4", "--bundle", bundled)):
        usage = run_cli("upscale", *options, images / "rgb_96x64.png", "-o", tmp_path / "p.png")
        assert (usage.exit_code, usage.stderr.splitlines()[-1]) == (2, "Error: give either --bundle or --network")


@pytest.mark.parametrize(
    ("name", "message"),
    [("x9_w4a4", "no bundled checkpoint is called 'x9_w4a4'; choose from"), ("./x9.zip", "no such bundle")],
)
def test_what_is_not_there_is_told(name: str, message: str) -> None:
    with pytest.raises(qsr_edge.QsrError, match=message):
        qsr_edge.load(name)


def test_a_float_network_cannot_be_loaded() -> None:
    name = next(name for name in qsr_edge.networks() if name.endswith("fp32"))
    with pytest.raises(qsr_edge.QsrError, match=f"{name}: a float network"):
        qsr_edge.load(name)


def test_convert_and_evaluate(tiny_checkpoint: Path, images: Path, tmp_path: Path) -> None:
    with pytest.raises(qsr_edge.QsrError, match="author and licence are missing"):
        qsr_edge.convert(tiny_checkpoint, tmp_path / "bundle", target="tflite")
    told: list[str] = []
    conversion = qsr_edge.convert(
        tiny_checkpoint, tmp_path / "bundle", target="tflite", author="me", licence="MIT", progress=told.append
    )
    assert told[0] == "depth 1 under xnnpack"
    assert len(told) == len(conversion.parity) == 6
    folder = tmp_path / "pictures"
    folder.mkdir()
    (folder / "a.png").write_bytes((images / "rgb_96x64.png").read_bytes())
    done: list[tuple[int, int]] = []
    measured = qsr_edge.evaluate(
        tmp_path / "bundle", folder, depths=[1], progress=lambda count, of: done.append((count, of))
    )
    assert (measured.pictures, list(measured.scores)) == (("a",), ["bicubic", "depth 1"])
    assert done == [(0, 1), (1, 1)]
    # The runtime computes the golden interpreter's bytes, so the figures are equal.
    assert qsr_edge.evaluate(tiny_checkpoint, folder).mean("depth 1") == measured.mean("depth 1")
    with pytest.raises(qsr_edge.QsrError, match=r"got depths \(3,\), expected some of 1, 2"):
        qsr_edge.evaluate(tiny_checkpoint, folder, depths=[3])
