import contextlib
import hashlib
import json
import struct
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from qsr_edge.errors import GraphError
from qsr_edge.graph.ir import (
    Add,
    Array,
    ConstantId,
    Constants,
    Conv2d,
    DepthToSpace,
    Graph,
    Multiplier,
    Node,
    QuantizeInput,
    Shift,
    Tensor,
    TensorId,
    node_constants,
)
from qsr_edge.graph.serde import dump_graph, format_graph, load_graph
from qsr_edge.quant.arithmetic import CodeRange, Profile

INT8 = CodeRange.signed(8)


def small_graph() -> tuple[Graph, Constants]:
    """One of each node, on 3 channels, x2."""
    image, stream, wide, big = (TensorId(name) for name in ("image", "stream", "wide", "big"))
    weights, depthwise, bias, shifts, wide_bias, multipliers = (
        ConstantId(name) for name in ("w", "dw", "b", "s", "wide_b", "m")
    )
    graph = Graph(
        name="small",
        scale=2,
        depth=1,
        bits=4,
        profile=Profile.SCALED,
        tensors=(
            Tensor(id=image, channels=3, range=INT8),
            Tensor(id=stream, channels=3, range=CodeRange.unsigned(4)),
            Tensor(id=TensorId("sum"), channels=3, range=INT8),
            Tensor(id=wide, channels=12, range=INT8),
            Tensor(id=big, channels=3, range=INT8, upscale=2),
        ),
        nodes=(
            QuantizeInput(name="quantize", output=image),
            Conv2d(
                name="shift_input",
                input=image,
                output=stream,
                weights=depthwise,
                bias=bias,
                weight_bits=4,
                requantization=Shift(shifts=shifts),
                depthwise=True,
            ),
            Add(name="residual", inputs=(image, stream), output=TensorId("sum")),
            Conv2d(
                name="tail",
                input=TensorId("sum"),
                output=wide,
                weights=weights,
                bias=wide_bias,
                weight_bits=6,
                requantization=Multiplier(multipliers=multipliers),
            ),
            DepthToSpace(name="shuffle", input=wide, output=big, block=2),
        ),
        output=big,
    )
    constants = Constants(
        {
            weights: (np.arange(12 * 27) % 13 - 6).astype(np.int8).reshape(12, 3, 3, 3),
            depthwise: np.ones((3, 1, 1, 1), np.int8),
            bias: np.array([-1, 0, 70_000], np.int32),
            wide_bias: np.arange(12, dtype=np.int32),
            shifts: np.array([1, 2, 3], np.int32),
            multipliers: np.linspace(0.001, 0.5, 12, dtype=np.float32),
            ConstantId("unused"): np.zeros(1000, np.int8),
        }
    )
    return graph, constants


def resealed(content: bytes, change: Callable[[dict[str, Any]], object] = lambda _: None, extra: bytes = b"") -> bytes:
    """The file with another header and a right sha256, as anyone could make it."""
    magic, version, length = struct.unpack_from("<4sII", content)
    table = json.loads(content[12 : 12 + length])
    change(table)
    header = json.dumps(table).encode()
    body = struct.pack("<4sII", magic, version, len(header)) + header + content[12 + length : -32] + extra
    return body + hashlib.sha256(body).digest()


def refused(content: bytes) -> str:
    with pytest.raises(GraphError) as caught:
        load_graph(content, "g.qsrg")
    message = str(caught.value)
    assert message.startswith("g.qsrg: ")
    assert message.isprintable()
    return message


def assert_same(left: tuple[Graph, Constants], right: tuple[Graph, Constants]) -> None:
    assert left[0] == right[0]
    for node in left[0].nodes:
        for key in node_constants(node):
            assert left[1][key].dtype == right[1][key].dtype
            assert left[1][key].shape == right[1][key].shape
            assert left[1][key].tobytes() == right[1][key].tobytes()


def test_round_trip() -> None:
    graph, constants = small_graph()
    content = dump_graph(graph, constants)
    loaded = load_graph(content)
    assert_same((graph, constants), loaded)
    assert sorted(loaded[1]) == ["b", "dw", "m", "s", "w", "wide_b"], "what no node reads is left out"
    assert dump_graph(*loaded) == content
    with pytest.raises(ValueError, match="read-only"):
        loaded[1][ConstantId("b")][0] = 1


names = st.text(max_size=8)
whole = st.integers(-(2**40), 2**40)
shapes = npst.array_shapes(min_dims=0, max_dims=4, max_side=3)
arrays: st.SearchStrategy[Array] = st.sampled_from([np.int8, np.int32, np.float32]).flatmap(
    lambda dtype: npst.arrays(dtype, shapes)  # NaN and infinities of float32 included: the bytes are what counts
)


