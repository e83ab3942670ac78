"""What no transformer's graph may hold is refused by the layer's name."""

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from qsr_edge.errors import GraphError
from qsr_edge.graph.integer_graph import TransformerGraph
from qsr_edge.graph.swin import IntegerLinear, SwinGraph
from tests.support.swin_networks import lowered, random_network


@pytest.fixture(scope="module")
def swin() -> SwinGraph:
    graph = lowered(random_network(4, blocks=1, groups=1, depths=(1,)))[1]
    assert isinstance(graph, TransformerGraph)
    graph.verify()
    return graph.swin


def rescaled(linear: IntegerLinear, **changes: np.ndarray) -> IntegerLinear:
    return replace(linear, output=replace(linear.output, **changes))


def test_what_does_not_fit_is_named(swin: SwinGraph) -> None:
    tail, out = swin.upsample, swin.upsample.output
    overflowing = rescaled(tail, offsets=np.full_like(out.offsets, 2**31 - 1))
    group = swin.groups[0]
    layer = group.layers[0]

    def with_layer(**changes: object) -> SwinGraph:
        return replace(swin, groups=(replace(group, layers=(replace(layer, **changes),)),))

    for broken, message in (
        (replace(swin, border=swin.border[:2]), r"border: got the shape \(2,\), expected \(3,\)"),
        (replace(swin, upsample=replace(tail, weights=tail.weights[:-1])), r"upsample: got the shape"),
        (replace(swin, upsample=replace(tail, weights=tail.weights.astype(np.int16))), "upsample: got weights int16"),
        (replace(swin, upsample=replace(tail, weight_bits=2)), r"upsample: got weights in .*, expected 2 bits"),
        (replace(swin, upsample=replace(tail, input_bits=24)), "upsample: got sums up to"),
        (replace(swin, upsample=rescaled(tail, shifts=out.shifts + 40)), "upsample: got a negative limit, or shifts"),
        (replace(swin, upsample=rescaled(tail, limits=-out.limits)), "upsample: got a negative limit"),
        (
            replace(swin, upsample=overflowing),
            "upsample: got products",
        ),
        (replace(swin, upsample=rescaled(tail, limits=out.limits[:1])), "upsample: got int32"),
        (with_layer(gelu=layer.gelu[:-1]), r"group 0, layer 0, gelu: got the shape \(255,\), expected \(256,\)"),
        (with_layer(attention=replace(layer.attention, bias=layer.attention.bias[:1])), "layer 0, bias: got the shape"),
        (with_layer(activated=replace(layer.activated, limits=-layer.activated.limits)), "activated"),
    ):
        with pytest.raises(GraphError, match=message):
            TransformerGraph(swin=broken).verify()
