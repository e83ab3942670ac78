"""From an open image file to samples of 8 or 16 bits: depth, palette and transparency."""

import re
import sys
from typing import IO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, TiffImagePlugin

from qsr_edge.errors import ImageError

_AS_8_BIT = "save it with 8 bits per channel, as PNG"

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


def _raw_modes(image: ImageFile.ImageFile) -> set[str]:
    """How the samples lie in the file, in Pillow's terms; one for each tile."""
    modes = set()
    for tile in image.tile:
        mode = tile.args[0] if isinstance(tile.args, tuple) and tile.args else tile.args
        modes.add(mode if isinstance(mode, str) else "")
    return modes


def depth_bits(image: ImageFile.ImageFile) -> int:
    """Bits per channel, or 16 for what is read as 16 bits."""
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        return max((int(bits) for bits in image.tag_v2.get(_BITS_PER_SAMPLE, (1,))), default=1)
    if image.format == "PPM" and image.mode == "RGB" and _deep_ppm_levels(image):
        return 16
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return 16
    return 16 if image.format == "PNG" and any(";16" in mode for mode in _raw_modes(image)) else 8


def eight_bit(image: ImageFile.ImageFile) -> tuple[Image.Image, Image.Image | None]:
    """Load 8 bits per channel: (mode L, RGB or CMYK; mode L). The first may be ``image`` itself."""
    if image.mode not in ("1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr"):
        raise ImageError(f"has colours of the kind {image.mode}; save it as RGB, as PNG")
    grey = image.mode in ("1", "L", "LA", "La")
    raw_modes = _raw_modes(image)
    image.load()
    if not image.has_transparency_data:
        # Pillow would copy what has the mode already, which for an 8K photo is 130 MB.
        return (image if image.mode in ("L", "RGB", "CMYK") else image.convert("L" if grey else "RGB")), None
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


def sixteen_bit(file: IO[bytes], image: ImageFile.ImageFile) -> tuple[NDArray[np.uint16], NDArray[np.uint16] | None]:
    """Load 16 bits per channel: (H, W) grey or (H, W, 3); alpha (H, W)."""
    samples = _samples(file, image)
    transparent = image.info.get("transparency")
    alpha = None
    if samples.shape[2] in (2, 4):
        alpha = samples[:, :, -1]
        samples = samples[:, :, :-1]
    elif transparent is not None:
        alpha = np.where((samples == np.array(transparent)).all(axis=2), 0, 0xFFFF).astype(np.uint16)
    return samples[:, :, 0] if samples.shape[2] == 1 else samples, alpha


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

    if image.format == "PPM":
        return _ppm_samples(file, image)

    match = _DEEP_COLOUR.fullmatch(raw_mode)
    if match is None:
        raise ImageError(f"has {image.mode} pixels of more than 8 bits, which is not supported; {_AS_8_BIT}")
    high = _load_as(image, raw_mode)
    page = image.tell()
    with Image.open(file, formats=(image.format or "",)) as again:
        again.seek(page)
        low = _load_as(again, f"{match[1]};16{_LOW_BYTES[match[2]]}")
    return _joined(high, low)


def _deep_ppm_levels(image: ImageFile.ImageFile) -> int:
    """The highest level of a binary PPM, if it has two bytes per sample; else 0 (netpbm, ppm(5))."""
    (tile,) = image.tile or (None,)
    if tile is None or tile.codec_name != "ppm" or not isinstance(tile.args, tuple):
        return 0
    highest = int(tile.args[1])
    return highest if highest > 0xFF else 0


def _ppm_samples(file: IO[bytes], image: ImageFile.ImageFile) -> NDArray[np.uint16]:
    """(H, W, 3) of a binary PPM, which Pillow would read with 8 bits."""
    highest = _deep_ppm_levels(image)
    file.seek(image.tile[0].offset)
    wanted = image.width * image.height * 6
    content = file.read(wanted)
    if len(content) < wanted:
        raise OSError(f"{len(content)} bytes of pixels, expected {wanted}")
    levels = np.frombuffer(content, ">u2").reshape(image.height, image.width, 3).astype(np.uint32)
    return ((np.minimum(levels, highest) * 0xFFFF + highest // 2) // highest).astype(np.uint16)


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
