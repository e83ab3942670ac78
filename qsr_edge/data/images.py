"""Pictures from files and to files, without silent damage: a file becomes a picture, or there is an ``ImageError``."""

import errno
import stat
import warnings
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from types import MappingProxyType

import numpy as np
from PIL import Image, UnidentifiedImageError

from qsr_edge.data.atomic import atomic_write
from qsr_edge.data.decoding import decode
from qsr_edge.data.picture import Picture
from qsr_edge.errors import ImageError, OutputExistsError

__all__ = ["READ_SUFFIXES", "WRITE_SUFFIXES", "Picture", "check_target", "read_picture", "write_picture"]

# Files with one of these suffixes count as pictures; what is in them is told by their first bytes.
READ_SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")

# How the files begin that mean to be pictures, even where the rest is not understood.
_SIGNATURES = (b"\x89PNG", b"\xff\xd8", b"RIFF", b"II*\0", b"MM\0*", b"GIF8", b"BM")

_RESAVE = "get the file again, or open it in an image editor and save it as PNG"


def read_picture(path: Path) -> Picture:
    """Read a PNG, JPEG, WebP, TIFF, BMP, GIF, PPM or PGM file.

    The picture is turned upright by its EXIF orientation, and an embedded ICC profile is converted to sRGB. Alpha, also
    that of a palette or of one transparent colour, is kept. 16 bits per channel become 8 by correct rounding,
    ``round(v / 257)``. CMYK without a profile is converted by the plain formula. Of a camera's MPO file (a JPEG with
    previews) the main picture is read. PNG's gAMA, cHRM and cICP chunks are ignored.

    Raises:
        ImageError: if the file is missing, not a picture, damaged, larger than ``decoding.MAX_PIXELS``, animated or of
            several pages, or of a kind that could only be read with damage (float, 32-bit integer, 12-bit, CIELAB,
            broken profile).
    """
    path = Path(path)
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise ImageError(f"{path}: is a folder, not a picture; name a file in it")
        if not stat.S_ISREG(status.st_mode):
            raise ImageError(f"{path}: is not a regular file; save the picture to a file first")
        if status.st_size == 0:
            raise ImageError(f"{path}: is empty (0 bytes), not a picture; get the file again")
        file = path.open("rb")
    except FileNotFoundError:
        raise ImageError(f"{path}: no such file; check the name") from None
    except PermissionError:
        raise ImageError(f"{path}: no permission to read it; change its permissions, or use a copy") from None
    except (OSError, ValueError) as exc:  # ValueError: a null character in the name
        raise ImageError(f"{path}: cannot be opened ({_in_one_line(exc)}); check the name") from exc

    with file, warnings.catch_warnings():
        # What Pillow warns of (odd EXIF, palette transparency, large pictures) is either dealt with here or no damage.
        warnings.simplefilter("ignore")
        try:
            return decode(file)
        except ImageError as exc:
            raise ImageError(f"{path}: {exc}") from exc
        except UnidentifiedImageError:
            file.seek(0)
            if file.read(4).startswith(_SIGNATURES):
                raise ImageError(f"{path}: is damaged, or of a kind that is not supported; {_RESAVE}") from None
            raise ImageError(
                f"{path}: is not a picture that can be read (PNG, JPEG, WebP, TIFF, BMP, GIF, PPM or PGM); {_RESAVE}"
            ) from None
        except MemoryError as exc:
            raise ImageError(f"{path}: does not fit into memory; use a smaller picture or a larger machine") from exc
        # Pillow's readers raise whatever a damaged byte makes them trip over: SyntaxError, struct.error, KeyError, ...
        except Exception as exc:
            raise ImageError(f"{path}: is damaged or cut off ({_in_one_line(exc)}); {_RESAVE}") from exc


@dataclass(frozen=True, slots=True, kw_only=True)
class _OutputFormat:
    """How Pillow is asked to write a format.

    Attributes:
        name: Pillow's name of the format.
        alpha: whether it holds alpha.
        max_side_px: the greatest width and height that it holds.
        options: arguments for ``Image.save``.
    """

    name: str
    alpha: bool
    max_side_px: int
    options: Mapping[str, object]


