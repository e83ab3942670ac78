"""What the ExecuTorch back end refuses, and what it finds in files."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("executorch", reason="the extra [executorch] is not installed")

from qsr_edge.bundle.layout import Storage
from qsr_edge.conversion.backend import ConvertOptions, ModelFile, ModelMetadata
from qsr_edge.errors import BackendError
from qsr_edge.extras import how_to_install
from qsr_edge.graph.ir import Constants, Conv2d
from qsr_edge.lowering.network import LoweredNetwork
from qsr_edge.quant.arithmetic import CodeRange
from qsr_edge_converters import installed
from qsr_edge_converters.executorch import BACKEND, backend, inspect_pte
from qsr_edge_converters.executorch.encoding import encode_conv
from qsr_edge_converters.executorch.inspection import check_integer_only, inspect_pte_content
from qsr_edge_converters.executorch.kernels import program_kernels
from qsr_edge_converters.executorch.sdk import check_sdk
from qsr_edge_converters.native_messages import quiet_sdk

METADATA = ModelMetadata(name="tiny", version="1", author="tests", licence="CC0-1.0", description="random")


@pytest.fixture(scope="module", autouse=True)
def _sdk() -> None:
    check_sdk()  # its first import warns, which is an error in a test that happens to run first


@pytest.fixture
def network(tiny_network: LoweredNetwork) -> LoweredNetwork:
    return tiny_network


@pytest.fixture
def content(tiny_program: ModelFile) -> bytes:
    return tiny_program.content


def test_the_whole_network_is_one_delegate(network: LoweredNetwork, content: bytes) -> None:
    report = inspect_pte_content(content, "tiny.pte")
    [method] = report.methods
    assert method.name == "forward"
    [delegate] = method.delegates
    assert delegate.operators == {"XNNConv2d": 5, "XNNDepthwiseConv2d": 1, "XNNAdd": 2, "XNNConvTranspose2d": 1}
    assert set(method.operators) == {"aten::bitwise_xor.Scalar_out", "dim_order_ops::_to_dim_order_copy.out"}
    assert set(method.tensor_types) == {"uint8", "int8"}
    assert report.first_float is None
    check_integer_only(report, "forward", network[1].graph)


class _FloatAdd(torch.nn.Module):
    """The trap of XNNPACK's partitioner: a clamp behind an addition makes it a float one."""

    def forward(self, codes: torch.Tensor) -> torch.Tensor:
        ops = torch.ops.quantized_decomposed
        a, b = (ops.dequantize_per_tensor(codes, 1.0, 0, -128, 127, torch.int8) for _ in range(2))
        clamped = torch.nn.functional.hardtanh(a + b, 0.0, 3.0)
        result: torch.Tensor = ops.quantize_per_tensor(clamped, 1.0, 0, -128, 127, torch.int8)
        return result


def test_a_float_operator_is_found_and_named(network: LoweredNetwork) -> None:
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge

    with quiet_sdk():
        program = torch.export.export(_FloatAdd(), (torch.zeros(1, 3, 4, 4, dtype=torch.int8),))
        content = bytes(to_edge(program).to_backend(XnnpackPartitioner()).to_executorch().buffer)
    report = inspect_pte_content(content, "trap.pte")
    assert report.first_float is not None
    with pytest.raises(BackendError, match=r"trap\.pte: graph node unknown was lowered in floats: node 0"):
        check_integer_only(report, "forward", network[1].graph)


