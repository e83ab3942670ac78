"""A picture as the bytes of a file, with everything that the format holds of what the picture tells."""

from dataclasses import replace
from typing import IO

import numpy as np
from PIL import Image

from qsr_edge.data.decoding import FileKind
from qsr_edge.data.file_facts import COMMENT, photoshop_with_iptc
from qsr_edge.data.gif_writing import GifWriter
from qsr_edge.data.output_format import DEFAULT_JPEG_QUALITY, OutputFormat
from qsr_edge.data.picture import Metadata, Picture
from qsr_edge.data.png_writing import PngHeader, PngWriter
from qsr_edge.data.tiff_writing import TiffPages

_EXIF_PREFIX = b"Exif\0\0"

# A segment of JPEG (ITU-T T.81, B.1.1.4) has 65,535 bytes, its length and what names its content included.
_SEGMENT_BYTES = 65_535 - 2
_XMP_NAME = b"http://ns.adobe.com/xap/1.0/\0"
_PHOTOSHOP_NAME = b"Photoshop 3.0\0"
_APP13 = b"\xff\xed"

# PNG, 11.3.2: 1/2.2, and the primaries of ITU-R BT.709; ITU-T H.273: primaries 1, transfer 13.
_GAMMAS_OF_SRGB = tuple(value.to_bytes(4, "big") for value in (45_455, 45_454, 45_000))
_CHROMATICITIES_OF_SRGB = b"".join(
    value.to_bytes(4, "big") for value in (31_270, 32_900, 64_000, 33_000, 30_000, 60_000, 15_000, 6_000)
)
_CICP_OF_SRGB = bytes((1, 13))


def encode(picture: Picture, output: OutputFormat, file: IO[bytes], *, quality: int | None = None) -> tuple[str, ...]:
    """Write a picture to an open file.

    Args:
        picture: what :func:`qsr_edge.data.output_format.refusal` does not refuse.
        output: the format.
        file: writable from its beginning, and seekable.
        quality: 1 to 100, for formats with loss. JPEG without it: 95, and no chroma subsampling. WebP without it: no
            loss. Other formats are always without loss.

    Returns:
        What the format does not hold and was left out, one line each, without the file's name.
    """
    picture, notes = held(picture, output)
    if output.kind == FileKind.PNG:
        encode_png(picture, file)
    elif output.kind == FileKind.TIFF:
        with TiffPages(file) as pages:
            pages.write(picture)
    elif output.kind == FileKind.GIF:
        comment = picture.metadata.text[-1][1].encode() if picture.metadata.text else b""
        gif = GifWriter(file.write, picture.size_px, loops=1, comment=comment)
        gif.write(picture.rgb, picture.alpha, 0)
        gif.close()
    else:
        image = to_image(picture, alpha=output.alpha)
        image.save(file, format=output.kind, **save_options(picture, output, quality))
    return notes


def held(picture: Picture, output: OutputFormat) -> tuple[Picture, tuple[str, ...]]:
    """A picture as a format can hold it, and what it cannot hold, one line each."""
    notes = []
    told = picture.metadata
    if picture.bits > output.bits:
        picture = picture.with_8_bits()
        notes.append(f"{output.kind} holds 8 bits per channel; the picture's 16 are rounded")
    lost = []
    if not output.exif and (told.exif or told.xmp):
        lost += [name for name, data in (("EXIF", told.exif), ("XMP", told.xmp)) if data]
        told = replace(told, exif=None, xmp=None)
    if told.iptc and not output.iptc:
        told = replace(told, iptc=None)
        lost.append("IPTC")
    if output.kind == FileKind.JPEG:
        told, too_long = _within_segments(told)
        lost += too_long
    text = told.text if output.text else tuple(each for each in told.text if output.comment and each[0] == COMMENT)
    if text != told.text:
        lost.append("the texts " + ", ".join(sorted({key for key, _ in told.text} - {key for key, _ in text})))
        told = replace(told, text=text)
    if lost:
        notes.append(f"{output.kind} does not hold {' and '.join(lost)}")
    space = picture.space
    if space.profile and not output.profile:
        notes.append(f"{output.kind} does not hold the colour profile; colours may look different")
        space = replace(space, profile=None)
    if output.kind != FileKind.PNG:
        if any(_tells_other_colours(name, data) for name, data in space.png_chunks):
            notes.append(f"{output.kind} does not hold PNG's own colour chunks; colours may look different")
        space = replace(space, png_chunks=())
    return replace(picture, metadata=told, space=space), tuple(notes)


