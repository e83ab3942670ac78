"""One face for every kind of integer graph: what it costs, what it computes, and whether it is well formed."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qsr_edge.graph.cost import GraphCost, graph_cost
from qsr_edge.graph.interpreter import run_graph
from qsr_edge.graph.ir import Constants, Graph
from qsr_edge.graph.swin import SwinGraph
from qsr_edge.graph.swin_cost import swin_cost
from qsr_edge.graph.swin_program import run_swin
from qsr_edge.graph.swin_verify import verify_swin
from qsr_edge.graph.verify import verify_graph
from qsr_edge.quant.arithmetic import Profile


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ConvolutionalGraph:
    """A list of nodes with the arrays that they read.

    Attributes:
        graph: the nodes.
        constants: the arrays; graphs of one network share a store.
    """

    graph: Graph
    constants: Constants

    @property
    def name(self) -> str:
        """What it is called in files."""
        return self.graph.name

    @property
    def scale(self) -> int:
        """Upscaling factor."""
        return self.graph.scale

    @property
    def bits(self) -> int:
        """Bit width of the body."""
        return self.graph.bits

    @property
    def window_px(self) -> int:
        """Fixed inputs are multiples of this."""
        return 1

    @property
    def exact_everywhere(self) -> bool:
        """Whether every runtime computes the same bytes, under whatever kernels."""
        return self.graph.profile is Profile.PORTABLE

    def cost(self) -> GraphCost:
        """What running it costs."""
        return graph_cost(self.graph, self.constants)

    def run(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Upscale by the golden interpreter: (H, W, 3) uint8 RGB -> (rH, rW, 3) uint8 RGB."""
        return run_graph(self.graph, self.constants, image)

    def verify(self) -> None:
        """See that it is well formed and computed exactly.

        Raises:
            GraphError: naming the node, what was got and what was expected.
        """
        verify_graph(self.graph, self.constants)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TransformerGraph:
    """SwinIR's structure in integers.

    Attributes:
        swin: the structure.
    """

    swin: SwinGraph

    @property
    def name(self) -> str:
        """What it is called in files."""
        return self.swin.name

    @property
    def scale(self) -> int:
        """Upscaling factor."""
        return self.swin.scale

    @property
    def bits(self) -> int:
        """Bit width of the body."""
        return self.swin.bits

    @property
    def window_px(self) -> int:
        """Fixed inputs are multiples of this."""
        return self.swin.window_px

    @property
    def exact_everywhere(self) -> bool:
        """Whether every runtime computes the same bytes."""
        return True  # its rescalings are integers, whatever its profile is called

    def cost(self) -> GraphCost:
        """What running it costs."""
        return swin_cost(self.swin)

    def run(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Upscale by the golden interpreter: (H, W, 3) uint8 RGB -> (rH, rW, 3) uint8 RGB."""
        return run_swin(self.swin, image)

    def verify(self) -> None:
        """See that it is well formed and computed exactly.

        Raises:
            GraphError: naming the layer, what was got and what was expected.
        """
        verify_swin(self.swin)


IntegerGraph = ConvolutionalGraph | TransformerGraph
"""One network at one depth; a back end matches on the kind, everything else uses what both have."""