class _Doubled(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.where(x < 3, x + x, x)


@pytest.mark.parametrize(
    ("dtype", "named"), [(torch.bfloat16, "bfloat16"), (torch.float32, "float32"), (torch.int32, None)]
)
def test_every_float_type_of_a_foreign_program_is_told(dtype: torch.dtype, named: str | None) -> None:
    from executorch.exir import to_edge

    with quiet_sdk():
        exported = torch.export.export(_Doubled(), (torch.ones(2, dtype=dtype),))
        report = inspect_pte_content(bytes(to_edge(exported).to_executorch().buffer), "foreign.pte")
    assert report.methods[0].tensor_types["bool"] > 0  # of the comparison: no float
    assert report.first_float == (named and f"method forward, a {named} tensor outside the delegate")


class _PartlyDelegated(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = torch.nn.Conv2d(1, 1, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.erf(self.conv(x))  # XNNPACK has no erf


def test_a_methods_kernels_are_what_it_delegates(tmp_path: Path) -> None:
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge

    image = torch.ones(1, 1, 4, 4)
    modules = {"d1": (_PartlyDelegated().eval(), image), "d2": (_Doubled(), image.int())}
    with quiet_sdk():
        programs = {name: torch.export.export(module, (example,)) for name, (module, example) in modules.items()}
        content = bytes(to_edge(programs).to_backend(XnnpackPartitioner()).to_executorch().buffer)
    methods = {method.name: method for method in inspect_pte_content(content, "two.pte").methods}
    assert [(len(methods[name].delegates), bool(methods[name].operators)) for name in modules] == [(1, True), (0, True)]
    path = tmp_path / "two.pte"
    path.write_bytes(content)
    for depth, own, other in ((1, "xnnpack", "portable"), (2, "portable", "xnnpack")):
        assert program_kernels(content, depth, "two.pte") == own
        with pytest.raises(BackendError, match=f"two.pte: runs in {own} kernels as it was written, got '{other}'"):
            BACKEND.open_model(path, depth=depth, kernels=other)
    for depth, kernels in ((1, "xnnpack"), (2, None)):
        # The name is taken; that the program takes no image is found when it is tried.
        with pytest.raises(BackendError, match="ExecuTorch cannot run it"):
            BACKEND.open_model(path, depth=depth, kernels=kernels)


def test_what_the_sdk_cannot_do_is_refused(network: LoweredNetwork) -> None:
    with pytest.raises(BackendError, match="use --storage fast"):
        BACKEND.convert(network, ConvertOptions(storage=Storage.COMPACT, metadata=METADATA))
    with pytest.raises(BackendError, match="no graph"):
        BACKEND.convert(LoweredNetwork(graphs={}), ConvertOptions(metadata=METADATA))


@pytest.mark.parametrize(
    ("part", "value", "message"),
    [("weights", 100, "no guard bit"), ("bias", 1 << 23, "accumulators up to"), ("shifts", 40, "multipliers from")],
)
def test_constants_beyond_exactness_name_the_node(network: LoweredNetwork, part: str, value: int, message: str) -> None:
    graph = network[1].graph
    node = next(n for n in graph.nodes if isinstance(n, Conv2d) and n.name == "head")
    key = node.requantization.shifts if part == "shifts" else getattr(node, part)  # type: ignore[union-attr]
    arrays = dict(network[1].constants)
    arrays[key] = np.full_like(arrays[key], value)
    with pytest.raises(BackendError, match=f"node head: .*{message}"):
        encode_conv(node, Constants(arrays), input_range=CodeRange.signed(8))


def test_damaged_files_are_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "tiny.pte"
    for cut in (0, 6, 100, len(content) // 2):
        path.write_bytes(content[:cut])
        with pytest.raises(BackendError, match=r"tiny\.pte"):
            inspect_pte(path)
        with pytest.raises(BackendError, match=r"tiny\.pte"):
            BACKEND.open_model(path, depth=1)
    with pytest.raises(BackendError, match="no such file"):
        BACKEND.open_model(tmp_path / "none.pte", depth=1)


def test_wrong_arguments_are_named(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "tiny.pte"
    path.write_bytes(content)
    with pytest.raises(BackendError, match="expected xnnpack"):
        BACKEND.open_model(path, depth=1, kernels="builtin")
    with pytest.raises(BackendError, match="threads = 0"):
        BACKEND.open_model(path, depth=1, threads=0)
    runner = BACKEND.open_model(path, depth=1)
    bad: list[Any] = [np.zeros((3, 4), np.uint8), np.zeros((3, 4, 3), np.int8), np.zeros((1100, 4, 3), np.uint8)]
    for image in bad:
        with pytest.raises(BackendError, match=r"expected uint8|use smaller tiles"):
            runner.run(image)


def test_versions_outside_the_tested_range_warn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend, "version", lambda name: "1.7.0")
    with pytest.warns(UserWarning, match=r"executorch 1\.7\.0 was not tested .* tested are 1\.5 up to"):
        BACKEND.check_available()
    monkeypatch.setattr(backend, "version", lambda name: "1.5.9+cpu")
    BACKEND.check_available()


def test_a_missing_sdk_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ImportError(f"No module named {name!r}")

    monkeypatch.setattr(installed.importlib, "import_module", missing)
    with pytest.raises(BackendError, match=re.escape(how_to_install("executorch"))):
        BACKEND.check_available()


def test_the_name_is_of_the_options(tiny_program: ModelFile) -> None:
    assert tiny_program.name == f"{METADATA.name}-d1.pte"