# 65,500 is libjpeg's JPEG_MAX_DIMENSION, 16,383 is WebP's; of the others, 2^31 - 1 is far beyond what fits into memory.
_ANY_SIDE_PX = 2**31 - 1
_PNG = _OutputFormat(name="PNG", alpha=True, max_side_px=_ANY_SIDE_PX, options={})
_JPEG = _OutputFormat(name="JPEG", alpha=False, max_side_px=65_500, options={"quality": 95, "subsampling": 0})
# exact: keep the colours under fully transparent pixels.
_WEBP = _OutputFormat(name="WEBP", alpha=True, max_side_px=16_383, options={"lossless": True, "exact": True})
_TIFF = _OutputFormat(name="TIFF", alpha=True, max_side_px=_ANY_SIDE_PX, options={"compression": "tiff_adobe_deflate"})
_BMP = _OutputFormat(name="BMP", alpha=False, max_side_px=_ANY_SIDE_PX, options={})
_OUTPUT_FORMATS: Mapping[str, _OutputFormat] = MappingProxyType(
    {
        ".png": _PNG,
        ".jpg": _JPEG,
        ".jpeg": _JPEG,
        ".webp": _WEBP,
        ".tif": _TIFF,
        ".tiff": _TIFF,
        ".bmp": _BMP,
    }
)
WRITE_SUFFIXES = tuple(_OUTPUT_FORMATS)


def check_target(path: Path, *, translucent: bool = False, overwrite: bool = False) -> None:
    """Refuse a target that :func:`write_picture` would refuse, before the work of making the picture is done.

    Args:
        path: the file to be written.
        translucent: whether the picture will have pixels that are less than fully opaque.
        overwrite: whether an existing file may be replaced.

    Raises:
        ImageError: if the suffix is unknown or its format cannot hold alpha, the folder is missing, or the target is a
            folder or a device.
        OutputExistsError: if the file exists and ``overwrite`` is false.
    """
    path = Path(path)
    output = _output_format(path)
    if translucent and not output.alpha:
        raise ImageError(f"{path}: {output.name} cannot hold the picture's transparency; use the suffix .png")
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        if not path.parent.is_dir():
            raise ImageError(f"{path}: there is no folder {path.parent}; make it, or choose another output") from None
        return
    except (OSError, ValueError) as exc:
        raise _write_error(path, exc) from exc
    if stat.S_ISDIR(mode):
        raise ImageError(f"{path}: is a folder; name a file in it")
    if not stat.S_ISREG(mode):
        raise ImageError(f"{path}: is not a regular file, and is not replaced by a picture; choose another output")
    if not overwrite:
        raise OutputExistsError(f"{path}: exists already; choose another output, or use --force to overwrite it")


def write_picture(path: Path, picture: Picture, *, overwrite: bool = False) -> None:
    """Write a picture in the format of its suffix.

    .png, .webp, .tif and .bmp are written without loss, .jpg at quality 95 and 4:4:4. Greyscale pictures are written
    with one channel where the format has that. Fully opaque alpha is left out of formats without alpha. No metadata is
    written. The file appears under its name only when it is complete.

    Args:
        path: the file to be written; its folder must exist.
        picture: the picture.
        overwrite: replace an existing file.

    Raises:
        ImageError: as :func:`check_target`, or if the picture is too large for the format, there is no permission to
            write or no space left.
        OutputExistsError: if the file exists and ``overwrite`` is false.
    """
    path = Path(path)
    check_target(path, translucent=picture.translucent, overwrite=overwrite)
    output = _output_format(path)
    height, width = picture.rgb.shape[:2]
    if max(height, width) > output.max_side_px:
        raise ImageError(
            f"{path}: {output.name} holds at most {output.max_side_px} pixels a side, "
            f"the picture has {width}x{height}; use the suffix .png"
        )
    image = Image.fromarray(np.ascontiguousarray(picture.rgb))
    if picture.grey:
        image = image.convert("L")
    if picture.alpha is not None and output.alpha:
        image.putalpha(Image.fromarray(np.ascontiguousarray(picture.alpha)))
    content = BytesIO()
    try:
        image.save(content, format=output.name, **output.options)
        atomic_write(path, content.getvalue())
    except (OSError, ValueError) as exc:
        raise _write_error(path, exc) from exc


def _output_format(path: Path) -> _OutputFormat:
    output = _OUTPUT_FORMATS.get(path.suffix.lower())
    if output is None:
        got = f"the suffix {path.suffix}" if path.suffix else "no suffix"
        raise ImageError(f"{path}: cannot write a picture with {got}; use one of {' '.join(WRITE_SUFFIXES)}")
    return output


def _write_error(path: Path, exc: OSError | ValueError) -> ImageError:
    code = exc.errno if isinstance(exc, OSError) else None
    if code in (errno.EACCES, errno.EPERM, errno.EROFS):
        why = f"no permission to write in {path.parent}; choose another folder, or change its permissions"
    elif code in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        why = f"no room for the file ({_in_one_line(exc)}); free some space, or choose another disk"
    else:
        why = f"cannot be written ({_in_one_line(exc)}); choose another output"
    return ImageError(f"{path}: {why}")


def _in_one_line(exc: Exception) -> str:
    text = ""
    if isinstance(exc, OSError):
        text = exc.strerror or ""
    with suppress(Exception):  # the text of a foreign exception is no reason to fail
        text = text or " ".join(str(exc).split())
    return text or type(exc).__name__
