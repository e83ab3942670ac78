"""What is written, what is read back, and what damaged files do."""

import dataclasses
import json
import re
import subprocess
import sys
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qsr_edge.bundle.layout import Pack, Storage
from qsr_edge.conversion.backend import ConvertOptions, ModelMetadata
from qsr_edge.errors import BackendError, GraphError, QsrError
from qsr_edge.extras import how_to_install
from qsr_edge.graph.ir import Add, QuantizeInput
from qsr_edge.lowering.network import LoweredNetwork, convolutional_network
from qsr_edge.quant.arithmetic import CodeRange, Profile
from qsr_edge_converters.tflite import BACKEND, inspect_model
from qsr_edge_converters.tflite.reading import read_model
from tests.support.graph_builders import random_network, sample_images
from tests.support.waiting import PATIENCE_S

pytest.importorskip("ai_edge_litert", reason="the extra [tflite] is not installed")

METADATA = ModelMetadata(
    name="net-x2", version="1.2.3", author="someone", licence="Apache-2.0", description="Four bits; größer"
)
COMPACT_SHARE_MAX = 0.6
"""Of the fast file's bytes."""


@pytest.fixture(scope="module")
def network() -> LoweredNetwork:
    return random_network(bits=4, scale=2, depths=(1, 2))


@pytest.fixture(scope="module")
def content(network: LoweredNetwork) -> bytes:
    options = ConvertOptions(storage=Storage.COMPACT, pack=Pack.SHARED, metadata=METADATA)
    return BACKEND.convert(network, options)[0].content


@pytest.fixture
def path(tmp_path: Path, content: bytes) -> Path:
    file = tmp_path / "model.tflite"
    file.write_bytes(content)
    return file


def test_names_and_depths(network: LoweredNetwork) -> None:
    separate = BACKEND.convert(network, ConvertOptions(metadata=METADATA))
    assert [(file.name, file.depths) for file in separate] == [
        ("net-x2-w4a4-d1.tflite", (1,)),
        ("net-x2-w4a4-d2.tflite", (2,)),
    ]
    shared = BACKEND.convert(network, ConvertOptions(pack=Pack.SHARED, metadata=METADATA))
    assert [(file.name, file.depths) for file in shared] == [("net-x2.tflite", (1, 2))]


def test_same_network_same_bytes(network: LoweredNetwork) -> None:
    options = ConvertOptions(metadata=METADATA)
    assert BACKEND.convert(network, options) == BACKEND.convert(network, options)


def test_report(path: Path) -> None:
    report = inspect_model(path)
    assert report.signatures == ("d1", "d2")
    assert report.integer_only
    assert report.description == METADATA.description
    assert report.size_bytes == path.stat().st_size
    # Two relabelling additions are in the deeper one: 4-bit weights, signed output.
    assert dict(report.subgraphs[1].operators) == {
        "QUANTIZE": 2, "CONV_2D": 7, "DEPTHWISE_CONV_2D": 2, "ADD": 3, "DEPTH_TO_SPACE": 1,
    }  # fmt: skip
    assert set(report.subgraphs[1].tensor_types) <= {"int8", "uint8", "int32", "int4"}
    assert dict(report.metadata) == {
        "name": "net-x2", "version": "1.2.3", "author": "someone", "licence": "Apache-2.0",
        "description": METADATA.description, "scale": 2, "bits": 4, "profile": "portable", "storage": "compact",
        "depths": [1, 2],
    }  # fmt: skip


def test_report_names_a_float_tensor(tmp_path: Path) -> None:
    from qsr_edge_converters.tflite.flatbuffer import FileBuilder, schema

    file = FileBuilder(description="")
    subgraph = file.subgraph("main")
    subgraph.inputs = [subgraph.tensor("x", (1, 2), schema.TensorType.INT8)]
    subgraph.outputs = [subgraph.tensor("y", (1, 2), schema.TensorType.FLOAT32)]
    model = tmp_path / "float.tflite"
    model.write_bytes(file.to_bytes())
    report = inspect_model(model)
    assert not report.integer_only
    assert report.first_float_tensor == "main/y (float32)"
    assert dict(report.metadata) == {}


def test_the_sdk_reads_the_same(content: bytes) -> None:
    from ai_edge_litert import schema_py_generated as schema

    theirs = schema.ModelT.InitFromPackedBuf(content)
    ours = read_model(content, ours=True)
    assert len(theirs.subgraphs) == len(ours.subgraphs)
    for their_subgraph, subgraph in zip(theirs.subgraphs, ours.subgraphs, strict=True):
        for their_tensor, tensor in zip(their_subgraph.tensors, subgraph.tensors, strict=True):
            assert their_tensor.name.decode() == tensor.name
            assert tuple(their_tensor.shape) == tensor.shape
            data = theirs.buffers[their_tensor.buffer].data
            assert (b"" if data is None else bytes(data)) == tensor.content.tobytes()
        assert [tuple(item.inputs) for item in their_subgraph.operators] == [item.inputs for item in subgraph.operators]
    names = {entry.name.decode(): bytes(theirs.buffers[entry.buffer].data) for entry in theirs.metadata}
    assert json.loads(names["qsr_edge"])["version"] == "1.2.3"
    assert names["min_runtime_version"] == b"2.14.0".ljust(16, b"\0")


