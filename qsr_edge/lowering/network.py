"""What lowering makes: one network at every depth."""

from collections.abc import Mapping
from dataclasses import dataclass

from qsr_edge.graph.ir import Constants, Graph


@dataclass(frozen=True, slots=True, kw_only=True)
class LoweredNetwork:
    """One network at every depth: graphs by depth, all reading one constant store."""

    graphs: Mapping[int, Graph]
    constants: Constants
