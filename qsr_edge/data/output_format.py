"""The formats that pictures are written in, and what each of them holds."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from qsr_edge.data.decoding import FileKind
from qsr_edge.errors import ImageError

DEFAULT_JPEG_QUALITY = 95


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputFormat:
    """What a format holds.

    Attributes:
        kind: its name.
        suffix: that files get.
        alpha: whether it holds alpha.
        bits: the most bits per channel that it is written with.
        max_side_px: the greatest width and height that it holds.
        frames: whether it holds an animation, with durations.
        pages: whether it holds several pages, which may differ in size.
        lossy: whether a quality can be asked for.
        profile: whether it holds a colour profile.
        exif: whether it holds EXIF, XMP.
        iptc: whether it holds IPTC.
        text: whether it holds texts by keyword.
        comment: whether it holds one comment.
    """

    kind: FileKind
    suffix: str
    alpha: bool = False
    bits: int = 8
    max_side_px: int
    frames: bool = False
    pages: bool = False
    lossy: bool = False
    profile: bool = False
    exif: bool = False
    iptc: bool = False
    text: bool = False
    comment: bool = False


# PNG and BMP count with 31 bits, TIFF with 32.
_ANY_SIDE_PX = 2**31 - 1

PNG = OutputFormat(
    kind=FileKind.PNG,
    suffix=".png",
    alpha=True,
    bits=16,
    max_side_px=_ANY_SIDE_PX,
    frames=True,
    profile=True,
    exif=True,
    iptc=True,
    text=True,
)
# 65,500 is libjpeg's JPEG_MAX_DIMENSION.
JPEG = OutputFormat(
    kind=FileKind.JPEG,
    suffix=".jpg",
    max_side_px=65_500,
    lossy=True,
    profile=True,
    exif=True,
    iptc=True,
    comment=True,
)
# 16,383: 14 bits (RFC 9649, 2.6).
WEBP = OutputFormat(
    kind=FileKind.WEBP,
    suffix=".webp",
    alpha=True,
    max_side_px=16_383,
    frames=True,
    lossy=True,
    profile=True,
    exif=True,
)
TIFF = OutputFormat(
    kind=FileKind.TIFF,
    suffix=".tif",
    alpha=True,
    bits=16,
    max_side_px=_ANY_SIDE_PX,
    pages=True,
    profile=True,
    exif=True,
    iptc=True,
)
# 16 bits (GIF89a, 18).
GIF = OutputFormat(kind=FileKind.GIF, suffix=".gif", alpha=True, max_side_px=65_535, frames=True, comment=True)
BMP = OutputFormat(kind=FileKind.BMP, suffix=".bmp", max_side_px=_ANY_SIDE_PX)

FORMATS: Mapping[str, OutputFormat] = MappingProxyType(
    {
        ".png": PNG,
        ".jpg": JPEG,
        ".jpeg": JPEG,
        ".webp": WEBP,
        ".tif": TIFF,
        ".tiff": TIFF,
        ".gif": GIF,
        ".bmp": BMP,
        ".apng": PNG,
    }
)
WRITE_SUFFIXES = tuple(FORMATS)


def output_format(path: Path) -> OutputFormat:
    """The format of a file's suffix.

    Raises:
        ImageError: if no format has it.
    """
    output = FORMATS.get(path.suffix.lower())
    if output is None:
        got = f"the suffix {path.suffix}" if path.suffix else "no suffix"
        raise ImageError(f"{path}: cannot write a picture with {got}; use one of {' '.join(WRITE_SUFFIXES)}")
    return output


def refusal(output: OutputFormat, size_px: tuple[int, int], *, translucent: bool) -> str:
    """Why a format cannot hold a picture of (width, height), and what can; empty if it can."""
    if translucent and not output.alpha:
        return f"{output.kind} cannot hold the picture's transparency; use the suffix .png"
    if max(size_px) > output.max_side_px:
        return (
            f"{output.kind} holds at most {output.max_side_px} pixels a side, "
            f"the picture has {size_px[0]}x{size_px[1]}; use the suffix .png"
        )
    return ""