def test_buffers_are_aligned(content: bytes) -> None:
    base = np.frombuffer(content, np.uint8).__array_interface__["data"][0]
    for subgraph in read_model(content, ours=True).subgraphs:
        for tensor in subgraph.tensors:
            if tensor.content.size:
                assert (tensor.content.__array_interface__["data"][0] - base) % 16 == 0


def test_shared_file_holds_constants_once(network: LoweredNetwork) -> None:
    both = BACKEND.convert(network, ConvertOptions(pack=Pack.SHARED, metadata=METADATA))[0]
    single = BACKEND.convert(network, ConvertOptions(metadata=METADATA))
    assert len(both.content) < 0.75 * sum(len(file.content) for file in single)
    first, second = read_model(both.content, ours=True).subgraphs
    where = [{t.name: t.content.__array_interface__["data"][0] for t in s.tensors} for s in (first, second)]
    assert where[0]["head/weights"] == where[1]["head/weights"]


@pytest.mark.parametrize("pack", [Pack.PER_DEPTH, Pack.SHARED])
def test_compact_is_small(pack: Pack) -> None:
    network = random_network(bits=4, scale=2, depths=(2, 4, 8), channels=32)
    fast, compact = (
        BACKEND.convert(network, ConvertOptions(storage=storage, pack=pack, metadata=METADATA))[-1].content
        for storage in (Storage.FAST, Storage.COMPACT)
    )
    assert len(compact) <= COMPACT_SHARE_MAX * len(fast)


def test_refuses_compact_for_the_scaled_profile() -> None:
    network = random_network(bits=4, scale=2, profile=Profile.SCALED)
    with pytest.raises(BackendError, match="compact storage is exact for the profile 'portable' only"):
        BACKEND.convert(network, ConvertOptions(storage=Storage.COMPACT, metadata=METADATA))


def test_refuses_an_impossible_size(network: LoweredNetwork) -> None:
    with pytest.raises(BackendError, match="input size"):
        BACKEND.convert(network, ConvertOptions(input_size_px=(0, 4), metadata=METADATA))


def test_refuses_no_graphs() -> None:
    with pytest.raises(BackendError, match="no graph"):
        BACKEND.convert(LoweredNetwork(graphs={}), ConvertOptions(metadata=METADATA))


def test_refuses_a_malformed_graph(network: LoweredNetwork) -> None:
    graph = network[1].graph
    broken = dataclasses.replace(graph, nodes=graph.nodes[1:])
    with pytest.raises(GraphError):
        BACKEND.convert(convolutional_network({1: broken}, network[1].constants), ConvertOptions(metadata=METADATA))


def test_refuses_to_add_narrow_codes(network: LoweredNetwork) -> None:
    graph = network[1].graph
    narrow = next(node.output for node in graph.nodes if isinstance(node, Add))
    tensors = tuple(
        dataclasses.replace(tensor, range=CodeRange.signed(4)) if tensor.id == narrow else tensor
        for tensor in graph.tensors
    )
    broken = MappingProxyType({1: dataclasses.replace(graph, tensors=tensors)})
    assert isinstance(graph.nodes[0], QuantizeInput)
    with pytest.raises(QsrError, match=r"b0\.add"):
        BACKEND.convert(convolutional_network(broken, network[1].constants), ConvertOptions(metadata=METADATA))


def test_runner_arguments(path: Path) -> None:
    image = sample_images([(3, 4)])[0]
    assert BACKEND.open_model(path, depth=2).run(image).shape == (6, 8, 3)
    with pytest.raises(BackendError, match="holds no depth 3; its signatures are d1, d2"):
        BACKEND.open_model(path, depth=3)
    with pytest.raises(BackendError, match="'neon'; expected xnnpack, builtin, reference"):
        BACKEND.open_model(path, depth=1, kernels="neon")
    with pytest.raises(BackendError, match="threads = 0"):
        BACKEND.open_model(path, depth=1, threads=0)
    with pytest.raises(BackendError, match=r"missing\.tflite: cannot be read: No such file"):
        BACKEND.open_model(path.with_name("missing.tflite"), depth=1)
    for wrong in (image.astype(np.int8), image[..., :1], image[0], image[:0]):
        with pytest.raises(BackendError, match=r"expected uint8 \(H, W, 3\)"):
            BACKEND.open_model(path, depth=1).run(wrong)


