"""From an open image file to 8-bit sRGB arrays: depth, palette, transparency, colour profile and orientation."""

import re
import sys
from io import BytesIO
from typing import IO

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageCms, ImageFile, TiffImagePlugin

from qsr_edge.data.picture import Picture
from qsr_edge.errors import ImageError

# An 8K picture has half of this. Above, a file of a few kilobytes could ask for gigabytes of memory.
MAX_PIXELS = 8192 * 8192

# Nothing else: Pillow knows formats that start other programs (EPS) or hold no picture of their own.
_FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF", "PPM")

_AS_8_BIT = "save it with 8 bits per channel, as PNG"

# EXIF 2.32, tag 0x0112: what makes the stored rows and columns upright.
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

# TIFF 6.0 tags.
_BITS_PER_SAMPLE = 258
_PHOTOMETRIC = 262
_PLANAR_CONFIGURATION = 284
_WHITE_IS_ZERO = 0
_CHUNKY = 1

# Pillow decodes 16-bit colour to its high bytes. Read with the other byte order, the same data gives the low bytes.
_BIG_ENDIAN_NATIVE = sys.byteorder == "big"
_LOW_BYTES = {"B": "L", "L": "B", "N": "L" if _BIG_ENDIAN_NATIVE else "B"}
_DEEP_COLOUR = re.compile(r"(RGB|RGBA);16([BLN])")

# ICC.1:2022, 7.2.1: where the profile's header names the colour space of the pixels.
_PROFILE_SPACE = slice(16, 20)

# A conversion that moves no colour by more than this is rounding noise: the profile is sRGB, whatever its name.
_PROFILE_NOISE_LEVELS = 1
_GRID_LEVELS = np.linspace(0, 255, 18).round().astype(np.uint8)


def decode(file: IO[bytes]) -> Picture:
    """Decode an open file.

    Raises:
        ImageError: if the picture is too large, has several frames or cannot be converted without damage; the message
            does not name the file.
        Exception: of any kind, from Pillow, if the file is damaged.
    """
    try:
        with Image.open(file, formats=_FORMATS) as image:
            _check_header(image)
            if image.format == "PNG":
                # Pillow's decoder ignores the checksums of the pixel data: a flipped bit could pass. This checks them.
                image.verify()
    except Image.DecompressionBombError:
        raise ImageError(f"has more than {MAX_PIXELS} pixels; cut it into parts") from None

    with Image.open(file, formats=_FORMATS) as image:
        colour, alpha = _sixteen_bit(file, image) if _depth_bits(image) > 8 else _eight_bit(image)
        # After loading: metadata may follow the pixels. Of TIFF, Pillow turns the pixels itself.
        orientation = 1 if image.format == "TIFF" else image.getexif().get(ExifTags.Base.Orientation, 1)
        profile = image.info.get("icc_profile")
        if "icc_profile" in image.info and not isinstance(profile, bytes):
            raise _profile_error("not readable")

    grey = colour.mode == "L"
    if profile:
        colour = _to_srgb(colour, profile)
    elif not grey:
        colour = colour.convert("RGB")
    if orientation in _UPRIGHT:
        colour = colour.transpose(_UPRIGHT[orientation])
        alpha = None if alpha is None else alpha.transpose(_UPRIGHT[orientation])

    rgb = np.array(colour)
    if grey:
        rgb = np.repeat(rgb.reshape(*rgb.shape[:2], -1)[:, :, :1], 3, axis=2)
    return Picture(rgb=rgb, alpha=None if alpha is None else np.array(alpha), grey=grey)


def _check_header(image: ImageFile.ImageFile) -> None:
    width, height = image.size
    if width < 1 or height < 1:
        raise ImageError(f"has no pixels ({width}x{height}); get the file again")
    if width * height > MAX_PIXELS:
        raise ImageError(f"has {width}x{height} pixels, more than {MAX_PIXELS}; cut it into parts")
    # An MPO is a camera's JPEG followed by previews.
    if image.format != "MPO" and getattr(image, "is_animated", False):
        frames = getattr(image, "n_frames", 0)
        raise ImageError(f"has {frames} frames or pages; save the one that you want as a file of its own")


def _raw_modes(image: ImageFile.ImageFile) -> set[str]:
    """How the samples lie in the file, in Pillow's terms; one for each tile."""
    modes = set()
    for tile in image.tile:
        mode = tile.args[0] if isinstance(tile.args, tuple) and tile.args else tile.args
        modes.add(mode if isinstance(mode, str) else "")
    return modes


def _depth_bits(image: ImageFile.ImageFile) -> int:
    """Bits per channel, or 16 for what is read as 16 bits."""
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        return max((int(bits) for bits in image.tag_v2.get(_BITS_PER_SAMPLE, (1,))), default=1)
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return 16
    return 16 if image.format == "PNG" and any(";16" in mode for mode in _raw_modes(image)) else 8


def _eight_bit(image: ImageFile.ImageFile) -> tuple[Image.Image, Image.Image | None]:
    """Load 8 bits per channel: (mode L, RGB or CMYK; mode L)."""
    if image.mode not in ("1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr"):
        raise ImageError(f"has colours of the kind {image.mode}; save it as RGB, as PNG")
    grey = image.mode in ("1", "L", "LA", "La")
    raw_modes = _raw_modes(image)
    image.load()
    if not image.has_transparency_data:
        return (image.copy() if image.mode == "CMYK" else image.convert("L" if grey else "RGB")), None
    transparent = image.info.get("transparency")
    if image.mode in ("1", "L") and isinstance(transparent, int):
        # PNG, 11.3.2.1: the level is given in the file's bit depth. Pillow scales the pixels to 8 bits, but not this
        # (of one bit, some versions do).
        if image.mode == "1":
            transparent = 255 if transparent else 0
        else:
            transparent *= 85 if "L;2" in raw_modes else 17 if "L;4" in raw_modes else 1
        level = image.convert("L")
        return level, level.point([0 if each == transparent else 255 for each in range(256)])
    *colours, alpha = image.convert("LA" if grey else "RGBA").split()
    return Image.merge("L" if grey else "RGB", colours), alpha


