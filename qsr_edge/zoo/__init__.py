"""The bundled checkpoints: a safetensors file and a model card each, called ``x2_w4a4`` or ``x2_fp32``."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path

from qsr_edge.errors import CheckpointError
from qsr_edge.nn.checkpoint import read_checkpoint
from qsr_edge.nn.config import EdgeConfig, NetworkSize
from qsr_edge.nn.variant import Variant, variant_of

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
        size: member of the family; "" for a shape that has no name.
        bits: width of body weights; 0 for a float network.
        activation_bits: width of body activations; 0 for a float network.
        variant: what pictures it was trained for.
        profile: arithmetic of the requantization.
        depths: residual blocks that it can be run with.
        bytes: size of the file.
        may_be_shipped: whether every stage of its training saw freely licensed images only, those of
            :data:`ATTRIBUTIONS`; if not, some were released for research use.
        quality: what was measured on the lowered graph, or on the float network.
        path: the file.
    """

    name: str
    scale: int
    size: str
    bits: int
    activation_bits: int
    variant: Variant
    profile: str
    depths: tuple[int, ...]
    bytes: int
    may_be_shipped: bool
    quality: tuple[ZooQuality, ...]
    path: Path

    def card(self) -> str:
        """The model card, Markdown."""
        return self.path.with_suffix(".md").read_text(encoding="utf-8")

    def table(self) -> dict[str, object]:
        """For a program: JSON values."""
        return {**asdict(self), "path": str(self.path)}


ATTRIBUTIONS = "SOURCES.csv"
"""Beside this module: the freely licensed photographs, a row each."""

_SIZES_IN_ORDER = (NetworkSize.EDGE, NetworkSize.NANO, NetworkSize.PLUS)


def _paths() -> dict[str, Path]:
    folder = Path(str(resources.files("qsr_edge.zoo")))
    return {path.stem: path for path in sorted(folder.glob("*.safetensors"))}


def zoo_names() -> tuple[str, ...]:
    """Names of all bundled checkpoints."""
    return tuple(_paths())


def attributions() -> Path:
    """The table of the training photographs: source, author and licence of each."""
    return Path(str(resources.files("qsr_edge.zoo"))) / ATTRIBUTIONS


def _is_free(provenance: Mapping[str, object]) -> bool:
    stage: object = provenance
    while isinstance(stage, Mapping):
        if ATTRIBUTIONS not in str(stage.get("data", "")):
            return False
        stage = stage.get("start")
    return True


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
        size=(config.size or "") if isinstance(config, EdgeConfig) else "",
        bits=config.bits or 0,
        activation_bits=config.body_activation_bits or 0,
        variant=variant_of(checkpoint.provenance),
        profile=config.profile.value if config.bits else "",
        depths=config.depths,
        bytes=path.stat().st_size,
        may_be_shipped=_is_free(checkpoint.provenance),
        quality=quality,
        path=path,
    )


def zoo_entries() -> tuple[ZooEntry, ...]:
    """All bundled checkpoints, by size, variant and scale factor, float first, then from many bits to few."""

    def place(entry: ZooEntry) -> tuple[int, int, int, bool, int, int]:
        size = _SIZES_IN_ORDER.index(entry.size) if entry.size in _SIZES_IN_ORDER else len(_SIZES_IN_ORDER)
        variant = tuple(Variant).index(entry.variant)
        return size, variant, entry.scale, entry.bits > 0, -entry.bits, -entry.activation_bits

    return tuple(sorted((zoo_entry(name) for name in _paths()), key=place))


def variants_of(entry: ZooEntry) -> dict[Variant, ZooEntry]:
    """The bundled checkpoints that differ from one in what pictures they were trained for alone, itself among them."""

    def shape(other: ZooEntry) -> tuple[object, ...]:
        return other.scale, other.size, other.bits, other.activation_bits

    alike = [zoo_entry(name) for name in zoo_names() if name.endswith(entry.name.rpartition("_")[2])]
    return {other.variant: other for other in alike if shape(other) == shape(entry)} | {entry.variant: entry}


def find_checkpoint(
    *,
    scale: int,
    bits: int,
    activation_bits: int | None = None,
    size: NetworkSize = NetworkSize.EDGE,
    variant: Variant | None = None,
) -> Path:
    """The bundled quantized checkpoint of a size, scale factor, bit widths and variant.

    Args:
        scale: upscaling factor.
        bits: of body weights.
        activation_bits: of body activations; None for as many as of weights.
        size: member of the family.
        variant: what pictures it was trained for; None for clean ones, or for photos where that alone is bundled.

    Raises:
        CheckpointError: listing what there is, if there is none.
    """
    widths = f"w{bits}a{activation_bits or bits}"
    read = (zoo_entry(name) for name in zoo_names() if bits and name.endswith(f"_{widths}"))
    found = {entry.variant: entry.path for entry in read if (entry.scale, entry.size) == (scale, size.value)}
    for wanted in (variant,) if variant else tuple(Variant):
        if wanted in found:
            return found[wanted]
    prefix = "" if size is NetworkSize.EDGE else f"{size}_"
    kind = "" if variant in (None, Variant.CLEAN) else f" for {variant} pictures"
    offered = ", ".join(entry.name for entry in zoo_entries() if entry.bits)
    raise CheckpointError(
        f"no bundled checkpoint is called {prefix}x{scale}_{widths}{kind}; bundled are {offered or 'none'}. "
        "Train one with 'qsr-edge train' and pass it by --checkpoint"
    )
