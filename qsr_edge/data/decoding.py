"""An image file as one picture or as a row of frames, read one at a time."""

import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from io import BytesIO
from typing import IO, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile

from qsr_edge.data.colour import fault_of_profile, is_rgb_profile, profile_error, srgb_profile, to_srgb
from qsr_edge.data.file_facts import FileFacts, facts_of
from qsr_edge.data.jpeg_quality import JPEG_TABLE_LENGTH, estimated_quality
from qsr_edge.data.jpeg_reading import with_its_end
from qsr_edge.data.picture import SRGB, ColourSpace, Metadata, Picture, split_16_bits
from qsr_edge.data.png_reading import SIGNATURE as PNG_SIGNATURE
from qsr_edge.data.png_reading import read_png
from qsr_edge.data.samples import depth_bits, eight_bit, sixteen_bit
from qsr_edge.errors import ImageError
from qsr_edge.extras import how_to_install

# An 8K picture has half of this. Above, a file of a few kilobytes could ask for gigabytes of memory.
MAX_PIXELS = 8192 * 8192

_STRIP_ROWS = 64
"""Rows that are taken over from the decoder at once."""

Sample = TypeVar("Sample", bound=np.generic)

_JPEG_SIGNATURE = b"\xff\xd8\xff"

# ISO 23000-22, 10: brands of HEIC and of other pictures in a HEIF container.
_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")


