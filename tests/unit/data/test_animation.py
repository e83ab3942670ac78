"""Animations and pages, from files that other programs made, through every format that holds them."""

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from qsr_edge.data.animation import Sequence, encode_frames, refusal_of_sequence
from qsr_edge.data.decoding import Frame
from qsr_edge.data.output_format import FORMATS
from qsr_edge.data.picture import Picture
from qsr_edge.errors import ImageError
from qsr_edge.runtime.picture_files import SourceFile
from tests.support.pictures import noise

ANIMATIONS = {
    "imagemagick_cleared.gif": ([70, 120, 0], 3),
    "gifsicle_optimized.gif": ([50, 250, 100], 0),
    "gifsicle_once.gif": ([50, 250, 100], 1),
    "gif2webp_cleared.webp": ([70, 120, 100], 3),
    "apngasm_cleared.png": ([70, 120, 170], 3),
}


def shown(picture: Picture, *, binary: bool = False) -> NDArray[np.uint8]:
    """What is seen, (H, W, 4): colours under transparent pixels are none."""
    alpha = np.full(picture.rgb.shape[:2], 255, np.uint8) if picture.alpha is None else picture.alpha
    if binary:
        alpha = np.where(alpha >= 128, 255, 0).astype(np.uint8)
    return np.dstack([np.where(alpha[:, :, np.newaxis] > 0, picture.rgb, 0), alpha])


def read(content: bytes) -> tuple[Sequence | None, list[Frame]]:
    with SourceFile(Path("again"), content=content) as source:
        return source.sequence, list(source.frames()) if source.sequence else []


@pytest.mark.parametrize("name", ANIMATIONS)
def test_frames_are_read_whole_with_their_durations(images: Path, name: str) -> None:
    durations_ms, loops = ANIMATIONS[name]
    with SourceFile(images / "programs" / name) as source:
        assert source.sequence == Sequence(frame_count=3, loops=loops)
        frames = list(source.frames())
    assert [frame.duration_ms for frame in frames] == durations_ms
    assert {frame.picture.size_px for frame in frames} == {(32, 24)}
    for index, frame in enumerate(frames):
        # The disc stands at 8, 16 and 24, and nowhere else: what the frame before showed is gone.
        row = shown(frame.picture)[12, [8, 16, 24]]
        assert [tuple(pixel[:3]) == (0x20, 0x60, 0xC0) for pixel in row] == [each == index for each in range(3)]


@pytest.mark.parametrize("suffix", [".gif", ".png", ".webp"])
@pytest.mark.parametrize("name", ANIMATIONS)
def test_what_is_seen_stays_the_same_in_every_format(images: Path, name: str, suffix: str) -> None:
    with SourceFile(images / "programs" / name) as source:
        sequence = source.sequence
        assert sequence is not None
        frames = list(source.frames())
    file = io.BytesIO()
    encode_frames(iter(frames), sequence, FORMATS[suffix], file)
    written, again = read(file.getvalue())
    assert written == sequence
    assert [frame.duration_ms for frame in again] == [frame.duration_ms for frame in frames]
    for before, after in zip(frames, again, strict=True):
        expected = shown(before.picture, binary=suffix == ".gif")
        got = shown(after.picture)
        if suffix == ".gif" and name.startswith("apngasm"):  # soft edges have more colours than a palette
            assert np.array_equal(got[:, :, 3], expected[:, :, 3])
            assert np.abs(got.astype(int) - expected).mean() < 2
        else:
            np.testing.assert_array_equal(got, expected)


def test_a_picture_that_is_no_frame_is_kept_where_it_can_be(images: Path) -> None:
    with SourceFile(images / "programs" / "apngasm_hidden_first.png") as source:
        sequence = source.sequence
        assert sequence == Sequence(frame_count=3, loops=1, hidden_first=True)
        frames = list(source.frames())
    file = io.BytesIO()
    encode_frames(iter(frames), sequence, FORMATS[".png"], file)
    written, again = read(file.getvalue())
    assert written == sequence
    for before, after in zip(frames, again, strict=True):
        np.testing.assert_array_equal(shown(after.picture), shown(before.picture))
    file = io.BytesIO()
    (note, _) = encode_frames(iter(frames), sequence, FORMATS[".webp"], file)
    assert "shown where animations are not" in note
    written, again = read(file.getvalue())
    assert written == Sequence(frame_count=2, loops=1)
    np.testing.assert_array_equal(shown(again[0].picture), shown(frames[1].picture))


