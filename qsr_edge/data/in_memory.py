"""Pictures that a program has in memory, as arrays or Pillow images, and the way back to the same kind."""

from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from qsr_edge.data.decoding import jpeg_quality, one_picture
from qsr_edge.data.encoding import encode_png
from qsr_edge.data.images import open_pictures, reading
from qsr_edge.data.picture import Picture
from qsr_edge.errors import ImageError

_PNG_MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")
_IN_MEMORY = Path("the image")


def picture_of_array(array: NDArray[Any]) -> Picture:
    """A picture of (H, W) grey, (H, W, 3) RGB or (H, W, 4) RGBA, uint8 or uint16 over their whole range.

    Raises:
        ImageError: if the array is of another type or shape.
    """
    if array.dtype not in (np.uint8, np.uint16) or array.ndim not in (2, 3) or array.shape[2:] not in ((), (3,), (4,)):
        remedy = "levels in [0, 1] become uint8 by (x * 255).round().astype('uint8')"
        raise ImageError(
            f"got {array.dtype} of shape {array.shape}, expected uint8 or uint16 of (H, W), (H, W, 3) or (H, W, 4); "
            f"{remedy if array.dtype.kind == 'f' else 'convert the array'}"
        )
    grey = array.ndim == 2
    rgb = np.repeat(array[:, :, np.newaxis], 3, axis=2) if grey else np.ascontiguousarray(array[:, :, :3])
    alpha = array[:, :, 3] if array.shape[2:] == (4,) else None
    if array.dtype == np.uint16:
        return Picture.from_16_bits(rgb, alpha=alpha, grey=grey)
    return Picture(rgb=rgb, alpha=alpha, grey=grey)


def array_of_picture(picture: Picture, like: NDArray[Any]) -> NDArray[Any]:
    """A picture as an array of the type and channels of ``like``, which it was made from."""
    deep = like.dtype == np.uint16
    rgb, alpha = (picture.rgb_16(), picture.alpha_16()) if deep else (picture.rgb, picture.alpha)
    if like.ndim == 2:
        return np.ascontiguousarray(rgb[:, :, 0])
    return rgb if alpha is None else np.dstack([rgb, alpha])


def picture_of_image(image: Image.Image) -> Picture:
    """A Pillow image, with its colour profile, EXIF and resolution; upright, as a file of it would be read.

    Pillow knows the quality of a JPEG in the image that it opened, not in what was made of it by a method.

    Raises:
        ImageError: if it is of a mode that is none of ``1 L LA P RGB RGBA I;16``, or empty.
    """
    if image.mode not in _PNG_MODES or not min(image.size):
        size = f"{image.width}x{image.height}"
        raise ImageError(
            f"got an image of mode {image.mode} and {size} pixels, expected one of {' '.join(_PNG_MODES)} and not "
            "empty; convert it, for example by image.convert('RGB')"
        )
    # Our reader knows what is in a PNG, and what it means.
    file = BytesIO()
    options = {"dpi": image.info["dpi"]} if "dpi" in image.info else {}
    image.save(file, format="PNG", compress_level=1, exif=image.getexif(), **options)
    with open_pictures(_IN_MEMORY, native=True, content=file.getvalue()) as opened, reading(_IN_MEMORY):
        return replace(one_picture(opened), jpeg_quality=jpeg_quality(image))


def image_of_picture(picture: Picture) -> Image.Image:
    """A Pillow image of mode L, LA, RGB, RGBA or I;16, with colour profile, EXIF and resolution."""
    file = BytesIO()
    encode_png(picture, file)
    image = Image.open(file, formats=("PNG",))
    image.load()
    return image
