"""``qsr-edge upscale`` on folders, streams and files that other programs made."""

import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from qsr_edge.data.images import read_picture
from qsr_edge.runtime.picture_files import SourceFile


@pytest.fixture
def folder(images: Path, tmp_path: Path) -> Path:
    """Two pictures, one of them deep, and a file that is none."""
    source = tmp_path / "photos"
    (source / "2024").mkdir(parents=True)
    (source / "a.png").write_bytes((images / "grey_48x40.png").read_bytes())
    (source / "2024" / "b.jpg").write_bytes((images / "exif_rotated.jpg").read_bytes())
    return source


def outputs(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_a_folder(run_cli, tiny_bundle: Path, folder: Path, tmp_path: Path) -> None:
    result = run_cli("upscale", "--bundle", tiny_bundle, folder, "-o", tmp_path / "out")
    assert (result.exit_code, result.stderr) == (0, "")
    assert outputs(tmp_path / "out") == ["a_x2.png"]


def test_a_tree_is_mirrored_and_resumed(run_cli, tiny_bundle: Path, folder: Path, tmp_path: Path) -> None:
    # The output lies within the input: what a run wrote is no input of the next.
    arguments = ["upscale", "--bundle", tiny_bundle, folder, "-o", folder / "out", "--recursive", "--format", "same"]
    assert run_cli(*arguments).exit_code == 0
    assert outputs(folder / "out") == ["2024/b_x2.jpg", "a_x2.png"]
    (folder / "out" / "a_x2.png").unlink()
    kept = (folder / "out" / "2024" / "b_x2.jpg").stat().st_mtime_ns
    result = run_cli(*arguments, "--skip-existing", "--json")
    report = json.loads(result.stdout)
    assert [Path(entry["output"]).name for entry in report["images"]] == ["a_x2.png"]
    assert [Path(entry["output"]).name for entry in report["skipped"]] == ["b_x2.jpg"]
    assert (folder / "out" / "2024" / "b_x2.jpg").stat().st_mtime_ns == kept


def test_what_exists_or_is_damaged_stops_nothing_else(run_cli, tiny_bundle: Path, folder: Path, tmp_path: Path) -> None:
    (folder / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n damaged")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a_x2.png").write_bytes(b"precious")
    result = run_cli("upscale", "--bundle", tiny_bundle, folder, "-r", "-o", tmp_path / "out", "--json")
    assert result.exit_code == 1
    report = json.loads(result.stdout)
    assert [Path(entry["input"]).name for entry in report["images"]] == ["b.jpg"]
    assert {Path(entry["input"]).name for entry in report["failed"]} == {"a.png", "bad.png"}
    assert result.stderr.splitlines()[-1].startswith("error: 2 of 3 pictures failed")
    assert (tmp_path / "out" / "a_x2.png").read_bytes() == b"precious"


def test_two_inputs_of_one_stem(run_cli, tiny_bundle: Path, folder: Path, tmp_path: Path) -> None:
    (folder / "a.jpg").write_bytes((folder / "2024" / "b.jpg").read_bytes())
    assert run_cli("upscale", "--bundle", tiny_bundle, folder, "-o", tmp_path / "out").exit_code == 0
    assert outputs(tmp_path / "out") == ["a_jpg_x2.png", "a_png_x2.png"]


def test_standard_input_and_output(tiny_bundle: Path, images: Path) -> None:
    command = [sys.executable, "-m", "qsr_edge.cli.main", "upscale", "--bundle", str(tiny_bundle), "-", "-o", "-"]
    result = subprocess.run(
        [*command, "--format", "webp"], input=(images / "rgb_96x64.png").read_bytes(), capture_output=True, check=False
    )
    assert result.returncode == 0, result.stderr
    with Image.open(io.BytesIO(result.stdout)) as image:
        assert (image.format, image.size) == ("WEBP", (192, 128))
    assert b"standard input 96x64 -> - 192x128" in result.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--force", "--skip-existing"], "contradict each other"),
        (["--json", "-o", "-"], "cannot both go to standard output"),
    ],
)
def test_options_that_exclude_each_other(
    run_cli, tiny_bundle: Path, images: Path, options: list[str], message: str
) -> None:
    result = run_cli("upscale", "--bundle", tiny_bundle, images / "rgb_96x64.png", "-o", "x.png", *options)
    assert result.exit_code == 2
    assert message in result.stderr


def test_quality(run_cli, tiny_bundle: Path, images: Path, tmp_path: Path) -> None:
    sizes = []
    for quality in ("20", "90"):
        target = tmp_path / f"{quality}.jpg"
        arguments = ["upscale", "--bundle", tiny_bundle, images / "rgb_96x64.png", "-o", target, "--quality", quality]
        assert run_cli(*arguments).exit_code == 0
        sizes.append(target.stat().st_size)
    assert sizes[0] < sizes[1] / 2