def _sixteen_bit(file: IO[bytes], image: ImageFile.ImageFile) -> tuple[Image.Image, Image.Image | None]:
    """Load 16 bits per channel and round to 8: (mode L or RGB; mode L)."""
    samples = _samples(file, image)
    channels = samples.shape[2]
    transparent = image.info.get("transparency")
    alpha = None
    if channels in (2, 4):
        alpha = _rounded(samples[:, :, -1])
        samples = samples[:, :, :-1]
    elif transparent is not None:
        alpha = np.where((samples == np.array(transparent)).all(axis=2), 0, 255).astype(np.uint8)
    colour = _rounded(samples[:, :, 0] if samples.shape[2] == 1 else samples)
    return Image.fromarray(colour), None if alpha is None else Image.fromarray(alpha)


def _samples(file: IO[bytes], image: ImageFile.ImageFile) -> NDArray[np.uint16]:
    """(H, W, C) uint16; C is 1 for grey, 2 for grey and alpha, 3 or 4."""
    raw_modes = _raw_modes(image)
    raw_mode = raw_modes.pop() if len(raw_modes) == 1 else ""
    white_is_zero = False
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        bits = set(image.tag_v2.get(_BITS_PER_SAMPLE, (1,)))
        if bits != {16} or image.tag_v2.get(_PLANAR_CONFIGURATION, _CHUNKY) != _CHUNKY or image.mode == "I":
            raise ImageError(f"has {max(bits)} bits per channel in a layout that is not supported; {_AS_8_BIT}")
        white_is_zero = image.tag_v2.get(_PHOTOMETRIC) == _WHITE_IS_ZERO

    if image.mode.startswith("I;16") or image.mode == "I":
        image.load()
        grey = np.asarray(image)
        if grey.min() < 0 or grey.max() > 0xFFFF:
            raise ImageError(f"has grey levels from {grey.min()} to {grey.max()}, beyond 16 bits; {_AS_8_BIT}")
        grey = grey.astype(np.uint16)
        return (0xFFFF - grey if white_is_zero else grey)[:, :, np.newaxis]

    if raw_mode == "LA;16B":
        # Read as four 8-bit channels, the bytes come as they are: grey high and low, alpha high and low.
        data = _load_as(image, "RGBA")
        return _joined(data[:, :, 0::2], data[:, :, 1::2])

    match = _DEEP_COLOUR.fullmatch(raw_mode)
    if match is None:
        raise ImageError(f"has {image.mode} pixels of more than 8 bits, which is not supported; {_AS_8_BIT}")
    high = _load_as(image, raw_mode)
    with Image.open(file, formats=_FORMATS) as again:
        low = _load_as(again, f"{match[1]};16{_LOW_BYTES[match[2]]}")
    return _joined(high, low)


def _load_as(image: ImageFile.ImageFile, raw_mode: str) -> NDArray[np.uint8]:
    """Load an image whose samples are taken to lie as ``raw_mode`` says."""
    image.tile = [
        tile._replace(args=(raw_mode, *tile.args[1:]) if isinstance(tile.args, tuple) else raw_mode)
        for tile in image.tile
    ]
    image.load()
    return np.array(image)


def _joined(high: NDArray[np.uint8], low: NDArray[np.uint8]) -> NDArray[np.uint16]:
    return np.bitwise_or(np.left_shift(high.astype(np.uint16), np.uint16(8)), low, dtype=np.uint16)


def _rounded(samples: NDArray[np.uint16]) -> NDArray[np.uint8]:
    """``round(v / 257)``: no 16-bit value lies midway, as 257 is odd."""
    return ((samples.astype(np.uint32) + 128) // 257).astype(np.uint8)


def _to_srgb(colour: Image.Image, profile: bytes) -> Image.Image:
    """Convert by an embedded ICC profile; mode L, RGB or CMYK to RGB."""
    try:
        source = ImageCms.ImageCmsProfile(BytesIO(profile))
        # Greyscale files often carry the RGB profile of the program that wrote them.
        if colour.mode == "L" and profile[_PROFILE_SPACE] == b"RGB ":
            colour = colour.convert("RGB")
        transform = ImageCms.buildTransform(
            source,
            ImageCms.createProfile("sRGB"),
            colour.mode,
            "RGB",
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
        if colour.mode == "RGB":
            grid = np.stack(np.meshgrid(_GRID_LEVELS, _GRID_LEVELS, _GRID_LEVELS, indexing="ij"), -1).reshape(18, -1, 3)
            moved = np.asarray(ImageCms.applyTransform(Image.fromarray(grid), transform)).astype(np.int16) - grid
            if np.abs(moved).max() <= _PROFILE_NOISE_LEVELS:
                return colour
        converted = ImageCms.applyTransform(colour, transform)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError) as exc:
        raise _profile_error(" ".join(str(exc).split())) from exc
    if converted is None:
        raise _profile_error("no conversion")
    return converted


def _profile_error(why: str) -> ImageError:
    return ImageError(
        f"the embedded colour profile is broken or of another kind than the pixels ({why}); "
        "convert the picture to sRGB in an image editor, or strip the profile: `exiftool -icc_profile= FILE`"
    )
