import os
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageOps

from qsr_edge.data import decoding
from qsr_edge.data.images import Picture, read_picture
from qsr_edge.data.picture import join_16_bits, split_16_bits
from qsr_edge.errors import ImageError, QsrWarning
from tests.support.pictures import JPEG_LEVELS, encoded, in_file, noise, smooth, unprivileged, unprivileged_folder

FUZZ = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


def png(samples: NDArray[np.integer], colour_type: int, bits: int, extra: bytes = b"") -> bytes:
    """A PNG by the specification, for what Pillow does not write; rows are given packed if ``bits`` is less than 8."""
    height, width = samples.shape[:2]
    rows = samples.astype(">u2" if bits == 16 else "u1")
    data = b"".join(b"\0" + row.tobytes() for row in rows)
    width = width * 8 // bits if bits < 8 else width
    header = struct.pack(">IIBBBBB", width, height, bits, colour_type, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + extra
        + chunk(b"IDAT", zlib.compress(data))
        + chunk(b"IEND", b"")
    )


def chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def tiff(samples: NDArray[np.integer], *, order: str, deflate: bool, photometric: int, planar: int = 1) -> bytes:
    """A one-strip TIFF 6.0 file of 16 bits per channel; ``order``: < or >."""
    height, width, channels = samples.shape
    if planar == 2:
        samples = samples.transpose(2, 0, 1)
    data = samples.astype(f"{order}u2").tobytes()
    data = zlib.compress(data) if deflate else data
    entries = [
        (256, 4, 1, width),
        (257, 4, 1, height),
        (258, 3, channels, None),
        (259, 3, 1, 8 if deflate else 1),
        (262, 3, 1, photometric),
        (273, 4, 1, 8),
        (277, 3, 1, channels),
        (278, 4, 1, height),
        (279, 4, 1, len(data)),
        (284, 3, 1, planar),
        *([(338, 3, 1, 2)] if channels == 4 else []),
    ]
    data += b"\0" * (len(data) % 2)
    bits_at = 8 + len(data)
    bits = struct.pack(f"{order}{channels}H", *[16] * channels)
    directory = struct.pack(f"{order}H", len(entries))
    for tag, kind, count, value in entries:
        if value is None and count > 2:
            field = struct.pack(f"{order}I", bits_at)
        elif value is None:
            field = bits.ljust(4, b"\0")
        else:
            field = struct.pack(f"{order}{'HH' if kind == 3 else 'I'}", *([value, 0] if kind == 3 else [value]))
        directory += struct.pack(f"{order}HHI", tag, kind, count) + field
    magic = b"II*\0" if order == "<" else b"MM\0*"
    return magic + struct.pack(f"{order}I", bits_at + len(bits)) + data + bits + directory + bytes(4)


def to_8_bits(samples: NDArray[np.integer]) -> NDArray[np.uint8]:
    return np.rint(samples / 257).astype(np.uint8)


