"""Embedded colour profiles: which ones fit the pixels, and conversion to sRGB."""

from functools import cache
from io import BytesIO

import numpy as np
from PIL import Image, ImageCms

from qsr_edge.errors import ImageError

# ICC.1:2022, 7.2.1: where the profile's header names the colour space of the pixels.
_PROFILE_SPACE = slice(16, 20)
_SPACE_OF_MODE = {"L": b"GRAY", "RGB": b"RGB ", "CMYK": b"CMYK"}
_RGB = b"RGB "

# A conversion that moves no colour by more than this is rounding noise: the profile is sRGB, whatever its name.
_PROFILE_NOISE_LEVELS = 1
_GRID_LEVELS = np.linspace(0, 255, 18).round().astype(np.uint8)


@cache
def srgb_profile() -> bytes:
    """An ICC profile of sRGB."""
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def fault_of_profile(profile: bytes, mode: str) -> str:
    """Why a profile does not say what pixels of a mode (L, RGB, CMYK) mean; empty if it does.

    A profile of RGB is no fault of a grey picture: such files exist, and their meaning is plain.
    """
    try:
        ImageCms.ImageCmsProfile(BytesIO(profile))
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError) as exc:
        return " ".join(str(exc).split())
    space = profile[_PROFILE_SPACE]
    if space == _SPACE_OF_MODE[mode] or (mode == "L" and space == _RGB):
        return ""
    return f"it is for colours of the kind {space.decode('latin-1').strip()}, not {mode}"


def is_rgb_profile(profile: bytes) -> bool:
    """Whether a profile is for pixels of three channels, red, green and blue."""
    return profile[_PROFILE_SPACE] == _RGB


def to_srgb(colour: Image.Image, profile: bytes) -> Image.Image:
    """Convert by an embedded ICC profile; mode L, RGB or CMYK to RGB.

    Raises:
        ImageError: if the profile is broken or of another kind than the pixels; the message does not name the file.
    """
    try:
        source = ImageCms.ImageCmsProfile(BytesIO(profile))
        # Greyscale files often carry the RGB profile of the program that wrote them.
        if colour.mode == "L" and is_rgb_profile(profile):
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
        raise profile_error(" ".join(str(exc).split())) from exc
    if converted is None:
        raise profile_error("no conversion")
    return converted


def profile_error(why: str) -> ImageError:
    """What is told of a profile that cannot be used; does not name the file."""
    return ImageError(
        f"the embedded colour profile is broken or of another kind than the pixels ({why}); "
        "convert the picture to sRGB in an image editor, or strip the profile: `exiftool -icc_profile= FILE`"
    )
