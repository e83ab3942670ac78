"""What is in the files, looking into them, and running what does not fit."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnxruntime", reason="the extra [onnx] is not installed")
pytest.importorskip("onnx", reason="the extra [onnx] is not installed")

import onnx

from qsr_edge.bundle.layout import Pack, Storage
from qsr_edge.conversion.backend import ConvertOptions, ModelMetadata
from qsr_edge.errors import BackendError
from qsr_edge_converters.onnx import BACKEND, inspect_onnx
from tests.support.graph_builders import random_network

METADATA = ModelMetadata(name="net", version="3", author="tests", licence="CC0-1.0", description="random")
NETWORK = random_network(bits=4, scale=2, channels=16, depths=(1, 2))


def write(folder: Path, **options: object) -> dict[int, Path]:
    paths = {}
    for file in BACKEND.convert(NETWORK, ConvertOptions(metadata=METADATA, **options)):
        path = folder / file.name
        path.write_bytes(file.content)
        paths |= dict.fromkeys(file.depths, path)
    return paths


def test_every_convolution_is_quantized_at_once(tmp_path: Path) -> None:
    """An activation between the two would keep an NPU from taking the convolution."""
    graph = onnx.load(write(tmp_path)[2]).graph
    readers = {name: [node for node in graph.node if name in node.input] for node in graph.node for name in node.output}
    convolutions = [node for node in graph.node if node.op_type == "Conv"]
    assert len(convolutions) == 9
    assert all([r.op_type for r in readers[node.output[0]]] == ["QuantizeLinear"] for node in convolutions)
    assert not {"Clip", "Relu", "Min", "Max"} & {node.op_type for node in graph.node}
    names = [node.name for node in graph.node]
    assert len(set(names)) == len(names)


def test_the_file_says_what_it_is(tmp_path: Path) -> None:
    path = write(tmp_path)[2]
    found = inspect_onnx(path)
    assert (found.opset, found.ir_version, found.producer) == (21, 10, "qsr-edge 3")
    assert (found.input_shape, found.description) == ("1 x 3 x height x width", "random")
    assert found.metadata["author"] == "tests"
    assert found.metadata["layout"] == "NCHW"
    assert found.unquantized is None
    fixed = inspect_onnx(write(tmp_path, input_size_px=(20, 30))[2])
    assert (fixed.input_shape, fixed.output_shape) == ("1 x 3 x 20 x 30", "1 x 3 x 40 x 60")
    assert BACKEND.recognises(path)
    assert BACKEND.inspect(path).facts["depth"] == "2"


@pytest.mark.parametrize("options", [{}, {"storage": Storage.COMPACT, "pack": Pack.SHARED}, {"input_size_px": (9, 7)}])
def test_a_file_alone_tells_what_running_it_costs(tmp_path: Path, options: dict[str, object]) -> None:
    for depth, path in write(tmp_path, **options).items():
        expected = NETWORK[depth].cost()
        [(told, found)] = BACKEND.inspect(path).costs.items()
        assert told == depth
        assert found.macs_per_pixel == expected.macs_per_pixel
        assert found.peak_activation_bytes_per_pixel == expected.peak_activation_bytes_per_pixel
        assert found.halo_px == expected.halo_px


def test_a_file_that_another_tool_rewrote_tells_no_costs(tmp_path: Path) -> None:
    path = write(tmp_path)[1]
    for change in ("an operator", "huge weights", "no depth"):
        model = onnx.load(path)
        convolution = next(node for node in model.graph.node if node.op_type == "Conv")
        if change == "an operator":
            convolution.op_type = "ConvInteger"
        if change == "huge weights":
            weights = next(tensor for tensor in model.graph.initializer if len(tensor.dims) == 4)
            weights.dims[0] = 1 << 40
        if change == "no depth":
            onnx.helper.set_model_props(model, {"depth": "deep"})
        changed = tmp_path / "changed.onnx"
        changed.write_bytes(model.SerializeToString())
        assert not inspect_onnx(changed).costs, change


def test_a_float_network_is_told_from_qdq_form(tmp_path: Path) -> None:
    model = onnx.load(write(tmp_path)[1])
    for node in model.graph.node:
        if node.op_type == "Add":
            relu = onnx.helper.make_node("Relu", [node.output[0]], ["rectified"], name="extra")
            readers = [other for other in model.graph.node if node.output[0] in other.input]
            for other in readers:
                other.input[0] = "rectified"
            position = list(model.graph.node).index(node) + 1
            model.graph.node.insert(position, relu)
            break
    path = tmp_path / "float.onnx"
    onnx.save(model, path)
    assert inspect_onnx(path).unquantized == f"{node.name} (Add)"


def test_the_weights_of_all_depths_lie_in_one_file(tmp_path: Path) -> None:
    paths = write(tmp_path, pack=Pack.SHARED)
    weights = tmp_path / "net.weights"
    assert inspect_onnx(paths[1]).external_files == inspect_onnx(paths[2]).external_files == (weights.name,)
    shared = weights.stat().st_size
    apart = tmp_path / "apart"
    apart.mkdir()
    whole = sum(path.stat().st_size for path in write(apart).values())
    assert shared + sum(path.stat().st_size for path in paths.values()) < whole
    weights.unlink()
    with pytest.raises(BackendError, match="cannot load it"):
        BACKEND.open_model(paths[1], depth=1)


def test_compact_weights_are_unpacked_when_a_model_is_loaded(tmp_path: Path) -> None:
    fast, compact = write(tmp_path)[2].stat().st_size, write(tmp_path, storage=Storage.COMPACT)[2]
    assert inspect_onnx(compact).constant_types["int4"] == 4
    assert compact.stat().st_size < fast
    placement = BACKEND.open_model(compact, depth=2).placement()
    assert placement.source == "ONNX Runtime's profile"
    kernels = placement.fallback
    assert kernels["QLinearConv"] == 9
    assert "Cast" not in kernels


def test_two_conversions_give_equal_bytes() -> None:
    options = ConvertOptions(metadata=METADATA, pack=Pack.SHARED, storage=Storage.COMPACT)
    assert BACKEND.convert(NETWORK, options) == BACKEND.convert(NETWORK, options)


def test_damaged_files_are_refused_in_one_line(tmp_path: Path) -> None:
    content = write(tmp_path)[1].read_bytes()
    path = tmp_path / "damaged.onnx"
    rng = np.random.default_rng(0)
    messages = []
    for i in range(120):
        damaged = bytearray(content)
        if i % 2:
            damaged = damaged[: rng.integers(len(content))]
        else:
            for position in rng.integers(0, len(content), 8):
                damaged[position] ^= 1 << rng.integers(8)
        path.write_bytes(damaged)
        try:
            inspect_onnx(path)
        except BackendError as error:
            messages.append(str(error))
    assert len(messages) > 60
    assert all("\n" not in message and str(path) in message for message in messages)


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, input_size_px=(8, 6))[1]
    runner = BACKEND.open_model(path, depth=1)
    with pytest.raises(BackendError, match=r"images of \(8, 6\) pixels only"):
        runner.run(np.zeros((6, 8, 3), np.uint8))
    with pytest.raises(BackendError, match=r"expected uint8 \(H, W, 3\)"):
        runner.run(np.zeros((8, 6), np.uint8))
    for arguments, message in [
        ({"depth": 2}, "holds depth 1, not 2"),
        ({"depth": 1, "threads": 0}, "threads = 0"),
        ({"depth": 1, "kernels": "gpu"}, "no family of kernels is called 'gpu'"),
    ]:
        with pytest.raises(BackendError, match=message):
            BACKEND.open_model(path, **arguments)
    with pytest.raises(BackendError, match="no such file"):
        BACKEND.open_model(tmp_path / "absent.onnx", depth=1)
    path.write_bytes(b"\x08\x0anothing")
    with pytest.raises(BackendError, match="cannot load it"):
        BACKEND.open_model(path, depth=1)