def test_pages_keep_their_sizes(images: Path) -> None:
    with SourceFile(images / "programs" / "tiffcp_pages.tif") as source:
        sequence = source.sequence
        assert sequence == Sequence(frame_count=2, pages=True)
        frames = list(source.frames())
    assert [frame.picture.size_px for frame in frames] == [(24, 20), (30, 16)]
    assert [frame.picture.grey for frame in frames] == [False, True]
    file = io.BytesIO()
    encode_frames(iter(frames), sequence, FORMATS[".tif"], file)
    written, again = read(file.getvalue())
    assert written == sequence
    for before, after in zip(frames, again, strict=True):
        np.testing.assert_array_equal(after.picture.rgb, before.picture.rgb)
        assert after.picture.grey == before.picture.grey


def frames_of(*pictures: Picture) -> Iterator[Frame]:
    return (Frame(picture=picture, duration_ms=40) for picture in pictures)


@pytest.mark.parametrize("suffix", [".gif", ".png", ".webp"])
def test_what_turns_transparent_again_is_not_left_over(suffix: str) -> None:
    rgb = np.full((10, 10, 3), 80, np.uint8)
    opaque = np.full((10, 10), 255, np.uint8)
    holed = opaque.copy()
    holed[3:6, 3:6] = 0
    pictures = [Picture(rgb=rgb, alpha=alpha, grey=False) for alpha in (opaque, holed, opaque, holed * 0)]
    file = io.BytesIO()
    encode_frames(frames_of(*pictures), Sequence(frame_count=4), FORMATS[suffix], file)
    _, again = read(file.getvalue())
    for before, after in zip(pictures, again, strict=True):
        np.testing.assert_array_equal(shown(after.picture), shown(before))


def test_only_what_changed_is_written() -> None:
    first = noise(64, 64, 3)
    second = first.copy()
    second[10:14, 20:24] = 0
    pictures = [Picture(rgb=rgb, alpha=None, grey=False) for rgb in (first, second, second)]
    file = io.BytesIO()
    encode_frames(frames_of(*pictures), Sequence(frame_count=3), FORMATS[".png"], file)
    with Image.open(file) as image:
        image.seek(1)
        assert image.info["bbox"] == (20, 10, 24, 14)
        image.seek(2)
        assert image.info["bbox"] == (0, 0, 1, 1)


def test_frames_are_taken_one_at_a_time() -> None:
    alive = 0
    most = 0

    class Counted(Picture):
        __slots__ = ()

        def __del__(self) -> None:
            nonlocal alive
            alive -= 1

    def frames() -> Iterator[Frame]:
        nonlocal alive, most
        for _ in range(12):
            alive += 1
            most = max(most, alive)
            yield Frame(picture=Counted(rgb=noise(8, 8, 3), alpha=None, grey=False), duration_ms=10)

    for suffix in (".gif", ".png", ".webp"):
        most = 0
        encode_frames(frames(), Sequence(frame_count=12), FORMATS[suffix], io.BytesIO())
        assert most <= 4


def test_refusals() -> None:
    animation, pages = Sequence(frame_count=3), Sequence(frame_count=2, pages=True)
    assert "JPEG cannot hold an animation of 3 frames; use .png" in refusal_of_sequence(FORMATS[".jpg"], animation)
    assert "TIFF cannot hold an animation" in refusal_of_sequence(FORMATS[".tif"], animation)
    assert "PNG cannot hold 2 pages; use the suffix .tif" in refusal_of_sequence(FORMATS[".png"], pages)
    assert not refusal_of_sequence(FORMATS[".tif"], pages)
    two_sizes = frames_of(*(Picture(rgb=noise(8, side, 3), alpha=None, grey=False) for side in (8, 9)))
    with pytest.raises(ImageError, match="a frame has"):
        encode_frames(two_sizes, Sequence(frame_count=2), FORMATS[".png"], io.BytesIO())