def test_runner_leaves_images_alone_and_takes_views(path: Path) -> None:
    runner = BACKEND.open_model(path, depth=1)
    image = sample_images([(9, 10)])[0]
    before = image.copy()
    crop = image[1:8, 2:7]
    first = runner.run(crop)
    kept = first.copy()
    runner.run(255 - crop)
    np.testing.assert_array_equal(first, kept)
    np.testing.assert_array_equal(runner.run(np.ascontiguousarray(crop)), kept)
    np.testing.assert_array_equal(image, before)


def test_fixed_size(tmp_path: Path, network: LoweredNetwork) -> None:
    options = ConvertOptions(input_size_px=(6, 5), metadata=METADATA)
    file = tmp_path / "fixed.tflite"
    file.write_bytes(BACKEND.convert(network, options)[0].content)
    runner = BACKEND.open_model(file, depth=1)
    assert runner.run(np.zeros((6, 5, 3), np.uint8)).shape == (12, 10, 3)
    with pytest.raises(BackendError, match=r"takes images of \(6, 5\) pixels only, got \(5, 6\)"):
        runner.run(np.zeros((5, 6, 3), np.uint8))


def test_native_code_prints_nothing(path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    BACKEND.open_model(path, depth=1).run(np.zeros((2, 2, 3), np.uint8))
    captured = capfd.readouterr()
    assert captured.out == captured.err == ""


def test_foreign_and_cut_files(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "x.tflite"
    for damaged in (b"", b"TFL3", b"PK\3\4" + bytes(100), b"\x14\0\0\0TFL3" + b"\xff" * 40, content[:-1], content[:99]):
        file.write_bytes(damaged)
        with pytest.raises(BackendError, match=r"x\.tflite: damaged or not written by qsr-edge"):
            BACKEND.open_model(file, depth=1)


FUZZ = """
import sys
from pathlib import Path
import numpy as np
from qsr_edge.errors import BackendError
from qsr_edge_converters.tflite import BACKEND, inspect_model

path, seed, rounds = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
content = path.read_bytes()
rng = np.random.default_rng(seed)
image = rng.integers(0, 256, (5, 4, 3), dtype=np.uint8)
refused = 0

def run_xnnpack(path):
    BACKEND.open_model(path, depth=2, kernels="xnnpack").run(image)

def run_builtin(path):
    BACKEND.open_model(path, depth=2, kernels="builtin").run(image)

for _ in range(rounds):
    damaged = bytearray(content)
    for position in rng.integers(0, len(content), rng.integers(1, 3)):
        flipped = damaged[position] ^ 1 << int(rng.integers(0, 8))
        damaged[position] = rng.integers(0, 256) if rng.random() < 0.5 else flipped
    path.write_bytes(bytes(damaged[: rng.integers(0, len(content))] if rng.random() < 0.1 else damaged))
    for attempt in (inspect_model, run_xnnpack, run_builtin):
        try:
            attempt(path)
        except BackendError as error:
            assert "\\n" not in str(error)
            refused += 1
print(refused)
"""


@pytest.mark.parametrize("rounds", [200, pytest.param(5000, marks=pytest.mark.slow)])
def test_damaged_files_never_crash(path: Path, rounds: int) -> None:
    """In a process of its own, so that a crash of native code is seen as one."""
    # A round takes some ten milliseconds; one that hangs is a crash, too.
    limit_s = PATIENCE_S + rounds
    run = subprocess.run(
        [sys.executable, "-c", FUZZ, str(path), "1", str(rounds)], capture_output=True, text=True, timeout=limit_s
    )
    assert run.returncode == 0, run.stderr[-2000:]
    assert int(run.stdout) > rounds // 2


@settings(max_examples=200)
@given(st.binary(max_size=64), st.integers(0, 2000))
def test_reading_anything_is_an_error_of_ours(junk: bytes, cut: int) -> None:
    for data in (junk, b"\x10\0\0\0TFL3" + junk, b"\x10\0\0\0TFL3" + junk * (cut % 7)):
        with pytest.raises(BackendError):
            read_model(data, ours=True)


def test_missing_sdk_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    with pytest.raises(BackendError, match=rf"needs ai_edge_litert .*{re.escape(how_to_install('tflite'))}"):
        BACKEND.check_available()


def test_importing_the_back_end_needs_no_sdk() -> None:
    code = (
        "import sys, qsr_edge_converters.tflite as tflite; tflite.BACKEND.kernel_families(); "
        "print([name for name in sys.modules if 'litert' in name or name == 'flatbuffers'])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_runtime_version() -> None:
    assert BACKEND.runtime_version().startswith("ai-edge-litert 2.")


def test_weights_in_a_file_apart_are_refused() -> None:
    network = random_network(bits=4, scale=2, channels=8, depths=(1,))
    with pytest.raises(BackendError, match="--pack per-depth or --pack shared"):
        BACKEND.convert(network, ConvertOptions(pack=Pack.EXTERNAL, metadata=METADATA))