class TestRead:
    def test_plain_colour(self, tmp_path: Path) -> None:
        picture = read_picture(in_file(tmp_path, "a.png", encoded(Image.fromarray(smooth()), "PNG")))
        assert np.array_equal(picture.rgb, smooth())
        assert picture.alpha is None
        assert not picture.grey
        assert not picture.translucent

    @pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF", "BMP", "GIF", "PPM"])
    def test_kind_is_told_by_content_not_by_name(self, tmp_path: Path, kind: str) -> None:
        options = {"lossless": True} if kind == "WEBP" else {}
        expected = smooth() if kind != "GIF" else np.repeat(smooth()[:, :, :1], 3, axis=2)
        image = Image.fromarray(expected if kind != "GIF" else expected[:, :, 0])
        assert np.array_equal(
            read_picture(in_file(tmp_path, "picture.png", encoded(image, kind, **options))).rgb, expected
        )

    def test_greyscale(self, images: Path) -> None:
        picture = read_picture(images / "grey_48x40.png")
        level = np.asarray(Image.open(images / "grey_48x40.png"))
        assert picture.grey
        assert all(np.array_equal(picture.rgb[:, :, channel], level) for channel in range(3))

    def test_black_and_white(self, tmp_path: Path) -> None:
        ink = noise(6, 9) > 127
        picture = read_picture(in_file(tmp_path, "a.png", encoded(Image.fromarray(ink), "PNG")))
        assert picture.grey
        assert np.array_equal(picture.rgb[:, :, 0], np.where(ink, 255, 0))

    def test_palette(self, tmp_path: Path) -> None:
        image = Image.fromarray(smooth()).quantize(16)
        picture = read_picture(in_file(tmp_path, "a.png", encoded(image, "PNG")))
        assert np.array_equal(picture.rgb, np.asarray(image.convert("RGB")))
        assert picture.alpha is None

    def test_camera_file_with_preview_gives_the_main_picture(self, tmp_path: Path) -> None:
        image = Image.fromarray(smooth(16, 16))
        content = encoded(image, "MPO", save_all=True, append_images=[image.resize((8, 8))])
        assert read_picture(in_file(tmp_path, "a.jpg", content)).rgb.shape == (16, 16, 3)

    @pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1)])
    def test_smallest(self, tmp_path: Path, shape: tuple[int, int]) -> None:
        image = Image.fromarray(noise(*shape, 3))
        assert read_picture(in_file(tmp_path, "a.png", encoded(image, "PNG"))).rgb.shape == (*shape, 3)

    def test_arrays_may_be_written_to(self, tmp_path: Path) -> None:
        picture = read_picture(in_file(tmp_path, "a.png", encoded(Image.fromarray(noise(4, 4, 4)), "PNG")))
        assert picture.rgb.flags.writeable
        assert picture.alpha is not None
        assert picture.alpha.flags.writeable


class TestOrientation:
    @pytest.mark.parametrize("orientation", range(1, 9))
    @pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
    def test_all_orientations(self, tmp_path: Path, kind: str, orientation: int) -> None:
        exif = Image.Exif()
        exif[0x0112] = orientation
        image = Image.fromarray(np.dstack([smooth(), noise(12, 20)]))
        content = encoded(image, kind, exif=exif, **({"lossless": True, "exact": True} if kind == "WEBP" else {}))
        picture = read_picture(in_file(tmp_path, "a", content))
        image.getexif()[0x0112] = orientation
        upright = np.asarray(ImageOps.exif_transpose(image))
        assert np.array_equal(picture.rgb, upright[:, :, :3])
        assert picture.alpha is not None
        assert np.array_equal(picture.alpha, upright[:, :, 3])

    def test_quarter_turn_by_hand(self, tmp_path: Path) -> None:
        # Orientation 6: the stored rows run down the right side, so the first stored row is the last column.
        exif = Image.Exif()
        exif[0x0112] = 6
        picture = read_picture(in_file(tmp_path, "a.png", encoded(Image.fromarray(smooth()), "PNG", exif=exif)))
        assert np.array_equal(picture.rgb[:, -1], smooth()[0])

    def test_photo(self, images: Path, photo: Path) -> None:
        picture = read_picture(images / "exif_rotated.jpg")
        # The crop that tests/images/make.py took.
        upright = read_picture(photo).rgb[200:264, 256:352].astype(np.int16)
        assert picture.rgb.shape == upright.shape
        assert np.abs(picture.rgb - upright).mean() < JPEG_LEVELS

    def test_unknown_orientation_is_upright(self, tmp_path: Path) -> None:
        exif = Image.Exif()
        exif[0x0112] = 9
        picture = read_picture(in_file(tmp_path, "a.png", encoded(Image.fromarray(smooth()), "PNG", exif=exif)))
        assert np.array_equal(picture.rgb, smooth())


