"""TIFF: metadata as tags, and files of 16 bits or of several pages, which tifffile writes."""

from types import TracebackType
from typing import IO, Self

import numpy as np
from PIL import ExifTags, Image, TiffImagePlugin

from qsr_edge.data.file_facts import TIFF_IPTC, TIFF_XMP
from qsr_edge.data.picture import Metadata, Picture

_EXIF_PREFIX = b"Exif\0\0"

# TIFF 6.0, section 2: types of a tag's value.
_BYTE = 1
_ASCII = 2
_UNDEFINED = 7

# Tags of EXIF's first directory that in a TIFF tell how it is laid out, or that are written anew.
_OF_THE_LAYOUT = (
    ExifTags.Base.ImageWidth,
    ExifTags.Base.ImageLength,
    ExifTags.Base.BitsPerSample,
    ExifTags.Base.Compression,
    ExifTags.Base.PhotometricInterpretation,
    ExifTags.Base.StripOffsets,
    ExifTags.Base.SamplesPerPixel,
    ExifTags.Base.RowsPerStrip,
    ExifTags.Base.StripByteCounts,
    ExifTags.Base.XResolution,
    ExifTags.Base.YResolution,
    ExifTags.Base.ResolutionUnit,
    ExifTags.Base.PlanarConfiguration,
    ExifTags.Base.JpegIFOffset,
    ExifTags.Base.JpegIFByteCount,
    ExifTags.Base.Orientation,
    ExifTags.Base.YCbCrPositioning,
    ExifTags.Base.YCbCrSubSampling,
    ExifTags.Base.YCbCrCoefficients,
    ExifTags.IFD.Interop,
)

# Tags that tell of the picture in plain text, and are kept in every TIFF.
_PLAIN_TAGS = (
    ExifTags.Base.ImageDescription,
    ExifTags.Base.Make,
    ExifTags.Base.Model,
    ExifTags.Base.Software,
    ExifTags.Base.DateTime,
    ExifTags.Base.Artist,
    ExifTags.Base.Copyright,
)


def tiff_tags(told: Metadata) -> TiffImagePlugin.ImageFileDirectory_v2:
    """Metadata as the tags of a directory, for Pillow."""
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    if told.exif:
        exif = Image.Exif()
        exif.load(_EXIF_PREFIX + told.exif)
        for tag in exif:
            if tag in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo):
                tags[tag] = exif.get_ifd(tag)
            elif tag not in _OF_THE_LAYOUT:
                tags[tag] = exif[tag]
    for tag, data in ((TIFF_XMP, told.xmp), (TIFF_IPTC, told.iptc)):
        if data:
            tags[tag] = data
            tags.tagtype[tag] = _UNDEFINED
    return tags


class TiffPages:
    """Writes a TIFF page by page; a context manager."""

    def __init__(self, file: IO[bytes]) -> None:
        """Begin a file; ``file`` is seekable."""
        import tifffile

        self._writer = tifffile.TiffWriter(file)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.close()

    def write(self, picture: Picture) -> tuple[str, ...]:
        """Write a page of 8 or 16 bits, and return what was left out."""
        colour = picture.rgb_16() if picture.bits > 8 else picture.rgb
        alpha = picture.alpha_16() if picture.bits > 8 else picture.alpha
        if picture.grey:
            colour = colour[:, :, 0]
        told = picture.metadata
        tags: list[tuple[int, int, int, bytes | str, bool]] = []
        beyond = False
        if told.exif:
            exif = Image.Exif()
            exif.load(_EXIF_PREFIX + told.exif)
            tags += [(tag, _ASCII, 0, str(exif[tag]), True) for tag in _PLAIN_TAGS if tag in exif]
            beyond = any(exif.get_ifd(each) for each in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo))
        for tag, data in ((TIFF_XMP, told.xmp), (TIFF_IPTC, told.iptc)):
            if data:
                tags.append((tag, _BYTE if tag == TIFF_XMP else _UNDEFINED, len(data), data, True))
        self._writer.write(
            colour if alpha is None else np.dstack([colour, alpha]),
            photometric="minisblack" if picture.grey else "rgb",
            planarconfig=None if picture.grey and alpha is None else "contig",
            extrasamples=None if alpha is None else ["unassalpha"],
            compression="zlib",
            predictor=True,
            iccprofile=picture.space.profile,
            resolution=told.resolution_ppi,
            resolutionunit="INCH" if told.resolution_ppi else None,
            extratags=tags,
            software=False,
            metadata=None,
        )
        return ("TIFF of 16 bits or several pages does not hold the EXIF beyond its main tags",) if beyond else ()