def nodes(keys: list[str]) -> st.SearchStrategy[Node]:
    constant = st.sampled_from(keys).map(ConstantId)
    tensor = names.map(TensorId)
    requantization = st.one_of(st.builds(Shift, shifts=constant), st.builds(Multiplier, multipliers=constant))
    return st.one_of(
        st.builds(QuantizeInput, name=names, output=tensor),
        st.builds(Add, name=names, inputs=st.tuples(tensor, tensor), output=tensor),
        st.builds(DepthToSpace, name=names, input=tensor, output=tensor, block=whole),
        st.builds(
            Conv2d,
            name=names,
            input=tensor,
            output=tensor,
            weights=constant,
            bias=constant,
            weight_bits=whole,
            requantization=requantization,
            depthwise=st.booleans(),
        ),
    )


@st.composite
def graphs(draw: st.DrawFn) -> tuple[Graph, Constants]:
    store = draw(st.dictionaries(names.map(ConstantId), arrays, min_size=1, max_size=4))
    ranges = st.builds(CodeRange, whole, whole)
    graph = draw(
        st.builds(
            Graph,
            name=names,
            scale=whole,
            depth=whole,
            bits=whole,
            profile=st.sampled_from(Profile),
            tensors=st.lists(
                st.builds(Tensor, id=names.map(TensorId), channels=whole, range=ranges, upscale=whole), max_size=3
            ).map(tuple),
            nodes=st.lists(nodes(list(store)), max_size=4).map(tuple),
            output=names.map(TensorId),
        )
    )
    return graph, Constants(store)


@given(graphs())
def test_any_graph_comes_back_equal(pair: tuple[Graph, Constants]) -> None:
    content = dump_graph(*pair)
    loaded = load_graph(content)
    assert_same(pair, loaded)
    assert dump_graph(*loaded) == content


def test_order_of_the_store_does_not_matter() -> None:
    graph, constants = small_graph()
    turned = Constants(dict(reversed(list(constants.items()))))
    assert dump_graph(graph, constants) == dump_graph(graph, turned)


def test_arrays_of_any_layout_are_written_alike() -> None:
    graph, constants = small_graph()
    other: dict[ConstantId, Any] = {
        key: np.asfortranarray(array).astype(array.dtype.newbyteorder(">")) for key, array in constants.items()
    }
    assert dump_graph(graph, Constants(other)) == dump_graph(graph, constants)


@pytest.mark.parametrize("array", [np.zeros(3, np.int64), np.zeros(0, np.int32), np.zeros(3, np.float64)])
def test_arrays_that_graphs_do_not_have_are_not_written(array: Any) -> None:
    graph, constants = small_graph()
    with pytest.raises(GraphError, match=r"small: b is"):
        dump_graph(graph, Constants({**constants, ConstantId("b"): array}))


def test_missing_constants_are_named() -> None:
    graph, constants = small_graph()
    with pytest.raises(GraphError, match="'b'"):
        dump_graph(graph, Constants({key: array for key, array in constants.items() if key != "b"}))


def test_every_flipped_byte_is_noticed() -> None:
    content = dump_graph(*small_graph())
    for i in range(len(content)):
        for mask in (0x01, 0x20, 0xFF):
            damaged = bytearray(content)
            damaged[i] ^= mask
            with pytest.raises(GraphError):
                load_graph(bytes(damaged))


def test_every_cut_is_noticed() -> None:
    content = dump_graph(*small_graph())
    for length in range(len(content)):
        with pytest.raises(GraphError):
            load_graph(content[:length])
    refused(content + b"\0")


@given(st.binary(max_size=100))
def test_garbage_is_refused(content: bytes) -> None:
    for start in (b"", b"QSRG", b"QSRG\1\0\0\0"):
        refused(start + content)


@given(st.binary(max_size=100), st.integers(0, 2**32 - 1))
def test_garbage_with_a_right_digest_is_refused(content: bytes, length: int) -> None:
    for size in (length, len(content)):
        body = struct.pack("<4sII", b"QSRG", 1, size) + content
        refused(body + hashlib.sha256(body).digest())


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10) | st.sampled_from(["conv2d", "add"]),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=10), children, max_size=3),
    max_leaves=5,
)


