"""What every lowering pass gives: a mapping from depth to integer graph."""

import pytest

from qsr_edge.errors import LoweringError
from qsr_edge.graph.integer_graph import ConvolutionalGraph, TransformerGraph
from tests.support.graph_builders import random_network


def test_a_network_is_a_mapping_from_depth_to_graph() -> None:
    network = random_network(bits=4, scale=2, channels=8, depths=(4, 1))
    assert list(network) == sorted(network.graphs)
    assert network.deepest is network[network.depths[-1]]
    assert 3 not in network
    with pytest.raises(LoweringError, match="depth 3 is not offered; choose one of 1, 4"):
        network[3]
    assert network.of_kind(ConvolutionalGraph).keys() == network.keys()
    with pytest.raises(LoweringError, match="of the kind ConvolutionalGraph, expected TransformerGraph"):
        network.of_kind(TransformerGraph)
