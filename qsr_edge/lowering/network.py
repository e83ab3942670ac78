"""What lowering makes: one network at every depth."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

from qsr_edge.errors import LoweringError
from qsr_edge.graph.integer_graph import ConvolutionalGraph, IntegerGraph, TransformerGraph
from qsr_edge.graph.ir import Constants, Graph
from qsr_edge.nn.config import NetworkConfig
from qsr_edge.nn.registry import ARCHITECTURES

G = TypeVar("G", ConvolutionalGraph, TransformerGraph)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LoweredNetwork(Mapping[int, IntegerGraph]):
    """One network: its integer graphs by depth, ascending, all of one kind.

    Attributes:
        graphs: by depth.
    """

    graphs: Mapping[int, IntegerGraph]

    def __getitem__(self, depth: int) -> IntegerGraph:
        """The graph of a depth.

        Raises:
            LoweringError: if it is not offered.
        """
        if depth not in self.graphs:
            raise LoweringError(f"depth {depth} is not offered; choose one of {', '.join(map(str, self.depths))}")
        return self.graphs[depth]

    def __contains__(self, depth: object) -> bool:
        return depth in self.graphs

    def __iter__(self) -> Iterator[int]:
        return iter(sorted(self.graphs))

    def __len__(self) -> int:
        return len(self.graphs)

    @property
    def depths(self) -> tuple[int, ...]:
        """Ascending."""
        return tuple(self)

    @property
    def deepest(self) -> IntegerGraph:
        """The graph of the largest depth."""
        return self[self.depths[-1]]

    def of_kind(self, kind: type[G]) -> dict[int, G]:
        """The graphs by depth, for who can use one kind only.

        Raises:
            LoweringError: if they are of another.
        """
        found = {depth: graph for depth, graph in self.items() if isinstance(graph, kind)}
        if len(found) != len(self):
            raise LoweringError(f"graphs of the kind {type(self.deepest).__name__}, expected {kind.__name__}")
        return found


def convolutional_network(graphs: Mapping[int, Graph], constants: Constants) -> LoweredNetwork:
    """A network of convolutional graphs by depth, which share one store of arrays."""
    return LoweredNetwork(
        graphs={depth: ConvolutionalGraph(graph=graph, constants=constants) for depth, graph in graphs.items()}
    )


def model_name(config: NetworkConfig) -> str:
    """Stem of files made from a quantized network: ``qsr-edge-x2-w4a4``, ``qsr-edge-nano-x2-w4a8``."""
    member = f"-{config.member}" if config.member else ""
    return f"{ARCHITECTURES.find(config.architecture).model_stem}{member}-x{config.scale}-{config.widths}"
