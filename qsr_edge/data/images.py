"""Pictures from files and to files: a file becomes a picture, or there is an ``ImageError``.

Damage is told as far as a format can tell it. PNG has a checksum in every chunk, so a changed byte is found. JPEG,
WebP, GIF, BMP, PPM, AVIF, HEIF and most TIFF files have none for their pixels: a file that is cut off is refused, but a
changed byte in the middle can decode to another picture without anybody knowing.
"""

import errno
import stat
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BytesIO
from pathlib import Path
from typing import IO

from PIL import UnidentifiedImageError

from qsr_edge.data.decoding import Frame, PictureFile, one_picture
from qsr_edge.data.encoding import encode
from qsr_edge.data.output_format import FORMATS, WRITE_SUFFIXES, OutputFormat, output_format, refusal
from qsr_edge.data.picture import ColourSpace, Metadata, Picture
from qsr_edge.errors import ImageError, OutputExistsError, QsrWarning
from qsr_edge.files import new_file

__all__ = [
    "FORMATS",
    "READ_SUFFIXES",
    "WRITE_SUFFIXES",
    "ColourSpace",
    "Frame",
    "Metadata",
    "OutputFormat",
    "Picture",
    "PictureFile",
    "check_target",
    "open_pictures",
    "output_format",
    "read_picture",
    "reading",
    "write_picture",
    "writing",
]

# Files with one of these suffixes count as pictures; what is in them is told by their first bytes.
READ_SUFFIXES = (
    ".apng",
    ".avif",
    ".bmp",
    ".gif",
    ".heic",
    ".heif",
    ".jpeg",
    ".jpg",
    ".pgm",
    ".png",
    ".ppm",
    ".tif",
    ".tiff",
    ".webp",
)

# How the files begin that mean to be pictures, even where the rest is not understood.
_SIGNATURES = (b"\x89PNG", b"\xff\xd8", b"RIFF", b"II*\0", b"MM\0*", b"GIF8", b"BM")

_RESAVE = "get the file again, or open it in an image editor and save it as PNG"


def read_picture(path: Path, *, native: bool = False) -> Picture:
    """Read a file that holds one picture: PNG, JPEG, WebP, TIFF, BMP, GIF, PPM, PGM, AVIF or, with pillow-heif, HEIC.

    The picture is turned upright by its EXIF orientation. Alpha, also that of a palette or of one transparent colour,
    is kept. CMYK without a profile is converted by the plain formula. Of a camera's MPO file (a JPEG with previews) and
    of a HEIC file the main picture is read. What has nothing to do with the pixels and cannot be read is left out, with
    a ``QsrWarning``.

    Args:
        path: the file.
        native: for pictures to be written again: keep the file's own colour space, 16 bits per channel and metadata.
            Otherwise, for numbers that are comparable: an embedded ICC profile is converted to sRGB, 16 bits per
            channel become 8 by correct rounding, ``round(v / 257)``, and there is no metadata. PNG's gAMA, cHRM and
            cICP chunks are ignored then.

    Raises:
        ImageError: if the file is missing, not a picture, damaged, larger than ``decoding.MAX_PIXELS``, animated or of
            several pages, or of a kind that could only be read with damage (float, 32-bit integer, 12-bit, CIELAB; if
            not ``native`` also a broken profile).
    """
    path = Path(path)
    with open_pictures(path, native=native) as opened:
        with reading(path):
            picture = one_picture(opened)
        for note in opened.notes:
            warnings.warn(f"{path}: {note}", QsrWarning, stacklevel=2)
    return picture


@contextmanager
def open_pictures(path: Path, *, native: bool, content: bytes | None = None) -> Iterator[PictureFile]:
    """Open a file of one or more frames; its frames are read within :func:`reading`.

    Args:
        path: the file, or what its content is called.
        native: as for :func:`read_picture`.
        content: the bytes to read in place of the file.

    Raises:
        ImageError: as :func:`read_picture`, as far as the beginning of the file tells.
    """
    with _opened(path) if content is None else BytesIO(content) as file:
        with reading(path):
            try:
                opened = PictureFile(file, native=native)
            except UnidentifiedImageError:
                file.seek(0)
                if file.read(4).startswith(_SIGNATURES):
                    raise ImageError(f"is damaged, or of a kind that is not supported; {_RESAVE}") from None
                raise ImageError(
                    "is not a picture that can be read (PNG, JPEG, WebP, TIFF, BMP, GIF, PPM, PGM, AVIF or HEIC); "
                    f"{_RESAVE}"
                ) from None
        try:
            yield opened
        finally:
            opened.close()