class TestAlpha:
    def test_soft(self, images: Path) -> None:
        picture = read_picture(images / "rgba_soft_alpha.png")
        stored = np.asarray(Image.open(images / "rgba_soft_alpha.png"))
        assert picture.alpha is not None
        assert picture.translucent
        assert np.array_equal(picture.rgb, stored[:, :, :3])
        assert np.array_equal(picture.alpha, stored[:, :, 3])

    def test_palette(self, images: Path) -> None:
        picture = read_picture(images / "palette_transparent.png")
        assert picture.alpha is not None
        assert (picture.alpha[:16, :24] == 0).all()
        assert (picture.alpha[16:] == 255).all()

    def test_grey(self, tmp_path: Path) -> None:
        samples = noise(5, 8, 2)
        picture = read_picture(in_file(tmp_path, "a.png", encoded(Image.fromarray(samples, "LA"), "PNG")))
        assert picture.grey
        assert picture.alpha is not None
        assert np.array_equal(picture.rgb[:, :, 2], samples[:, :, 0])
        assert np.array_equal(picture.alpha, samples[:, :, 1])

    def test_one_transparent_colour(self, tmp_path: Path) -> None:
        rgb = smooth()
        picture = read_picture(
            in_file(tmp_path, "a.png", png(rgb, 2, 8, chunk(b"tRNS", struct.pack(">3H", *rgb[3, 4].tolist()))))
        )
        expected = np.full(rgb.shape[:2], 255)
        expected[3, 4] = 0
        assert np.array_equal(picture.rgb, rgb)
        assert np.array_equal(picture.alpha, expected)

    def test_one_transparent_level(self, tmp_path: Path) -> None:
        level = np.arange(24, dtype=np.uint8).reshape(4, 6) * 3
        picture = read_picture(in_file(tmp_path, "a.png", png(level, 0, 8, chunk(b"tRNS", struct.pack(">H", 21)))))
        assert picture.grey
        assert np.array_equal(picture.alpha, np.where(level == 21, 0, 255))

    @pytest.mark.parametrize(("bits", "row"), [(4, [0x01, 0x2F]), (2, [0b00_01_10_11]), (1, [0b00101101])])
    def test_one_transparent_level_of_few_bits(self, tmp_path: Path, bits: int, row: list[int]) -> None:
        # The level is counted in the file's own bit depth (PNG, 11.3.2.1).
        packed = np.array([row], np.uint8)
        levels = np.unpackbits(packed).reshape(-1, bits) @ (1 << np.arange(bits)[::-1])
        content = png(packed, 0, bits, chunk(b"tRNS", struct.pack(">H", 1)))
        picture = read_picture(in_file(tmp_path, "a.png", content))
        assert np.array_equal(picture.rgb[0, :, 0], levels * 255 // (2**bits - 1))
        assert np.array_equal(picture.alpha, np.where(levels == 1, 0, 255)[np.newaxis])

    def test_gif(self, tmp_path: Path) -> None:
        image = Image.fromarray(smooth()).quantize(8)
        index = np.asarray(image)
        picture = read_picture(in_file(tmp_path, "a.gif", encoded(image, "GIF", transparency=int(index[0, 0]))))
        assert np.array_equal(picture.alpha, np.where(index == index[0, 0], 0, 255))


class TestSixteenBits:
    def test_grey_photo_is_rounded_not_cut(self, images: Path) -> None:
        samples = np.asarray(Image.open(images / "grey_16bit.png"), dtype=np.int64)
        picture = read_picture(images / "grey_16bit.png")
        assert picture.grey
        assert np.array_equal(picture.rgb[:, :, 0], to_8_bits(samples))
        assert not np.array_equal(picture.rgb[:, :, 0], samples >> 8)

    @pytest.mark.parametrize(("colour_type", "channels"), [(0, 1), (4, 2), (2, 3), (6, 4)])
    def test_png(self, tmp_path: Path, colour_type: int, channels: int) -> None:
        samples = np.random.default_rng(5).integers(0, 65536, (31, 17, channels))
        picture = read_picture(in_file(tmp_path, "a.png", png(samples, colour_type, 16)))
        expected = to_8_bits(samples)
        assert picture.grey == (channels < 3)
        assert np.array_equal(picture.rgb, np.broadcast_to(expected[:, :, : 3 if channels > 2 else 1], (31, 17, 3)))
        if channels in (2, 4):
            assert np.array_equal(picture.alpha, expected[:, :, -1])
        else:
            assert picture.alpha is None

    @pytest.mark.parametrize(("colour_type", "channels"), [(0, 1), (2, 3)])
    def test_png_with_a_transparent_colour(self, tmp_path: Path, colour_type: int, channels: int) -> None:
        # Neighbours that differ from the transparent colour in the low byte only are opaque.
        samples = 5000 + np.arange(4 * 6 * channels).reshape(4, 6, channels)
        key = chunk(b"tRNS", struct.pack(f">{channels}H", *samples[1, 2].tolist()))
        picture = read_picture(in_file(tmp_path, "a.png", png(samples, colour_type, 16, key)))
        expected = np.full((4, 6), 255)
        expected[1, 2] = 0
        assert np.array_equal(picture.alpha, expected)

    @pytest.mark.parametrize("channels", [1, 3, 4])
    @pytest.mark.parametrize("deflate", [False, True])
    @pytest.mark.parametrize("order", ["<", ">"])
    def test_tiff(self, tmp_path: Path, order: str, deflate: bool, channels: int) -> None:
        samples = np.random.default_rng(6).integers(0, 65536, (9, 14, channels))
        content = tiff(samples, order=order, deflate=deflate, photometric=1 if channels == 1 else 2)
        picture = read_picture(in_file(tmp_path, "a.tif", content))
        expected = to_8_bits(samples)
        assert np.array_equal(picture.rgb, np.broadcast_to(expected[:, :, :3], (9, 14, 3)))
        assert (picture.alpha is not None) == (channels == 4)
        if channels == 4:
            assert np.array_equal(picture.alpha, expected[:, :, 3])

    @pytest.mark.parametrize("deflate", [False, True])
    def test_tiff_with_white_as_zero_is_no_negative(self, tmp_path: Path, deflate: bool) -> None:
        samples = np.random.default_rng(6).integers(0, 65536, (9, 14, 1))
        content = tiff(samples, order="<", deflate=deflate, photometric=0)
        picture = read_picture(in_file(tmp_path, "a.tif", content))
        assert np.array_equal(picture.rgb[:, :, :1], to_8_bits(65535 - samples))

    @pytest.mark.parametrize("deflate", [False, True])
    def test_tiff_in_planes_is_refused(self, tmp_path: Path, deflate: bool) -> None:
        content = tiff(noise(8, 8, 3).astype(np.uint16), order="<", deflate=deflate, photometric=2, planar=2)
        with pytest.raises(ImageError, match=r"a\.tif: .*8 bits per channel, as PNG"):
            read_picture(in_file(tmp_path, "a.tif", content))

    def test_pgm(self, tmp_path: Path) -> None:
        samples = np.arange(0, 65536, 1021).reshape(5, 13)
        content = b"P5 13 5 65535\n" + samples.astype(">u2").tobytes()
        assert np.array_equal(read_picture(in_file(tmp_path, "a.pgm", content)).rgb[:, :, 0], to_8_bits(samples))

    @given(level=st.integers(0, 65535))
    def test_rounding(self, level: int) -> None:
        whole, rest = split_16_bits(np.array([[level]], np.uint16))
        assert 257 * int(whole[0, 0]) + int(rest[0, 0]) == level
        assert abs(int(rest[0, 0])) <= 128
        assert join_16_bits(whole, rest) == level


class TestColourProfile:
    def test_wide_gamut_becomes_srgb(self, images: Path) -> None:
        picture = read_picture(images / "icc_wide_gamut.jpg")
        expected = np.asarray(Image.open(images / "rgb_96x64.png"), dtype=np.int16)
        ignored = np.asarray(Image.open(images / "icc_wide_gamut.jpg"), dtype=np.int16)
        assert np.abs(picture.rgb - expected).mean() < 2
        assert np.abs(ignored - expected).mean() > 6

    def test_srgb_changes_nothing(self, tmp_path: Path) -> None:
        profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
        rgb = noise(40, 40, 3)
        picture = read_picture(in_file(tmp_path, "a.png", encoded(Image.fromarray(rgb), "PNG", icc_profile=profile)))
        assert np.array_equal(picture.rgb, rgb)

    def test_alpha_is_no_colour(self, tmp_path: Path, images: Path) -> None:
        with Image.open(images / "icc_wide_gamut.jpg") as image:
            profile = image.info["icc_profile"]
        samples = np.dstack([smooth(), noise(12, 20)])
        with_alpha = encoded(Image.fromarray(samples), "PNG", icc_profile=profile)
        without = encoded(Image.fromarray(smooth()), "PNG", icc_profile=profile)
        picture = read_picture(in_file(tmp_path, "a.png", with_alpha))
        assert np.array_equal(picture.alpha, samples[:, :, 3])
        assert np.array_equal(picture.rgb, read_picture(in_file(tmp_path, "b.png", without)).rgb)
        assert not np.array_equal(picture.rgb, smooth())

    def test_grey_with_the_profile_of_a_colour_screen(self, tmp_path: Path) -> None:
        profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
        level = noise(9, 9)
        picture = read_picture(in_file(tmp_path, "a.png", encoded(Image.fromarray(level), "PNG", icc_profile=profile)))
        assert picture.grey
        assert np.array_equal(picture.rgb[:, :, 1], level)
        assert np.array_equal(picture.rgb[:, :, 0], picture.rgb[:, :, 2])

    @pytest.mark.parametrize("profile", [b"no profile at all", bytes(200)])
    def test_broken(self, tmp_path: Path, profile: bytes) -> None:
        path = in_file(tmp_path, "a.jpg", encoded(Image.fromarray(smooth()), "JPEG", icc_profile=profile))
        with pytest.raises(ImageError, match=r"a\.jpg: the embedded colour profile is broken .*exiftool -icc_profile="):
            read_picture(path)

    def test_broken_compression_of_the_profile(self, tmp_path: Path) -> None:
        content = png(smooth(), 2, 8, chunk(b"iCCP", b"name\0\0" + b"not deflated"))
        with pytest.raises(ImageError, match="the embedded colour profile is broken"):
            read_picture(in_file(tmp_path, "a.png", content))

    def test_of_other_colours_than_the_pixels(self, tmp_path: Path) -> None:
        profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
        path = in_file(tmp_path, "a.png", encoded(Image.fromarray(smooth()), "PNG", icc_profile=profile))
        with pytest.raises(ImageError, match="of another kind than the pixels"):
            read_picture(path)

    def test_inks_without_a_profile(self, images: Path) -> None:
        picture = read_picture(images / "cmyk.jpg")
        assert np.array_equal(picture.rgb, np.asarray(Image.open(images / "cmyk.jpg").convert("RGB")))


class TestRefusal:
    @pytest.mark.parametrize("suffix", ["gif", "png", "webp", "tif"])
    def test_several_frames(self, tmp_path: Path, suffix: str) -> None:
        frames = [Image.fromarray(noise(8, 8, 3)), Image.fromarray(smooth(8, 8)), Image.fromarray(noise(8, 8, 3))]
        path = tmp_path / f"a.{suffix}"
        frames[0].save(path, save_all=True, append_images=frames[1:])
        with pytest.raises(ImageError, match=rf"a\.{suffix}: has 3 frames or pages; save the one that you want"):
            read_picture(path)

    @pytest.mark.parametrize("dtype", [np.float32, np.int32])
    def test_numbers_that_are_no_levels(self, tmp_path: Path, dtype: type) -> None:
        path = in_file(tmp_path, "a.tif", encoded(Image.fromarray(np.zeros((4, 4), dtype)), "TIFF"))
        with pytest.raises(ImageError, match=r"a\.tif: has 32 bits .*save it with 8 bits per channel"):
            read_picture(path)

    def test_lab(self, tmp_path: Path) -> None:
        path = in_file(tmp_path, "a.tif", encoded(Image.fromarray(smooth(), "LAB"), "TIFF"))
        with pytest.raises(ImageError, match="colours of the kind LAB; save it as RGB"):
            read_picture(path)

    # Pillow itself warns above 89 and refuses above 179 million pixels.
    @pytest.mark.parametrize("side", [8193, 10_000, 60_000])
    def test_decompression_bomb(self, tmp_path: Path, side: int) -> None:
        header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
        content = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000)))
        with pytest.raises(ImageError, match=rf"a\.png: has .*more than {decoding.MAX_PIXELS}.*cut it into parts"):
            read_picture(in_file(tmp_path, "a.png", content + chunk(b"IEND", b"")))

    def test_largest_is_not_refused_by_its_header(self, tmp_path: Path) -> None:
        side = 8192
        header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
        content = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"")
        with pytest.raises(ImageError, match="damaged or cut off"):
            read_picture(in_file(tmp_path, "a.png", content))

    def test_missing(self, tmp_path: Path) -> None:
        with pytest.raises(ImageError, match=r"a\.png: no such file"):
            read_picture(tmp_path / "a.png")

    def test_folder(self, tmp_path: Path) -> None:
        with pytest.raises(ImageError, match="is a folder, not a picture"):
            read_picture(tmp_path)

    def test_empty(self, tmp_path: Path) -> None:
        with pytest.raises(ImageError, match=r"a\.png: is empty"):
            read_picture(in_file(tmp_path, "a.png", b""))

    def test_pipe(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "a.png")
        with pytest.raises(ImageError, match="is not a regular file"):
            read_picture(tmp_path / "a.png")

    @pytest.mark.parametrize("content", [b"hello", b"\0" * 5000, b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"])
    def test_no_picture(self, tmp_path: Path, content: bytes) -> None:
        with pytest.raises(ImageError, match=r"a\.png: is not a picture that can be read \(PNG, JPEG, "):
            read_picture(in_file(tmp_path, "a.png", content))

    @pytest.mark.parametrize("name", ["a\0b.png", "x" * 300 + ".png", "a.png/b.png"])
    def test_impossible_name(self, tmp_path: Path, name: str) -> None:
        in_file(tmp_path, "a.png", b"content")
        with pytest.raises(ImageError, match="check the name"):
            read_picture(tmp_path / name)

    @pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF", "PPM"])
    def test_cut_in_the_middle(self, tmp_path: Path, kind: str) -> None:
        content = encoded(Image.fromarray(noise(40, 40, 3)), kind)
        with pytest.raises(ImageError, match="damaged"):
            read_picture(in_file(tmp_path, "a", content[: len(content) // 2]))

    def test_no_permission(self) -> None:
        with unprivileged_folder() as folder:
            path = in_file(folder, "a.png", encoded(Image.fromarray(smooth()), "PNG"))
            path.chmod(0)
            with unprivileged(), pytest.raises(ImageError, match=r"a\.png: no permission to read it"):
                read_picture(path)


class TestDamage:
    @FUZZ
    @given(data=st.data())
    def test_cut_anywhere(self, tmp_path: Path, data: st.DataObject) -> None:
        content = encoded(Image.fromarray(smooth()), data.draw(st.sampled_from(["PNG", "JPEG"])))
        self.check(tmp_path, content[: data.draw(st.integers(0, len(content) - 1))])

    @FUZZ
    @given(data=st.data())
    def test_bytes_changed(self, tmp_path: Path, data: st.DataObject) -> None:
        content = bytearray(encoded(Image.fromarray(smooth()), data.draw(st.sampled_from(["PNG", "JPEG"]))))
        places = st.lists(st.tuples(st.integers(0, len(content) - 1), st.integers(1, 255)), min_size=1, max_size=5)
        for place, change in data.draw(places):
            content[place] ^= change
        self.check(tmp_path, bytes(content))

    @FUZZ
    @given(data=st.data())
    def test_changed_pixels_of_a_png_never_pass(self, tmp_path: Path, data: st.DataObject) -> None:
        content = bytearray(encoded(Image.fromarray(smooth()), "PNG"))
        place = data.draw(st.integers(content.index(b"IDAT") + 4, len(content) - 13))
        content[place] ^= data.draw(st.integers(1, 255))
        with pytest.raises(ImageError, match="damaged"):
            read_picture(in_file(tmp_path, "a", bytes(content)))

    def check(self, folder: Path, content: bytes) -> None:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", QsrWarning)  # what is left out is told, and no fault
                picture = read_picture(in_file(folder, "a", content))
        except ImageError as error:
            assert str(folder / "a") in str(error)  # noqa: PT017 - a picture is right as well
            assert "\n" not in str(error)  # noqa: PT017 - likewise
        else:
            assert isinstance(picture, Picture)


class TestPicture:
    @pytest.mark.parametrize(
        "rgb", [noise(4, 4), noise(4, 4, 4), noise(0, 4, 3), noise(4, 4, 3).astype(np.float32), noise(1, 4, 4, 3)]
    )
    def test_wrong_colours(self, rgb: NDArray[np.uint8]) -> None:
        with pytest.raises(ImageError, match=r"a picture is \(H, W, 3\) uint8"):
            Picture(rgb=rgb, alpha=None, grey=False)

    @pytest.mark.parametrize("alpha", [noise(4, 5), noise(4, 4, 1), noise(4, 4).astype(np.int16)])
    def test_wrong_alpha(self, alpha: NDArray[np.uint8]) -> None:
        with pytest.raises(ImageError, match=r"alpha is uint8 of shape \(4, 4\), got"):
            Picture(rgb=noise(4, 4, 3), alpha=alpha, grey=False)
