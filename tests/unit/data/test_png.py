"""PNG's chunks: pixels are checked, and nothing else spoils a picture."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from qsr_edge.data.images import read_picture
from qsr_edge.data.png_reading import chunk
from qsr_edge.data.png_writing import PngHeader, PngWriter
from qsr_edge.errors import ImageError, QsrWarning
from tests.support.pictures import encoded, in_file, noise, smooth


def with_chunk(content: bytes, added: bytes, *, before: bytes = b"IDAT") -> bytes:
    at = content.index(before) - 4
    return content[:at] + added + content[at:]


PLAIN = encoded(Image.fromarray(smooth()), "PNG")
BAD_SUM = chunk(b"pHYs", bytes(9))[:-4] + b"oops"


class TestReading:
    def test_a_long_text(self, tmp_path: Path) -> None:
        text = b"x" * 3_000_000
        path = in_file(tmp_path, "a.png", with_chunk(PLAIN, chunk(b"zTXt", b"Title\0\0" + zlib.compress(text))))
        picture = read_picture(path, native=True)
        assert picture.metadata.text == (("Title", text.decode()),)
        np.testing.assert_array_equal(picture.rgb, smooth())

    def test_a_large_profile(self, tmp_path: Path, images: Path) -> None:
        profile = read_picture(images / "icc_wide_gamut.jpg", native=True).space.profile
        assert profile is not None
        # Padding at the end is of no tag, and allowed.
        large = struct.pack(">I", 2_000_000) + profile[4:] + bytes(2_000_000 - len(profile))
        path = in_file(tmp_path, "a.png", with_chunk(PLAIN, chunk(b"iCCP", b"P\0\0" + zlib.compress(large))))
        assert read_picture(path, native=True).space.profile == large

    @pytest.mark.parametrize(
        ("added", "told"),
        [
            (BAD_SUM, "the chunk pHYs has a wrong checksum"),
            (chunk(b"zTXt", b"Title\0\0not deflated"), "the chunk zTXt cannot be read"),
            (chunk(b"iTXt", b"Title\0\1\0\0\0not deflated"), "the chunk iTXt cannot be read"),
            (chunk(b"tEXt", b"no separator"), "the chunk tEXt cannot be read"),
            (chunk(b"pHYs", b"short"), "the chunk pHYs cannot be read"),
            (chunk(b"eXIf", b"garbage"), "the EXIF is damaged"),
            (chunk(b"iCCP", b"P\0\0not deflated"), "the chunk iCCP cannot be read"),
            (chunk(b"zTXt", b"T\0\0" + zlib.compress(bytes(70 << 20))), "expands to more than 64 MiB"),
        ],
    )
    def test_what_is_beside_the_pixels_is_left_out(self, tmp_path: Path, added: bytes, told: str) -> None:
        path = in_file(tmp_path, "a.png", with_chunk(PLAIN, added))
        with pytest.warns(QsrWarning, match=told):
            picture = read_picture(path, native=True)
        np.testing.assert_array_equal(picture.rgb, smooth())

    @pytest.mark.parametrize("name", [b"PLTE", b"tRNS", b"IHDR", b"abCD", b"ABCD"])
    def test_what_the_pixels_are_made_of_is_not(self, tmp_path: Path, name: bytes) -> None:
        if name == b"IHDR":
            content = PLAIN[:29] + b"oops" + PLAIN[33:]
        else:
            content = with_chunk(PLAIN, chunk(name, bytes(6))[:-4] + b"oops")
        if name == b"abCD":
            with pytest.warns(QsrWarning, match="abCD"):
                read_picture(in_file(tmp_path, "a.png", content), native=True)
        else:
            with pytest.raises(ImageError, match="damaged"):
                read_picture(in_file(tmp_path, "a.png", content), native=True)

    def test_without_its_end(self, tmp_path: Path) -> None:
        with pytest.warns(QsrWarning, match="the end of the file is missing"):
            picture = read_picture(in_file(tmp_path, "a.png", PLAIN[:-12]), native=True)
        np.testing.assert_array_equal(picture.rgb, smooth())

    def test_imagemagicks_raw_profile_of_exif(self, tmp_path: Path) -> None:
        exif = Image.Exif()
        exif[0x0112] = 6
        exif[0x013B] = "A. Person"
        digits = exif.tobytes().hex().encode()
        text = b"\nexif\n%8d\n" % (len(digits) // 2) + digits
        added = chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(text))
        picture = read_picture(in_file(tmp_path, "a.png", with_chunk(PLAIN, added)), native=True)
        assert picture.size_px == smooth().shape[:2]
        assert picture.metadata.exif is not None
        assert b"A. Person" in picture.metadata.exif
        assert not picture.metadata.text


class TestWriting:
    @given(
        height=st.integers(1, 9),
        width=st.integers(1, 9),
        grey=st.booleans(),
        alpha=st.booleans(),
        strip=st.integers(1, 9),
    )
    def test_pillow_reads_what_was_written(self, height: int, width: int, grey: bool, alpha: bool, strip: int) -> None:
        rgb = noise(height, width, 1 if grey else 3).repeat(3 if grey else 1, axis=2)
        opacity = noise(height, width) if alpha else None
        file = io.BytesIO()
        writer = PngWriter(file.write, PngHeader(size_px=(width, height), grey=grey, alpha=alpha))
        for top in range(0, height, strip):
            rows = slice(top, top + strip)
            writer.write_rows(rgb[rows], None if opacity is None else opacity[rows])
        writer.close()
        with Image.open(file) as image:
            assert image.mode == ("LA" if alpha else "L") if grey else ("RGBA" if alpha else "RGB")
            image.verify()
        with Image.open(file) as image:
            got = np.asarray(image.convert("RGBA"))
        np.testing.assert_array_equal(got[:, :, :3], rgb)
        np.testing.assert_array_equal(got[:, :, 3], 255 if opacity is None else opacity)