def test_too_large_for_the_format_is_refused_before_the_work(run_cli, tiny_bundle: Path, tmp_path: Path) -> None:
    Image.new("RGB", (8192, 1)).save(tmp_path / "wide.png")
    result = run_cli("upscale", "--bundle", tiny_bundle, tmp_path / "wide.png", "-o", tmp_path / "wide.webp", "--json")
    assert result.exit_code == 1
    assert "wide.webp: WEBP holds at most 16383 pixels a side, the picture has 16384x2" in result.stderr
    assert outputs(tmp_path) == ["wide.png"]


def test_metadata_is_kept_or_stripped(run_cli, tiny_bundle: Path, images: Path, tmp_path: Path) -> None:
    source = images / "programs" / "exiftool_camera.jpg"
    arguments = ["upscale", "--bundle", tiny_bundle, source, "-o"]
    assert run_cli(*arguments, tmp_path / "kept.png").exit_code == 0
    assert run_cli(*arguments, tmp_path / "bare.png", "--strip-metadata").exit_code == 0
    kept, bare = (read_picture(tmp_path / name, native=True) for name in ("kept.png", "bare.png"))
    np.testing.assert_array_equal(kept.rgb, bare.rgb)
    assert kept.metadata.exif is not None
    assert kept.metadata.xmp is not None
    assert b"<exif:PixelXDimension>192<" in kept.metadata.xmp
    assert bare.metadata == type(bare.metadata)()


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_16_bits_stay(run_cli, tiny_bundle: Path, images: Path, tmp_path: Path, suffix: str) -> None:
    target = tmp_path / f"out{suffix}"
    source = images / "programs" / "pnmtopng_deep.png"
    result = run_cli("upscale", "--bundle", tiny_bundle, source, "-o", target)
    assert (result.exit_code, result.stderr) == (0, "")
    picture = read_picture(target, native=True)
    assert (picture.bits, picture.size_px) == (16, (64, 48))


def test_8_bits_are_told(run_cli, tiny_bundle: Path, images: Path, tmp_path: Path) -> None:
    source = images / "programs" / "pnmtopng_deep.png"
    result = run_cli("upscale", "--bundle", tiny_bundle, source, "-o", tmp_path / "out.jpg")
    assert result.exit_code == 0
    assert "warning: " in result.stderr
    assert "JPEG holds 8 bits per channel; the picture's 16 are rounded" in result.stderr


@pytest.mark.parametrize("name", ["imagemagick_grey_palette.png", "imagemagick_grey.webp"])
def test_grey_in_disguise_stays_grey(run_cli, tiny_bundle: Path, images: Path, tmp_path: Path, name: str) -> None:
    target = tmp_path / "out.png"
    assert run_cli("upscale", "--bundle", tiny_bundle, images / "programs" / name, "-o", target).exit_code == 0
    rgb = read_picture(target).rgb
    assert (rgb == rgb[:, :, :1]).all()


@pytest.mark.parametrize(
    ("name", "suffix"),
    [
        ("imagemagick_cleared.gif", ".gif"),
        ("gifsicle_optimized.gif", ".webp"),
        ("gif2webp_cleared.webp", ".png"),
        ("apngasm_cleared.png", ".webp"),
        ("tiffcp_pages.tif", ".tif"),
    ],
)
def test_every_frame(run_cli, tiny_bundle: Path, images: Path, tmp_path: Path, name: str, suffix: str) -> None:
    target = tmp_path / f"out{suffix}"
    source = images / "programs" / name
    result = run_cli("upscale", "--bundle", tiny_bundle, source, "-o", target, "--json")
    assert result.exit_code == 0, result.stderr
    with SourceFile(source) as before, SourceFile(target) as after:
        assert after.sequence == before.sequence
        for small, large in zip(before.frames(), after.frames(), strict=True):
            assert large.duration_ms == small.duration_ms
            assert large.picture.size_px == tuple(2 * side for side in small.picture.size_px)
    assert json.loads(result.stdout)["images"][0]["frames"] == (2 if suffix == ".tif" else 3)


def test_an_animation_needs_a_format_that_holds_it(run_cli, tiny_bundle: Path, images: Path, tmp_path: Path) -> None:
    source = images / "programs" / "gifsicle_optimized.gif"
    result = run_cli("upscale", "--bundle", tiny_bundle, source, "-o", tmp_path / "out.jpg")
    assert result.exit_code == 1
    assert "out.jpg: JPEG cannot hold an animation of 3 frames" in result.stderr
    assert outputs(tmp_path) == []
