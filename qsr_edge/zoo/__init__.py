"""The bundled checkpoints: a safetensors file and a model card each, called ``x2_w4a4`` or ``x2_fp32``."""

from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path

from qsr_edge.errors import CheckpointError
from qsr_edge.nn.checkpoint import read_checkpoint

WEIGHTS_AUTHOR = "The qsr-edge authors"
"""Author of every bundled checkpoint."""
WEIGHTS_LICENCE = "Apache-2.0"
"""Licence of every bundled checkpoint, an SPDX expression."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ZooQuality:
    """PSNR in dB and SSIM on luma of one depth on one test set."""

    depth: int
    dataset: str
    psnr_db: float
    ssim: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ZooEntry:
    """A bundled checkpoint.

    Attributes:
        name: name of its files, without suffix.
        scale: upscaling factor.
        bits: width of body weights and activations; 0 for a float network.
        profile: arithmetic of the requantization.
        depths: residual blocks that it can be run with.
        bytes: size of the file.
        quality: what was measured on the lowered graph, or on the float network.
        path: the file.
    """

    name: str
    scale: int
    bits: int
    profile: str
    depths: tuple[int, ...]
    bytes: int
    quality: tuple[ZooQuality, ...]
    path: Path

    def card(self) -> str:
        """The model card, Markdown."""
        return self.path.with_suffix(".md").read_text(encoding="utf-8")

    def table(self) -> dict[str, object]:
        """For a program: JSON values."""
        return {**asdict(self), "path": str(self.path)}


def _paths() -> dict[str, Path]:
    folder = Path(str(resources.files("qsr_edge.zoo")))
    return {path.stem: path for path in sorted(folder.glob("*.safetensors"))}


def zoo_names() -> tuple[str, ...]:
    """Names of all bundled checkpoints."""
    return tuple(_paths())


def zoo_path(name: str) -> Path | None:
    """Where the bundled checkpoint of this name lies; None if there is none."""
    return _paths().get(name)


def zoo_entry(name: str) -> ZooEntry:
    """The bundled checkpoint of this name.

    Raises:
        CheckpointError: listing the names, if there is none of this name.
    """
    path = zoo_path(name)
    if path is None:
        raise CheckpointError(f"no bundled checkpoint is called {name!r}; choose from {', '.join(_paths())}")
    checkpoint = read_checkpoint(path)
    rows = checkpoint.provenance.get("quality", [])
    quality = tuple(
        ZooQuality(depth=row["depth"], dataset=row["dataset"], psnr_db=row["psnr_db"], ssim=row["ssim"])
        for row in (rows if isinstance(rows, list) else [])
    )
    config = checkpoint.config
    return ZooEntry(
        name=name,
        scale=config.scale,
        bits=config.bits or 0,
        profile=config.profile.value if config.bits else "",
        depths=config.depths,
        bytes=path.stat().st_size,
        quality=quality,
        path=path,
    )


def zoo_entries() -> tuple[ZooEntry, ...]:
    """All bundled checkpoints, by scale factor, float first, then from many bits to few."""
    entries = [zoo_entry(name) for name in _paths()]
    return tuple(sorted(entries, key=lambda entry: (entry.scale, entry.bits > 0, -entry.bits)))


def find_checkpoint(*, scale: int, bits: int) -> Path:
    """The bundled quantized checkpoint of a scale factor and bit width.

    Raises:
        CheckpointError: listing what there is, if there is none.
    """
    path = zoo_path(f"x{scale}_w{bits}a{bits}") if bits else None
    if path is None:
        offered = ", ".join(f"x{entry.scale} at {entry.bits} bits" for entry in zoo_entries() if entry.bits)
        raise CheckpointError(
            f"no bundled checkpoint is x{scale} at {bits} bits; bundled are {offered or 'none'}. "
            "Train one with 'qsr-edge train' and pass it by --checkpoint"
        )
    return path
