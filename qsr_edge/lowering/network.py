"""What lowering makes: one network at every depth."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from qsr_edge.errors import LoweringError
from qsr_edge.graph.cost import GraphCost, graph_cost
from qsr_edge.graph.interpreter import run_graph
from qsr_edge.graph.ir import Constants, Graph
from qsr_edge.graph.swin import SwinGraph
from qsr_edge.graph.swin_cost import swin_cost
from qsr_edge.graph.swin_program import run_swin
from qsr_edge.nn.config import NetworkConfig
from qsr_edge.nn.registry import ARCHITECTURES


@dataclass(frozen=True, slots=True, kw_only=True)
class LoweredNetwork:
    """One network at every depth: convolutional graphs, or transformers; never both.

    Attributes:
        graphs: by depth; empty for a transformer.
        constants: that the graphs read; one store for all.
        transformers: by depth; empty for a convolutional network.
    """

    graphs: Mapping[int, Graph] = field(default_factory=dict)
    constants: Constants = field(default_factory=lambda: Constants({}))
    transformers: Mapping[int, SwinGraph] = field(default_factory=dict)

    @property
    def depths(self) -> tuple[int, ...]:
        """Ascending."""
        return tuple(sorted(self.graphs or self.transformers))

    @property
    def window_px(self) -> int:
        """Fixed inputs are multiples of this."""
        return next((graph.window_px for graph in self.transformers.values()), 1)

    def _graph(self, depth: int) -> Graph | SwinGraph:
        graph = self.graphs.get(depth) or self.transformers.get(depth)
        if graph is None:
            raise LoweringError(f"depth {depth} is not offered; choose one of {', '.join(map(str, self.depths))}")
        return graph

    @property
    def bits(self) -> int:
        """Bit width of the body."""
        return self._graph(self.depths[-1]).bits

    @property
    def scale(self) -> int:
        """Upscaling factor."""
        return self._graph(self.depths[-1]).scale

    def cost(self, depth: int) -> GraphCost:
        """What one depth costs."""
        graph = self._graph(depth)
        return swin_cost(graph) if isinstance(graph, SwinGraph) else graph_cost(graph, self.constants)

    def run(self, depth: int, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """One depth by the golden interpreter: (H, W, 3) uint8 RGB -> (rH, rW, 3) uint8 RGB."""
        graph = self._graph(depth)
        return run_swin(graph, image) if isinstance(graph, SwinGraph) else run_graph(graph, self.constants, image)


def model_name(config: NetworkConfig) -> str:
    """Stem of files made from a quantized network: ``qsr-edge-x2-w4a4``."""
    return f"{ARCHITECTURES.find(config.architecture).model_stem}-x{config.scale}-{config.widths}"
