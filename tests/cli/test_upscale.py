"""``qsr-edge upscale`` with the real runtime, against the golden interpreter on the whole picture."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from qsr_edge.bundle.reader import open_bundle
from qsr_edge.data.bicubic import resize_bicubic
from qsr_edge.data.images import read_picture
from qsr_edge.lowering.edge import lower_checkpoint
from qsr_edge.nn.checkpoint import read_checkpoint
from qsr_edge.runtime.correction import flat_pixels
from qsr_edge.runtime.upscale import load_depth


def golden(checkpoint: Path, picture: Path, depth: int = 2) -> NDArray[np.uint8]:
    network = lower_checkpoint(read_checkpoint(checkpoint))
    return network[depth].run(read_picture(picture).rgb)


@pytest.mark.parametrize("tile", [[], ["--tile", "7"]], ids=["whole", "tiles"])
@pytest.mark.parametrize("depth", [None, 1])
def test_the_picture_is_the_golden_one(
    run_cli, tiny_bundle: Path, tiny_checkpoint: Path, images: Path, tmp_path: Path, depth: int | None, tile: list[str]
) -> None:
    source, target = images / "rgb_96x64.png", tmp_path / "out.png"
    options = [] if depth is None else ["--depth", str(depth)]
    result = run_cli("upscale", "--bundle", tiny_bundle, source, "-o", target, *options, *tile)
    assert (result.exit_code, result.stderr) == (0, "")
    assert f"{source} 96x64 -> {target} 192x128 in " in result.stdout
    assert "ms per megapixel of input" in result.stdout
    np.testing.assert_array_equal(read_picture(target).rgb, golden(tiny_checkpoint, source, depth or 2))


@settings(max_examples=40)
@given(
    height=st.integers(1, 60),
    width=st.integers(1, 60),
    tile_px=st.integers(1, 40),
    depth=st.sampled_from([1, 2]),
)
def test_tiles_of_a_real_network_leave_no_seam(
    tiny_bundle: Path, tiny_checkpoint: Path, height: int, width: int, tile_px: int, depth: int
) -> None:
    image = np.random.default_rng(height * 61 + width).integers(0, 256, (height, width, 3), np.uint8)
    network = lower_checkpoint(read_checkpoint(tiny_checkpoint))
    with open_bundle(tiny_bundle) as bundle:
        tiled = load_depth(bundle, depth=depth).upscale(image, tile_px=tile_px)
    np.testing.assert_array_equal(tiled, network[depth].run(image))


@pytest.mark.parametrize("kernels", ["xnnpack", "builtin", "reference"])
def test_kernels_and_threads_change_no_byte(
    run_cli, tiny_bundle: Path, tiny_checkpoint: Path, images: Path, tmp_path: Path, kernels: str
) -> None:
    source, target = images / "rgb_96x64.png", tmp_path / "out.png"
    options = ["--kernels", kernels, "--threads", "2", "--tile", "40"]
    assert run_cli("upscale", "--bundle", tiny_bundle, source, "-o", target, *options).exit_code == 0
    np.testing.assert_array_equal(read_picture(target).rgb, golden(tiny_checkpoint, source))


def test_a_bundle_of_fixed_input_size(
    run_cli, tiny_fixed_bundle: Path, tiny_checkpoint: Path, images: Path, tmp_path: Path
) -> None:
    source, target = images / "rgb_96x64.png", tmp_path / "out.png"
    result = run_cli("upscale", "--bundle", tiny_fixed_bundle, source, "-o", target)
    assert (result.exit_code, result.stderr) == (0, "")
    np.testing.assert_array_equal(read_picture(target).rgb, golden(tiny_checkpoint, source))


def test_a_picture_too_small_for_the_fixed_input_size(run_cli, tiny_fixed_bundle: Path, tmp_path: Path) -> None:
    Image.new("RGB", (30, 30)).save(tmp_path / "small.png")
    result = run_cli("upscale", "--bundle", tiny_fixed_bundle, tmp_path / "small.png", "-o", tmp_path / "out.png")
    assert result.exit_code == 1
    assert result.stderr.startswith(
        f"error: {tmp_path / 'small.png'}: 30x30 is smaller than the model's fixed input of 40x24"
    )
    assert not (tmp_path / "out.png").exists()


def test_alpha_is_kept_and_enlarged(run_cli, tiny_bundle: Path, images: Path, tmp_path: Path) -> None:
    source, target = images / "rgba_soft_alpha.png", tmp_path / "out.png"
    assert run_cli("upscale", "--bundle", tiny_bundle, source, "-o", target).exit_code == 0
    alpha, enlarged = read_picture(source).alpha, read_picture(target).alpha
    assert alpha is not None
    assert enlarged is not None
    # The colours of a random network are noise, so only what it must not touch can be told beforehand.
    assert enlarged.shape == (128, 192)
    flat = flat_pixels(alpha).repeat(2, axis=0).repeat(2, axis=1)
    np.testing.assert_array_equal(enlarged[flat], resize_bicubic(alpha, 2)[flat])


def test_transparency_needs_a_format_that_holds_it(run_cli, tiny_bundle: Path, images: Path, tmp_path: Path) -> None:
    result = run_cli("upscale", "--bundle", tiny_bundle, images / "rgba_soft_alpha.png", "-o", tmp_path / "out.jpg")
    assert result.exit_code == 1
    assert "out.jpg: JPEG cannot hold the picture's transparency" in result.stderr


def test_grey_stays_grey(run_cli, tiny_bundle: Path, images: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.png"
    assert run_cli("upscale", "--bundle", tiny_bundle, images / "grey_48x40.png", "-o", target).exit_code == 0
    with Image.open(target) as image:
        assert (image.mode, image.size) == ("L", (96, 80))


def test_several_inputs_go_into_a_folder(run_cli, tiny_bundle: Path, images: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "folder"
    inputs = [images / "rgb_96x64.png", images / "exif_rotated.jpg"]
    result = run_cli("upscale", "--bundle", tiny_bundle, *inputs, "-o", out, "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    report = json.loads(result.stdout)
    assert (report["target"], report["depth"], report["threads"]) == ("tflite", 2, 1)
    assert [entry["output"] for entry in report["images"]] == [
        str(out / "rgb_96x64_x2.png"),
        str(out / "exif_rotated_x2.png"),
    ]
    for entry in report["images"]:
        assert entry["output_size_px"] == [2 * side for side in entry["input_size_px"]]
        assert entry["ms_per_megapixel"] > 0
    assert sorted(path.name for path in out.iterdir()) == ["exif_rotated_x2.png", "rgb_96x64_x2.png"]


def test_one_input_into_an_existing_folder(run_cli, tiny_bundle: Path, images: Path, tmp_path: Path) -> None:
    assert run_cli("upscale", "--bundle", tiny_bundle, images / "rgb_96x64.png", "-o", tmp_path).exit_code == 0
    assert (tmp_path / "rgb_96x64_x2.png").is_file()


def test_nothing_is_overwritten_without_force(run_cli, tiny_bundle: Path, images: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.png"
    target.write_bytes(b"precious")
    arguments = ["upscale", "--bundle", tiny_bundle, images / "rgb_96x64.png", "-o", target]
    result = run_cli(*arguments)
    assert result.exit_code == 1
    assert "out.png: exists already" in result.stderr
    assert target.read_bytes() == b"precious"
    assert run_cli(*arguments, "--force").exit_code == 0
    assert read_picture(target).rgb.shape == (128, 192, 3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--depth", "3"], "depth 3 is not in this bundle; choose one of 1, 2"),
        (["--kernels", "cuda"], "no family of kernels is called 'cuda'; expected xnnpack, builtin, reference"),
    ],
)
def test_what_the_bundle_or_runtime_does_not_offer(
    run_cli, tiny_bundle: Path, images: Path, tmp_path: Path, options: list[str], message: str
) -> None:
    result = run_cli("upscale", "--bundle", tiny_bundle, images / "rgb_96x64.png", "-o", tmp_path / "out.png", *options)
    assert result.exit_code == 1
    assert message in result.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("target", "message"),
    [("missing/out.png", "there is no folder"), ("out.xyz", "cannot write a picture with the suffix .xyz")],
)
def test_outputs_that_cannot_be_written(
    run_cli, tiny_bundle: Path, images: Path, tmp_path: Path, target: str, message: str
) -> None:
    result = run_cli("upscale", "--bundle", tiny_bundle, images / "rgb_96x64.png", "-o", tmp_path / target)
    assert result.exit_code == 1
    assert message in result.stderr


def test_an_input_that_is_not_a_picture(run_cli, tiny_bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("hello")
    result = run_cli("upscale", "--bundle", tiny_bundle, tmp_path / "text.png", "-o", tmp_path / "out.png")
    assert result.exit_code == 1
    assert "text.png: is not a picture" in result.stderr
    assert not (tmp_path / "out.png").exists()


@pytest.mark.parametrize("tile", ["0", "-1", "x"])
def test_impossible_tiles_are_wrong_usage(run_cli, tiny_bundle: Path, tmp_path: Path, tile: str) -> None:
    arguments = ["upscale", "--bundle", tiny_bundle, tmp_path / "a.png", "-o", tmp_path / "b.png", "--tile", tile]
    assert run_cli(*arguments).exit_code == 2


def test_one_bad_picture_does_not_stop_the_others(run_cli, tiny_bundle: Path, images: Path, tmp_path: Path) -> None:
    good, bad = images / "rgb_96x64.png", tmp_path / "bad.png"
    bad.write_bytes(b"no picture")
    result = run_cli("upscale", "--bundle", tiny_bundle, bad, good, "-o", tmp_path / "out")
    assert result.exit_code == 1
    first, last = result.stderr.splitlines()
    assert "bad.png" in first
    assert last.startswith("error: 1 of 2 pictures failed")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["rgb_96x64_x2.png"]
    report = json.loads(
        run_cli("upscale", "--bundle", tiny_bundle, bad, good, "-o", tmp_path / "out", "--json", "--force").stdout
    )
    assert [entry["input"] for entry in report["failed"]] == [str(bad)]
    assert len(report["images"]) == 1


def test_an_output_that_ends_in_a_slash_is_a_folder(run_cli, tiny_bundle: Path, images: Path, tmp_path: Path) -> None:
    result = run_cli("upscale", "--bundle", tiny_bundle, images / "rgb_96x64.png", "-o", f"{tmp_path}/new/deep/")
    assert result.exit_code == 0
    assert (tmp_path / "new" / "deep" / "rgb_96x64_x2.png").is_file()


def test_outputs_that_cannot_be_meant(run_cli, tiny_bundle: Path, images: Path, tmp_path: Path) -> None:
    source = tmp_path / "photo.png"
    shutil.copy(images / "rgb_96x64.png", source)
    before = source.read_bytes()
    same = tmp_path / "." / "sub" / ".." / "photo.png"
    (tmp_path / "sub").mkdir()
    result = run_cli("upscale", "--bundle", tiny_bundle, source, "-o", same, "--force")
    assert result.exit_code == 1
    assert "is the input itself" in result.stderr
    assert source.read_bytes() == before
    result = run_cli("upscale", "--bundle", tiny_bundle, source, images / "rgb_96x64.png", "-o", tmp_path / "two.png")
    assert result.exit_code == 1
    assert "name a folder" in result.stderr
    assert not (tmp_path / "two.png").exists()
