"""What an inspection finds."""

from dataclasses import dataclass, field

from qsr_edge.graph.cost import GraphCost, TileGrid


@dataclass(frozen=True, slots=True, kw_only=True)
class DepthReport:
    """One depth; None means that the file does not tell.

    Attributes:
        depth: number of residual blocks.
        file: name of the model in a bundle.
        file_bytes: its size.
        weight_bytes: all weights at their own bit width.
        macs_per_pixel: multiply-accumulates per input pixel.
        bops_per_pixel: bit operations per input pixel.
        peak_activation_bytes_per_pixel: see :class:`qsr_edge.graph.cost.GraphCost`.
        halo_px: see :class:`qsr_edge.graph.cost.GraphCost`.
        grid: likewise.
    """

    depth: int
    file: str | None = None
    file_bytes: int | None = None
    weight_bytes: int | None = None
    macs_per_pixel: int | None = None
    bops_per_pixel: int | None = None
    peak_activation_bytes_per_pixel: int | None = None
    halo_px: int | None = None
    grid: TileGrid | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What was found.

    Attributes:
        path: what was inspected.
        kind: what it is: ``bundle``, ``checkpoint``, or what the back end calls a model.
        bytes: size of the file, or of all files of a bundle.
        facts: by their names, in the order to print them.
        integer_only: whether no tensor is floating-point, by inspection of what is there, or else by the manifest,
            which the note tells then; None if it is not known.
        integer_only_note: the first thing that is floating-point if there is one, or why none was seen.
        depths: ascending; empty for a model that qsr-edge did not write.
        training: one line for each stage, the last one first.
    """

    path: str
    kind: str
    bytes: int
    facts: dict[str, str | int]
    integer_only: bool | None
    integer_only_note: str = ""
    depths: tuple[DepthReport, ...]
    training: tuple[str, ...] = field(default=())


def depth_report(depth: int, cost: GraphCost) -> DepthReport:
    """What one depth of an integer graph costs."""
    return DepthReport(
        depth=depth,
        weight_bytes=cost.weight_bytes_ideal,
        macs_per_pixel=cost.macs_per_pixel,
        bops_per_pixel=cost.bops_per_pixel,
        peak_activation_bytes_per_pixel=cost.peak_activation_bytes_per_pixel,
        halo_px=cost.halo_px,
        grid=cost.grid,
    )
