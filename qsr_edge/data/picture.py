"""A picture in memory: upright pixels, alpha, colour space, and what the file told beside them."""

from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from qsr_edge.data.exif import adapted_exif, adapted_xmp
from qsr_edge.errors import ImageError

Samples = NDArray[np.unsignedinteger[Any]]
"""uint8 or uint16."""

LEVEL_16 = 257
"""16-bit levels in one 8-bit level: 65535 / 255."""

# Pixels that are worked on at once, so that a large picture needs no second copy.
_STRIP_PX = 1 << 18


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """What a file tells beside its pixels. Orientation and dimensions in it are those of the pixels as they are.

    Attributes:
        exif: a TIFF structure, without the thumbnail; None for none.
        xmp: an XMP packet.
        iptc: IPTC-IIM data sets.
        text: keyword and text, as in PNG's text chunks; a JPEG's or GIF's comment has the keyword ``Comment``.
        resolution_ppi: pixels per inch along width and height.
    """

    exif: bytes | None = field(default=None, repr=False)
    xmp: bytes | None = field(default=None, repr=False)
    iptc: bytes | None = field(default=None, repr=False)
    text: tuple[tuple[str, str], ...] = ()
    resolution_ppi: tuple[float, float] | None = None

    def adapted(self, size_px: tuple[int, int]) -> "Metadata":
        """The same for a picture of (width, height) that is upright.

        Raises:
            ValueError: if ``exif`` is no EXIF.
        """
        return replace(
            self,
            exif=None if self.exif is None else adapted_exif(self.exif, size_px),
            xmp=None if self.xmp is None else adapted_xmp(self.xmp, size_px),
        )


NO_METADATA = Metadata()


@dataclass(frozen=True, slots=True, kw_only=True)
class ColourSpace:
    """What the numbers of the pixels mean. Without profile and chunks: sRGB.

    Attributes:
        profile: an ICC profile.
        png_chunks: name and content of PNG's own colour chunks (cICP, cHRM, gAMA, sRGB), which no other format holds.
    """

    profile: bytes | None = field(default=None, repr=False)
    png_chunks: tuple[tuple[bytes, bytes], ...] = field(default=(), repr=False)