# Python's filters of warnings are one for all threads; whoever changes and restores them must be alone.
_alone = threading.RLock()


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn whatever Pillow raises or warns of while it reads a file into an ``ImageError`` that names the file."""
    with _alone, warnings.catch_warnings():
        # What Pillow warns of (odd EXIF, palette transparency, large pictures) is either dealt with here or no damage.
        warnings.simplefilter("ignore")
        try:
            yield
        except ImageError as exc:
            raise ImageError(f"{path}: {exc}") from exc
        except MemoryError as exc:
            raise ImageError(f"{path}: does not fit into memory; use a smaller picture or a larger machine") from exc
        # Pillow's readers raise whatever a damaged byte makes them trip over: SyntaxError, struct.error, KeyError, ...
        except Exception as exc:
            raise ImageError(f"{path}: is damaged or cut off ({_in_one_line(exc)}); {_RESAVE}") from exc


def _opened(path: Path) -> IO[bytes]:
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise ImageError(f"{path}: is a folder, not a picture; name a file in it")
        if not stat.S_ISREG(status.st_mode):
            raise ImageError(f"{path}: is not a regular file; save the picture to a file first")
        if status.st_size == 0:
            raise ImageError(f"{path}: is empty (0 bytes), not a picture; get the file again")
        return path.open("rb")
    except FileNotFoundError:
        raise ImageError(f"{path}: no such file; check the name") from None
    except PermissionError:
        raise ImageError(f"{path}: no permission to read it; change its permissions, or use a copy") from None
    except (OSError, ValueError) as exc:  # ValueError: a null character in the name
        raise ImageError(f"{path}: cannot be opened ({_in_one_line(exc)}); check the name") from exc


def check_target(
    path: Path,
    *,
    translucent: bool = False,
    size_px: tuple[int, int] = (1, 1),
    overwrite: bool = False,
) -> None:
    """Refuse a target that :func:`write_picture` would refuse, before the work of making the picture is done.

    Args:
        path: the file to be written.
        translucent: whether the picture will have pixels that are less than fully opaque.
        size_px: (width, height) that the picture will have.
        overwrite: whether an existing file may be replaced.

    Raises:
        ImageError: if the suffix is unknown or its format cannot hold alpha or so large a picture, the folder is
            missing, or the target is a folder or a device.
        OutputExistsError: if the file exists and ``overwrite`` is false.
    """
    path = Path(path)
    if why := refusal(output_format(path), size_px, translucent=translucent):
        raise ImageError(f"{path}: {why}")
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
        raise _exists_error(path)


def write_picture(path: Path, picture: Picture, *, overwrite: bool = False, quality: int | None = None) -> None:
    """Write a picture in the format of its suffix.

    .png, .webp, .tif, .bmp are written without loss, .jpg at quality 95 and 4:4:4, .gif with 256 colours. Greyscale
    pictures are written with one channel where the format has that, 16 bits per channel as such to .png and .tif. Fully
    opaque alpha is left out of formats without alpha. Colour profile and metadata are written as far as the format
    holds them; what it does not hold is told by a ``QsrWarning``. The file appears under its name only when it is
    complete.

    Args:
        path: the file to be written; its folder must exist.
        picture: the picture.
        overwrite: replace an existing file.
        quality: 1 to 100 for .jpg, or for .webp with loss.

    Raises:
        ImageError: as :func:`check_target`, or if there is no permission to write or no space left.
        OutputExistsError: if the file exists and ``overwrite`` is false.
    """
    path = Path(path)
    check_target(path, translucent=picture.translucent, size_px=picture.size_px, overwrite=overwrite)
    with writing(path, overwrite=overwrite) as file:
        notes = encode(picture, output_format(path), file, quality=quality)
    for note in notes:
        warnings.warn(f"{path}: {note}", QsrWarning, stacklevel=2)


@contextmanager
def writing(path: Path, *, overwrite: bool) -> Iterator[IO[bytes]]:
    """A file that appears under its name when it is complete.

    Raises:
        ImageError: naming the file, if it cannot be written.
        OutputExistsError: if the file exists, perhaps since a moment ago, and ``overwrite`` is false.
    """
    try:
        with new_file(path, replace=overwrite) as file:
            yield file
    except FileExistsError as exc:
        raise _exists_error(path) from exc
    except (OSError, ValueError) as exc:
        raise _write_error(path, exc) from exc


def _exists_error(path: Path) -> OutputExistsError:
    return OutputExistsError(f"{path}: exists already; choose another output, or use --force to overwrite it")


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
