import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from qsr_edge.data import atomic, images
from qsr_edge.data.images import Picture, read_picture, write_picture
from qsr_edge.errors import ImageError, OutputExistsError

HERE = Path(__file__).parents[2] / "images"


def gradient(height: int = 12, width: int = 18) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    return np.stack([x * 255 // (width - 1), y * 255 // (height - 1), (x + y) * 5 % 256], axis=2).astype(np.uint8)


def test_rgb_is_read_as_it_is(tmp_path: Path) -> None:
    Image.fromarray(gradient()).save(tmp_path / "a.png")
    picture = read_picture(tmp_path / "a.png")
    assert np.array_equal(picture.rgb, gradient())
    assert picture.alpha is None
    assert not picture.grey


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_rotation_is_applied(tmp_path: Path, orientation: int) -> None:
    image = Image.fromarray(gradient())
    exif = image.getexif()
    exif[0x0112] = orientation
    image.save(tmp_path / "a.png", exif=exif)
    upright = read_picture(tmp_path / "a.png").rgb
    turned = {1: lambda a: a, 2: lambda a: a[:, ::-1], 3: lambda a: a[::-1, ::-1], 4: lambda a: a[::-1],
              5: lambda a: a.swapaxes(0, 1), 6: lambda a: np.rot90(a, -1), 7: lambda a: np.rot90(a, 2).swapaxes(0, 1),
              8: lambda a: np.rot90(a)}[orientation]  # fmt: skip
    assert np.array_equal(upright, turned(gradient()))


def test_alpha_is_kept(tmp_path: Path) -> None:
    alpha = gradient()[..., 0]
    Image.fromarray(np.dstack([gradient(), alpha])).save(tmp_path / "a.png")
    picture = read_picture(tmp_path / "a.png")
    assert picture.alpha is not None
    assert np.array_equal(picture.alpha, alpha)
    assert np.array_equal(picture.rgb, gradient())
    write_picture(tmp_path / "b.png", picture)
    again = read_picture(tmp_path / "b.png")
    assert again.alpha is not None
    assert np.array_equal(again.alpha, alpha)


def test_palette_transparency_becomes_alpha() -> None:
    picture = read_picture(HERE / "palette_transparent.png")
    assert picture.alpha is not None
    assert picture.alpha.min() == 0
    assert picture.alpha.max() == 255


def test_grey_stays_grey(tmp_path: Path) -> None:
    grey = gradient()[..., 1]
    Image.fromarray(grey).save(tmp_path / "a.png")
    picture = read_picture(tmp_path / "a.png")
    assert picture.grey
    assert all(np.array_equal(picture.rgb[..., c], grey) for c in range(3))
    write_picture(tmp_path / "b.png", picture)
    with Image.open(tmp_path / "b.png") as image:
        assert image.mode == "L"
        assert np.array_equal(np.asarray(image), grey)


def test_sixteen_bit_grey_is_rounded(tmp_path: Path) -> None:
    samples = np.array([[0, 128, 129, 257, 32768, 65535, 65407, 65406]], np.uint16)
    Image.fromarray(samples).save(tmp_path / "a.png")
    expected = np.rint(samples.astype(float) / 257)
    assert read_picture(tmp_path / "a.png").rgb[..., 0].tolist() == expected.astype(int).tolist()


def sixteen_bit_colour_png() -> bytes:
    import struct
    import zlib

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    rows = b"".join(b"\0" + bytes(range(12)) for _ in range(2))
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 2, 2, 16, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def test_what_would_be_damaged_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(sixteen_bit_colour_png())
    with pytest.raises(ImageError, match="16 bits a channel"):
        read_picture(path)
    frames = [Image.fromarray(gradient()), Image.fromarray(gradient()[::-1])]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    with pytest.raises(ImageError, match="2 frames"):
        read_picture(tmp_path / "a.gif")
    Image.fromarray(np.zeros((4, 4), np.float32)).save(tmp_path / "a.tif")
    with pytest.raises(ImageError, match="type F"):
        read_picture(tmp_path / "a.tif")


def test_colour_profiles_are_applied(tmp_path: Path) -> None:
    path = HERE / "icc_wide_gamut.jpg"
    with Image.open(path) as image:
        plain = np.asarray(image.convert("RGB")).astype(int)
    assert np.abs(read_picture(path).rgb - plain).mean() > 2
    image = Image.fromarray(gradient())
    image.save(tmp_path / "bad.png", icc_profile=b"not a profile")
    with pytest.raises(ImageError, match="colour profile"):
        read_picture(tmp_path / "bad.png")


def test_cmyk_becomes_rgb() -> None:
    assert read_picture(HERE / "cmyk.jpg").rgb.shape[2] == 3


@pytest.mark.parametrize(
    ("content", "message"), [(b"", "known format"), (b"hello", "known format"), (None, "no such file")]
)
def test_what_is_no_picture_is_named(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "x.png"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ImageError, match=message) as caught:
        read_picture(path)
    assert str(path) in str(caught.value)
    with pytest.raises(ImageError, match="folder"):
        read_picture(tmp_path)


def test_bombs_are_refused_by_their_header(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("1", (20_000, 20_000)).save(tmp_path / "bomb.png")
    with pytest.raises(ImageError, match="20000x20000 pixels|more than"):
        read_picture(tmp_path / "bomb.png")
    monkeypatch.setattr(images, "MAX_PIXELS", 100)
    Image.fromarray(gradient()).save(tmp_path / "a.png")
    with pytest.raises(ImageError, match="18x12 pixels, at most 100"):
        read_picture(tmp_path / "a.png")


@given(data=st.data())
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_damaged_files_give_a_picture_or_an_image_error(tmp_path: Path, data: st.DataObject) -> None:
    buffer = io.BytesIO()
    image_format = data.draw(st.sampled_from(["PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF"]))
    Image.fromarray(gradient()).save(buffer, image_format)
    content = bytearray(buffer.getvalue())
    if data.draw(st.booleans()):
        del content[data.draw(st.integers(0, len(content) - 1)) :]
    else:
        content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    path = tmp_path / "damaged"
    path.write_bytes(content)
    try:
        picture = read_picture(path)
    except ImageError as error:
        assert str(path) in str(error)
    else:
        assert picture.rgb.dtype == np.uint8
        assert picture.rgb.ndim == 3


def test_writing_refuses_what_it_cannot_do(tmp_path: Path) -> None:
    picture = Picture(rgb=gradient(), alpha=gradient()[..., 0], grey=False)
    with pytest.raises(ImageError, match=r"use \.png"):
        write_picture(tmp_path / "a.xyz", picture)
    with pytest.raises(ImageError, match="no transparency"):
        write_picture(tmp_path / "a.jpg", picture)
    write_picture(tmp_path / "a.png", picture)
    with pytest.raises(OutputExistsError, match="--force"):
        write_picture(tmp_path / "a.png", picture)
    write_picture(tmp_path / "a.png", picture, overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_a_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(atomic.os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_picture(tmp_path / "a.png", Picture(rgb=gradient(), alpha=None, grey=False))
    assert not list(tmp_path.iterdir())