@given(data=st.data())
def test_any_value_anywhere_in_the_header_is_read_or_refused(data: st.DataObject) -> None:
    def change(table: dict[str, Any]) -> None:
        places: list[tuple[Any, Any]] = []

        def walk(node: Any) -> None:
            for key in list(node) if isinstance(node, dict) else range(len(node)):
                places.append((node, key))
                if isinstance(node[key], dict | list):
                    walk(node[key])

        walk(table)
        node, key = data.draw(st.sampled_from(places))
        if isinstance(node, dict) and data.draw(st.booleans()):
            del node[key]
        else:
            node[key] = data.draw(json_values)

    content = resealed(dump_graph(*small_graph()), change)
    # Anything but these two outcomes is a defect.
    with contextlib.suppress(GraphError):
        graph, _ = load_graph(content)
        assert isinstance(graph, Graph)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda t: t.pop("name"), "no 'name'"),
        (lambda t: t.update(extra=1), "'extra'"),
        (lambda t: t.update(scale=True), "scale is a bool, expected int"),
        (lambda t: t.update(scale=2.0), "scale is a float, expected int"),
        (lambda t: t.update(profile="other"), "'other'"),
        (lambda t: t["nodes"][0].update(kind="relu"), "unknown kind"),
        (lambda t: t["nodes"][0].update(input="x"), "'input'"),
        (lambda t: t["nodes"][1].update(requantization={"shift": "s", "multiplier": "m"}), "neither"),
        (lambda t: t["nodes"][2].update(inputs=["image"]), "1 inputs, expected 2"),
        (lambda t: t["nodes"][3].update(weights="nothing"), "not those that its nodes read"),
        (lambda t: t["tensors"].append("x"), "tensors[5] is a str"),
        (lambda t: t["constants"][0].update(dtype="int64"), "constant 'b'"),
        (lambda t: t["constants"][0].update(shape=[2**30, 2**30]), "more bytes than the file has"),
        (lambda t: t["constants"][0].update(shape=[0]), "constant 'b'"),
        (lambda t: t["constants"][0].update(shape=[-1]), "constant 'b'"),
        (lambda t: t["constants"][0].update(shape=[1] * 100), "constant 'b'"),
        (lambda t: t["constants"][1].update(id="b"), "twice"),
        (lambda t: t["constants"][-1].update(shape=[1]), "bytes follow the last constant"),
    ],
)
def test_what_is_wrong_is_named(change: Callable[[dict[str, Any]], object], named: str) -> None:
    assert named in refused(resealed(dump_graph(*small_graph()), change))


def test_bytes_after_the_constants_are_refused() -> None:
    assert "4 bytes follow" in refused(resealed(dump_graph(*small_graph()), extra=b"more"))


def test_later_versions_are_refused() -> None:
    body = struct.pack("<4sII", b"QSRG", 2, 2) + b"{}"
    assert "update qsr-edge" in refused(body + hashlib.sha256(body).digest())


def test_deep_nesting_is_refused() -> None:
    header = b"[" * 100_000
    body = struct.pack("<4sII", b"QSRG", 1, len(header)) + header
    assert "not JSON" in refused(body + hashlib.sha256(body).digest())


TEXT = """\
graph small: x2, depth 1, 4 bits, scaled, output big
tensors
  image: 3 channels, codes [-128, 127], grid x1
  stream: 3 channels, codes [0, 15], grid x1
  sum: 3 channels, codes [-128, 127], grid x1
  wide: 12 channels, codes [-128, 127], grid x1
  big: 3 channels, codes [-128, 127], grid x2
nodes
  quantize: quantize_input image -> image
  shift_input: conv2d image -> stream weights dw (4 bits), bias b, shift s, depthwise
  residual: add image, stream -> sum
  tail: conv2d sum -> wide weights w (6 bits), bias wide_b, multiplier m
  shuffle: depth_to_space wide -> big block 2
constants
  b: int32 3 [-1, 70000] sha256 aef24192cfaf
  dw: int8 3x1x1x1 [1, 1] sha256 75c8fd04ad91
  m: float32 12 [0.00100000005, 0.5] sha256 f9e26edb3dc0
  s: int32 3 [1, 3] sha256 4636993d3e1d
  w: int8 12x3x3x3 [-6, 6] sha256 a78299afe40d
  wide_b: int32 12 [0, 11] sha256 a4886fc88ead
"""


def test_text() -> None:
    assert format_graph(*small_graph()) == TEXT


def test_text_shows_a_change_of_one_weight() -> None:
    graph, constants = small_graph()
    bias = constants[ConstantId("wide_b")].copy()
    bias[5] += 1
    assert format_graph(graph, Constants({**constants, ConstantId("wide_b"): bias})) != TEXT
    assert format_graph(replace(graph, depth=2), constants) != TEXT
