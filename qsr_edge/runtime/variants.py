"""Which network upscales a picture, where one for clean pictures and one for photos are at hand."""

from collections.abc import Mapping
from dataclasses import dataclass

from qsr_edge.errors import BundleError
from qsr_edge.nn.variant import Variant
from qsr_edge.runtime.upscale import LoadedDepth

PHOTO_BELOW_QUALITY = 90
"""A JPEG of less goes to the network for photos.

The clean network's gain over bicubic interpolation grows with the quality (Set14, x2, W4A4: 0.6 dB at 80, 2.0 at 95); a
network for photos is to gain 1.1 and 1.6 there. The two lines meet a little below 90."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A network for a picture.

    Attributes:
        model: the network, loaded.
        variant: what it was trained for.
        reason: why, for a person; empty if there was no choice.
    """

    model: LoadedDepth
    variant: Variant
    reason: str


class Variants:
    """Networks at hand, at least one, at most one of each variant."""

    def __init__(self, models: Mapping[Variant, LoadedDepth]):
        """Take loaded networks of one scale factor.

        Raises:
            BundleError: if there is none, or their scale factors differ.
        """
        if not models:
            raise BundleError("no network is at hand; give a bundle")
        scales = {model.scale for model in models.values()}
        if len(scales) > 1:
            raise BundleError(f"the bundles upscale by {' and '.join(map(str, sorted(scales)))}; give two of one scale")
        [self.scale] = scales
        self._models = dict(models)

    def choose(self, jpeg_quality: int | None) -> Choice:
        """The network for a picture.

        Args:
            jpeg_quality: of its file, 1 to 100; None if it is no JPEG.
        """
        if len(self._models) == 1:
            [(variant, model)] = self._models.items()
            return Choice(model=model, variant=variant, reason="")
        if jpeg_quality is None:
            variant, why = Variant.CLEAN, "no JPEG"
        else:
            below = jpeg_quality < PHOTO_BELOW_QUALITY
            variant, why = (Variant.PHOTO if below else Variant.CLEAN), f"JPEG of quality {jpeg_quality}"
        return Choice(model=self._models[variant], variant=variant, reason=f"{variant} network: {why}")
