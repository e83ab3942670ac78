"""What lowering makes: one network at every depth."""

from collections.abc import Mapping
from dataclasses import dataclass

from qsr_edge.graph.ir import Constants, Graph
from qsr_edge.nn.config import ArchitectureName
from qsr_edge.nn.registry import ARCHITECTURES


@dataclass(frozen=True, slots=True, kw_only=True)
class LoweredNetwork:
    """One network at every depth: graphs by depth, all reading one constant store."""

    graphs: Mapping[int, Graph]
    constants: Constants


def model_name(scale: int, bits: int | None, architecture: ArchitectureName = ArchitectureName.QUANTSR_C_EDGE) -> str:
    """Stem of files made from a quantized network: ``qsr-edge-x2-w4a4``."""
    return f"{ARCHITECTURES.find(architecture).model_stem}-x{scale}-w{bits}a{bits}"
