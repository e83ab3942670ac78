"""What pictures a network was trained for."""

from collections.abc import Mapping
from enum import StrEnum

from qsr_edge.data.degradation import Degradation


class Variant(StrEnum):
    """Networks of one shape by the inputs that they were trained on."""

    CLEAN = "clean"
    """Pictures that were reduced, and nothing else: rendered frames, sources without loss."""
    PHOTO = "photo"
    """Pictures that were blurred, noisy and compressed besides: what comes from cameras, galleries and the web."""


class VariantChoice(StrEnum):
    """What a user asks for."""

    AUTO = "auto"
    CLEAN = "clean"
    PHOTO = "photo"

    @property
    def variant(self) -> Variant | None:
        """The variant; None if it is to be chosen."""
        return None if self is VariantChoice.AUTO else Variant(self.value)


def variant_of(provenance: Mapping[str, object]) -> Variant:
    """The variant of a checkpoint or bundle, by the recipe of its last training stage; clean if that tells nothing.

    Args:
        provenance: of the checkpoint, JSON values; other people's hold other things, or nothing.
    """
    recipe = provenance.get("recipe")
    degradation = recipe.get("degradation") if isinstance(recipe, Mapping) else None
    return Variant.PHOTO if degradation == Degradation.PHOTO else Variant.CLEAN