def encode_png(picture: Picture, file: IO[bytes]) -> None:
    """Write a PNG of 8 or 16 bits."""
    writer = PngWriter(file.write, png_header(picture, picture.size_px))
    if picture.bits > 8:
        writer.write_rows(picture.rgb_16(), picture.alpha_16())
    else:
        writer.write_rows(picture.rgb, picture.alpha)
    writer.close()


def png_header(picture: Picture, size_px: tuple[int, int]) -> PngHeader:
    """The header of a PNG of (width, height) that tells what a picture tells."""
    return PngHeader(
        size_px=size_px,
        bits=picture.bits,
        grey=picture.grey,
        alpha=picture.alpha is not None,
        space=picture.space,
        metadata=picture.metadata.adapted(size_px),
    )


def to_image(picture: Picture, *, alpha: bool) -> Image.Image:
    """A Pillow image of 8 bits: mode L, LA, RGB or RGBA; ``alpha``: whether a channel of it is kept."""
    opacity = picture.alpha if alpha else None
    if picture.grey:
        level = np.ascontiguousarray(picture.rgb[:, :, 0])
        return Image.fromarray(level) if opacity is None else Image.fromarray(np.dstack([level, opacity]), "LA")
    if opacity is None:
        return Image.fromarray(np.ascontiguousarray(picture.rgb))
    return Image.fromarray(np.dstack([picture.rgb, opacity]))


def save_options(picture: Picture, output: OutputFormat, quality: int | None) -> dict[str, object]:
    """Arguments of Pillow's ``Image.save`` for pixels and metadata."""
    told = picture.metadata
    options: dict[str, object] = {}
    if picture.space.profile:
        options["icc_profile"] = picture.space.profile
    match output.kind:
        case FileKind.JPEG:
            options |= {"quality": quality or DEFAULT_JPEG_QUALITY, "subsampling": 0} | _jpeg_metadata(told)
        case FileKind.WEBP:
            # exact: keep the colours under fully transparent pixels.
            options |= {"lossless": True, "exact": True} if quality is None else {"quality": quality, "exact": True}
            options |= {"exif": told.exif} if told.exif else {}
            options |= {"xmp": told.xmp} if told.xmp else {}
        case _:
            pass  # Pillow is told nothing of their own
    if told.resolution_ppi and output.kind in (FileKind.JPEG, FileKind.BMP):
        options["dpi"] = told.resolution_ppi
    return options


def _jpeg_metadata(told: Metadata) -> dict[str, object]:
    options: dict[str, object] = {}
    if told.exif:
        options["exif"] = _EXIF_PREFIX + told.exif
    if told.xmp:
        options["xmp"] = told.xmp
    if told.iptc:
        resources = _PHOTOSHOP_NAME + photoshop_with_iptc(told.iptc)
        options["extra"] = _APP13 + (len(resources) + 2).to_bytes(2, "big") + resources
    for _, text in told.text:
        options["comment"] = text.encode()
    return options


def _within_segments(told: Metadata) -> tuple[Metadata, list[str]]:
    """Metadata of which each part fits a segment of JPEG, and the names of what does not."""
    lost = []
    if told.exif and len(told.exif) + len(_EXIF_PREFIX) > _SEGMENT_BYTES:
        told = replace(told, exif=None)
        lost.append("EXIF of more than 64 KiB")
    if told.xmp and len(told.xmp) + len(_XMP_NAME) > _SEGMENT_BYTES:
        told = replace(told, xmp=None)
        lost.append("XMP of more than 64 KiB")
    if told.iptc and len(photoshop_with_iptc(told.iptc)) + len(_PHOTOSHOP_NAME) > _SEGMENT_BYTES:
        told = replace(told, iptc=None)
        lost.append("IPTC of more than 64 KiB")
    if any(len(text.encode()) > _SEGMENT_BYTES for _, text in told.text):
        told = replace(told, text=tuple(each for each in told.text if len(each[1].encode()) <= _SEGMENT_BYTES))
        lost.append("a comment of more than 64 KiB")
    return told, lost


def _tells_other_colours(name: bytes, data: bytes) -> bool:
    """Whether a colour chunk of PNG says anything but sRGB, or what many programs write for it."""
    match name:
        case b"gAMA":
            return data not in _GAMMAS_OF_SRGB
        case b"cHRM":
            return data != _CHROMATICITIES_OF_SRGB
        case b"cICP":
            return data[:2] != _CICP_OF_SRGB
        case _:
            return False
