"""The bundled checkpoints."""

from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from qsr_edge.errors import CheckpointError


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class BundledCheckpoint:
    """A checkpoint in this package; ``bits`` is the width of body weights and activations."""

    scale: int
    bits: int
    path: Path


def bundled_checkpoints() -> tuple[BundledCheckpoint, ...]:
    """Every bundled quantized checkpoint, by scale factor and bits; files are called ``x2_w4a4.safetensors``."""
    found = []
    for path in Path(str(resources.files("qsr_edge.zoo"))).glob("x*_w*a*.safetensors"):
        scale, bits = path.stem.removeprefix("x").split("_w")
        found.append(BundledCheckpoint(scale=int(scale), bits=int(bits.split("a")[0]), path=path))
    return tuple(sorted(found))


def find_checkpoint(*, scale: int, bits: int) -> BundledCheckpoint:
    """The bundled checkpoint of a scale factor and bit width.

    Raises:
        CheckpointError: listing what there is, if there is none.
    """
    for entry in bundled_checkpoints():
        if (entry.scale, entry.bits) == (scale, bits):
            return entry
    offered = ", ".join(f"x{entry.scale} at {entry.bits} bits" for entry in bundled_checkpoints())
    raise CheckpointError(
        f"no bundled checkpoint is x{scale} at {bits} bits; bundled are {offered or 'none'}. "
        "Train one with 'qsr-edge train' and pass it by --checkpoint"
    )
