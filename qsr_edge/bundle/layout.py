"""Words of the format that say how models lie in a bundle and where they run as they were meant to."""

from dataclasses import dataclass
from enum import StrEnum


class Storage(StrEnum):
    """How weights lie in the file."""

    FAST = "fast"
    COMPACT = "compact"


class Pack(StrEnum):
    """How depths are spread over files: one each; one with all; one with all and one of weights."""

    PER_DEPTH = "per-depth"
    SHARED = "shared"
    EXTERNAL = "external"


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """Where a model runs as it was meant to.

    Attributes:
        flavor: which of the target's forms.
        compute_units: what it is made for.
        minimum_os: the oldest system that can load it.
        byte_exact: whether it computes the golden interpreter's bytes; if not, a golden output cannot be expected.
    """

    flavor: str
    compute_units: str
    minimum_os: str
    byte_exact: bool
