"""What other programs wrote is kept, in every format that holds it."""

import io
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageCms

from qsr_edge.data.exif import adapted_exif, adapted_xmp, read_orientation
from qsr_edge.data.images import read_picture, write_picture
from qsr_edge.data.picture import ColourSpace, Metadata, Picture
from qsr_edge.errors import ImageError, QsrWarning
from tests.support.pictures import in_file, noise, smooth

LAB_PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
KEEP_ALL = [".png", ".jpg", ".webp", ".tif"]


@pytest.fixture
def programs(images: Path) -> Path:
    return images / "programs"


def written(path: Path, picture: Picture) -> Picture:
    """What was written, read again; what the format does not hold is no matter here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", QsrWarning)
        write_picture(path, picture)
    return read_picture(path, native=True)


def exif_tags(picture: Picture) -> tuple[Image.Exif, dict[int, object], dict[int, object]]:
    assert picture.metadata.exif is not None
    exif = Image.Exif()
    exif.load(b"Exif\0\0" + picture.metadata.exif)
    return exif, exif.get_ifd(ExifTags.IFD.Exif), exif.get_ifd(ExifTags.IFD.GPSInfo)


class TestCameraFile:
    def test_is_upright_and_says_so(self, programs: Path) -> None:
        picture = read_picture(programs / "exiftool_camera.jpg", native=True)
        assert picture.size_px == (96, 64)
        exif, details, _ = exif_tags(picture)
        assert exif[ExifTags.Base.Orientation] == 1
        assert (details[ExifTags.Base.ExifImageWidth], details[ExifTags.Base.ExifImageHeight]) == (96, 64)
        xmp = picture.metadata.xmp
        assert xmp is not None
        assert b"<tiff:Orientation>1<" in xmp
        assert b"<exif:PixelXDimension>96<" in xmp

    def test_thumbnail_is_gone(self, programs: Path) -> None:
        stored = (programs / "exiftool_camera.jpg").read_bytes()
        assert stored.count(b"\xff\xd8\xff") == 2
        exif = read_picture(programs / "exiftool_camera.jpg", native=True).metadata.exif
        assert exif is not None
        assert b"\xff\xd8\xff" not in exif

    @pytest.mark.parametrize("suffix", KEEP_ALL)
    def test_what_it_tells_is_kept(self, programs: Path, tmp_path: Path, suffix: str) -> None:
        picture = read_picture(programs / "exiftool_camera.jpg", native=True)
        again = written(tmp_path / f"a{suffix}", picture)
        assert again.size_px == (96, 64)
        exif, details, place = exif_tags(again)
        assert exif[ExifTags.Base.Make] == "Test"
        assert exif[ExifTags.Base.Copyright] == "CC0 1.0"
        assert details[ExifTags.Base.DateTimeOriginal] == "2024:05:06 07:08:09"
        assert bytes(details[ExifTags.Base.UserComment]).endswith(b"seen by hand")
        assert [float(each) for each in place[ExifTags.GPS.GPSLatitude]] == [48, 30, 0]
        assert again.metadata.xmp == picture.metadata.xmp
        if suffix != ".webp":
            assert again.metadata.iptc == picture.metadata.iptc
            assert again.metadata.resolution_ppi == pytest.approx((300, 300), rel=1e-4)

    @pytest.mark.parametrize("suffix", [".png", ".jpg", ".gif"])
    def test_comment_is_kept(self, programs: Path, tmp_path: Path, suffix: str) -> None:
        picture = read_picture(programs / "exiftool_camera.jpg", native=True)
        assert written(tmp_path / f"a{suffix}", picture).metadata.text == (("Comment", "a comment"),)

    @pytest.mark.parametrize(
        ("suffix", "told"),
        [
            (".webp", "WEBP does not hold IPTC and the texts Comment"),
            (".bmp", "BMP does not hold EXIF and XMP and IPTC and the texts Comment"),
        ],
    )
    def test_what_is_not_kept_is_told(self, programs: Path, tmp_path: Path, suffix: str, told: str) -> None:
        picture = read_picture(programs / "exiftool_camera.jpg", native=True)
        with pytest.warns(QsrWarning, match=told):
            write_picture(tmp_path / f"a{suffix}", picture)

    @pytest.mark.parametrize("name", ["cwebp_camera.webp", "imagemagick_camera.png", "exiftool_tags.tif"])
    def test_of_other_programs(self, programs: Path, name: str) -> None:
        exif, details, place = exif_tags(read_picture(programs / name, native=True))
        assert exif[ExifTags.Base.Artist] == "A. Person"
        assert details[ExifTags.Base.DateTimeOriginal] == "2024:05:06 07:08:09"
        assert place

    def test_iptc_of_other_programs(self, programs: Path) -> None:
        for name in ("exiftool_camera.jpg", "imagemagick_camera.png", "exiftool_tags.tif"):
            iptc = read_picture(programs / name, native=True).metadata.iptc
            assert iptc is not None
            # Record 2, data set 90: the city (IIM 4.1).
            assert b"\x1c\x02\x5a\x00\x03Ulm" in iptc

    def test_numbers_for_training_carry_no_metadata(self, programs: Path) -> None:
        picture = read_picture(programs / "exiftool_camera.jpg")
        assert picture.metadata == Metadata()
        assert picture.space == ColourSpace()


class TestTexts:
    def test_every_kind_of_text(self, programs: Path, tmp_path: Path) -> None:
        picture = read_picture(programs / "exiftool_chunks.png", native=True)
        assert picture.size_px == (30, 40)
        assert ("Description", "Größe über alles") in picture.metadata.text
        assert written(tmp_path / "a.png", picture).metadata.text == picture.metadata.text
        with Image.open(tmp_path / "a.png") as image:
            assert image.text["Author"] == "A. Person"

    def test_long_and_foreign_texts(self, tmp_path: Path) -> None:
        text = (("Title", "x" * 5000), ("Comment", "日本" * 900), ("Author", "日本"))
        picture = Picture(rgb=smooth(), alpha=None, grey=False, metadata=Metadata(text=text))
        assert written(tmp_path / "a.png", picture).metadata.text == text


class TestExif:
    @pytest.mark.parametrize("endian", ["<", ">"])
    @pytest.mark.parametrize("size_px", [(1, 2), (70_000, 100)])
    def test_dimensions(self, endian: str, size_px: tuple[int, int]) -> None:
        exif = Image.Exif()
        exif.endian = endian
        exif[ExifTags.Base.Orientation] = 3
        exif[ExifTags.Base.ImageWidth] = 7
        exif[ExifTags.Base.Artist] = "A. Person"
        exif.get_ifd(ExifTags.IFD.Exif).update(
            {ExifTags.Base.ExifImageWidth: 7, ExifTags.Base.ExifImageHeight: 8, ExifTags.Base.MakerNote: b"maker" * 9}
        )
        stored = exif.tobytes().removeprefix(b"Exif\0\0")
        assert read_orientation(stored) == 3
        changed = Image.Exif()
        adapted = adapted_exif(stored, size_px)
        changed.load(b"Exif\0\0" + adapted)
        details = changed.get_ifd(ExifTags.IFD.Exif)
        assert changed[ExifTags.Base.Orientation] == 1
        assert changed[ExifTags.Base.ImageWidth] == size_px[0]
        assert (details[ExifTags.Base.ExifImageWidth], details[ExifTags.Base.ExifImageHeight]) == size_px
        assert changed[ExifTags.Base.Artist] == "A. Person"
        # The maker's note lies where it lay: offsets in it still hold.
        assert adapted.index(b"maker" * 9) == stored.index(b"maker" * 9)

    @pytest.mark.parametrize(
        "garbage", [b"", b"II*\0", b"garbage" * 9, b"MM\0*\xff\xff\xff\xff", b"II*\0\x08\0\0\0\xff\xff"]
    )
    def test_garbage(self, garbage: bytes) -> None:
        with pytest.raises(ValueError, match=r"begins with|bytes only|a directory"):
            adapted_exif(garbage, (1, 1))

    def test_xmp_attributes_and_elements(self) -> None:
        xmp = (
            b"<x tiff:Orientation='6' tiff:ImageWidth = \"5\"><exif:PixelYDimension>7</exif:PixelYDimension>"
            b"<xmp:Thumbnails><rdf:Alt>...</rdf:Alt></xmp:Thumbnails></x>"
        )
        assert adapted_xmp(xmp, (40, 50)) == (
            b"<x tiff:Orientation='1' tiff:ImageWidth = \"40\"><exif:PixelYDimension>50</exif:PixelYDimension></x>"
        )

    @pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
    def test_garbage_in_a_file_is_left_out(self, tmp_path: Path, kind: str) -> None:
        content = io.BytesIO()
        Image.fromarray(smooth()).save(content, kind, exif=b"Exif\0\0MM\0*\xff\xff\xff\xff garbage")
        path = in_file(tmp_path, "a", content.getvalue())
        with pytest.warns(QsrWarning, match=r"a: the EXIF is damaged .* and left out"):
            picture = read_picture(path, native=True)
        assert picture.metadata.exif is None
        assert picture.rgb.shape == smooth().shape


class TestColourSpace:
    @pytest.mark.parametrize("suffix", KEEP_ALL)
    def test_a_wide_gamut_stays_in_its_space(self, images: Path, tmp_path: Path, suffix: str) -> None:
        with Image.open(images / "icc_wide_gamut.jpg") as image:
            profile, codes = image.info["icc_profile"], np.asarray(image)
        picture = read_picture(images / "icc_wide_gamut.jpg", native=True)
        assert picture.space.profile == profile
        np.testing.assert_array_equal(picture.rgb, codes)
        again = written(tmp_path / f"a{suffix}", picture)
        assert again.space.profile == profile
        if suffix != ".jpg":
            np.testing.assert_array_equal(again.rgb, codes)

    def test_inks_are_converted_and_tagged(self, images: Path) -> None:
        picture = read_picture(images / "cmyk.jpg", native=True)
        assert picture.space.profile is not None
        profile = ImageCms.ImageCmsProfile(io.BytesIO(picture.space.profile))
        assert "sRGB" in ImageCms.getProfileDescription(profile)
        np.testing.assert_array_equal(picture.rgb, read_picture(images / "cmyk.jpg").rgb)

    def test_grey_with_a_profile_of_rgb(self, images: Path, tmp_path: Path) -> None:
        profile = read_picture(images / "icc_wide_gamut.jpg", native=True).space.profile
        content = io.BytesIO()
        Image.fromarray(smooth()[:, :, 0]).save(content, "JPEG", icc_profile=profile)
        path = in_file(tmp_path, "a.jpg", content.getvalue())
        picture = read_picture(path, native=True)
        assert picture.grey
        assert picture.space == ColourSpace()
        np.testing.assert_array_equal(picture.rgb, read_picture(path).rgb)

    @pytest.mark.parametrize(
        "profile", [b"no profile at all", ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()]
    )
    def test_a_profile_that_says_nothing_is_left_out(self, tmp_path: Path, profile: bytes) -> None:
        for kind in ("PNG", "JPEG", "WEBP", "TIFF"):
            content = io.BytesIO()
            Image.fromarray(smooth()).save(content, kind, icc_profile=profile)
            with pytest.warns(QsrWarning, match="the colour profile is left out"):
                picture = read_picture(in_file(tmp_path, kind, content.getvalue()), native=True)
            assert picture.space.profile is None

    def test_png_colour_chunks(self, tmp_path: Path) -> None:
        gamma = (b"gAMA", (100_000).to_bytes(4, "big"))
        picture = Picture(rgb=smooth(), alpha=None, grey=False, space=ColourSpace(png_chunks=(gamma,)))
        assert written(tmp_path / "a.png", picture).space.png_chunks == (gamma,)
        with pytest.warns(QsrWarning, match="colours may look different"):
            write_picture(tmp_path / "a.webp", picture)
        of_srgb = replace(picture, space=ColourSpace(png_chunks=((b"gAMA", (45_455).to_bytes(4, "big")),)))
        write_picture(tmp_path / "b.webp", of_srgb)


class TestSixteenBits:
    def test_three_programs_agree(self, programs: Path) -> None:
        names = ("pnmtopng_deep.png", "imagemagick_deep.tif", "imagemagick_deep.ppm")
        pictures = [read_picture(programs / name, native=True) for name in names]
        assert [picture.bits for picture in pictures] == [16, 16, 16]
        for picture in pictures[1:]:
            np.testing.assert_array_equal(picture.rgb_16(), pictures[0].rgb_16())
        assert np.abs(pictures[0].rgb_rest).max() > 100

    @pytest.mark.parametrize("suffix", [".png", ".tif"])
    @pytest.mark.parametrize("grey", [False, True])
    @pytest.mark.parametrize("alpha", [False, True])
    def test_all_bits_are_written(self, tmp_path: Path, suffix: str, grey: bool, alpha: bool) -> None:
        rng = np.random.default_rng(8)
        rgb = rng.integers(0, 65536, (21, 13, 1 if grey else 3), np.uint16).repeat(3 if grey else 1, axis=2)
        opacity = rng.integers(0, 65536, (21, 13), np.uint16) if alpha else None
        again = written(tmp_path / f"a{suffix}", Picture.from_16_bits(rgb, alpha=opacity, grey=grey))
        assert again.grey == (grey and not (alpha and suffix == ".tif"))
        np.testing.assert_array_equal(again.rgb_16(), rgb)
        assert (again.alpha is not None) == alpha
        if opacity is not None:
            np.testing.assert_array_equal(again.alpha_16(), opacity)

    @pytest.mark.parametrize("suffix", [".jpg", ".webp", ".bmp", ".gif"])
    def test_rounding_is_told(self, programs: Path, tmp_path: Path, suffix: str) -> None:
        picture = read_picture(programs / "pnmtopng_deep.png", native=True)
        with pytest.warns(QsrWarning, match="holds 8 bits per channel; the picture's 16 are rounded"):
            write_picture(tmp_path / f"a{suffix}", picture)

    def test_a_short_ppm_is_refused(self, programs: Path, tmp_path: Path) -> None:
        content = (programs / "imagemagick_deep.ppm").read_bytes()
        with pytest.raises(ImageError, match="damaged or cut off"):
            read_picture(in_file(tmp_path, "a.ppm", content[:-2]))


class TestPhones:
    def test_avif(self, programs: Path) -> None:
        picture = read_picture(programs / "heif_enc.avif", native=True)
        assert picture.size_px == (64, 96)
        assert exif_tags(picture)[0][ExifTags.Base.Make] == "Test"

    def test_heic(self, programs: Path) -> None:
        pytest.importorskip("pillow_heif")
        picture = read_picture(programs / "heif_enc.heic", native=True)
        jpeg = read_picture(programs / "exiftool_camera.jpg", native=True)
        # heif-enc copies EXIF's orientation and does not turn the picture; by the standard only a turn counts.
        stored = np.rot90(jpeg.rgb).astype(int)
        assert picture.size_px == (64, 96)
        assert np.abs(picture.rgb - stored).mean() < 8


def test_a_size_that_the_format_does_not_hold(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="WEBP holds at most 16383 pixels a side"):
        write_picture(tmp_path / "a.webp", Picture(rgb=noise(1, 16_384, 3), alpha=None, grey=False))
