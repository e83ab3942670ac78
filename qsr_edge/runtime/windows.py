"""What is done with one window of a picture: colours and alpha by the network, of 8 or 16 bits."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qsr_edge.data.bicubic import resize_bicubic
from qsr_edge.data.picture import LEVEL_16, Samples, split_16_bits
from qsr_edge.runtime.correction import corrected, flat_pixels

# Keys' kernel reaches two input pixels to either side when it enlarges; one more costs nothing and covers half-pixel
# positions.
BICUBIC_HALO_PX = 3

# BT.601 luma of full-range RGB, 0.299 R + 0.587 G + 0.114 B, times 2^16; the weights sum to 2^16, so grey stays as it
# is.
_LUMA_WEIGHTS = (19595, 38470, 7471)


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows:
    """Upscales windows of colours and, behind them, alpha.

    Attributes:
        run: the network: (H, W, 3) uint8 -> (rH, rW, 3) uint8.
        scale: its factor r.
        colours: channels of colour, 1 for a grey picture, else 3.
        level: 1 for samples of 8 bits, 257 for 16.
    """

    run: Callable[[NDArray[np.uint8]], NDArray[np.uint8]]
    scale: int
    colours: int
    level: int

    @property
    def plain(self) -> bool:
        """Whether colours are what the network makes of them."""
        return self.colours == 3 and self.level == 1

    def split(self, samples: Samples) -> tuple[Samples, Samples | None]:
        """Colours (H, W, C) and alpha (H, W) of what was upscaled."""
        alpha = samples[:, :, self.colours] if samples.shape[2] > self.colours else None
        return samples[:, :, : self.colours], alpha

    def __call__(self, window: Samples) -> Samples:
        """(H, W, C) -> (rH, rW, C)."""
        height, width, channels = window.shape
        upscaled = np.empty((height * self.scale, width * self.scale, channels), window.dtype)
        colour, alpha = self.split(window)
        upscaled[:, :, : self.colours] = self._colour(colour)
        if alpha is not None:
            upscaled[:, :, self.colours] = self._alpha(alpha)
        return upscaled

    def _colour(self, colour: Samples) -> Samples:
        eight = self._eight_bits(colour)
        made = self._grey(eight[:, :, 0])[:, :, np.newaxis] if self.colours == 1 else self.run(eight)
        if self.level == 1:
            return made
        return _rounded(corrected(self._enlarged(colour), self._enlarged(eight), made, level=self.level), colour.dtype)

    def _alpha(self, alpha: Samples) -> Samples:
        flat = flat_pixels(alpha)
        interpolated = self._enlarged(alpha)
        if flat.all():
            return interpolated
        eight = self._eight_bits(alpha)
        coarse = interpolated if self.level == 1 else self._enlarged(eight)
        made = _rounded(corrected(interpolated, coarse, self._grey(eight), level=self.level), alpha.dtype)
        return np.where(flat.repeat(self.scale, axis=0).repeat(self.scale, axis=1), interpolated, made)

    def _grey(self, plane: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """One channel through the network: (H, W) -> (rH, rW)."""
        rgb = self.run(np.repeat(plane[:, :, np.newaxis], 3, axis=2))
        luma = np.full(rgb.shape[:2], 1 << 15, np.uint32)
        for channel, weight in enumerate(_LUMA_WEIGHTS):
            luma += rgb[:, :, channel].astype(np.uint32) * np.uint32(weight)
        return (luma >> np.uint32(16)).astype(np.uint8)

    def _eight_bits(self, samples: Samples) -> NDArray[np.uint8]:
        return np.ascontiguousarray(samples, np.uint8) if self.level == 1 else split_16_bits(samples)[0]

    def _enlarged(self, samples: Samples) -> Samples:
        """Interpolated, in samples of the picture's own bits."""
        if self.level > 1 and samples.dtype == np.uint8:
            samples = np.multiply(samples, LEVEL_16, dtype=np.uint16)
        return resize_bicubic(samples, self.scale)


def _rounded(values: NDArray[np.float32], dtype: np.dtype[np.unsignedinteger[Any]]) -> Samples:
    return np.rint(np.clip(values, 0, np.iinfo(dtype).max)).astype(dtype)