SRGB = ColourSpace()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Picture:
    """A picture, upright.

    Attributes:
        rgb: (H, W, 3) uint8; three equal channels if the file was greyscale.
        alpha: (H, W) uint8 opacity, not multiplied into ``rgb``; None if the file had none.
        grey: whether the file was greyscale, and a file written from this is to be.
        rgb_rest: (H, W, 3) int16 in [-128, 128], what 16 bits per channel have beside ``rgb``: the 16-bit level is
            ``257 * rgb + rgb_rest``. None for 8 bits.
        alpha_rest: (H, W) int16, the same for ``alpha``; None if there is no ``alpha`` or no ``rgb_rest``.
        space: what the numbers mean.
        metadata: what the file told beside its pixels.
        jpeg_quality: estimated of the JPEG that these pixels were read from, 1 to 100; None if they were not. It tells
            which network suits them (:func:`qsr_edge.runtime.variants.choose_variant`).

    Raises:
        ImageError: if an array is empty or of another shape or type.
    """

    rgb: NDArray[np.uint8]
    alpha: NDArray[np.uint8] | None
    grey: bool
    rgb_rest: NDArray[np.int16] | None = None
    alpha_rest: NDArray[np.int16] | None = None
    space: ColourSpace = SRGB
    metadata: Metadata = NO_METADATA
    jpeg_quality: int | None = None

    def __post_init__(self) -> None:
        if self.rgb.dtype != np.uint8 or self.rgb.ndim != 3 or self.rgb.shape[2] != 3 or self.rgb.size == 0:
            got = f"{self.rgb.dtype} of shape {self.rgb.shape}"
            raise ImageError(f"a picture is (H, W, 3) uint8 and not empty, got {got}; convert the array")
        if self.alpha is not None and (self.alpha.dtype != np.uint8 or self.alpha.shape != self.rgb.shape[:2]):
            got = f"{self.alpha.dtype} of shape {self.alpha.shape}"
            raise ImageError(f"alpha is uint8 of shape {self.rgb.shape[:2]}, got {got}; convert the array")
        for rest, whole in ((self.rgb_rest, self.rgb), (self.alpha_rest, self.alpha)):
            if rest is not None and (whole is None or rest.dtype != np.int16 or rest.shape != whole.shape):
                got = f"{rest.dtype} of shape {rest.shape}"
                raise ImageError(f"the rest of 16 bits is int16 and as large as the picture, got {got}")
        if (self.rgb_rest is None) != (self.alpha_rest is None) and self.alpha is not None:
            raise ImageError("colours and alpha of a picture have 16 bits both or neither; convert the arrays")

    @classmethod
    def from_16_bits(
        cls,
        rgb: NDArray[np.uint16],
        *,
        alpha: NDArray[np.uint16] | None = None,
        grey: bool = False,
        space: ColourSpace = SRGB,
        metadata: Metadata = NO_METADATA,
    ) -> Self:
        """A picture of 16 bits per channel.

        Args:
            rgb: (H, W, 3) uint16.
            alpha: (H, W) uint16.
            grey: as the attribute.
            space: as the attribute.
            metadata: as the attribute.
        """
        rgb_8, rgb_rest = split_16_bits(rgb)
        alpha_8, alpha_rest = (None, None) if alpha is None else split_16_bits(alpha)
        return cls(
            rgb=rgb_8,
            alpha=alpha_8,
            grey=grey,
            rgb_rest=rgb_rest,
            alpha_rest=alpha_rest,
            space=space,
            metadata=metadata,
        )

    @property
    def bits(self) -> int:
        """Bits per channel, 8 or 16."""
        return 8 if self.rgb_rest is None else 16

    @property
    def size_px(self) -> tuple[int, int]:
        """(width, height)."""
        return self.rgb.shape[1], self.rgb.shape[0]

    @property
    def translucent(self) -> bool:
        """Whether any pixel is less than fully opaque."""
        if self.alpha is None:
            return False
        return bool(self.alpha.min() < 255) or (self.alpha_rest is not None and bool(self.alpha_rest.min() < 0))

    def rgb_16(self) -> NDArray[np.uint16]:
        """(H, W, 3) uint16; 8 bits are scaled by 257."""
        return join_16_bits(self.rgb, self.rgb_rest)

    def alpha_16(self) -> NDArray[np.uint16] | None:
        """(H, W) uint16, or None; 8 bits are scaled by 257."""
        return None if self.alpha is None else join_16_bits(self.alpha, self.alpha_rest)

    def with_8_bits(self) -> "Picture":
        """The same with 8 bits per channel, rounded to the nearest level."""
        return replace(self, rgb_rest=None, alpha_rest=None)


def split_16_bits(samples: Samples) -> tuple[NDArray[np.uint8], NDArray[np.int16]]:
    """16-bit levels as ``257 * whole + rest`` with ``whole = round(v / 257)``: no level lies midway, as 257 is odd."""
    whole = np.empty(samples.shape, np.uint8)
    rest = np.empty(samples.shape, np.int16)
    for rows in _strips(samples):
        levels = samples[rows].astype(np.int32)
        rounded = (levels + LEVEL_16 // 2) // LEVEL_16
        whole[rows] = rounded
        rest[rows] = levels - rounded * LEVEL_16
    return whole, rest


def join_16_bits(whole: NDArray[np.uint8], rest: NDArray[np.int16] | None) -> NDArray[np.uint16]:
    """What :func:`split_16_bits` split."""
    samples = np.multiply(whole, LEVEL_16, dtype=np.uint16)
    if rest is not None:
        samples += rest.astype(np.uint16)  # modulo 2^16, as the sum lies in [0, 65535]
    return samples


def equal_channels(pixels: Samples) -> bool:
    """Whether R = G = B in every pixel of (H, W, 3)."""
    return all(bool((pixels[rows, :, 1:] == pixels[rows, :, :1]).all()) for rows in _strips(pixels))


def _strips(samples: NDArray[np.generic]) -> list[slice]:
    rows = max(1, _STRIP_PX // samples.shape[1])
    return [slice(top, top + rows) for top in range(0, samples.shape[0], rows)]
