"""QuantSR-T in real runtimes: byte for byte what the golden interpreter computes, and integers only."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("torch")

from qsr_edge.bundle.layout import Pack
from qsr_edge.conversion.backend import ConvertOptions, ModelMetadata, model_contents, model_families
from qsr_edge.conversion.registry import find_backend
from qsr_edge.errors import BackendError
from qsr_edge.lowering.network import LoweredNetwork
from qsr_edge_converters.coreml.flavor import CoremlFlavor
from tests.support.swin_networks import lowered, random_network

METADATA = ModelMetadata(name="t", version="1", author="a", licence="MIT", description="d")
SIZE_PX = (8, 16)


@pytest.fixture(scope="module")
def network() -> LoweredNetwork:
    return lowered(random_network(4, blocks=2, groups=1, depths=(2,)))


def options(size_px: tuple[int, int] | None = SIZE_PX, pack: Pack = Pack.PER_DEPTH) -> ConvertOptions:
    return ConvertOptions(metadata=METADATA, input_size_px=size_px, pack=pack)


def images() -> list[NDArray[np.uint8]]:
    rng = np.random.default_rng(7)
    noise = rng.integers(0, 256, (*SIZE_PX, 3), np.uint8)
    return [noise, (noise > 127) * np.uint8(255), np.zeros_like(noise)]


def check(target: str, network: LoweredNetwork, tmp_path: Path) -> list[Path]:
    backend = find_backend(target)
    paths = []
    for model in backend.convert(network, options()):
        paths.append(tmp_path / model.name)
        for name, content in model_contents([model]).items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_bytes(content)
        (depth,) = model.depths
        kernels = model_families(backend, paths[-1], depth, backend.kernel_families())[-1]
        runner = backend.open_model(paths[-1], depth=depth, kernels=kernels)
        for image in images():
            np.testing.assert_array_equal(runner.run(image), network[depth].run(image))
    assert len(paths) == len(network.depths)
    return paths


@pytest.mark.parametrize("bits", [2, 8])
def test_tosa(bits: int, tmp_path: Path) -> None:
    pytest.importorskip("tosa_reference_model")
    check("tosa", lowered(random_network(bits)), tmp_path)


@pytest.mark.slow
def test_executorch(network: LoweredNetwork, tmp_path: Path) -> None:
    pytest.importorskip("executorch")
    from qsr_edge_converters.executorch import BACKEND, inspect_pte

    for path in check("executorch", network, tmp_path):
        with pytest.raises(BackendError, match="runs in portable kernels"):
            BACKEND.open_model(path, depth=2, kernels="xnnpack")
        report = inspect_pte(path)
        assert report.first_float is None
        assert not report.methods[0].delegates
        assert report.methods[0].operators["aten::bmm.out"] > 0


def test_executorch_adds_and_divides_integers_beyond_those_of_float32(tmp_path: Path) -> None:
    pytest.importorskip("executorch")
    from qsr_edge_converters.native_messages import quiet_sdk

    with quiet_sdk():
        import torch
        from executorch.exir import EdgeCompileConfig, to_edge
        from executorch.runtime import Runtime
        from torch.export import export

        from qsr_edge_converters.executorch.swin import TorchOps

    class Parts(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            ops = TorchOps()
            sums = ops.sum_last(ops.multiply(x, x))
            products = ops.matmul(x, ops.constant(np.arange(60, dtype=np.int32).reshape(1, 60, 1)))
            return ops.concatenate(
                [sums, products, ops.divide(sums, ops.maximum(x, ops.constant(np.full((1, 1, 1), 1))))], 2
            )

    x = torch.randint(-4096, 4096, (1, 500, 60), dtype=torch.int32)
    with quiet_sdk():
        program = to_edge(export(Parts().eval(), (x,)), compile_config=EdgeCompileConfig(_check_ir_validity=False))
        (tmp_path / "parts.pte").write_bytes(bytes(program.to_executorch().buffer))
        (got,) = Runtime.get().load_program(tmp_path / "parts.pte").load_method("forward").execute([x])
    values = x.numpy().astype(np.int64)
    sums = (values**2).sum(-1, keepdims=True)
    assert sums.min() > 2**24
    expected = np.concatenate([sums, values @ np.arange(60)[:, None], sums // np.maximum(values, 1)], 2)
    np.testing.assert_array_equal(got.numpy(), expected)


def test_coreml(network: LoweredNetwork, tmp_path: Path) -> None:
    pytest.importorskip("coremltools")
    from qsr_edge_converters.coreml import inspect_package

    for path in check("coreml", network, tmp_path):
        (function,) = inspect_package(path).functions
        assert function.weight_types["int8"] > 0
        assert not {"conv", "softmax", "layer_norm", "gelu", "real_div", "rsqrt"} & function.operators.keys()
        # Integers become floats for matrix products alone; int8 weights are expanded for them.
        assert set(function.float_operators) == {"cast", "matmul", "constexpr_blockwise_shift_scale"}
        assert function.first_float is not None
    with pytest.raises(BackendError, match="flavour exact"):
        find_backend("coreml").convert(
            network, ConvertOptions(metadata=METADATA, input_size_px=SIZE_PX, flavor=CoremlFlavor.ANE)
        )


@pytest.mark.parametrize(("channels", "refused"), [(114, False), (120, True)])
def test_coreml_refuses_sums_that_float32_does_not_hold(channels: int, refused: bool) -> None:
    pytest.importorskip("coremltools")
    from qsr_edge_converters.coreml.sdk import ct
    from qsr_edge_converters.coreml.swin import build_swin_program

    wide = lowered(random_network(4, blocks=1, groups=1, depths=(1,), channels=channels))[1].swin
    build_swin_program(wide, (8, 8), opset=ct.target.iOS18)  # real weights are far from the bound
    weights = np.full_like(wide.conv_after_body.weights, 127)
    extreme = replace(wide, conv_after_body=replace(wide.conv_after_body, weights=weights))
    if not refused:
        build_swin_program(extreme, (8, 8), opset=ct.target.iOS18)
        return
    with pytest.raises(BackendError, match=r"-d1: conv_after_body: sums up to 17,556,480 are not exact"):
        build_swin_program(extreme, (8, 8), opset=ct.target.iOS18)


@pytest.mark.parametrize("target", ["tosa", "executorch", "coreml"])
def test_sizes_and_packs_that_cannot_be(target: str, network: LoweredNetwork) -> None:
    pytest.importorskip({"tosa": "tosa_reference_model", "executorch": "executorch", "coreml": "coremltools"}[target])
    backend = find_backend(target)
    with pytest.raises(BackendError, match="fixed input size"):
        backend.convert(network, options(None))
    with pytest.raises(BackendError, match="windows of 8"):
        backend.convert(network, options((12, 16)))
    with pytest.raises(BackendError, match="per-depth"):
        backend.convert(network, options(pack=Pack.SHARED))


@pytest.mark.parametrize("target", ["tosa", "coreml"])
def test_files_hardly_grow_with_the_input(target: str, network: LoweredNetwork) -> None:
    pytest.importorskip({"tosa": "tosa_reference_model", "coreml": "coremltools"}[target])
    small, large = (
        sum(map(len, model_contents(find_backend(target).convert(network, options(size))).values()))
        for size in ((16, 16), (96, 96))
    )
    # A number for each pixel of the larger input would be 36 kB.
    assert large - small < 96 * 96 * 4 * 2


def test_targets_without_transformers_say_so(network: LoweredNetwork) -> None:
    pytest.importorskip("ai_edge_litert")
    with pytest.raises(BackendError, match=r"transformers are not written; use --target coreml, executorch or tosa"):
        find_backend("tflite").convert(network, options())
