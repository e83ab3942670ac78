"""The integer graph: frozen nodes, a constant store, verification, serialization, costs, and the golden interpreter."""

from qsr_edge.graph.ir import (
    Add,
    Constants,
    Conv2d,
    DepthToSpace,
    Graph,
    Multiplier,
    Node,
    QuantizeInput,
    Requantization,
    Shift,
    Tensor,
)

__all__ = [
    "Add",
    "Constants",
    "Conv2d",
    "DepthToSpace",
    "Graph",
    "Multiplier",
    "Node",
    "QuantizeInput",
    "Requantization",
    "Shift",
    "Tensor",
]
