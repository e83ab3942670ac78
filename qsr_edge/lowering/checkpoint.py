"""Any checkpoint -> integer graphs, by the pass of its architecture."""

from collections.abc import Callable

from qsr_edge.lowering.network import LoweredNetwork
from qsr_edge.nn.checkpoint import Checkpoint
from qsr_edge.nn.registry import ARCHITECTURES, load_attribute


def lower_checkpoint(checkpoint: Checkpoint) -> LoweredNetwork:
    """Lower a quantized network at every depth that it offers.

    Raises:
        LoweringError: if the network is a float one, or a code does not fit its type.
        GraphError: if a graph would not be exact.
    """
    lower: Callable[[Checkpoint], LoweredNetwork] = load_attribute(
        ARCHITECTURES.find(checkpoint.config.architecture).lowering
    )
    return lower(checkpoint)