class FileKind(StrEnum):
    """Kinds of image files that are read, by Pillow's names."""

    PNG = "PNG"
    JPEG = "JPEG"
    WEBP = "WEBP"
    TIFF = "TIFF"
    BMP = "BMP"
    GIF = "GIF"
    PPM = "PPM"
    AVIF = "AVIF"
    HEIF = "HEIF"


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One frame of an animation, whole as it is shown, or one page; ``duration_ms`` is 0 for a page."""

    picture: Picture
    duration_ms: float = 0.0


class PictureFile:
    """An open image file.

    Attributes:
        kind: what it is.
        size_px: (width, height), upright; of the first page, if there are several.
        frame_count: frames or pages; 1 for a picture.
        loops: how often an animation plays, 0 for ever.
        jpeg_quality: estimated of a JPEG, 1 to 100; None of other files.
        hidden_first: whether the first frame is no part of the animation, but shown where animations are not (APNG).
        notes: what was left out so far, one line each, without the file's name.
    """

    def __init__(self, file: IO[bytes], *, native: bool) -> None:
        """Read the header.

        Args:
            file: at its beginning, and seekable; it must stay open.
            native: keep the file's colour space, 16 bits and metadata; otherwise 8-bit sRGB without metadata.

        Raises:
            ImageError: if the picture is too large or has no pixels; the message does not name the file.
            Exception: of any kind, from Pillow, if the file is damaged.
        """
        self._native = native
        self._facts: FileFacts | None = None
        self.notes: list[str] = []
        begin = file.read(16)
        file.seek(0)
        if begin.startswith(PNG_SIGNATURE):
            pixels, self._facts = read_png(file.read())
            file = BytesIO(pixels)
        elif begin.startswith(_JPEG_SIGNATURE):
            file, notes = with_its_end(file)
            self.notes += notes
        self._file = file
        self._image = image = _open(file, begin)
        _check_size(image)
        # An MPO is a camera's JPEG followed by previews; HEIF, a main picture and others.
        self.kind = FileKind.JPEG if image.format == "MPO" else FileKind(str(image.format))
        self.jpeg_quality = jpeg_quality(image)
        one = image.format == "MPO" or self.kind == FileKind.HEIF or not getattr(image, "is_animated", False)
        self.frame_count = 1 if one else int(getattr(image, "n_frames", 1))
        self.hidden_first = not one and bool(getattr(image, "default_image", False))
        self.loops = _loops(image)
        self.size_px = image.size if (self._facts or facts_of(image, file)).orientation < 5 else image.size[::-1]

    def frames(self) -> Iterator[Frame]:
        """Every frame or page in turn, one in memory at a time.

        Raises:
            ImageError: if a frame cannot be converted without damage; the message does not name the file.
            Exception: of any kind, from Pillow, if the file is damaged.
        """
        for index in range(self.frame_count):
            if index:
                self._image.seek(index)
                _check_size(self._image)
            picture = replace(self._picture(), jpeg_quality=self.jpeg_quality)
            yield Frame(picture=picture, duration_ms=float(self._image.info.get("duration", 0) or 0))

    def close(self) -> None:
        """Release what was read; the file itself stays open."""
        self._image.close()

    def _picture(self) -> Picture:
        image = self._image
        colour: Image.Image | NDArray[np.uint16]
        alpha: Image.Image | NDArray[np.uint16] | None
        colour, alpha = sixteen_bit(self._file, image) if depth_bits(image) > 8 else eight_bit(image)
        # After loading: metadata may follow the pixels.
        facts = self._facts or facts_of(image, self._file)
        self._note(facts.notes)
        if self._native:
            colour, space = self._in_own_space(colour, facts.space)
            metadata = facts.metadata
        else:
            if facts.unread_profile:
                raise profile_error("not readable")
            colour = _in_srgb(colour, facts.space)
            space, metadata = SRGB, Metadata()
        return _assembled(colour, alpha, facts.orientation, space, metadata, native=self._native)

    def _in_own_space(
        self, colour: Image.Image | NDArray[np.uint16], space: ColourSpace
    ) -> tuple[Image.Image | NDArray[np.uint16], ColourSpace]:
        """The pixels as they are, if their space can be written again; else in sRGB."""
        mode = _mode(colour)
        profile = space.profile
        if profile and (fault := fault_of_profile(profile, mode)):
            self._note([f"the colour profile is left out: {fault}"])
            profile = None
        if mode == "CMYK":
            assert isinstance(colour, Image.Image)
            converted = to_srgb(colour, profile) if profile else colour.convert("RGB")
            return converted, ColourSpace(profile=srgb_profile())
        if profile and mode == "L" and is_rgb_profile(profile):
            # No format may say what one channel means by a profile of three. Untagged grey is read with sRGB's curve.
            if not isinstance(colour, Image.Image):
                self._note(["16-bit grey with a profile of RGB was converted to 8-bit sRGB"])
                colour = Image.fromarray(split_16_bits(colour)[0])
            return to_srgb(colour, profile).getchannel(0) if mode == "L" else colour, SRGB
        return colour, ColourSpace(profile=profile, png_chunks=() if profile else space.png_chunks)

    def _note(self, notes: list[str] | tuple[str, ...]) -> None:
        self.notes += [note for note in notes if note not in self.notes]


def decode(file: IO[bytes]) -> Picture:
    """The one picture of an open file, in 8-bit sRGB.

    Raises:
        ImageError: if the picture is too large, has several frames or cannot be converted without damage; the message
            does not name the file.
        Exception: of any kind, from Pillow, if the file is damaged.
    """
    return one_picture(PictureFile(file, native=False))


def one_picture(opened: PictureFile) -> Picture:
    """The picture of a file that holds one.

    Raises:
        ImageError: if it holds several; and as :meth:`PictureFile.frames`.
    """
    if opened.frame_count > 1:
        raise ImageError(f"has {opened.frame_count} frames or pages; save the one that you want as a file of its own")
    (frame,) = opened.frames()
    return frame.picture


def _open(file: IO[bytes], begin: bytes) -> ImageFile.ImageFile:
    # Nothing but these: Pillow knows formats that start other programs (EPS) or hold no picture of their own.
    formats: tuple[FileKind, ...] = tuple(kind for kind in FileKind if kind != FileKind.HEIF)
    if begin[4:8] == b"ftyp" and begin[8:12] in _HEIF_BRANDS:
        if importlib.util.find_spec("pillow_heif") is None:
            raise ImageError(f"is a HEIC picture, which needs a package more; {how_to_install('heif')}")
        import pillow_heif

        pillow_heif.register_heif_opener(thumbnails=False)
        formats = (FileKind.HEIF,)
    try:
        return Image.open(file, formats=formats)
    except Image.DecompressionBombError:
        raise ImageError(f"has more than {MAX_PIXELS} pixels; cut it into parts") from None


def jpeg_quality(image: Image.Image) -> int | None:
    """The quality that a JPEG was saved with, estimated, 1 to 100; None of an image that was not opened from one."""
    table = getattr(image, "quantization", {}).get(0)
    return estimated_quality(table) if table is not None and len(table) == JPEG_TABLE_LENGTH else None


def _check_size(image: ImageFile.ImageFile) -> None:
    width, height = image.size
    if width < 1 or height < 1:
        raise ImageError(f"has no pixels ({width}x{height}); get the file again")
    if width * height > MAX_PIXELS:
        raise ImageError(f"has {width}x{height} pixels, more than {MAX_PIXELS}; cut it into parts")


def _loops(image: ImageFile.ImageFile) -> int:
    """How often an animation plays, 0 for ever.

    A GIF tells how often it is repeated, and without that it plays once; libwebp's gif2webp and browsers count so too.
    """
    told = image.info.get("loop")
    if image.format == "GIF":
        return 1 if told is None else int(told) + 1 if told else 0
    return int(told or 0)


def _mode(colour: Image.Image | NDArray[np.uint16]) -> str:
    if isinstance(colour, Image.Image):
        return colour.mode
    return "L" if colour.ndim == 2 else "RGB"


def _in_srgb(colour: Image.Image | NDArray[np.uint16], space: ColourSpace) -> Image.Image:
    """8 bits: mode L, if there is no profile, or RGB."""
    if not isinstance(colour, Image.Image):
        colour = Image.fromarray(split_16_bits(colour)[0])
    if space.profile:
        grey = colour.mode == "L"
        converted = to_srgb(colour, space.profile)
        return converted.getchannel(0) if grey else converted
    return colour if colour.mode in ("L", "RGB") else colour.convert("RGB")


def _assembled(
    colour: Image.Image | NDArray[np.uint16],
    alpha: Image.Image | NDArray[np.uint16] | None,
    orientation: int,
    space: ColourSpace,
    metadata: Metadata,
    *,
    native: bool,
) -> Picture:
    """A picture of loaded samples, turned upright."""
    grey = _mode(colour) == "L"
    rgb, rest = _split(colour, orientation)
    opacity, opacity_rest = (None, None) if alpha is None else _split(alpha, orientation)
    if grey:
        rgb = np.repeat(rgb[:, :, np.newaxis], 3, axis=2)
        rest = None if rest is None else np.repeat(rest[:, :, np.newaxis], 3, axis=2)
    picture = Picture(
        rgb=rgb,
        alpha=opacity,
        grey=grey,
        rgb_rest=rest,
        alpha_rest=None if rest is None else opacity_rest,
        space=space,
    )
    if not native:
        return picture.with_8_bits()
    return replace(picture, metadata=metadata.adapted(picture.size_px))


def _split(
    samples: Image.Image | NDArray[np.uint16], orientation: int
) -> tuple[NDArray[np.uint8], NDArray[np.int16] | None]:
    if isinstance(samples, Image.Image):
        return np.ascontiguousarray(_upright(_pixels(samples), orientation)), None
    whole, rest = split_16_bits(_upright(samples, orientation))
    return whole, rest


def _pixels(image: Image.Image) -> NDArray[np.uint8]:
    """(H, W) or (H, W, 3) of mode L or RGB. Pillow would hold the bytes of the whole beside the array."""
    width, height = image.size
    pixels = np.empty((height, width) if image.mode == "L" else (height, width, 3), np.uint8)
    for top in range(0, height, _STRIP_ROWS):
        bottom = min(top + _STRIP_ROWS, height)
        pixels[top:bottom] = np.asarray(image.crop((0, top, width, bottom)))
    return pixels


def _upright(stored: NDArray[Sample], orientation: int) -> NDArray[Sample]:
    """Turn stored rows and columns as EXIF says (CIPA DC-008, 4.6.5.1.5: tag 0x0112)."""
    if orientation >= 5:
        stored = stored.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        stored = stored[:, ::-1]
    if orientation in (3, 4, 7, 8):
        stored = stored[::-1]
    return stored
