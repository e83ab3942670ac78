"""A picture in memory: sRGB pixels, alpha, and whether it is greyscale."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qsr_edge.errors import ImageError


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Picture:
    """A picture in sRGB, upright.

    Attributes:
        rgb: (H, W, 3) uint8; three equal channels if the file was greyscale.
        alpha: (H, W) uint8 opacity, not multiplied into ``rgb``; None if the file had none.
        grey: whether the file was greyscale, and a file written from this is to be.

    Raises:
        ImageError: if an array is empty or of another shape or type.
    """

    rgb: NDArray[np.uint8]
    alpha: NDArray[np.uint8] | None
    grey: bool

    def __post_init__(self) -> None:
        if self.rgb.dtype != np.uint8 or self.rgb.ndim != 3 or self.rgb.shape[2] != 3 or self.rgb.size == 0:
            got = f"{self.rgb.dtype} of shape {self.rgb.shape}"
            raise ImageError(f"a picture is (H, W, 3) uint8 and not empty, got {got}; convert the array")
        if self.alpha is not None and (self.alpha.dtype != np.uint8 or self.alpha.shape != self.rgb.shape[:2]):
            got = f"{self.alpha.dtype} of shape {self.alpha.shape}"
            raise ImageError(f"alpha is uint8 of shape {self.rgb.shape[:2]}, got {got}; convert the array")

    @property
    def translucent(self) -> bool:
        """Whether any pixel is less than fully opaque."""
        return self.alpha is not None and bool(self.alpha.min() < 255)
