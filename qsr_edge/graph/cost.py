"""What a graph costs to run, from its nodes alone: nothing is measured here."""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import ceil

from qsr_edge.errors import GraphError
from qsr_edge.graph.ir import ConstantId, Constants, Conv2d, Graph, QuantizeInput, Tensor, TensorId, node_inputs

_IMAGE_CHANNELS = 3
UNTILED_HALO_PX = 1 << 15
"""Halo of a network of which no tile may begin at any pixel, more than any image: a transformer's windows stand where
an image begins. Its tiles begin on a :class:`TileGrid`."""
NOT_TILED = (
    "this bundle does not tell how its network is tiled, so it takes its fixed input size only; convert again with "
    "this release"
)


def is_tiled(halo_px: int) -> bool:
    """Whether images larger than a network's input can be upscaled in tiles."""
    return halo_px < UNTILED_HALO_PX


@dataclass(frozen=True, slots=True, kw_only=True)
class TileGrid:
    """Where tiles of a network may begin and end whose windows of attention stand on a grid.

    Attributes:
        step_px: tiles begin and end at multiples of it; an image is continued by reflection to the next multiple.
        halo_px: radius of the receptive field of such tiles; twice of it is a multiple of ``step_px``.
    """

    step_px: int
    halo_px: int

    @property
    def least_px(self) -> int:
        """The least side of a tile that is larger than its two halos."""
        return 2 * self.halo_px + self.step_px


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphCost:
    """Costs of one graph; "per pixel" is per pixel of the input image, so that any image's cost is a product.

    Attributes:
        macs_per_pixel: multiply-accumulates of all convolutions, depthwise ones and the anchor included.
        bops_per_pixel: multiply-accumulates times weight bits times activation bits (bit operations).
        weight_bytes_ideal: every weight at its own bit width, without padding; a constant that two nodes read counts
            once.
        peak_activation_bytes_per_pixel: the largest sum of tensors alive at one node, at one byte per code; of a
            transformer at four, as its exports hold int32. The uint8 input image counts throughout, as runtimes keep
            it; the uint8 output image counts beside the tensor it is made from.
        halo_px: radius of the receptive field, in input pixels: an output pixel depends on nothing farther away;
            ``UNTILED_HALO_PX`` if that depends on where the pixel lies.
        grid: tiles of a network with windows of attention; None if tiles may begin anywhere.
    """

    macs_per_pixel: int
    bops_per_pixel: int
    weight_bytes_ideal: int
    peak_activation_bytes_per_pixel: int
    halo_px: int
    grid: TileGrid | None = None


def graph_cost(graph: Graph, constants: Constants) -> GraphCost:
    """Count what ``graph`` costs.

    Raises:
        GraphError: if a node reads a tensor or constant that does not exist, or one that no node before it wrote.
    """
    tensors = graph.tensors_by_id()
    macs, bops = 0, 0
    weight_bits: dict[ConstantId, int] = {}
    for node in graph.nodes:
        if not isinstance(node, Conv2d):
            continue
        weights = constants[node.weights]
        # One output pixel takes O * K * K * I products, which is the number of weights, depthwise or not.
        node_macs = int(weights.size) * _tensor(graph, tensors, node.output).upscale ** 2
        macs += node_macs
        bops += node_macs * node.weight_bits * _tensor(graph, tensors, node.input).range.bits
        weight_bits[node.weights] = int(weights.size) * node.weight_bits
    return GraphCost(
        macs_per_pixel=macs,
        bops_per_pixel=bops,
        weight_bytes_ideal=-(-sum(weight_bits.values()) // 8),
        peak_activation_bytes_per_pixel=_peak_activation_bytes(graph, tensors),
        halo_px=_halo_px(graph, tensors, constants),
    )


def _tensor(graph: Graph, tensors: Mapping[TensorId, Tensor], key: TensorId) -> Tensor:
    try:
        return tensors[key]
    except KeyError:
        raise GraphError(f"graph {graph.name}: a node refers to a tensor {key!r} that is not declared") from None


def _peak_activation_bytes(graph: Graph, tensors: Mapping[TensorId, Tensor]) -> int:
    def size(key: TensorId) -> int:
        tensor = _tensor(graph, tensors, key)
        return tensor.channels * tensor.upscale**2

    last_use = {key: step for step, node in enumerate(graph.nodes) for key in node_inputs(node)}
    last_use[graph.output] = len(graph.nodes)
    peak = 0
    alive: set[TensorId] = set()
    for step, node in enumerate(graph.nodes):
        alive.add(node.output)
        peak = max(peak, sum(map(size, alive)))
        alive = {key for key in alive if last_use.get(key, -1) > step}
    # Last of all, codes become the levels of the output image.
    peak = max(peak, 2 * size(graph.output))
    return _IMAGE_CHANNELS + peak


def _halo_px(graph: Graph, tensors: Mapping[TensorId, Tensor], constants: Constants) -> int:
    # Fractions: a 3x3 convolution after depth-to-space by 2 reaches half an input pixel. Rounding up once, at the end,
    # is exact.
    radius: dict[TensorId, Fraction] = {}
    for node in graph.nodes:
        if isinstance(node, QuantizeInput):
            radius[node.output] = Fraction(0)
            continue
        missing = [key for key in node_inputs(node) if key not in radius]
        if missing:
            raise GraphError(f"graph {graph.name}: node {node.name} reads {missing[0]!r}, which was not written before")
        reach = Fraction(0)
        if isinstance(node, Conv2d):
            reach = Fraction(constants[node.weights].shape[1] // 2, _tensor(graph, tensors, node.output).upscale)
        radius[node.output] = max(radius[key] for key in node_inputs(node)) + reach
    if graph.output not in radius:
        raise GraphError(f"graph {graph.name}: no node writes the output {graph.output!r}")
    return ceil(radius[graph.output])
