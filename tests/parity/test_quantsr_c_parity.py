"""Every runtime computes the bytes of a ``quantsr_c`` network: upsampler, long skip and negative shortcuts too."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from qsr_edge.bundle.layout import Pack
from qsr_edge.conversion.backend import ConvertOptions, ModelMetadata, ModelPackage, model_contents
from qsr_edge.conversion.parity import psnr_cost_db
from qsr_edge.conversion.registry import find_backend
from qsr_edge.errors import BackendError
from qsr_edge.lowering.checkpoint import lower_checkpoint
from qsr_edge.lowering.network import LoweredNetwork
from qsr_edge_converters.coreml.flavor import CoremlFlavor
from tests.support.quantsr_c_networks import calibrated_network, noise

METADATA = ModelMetadata(name="network", version="1", author="tests", licence="Apache-2.0", description="random")
IMAGES = noise((1, 1), (1, 7), (17, 5), (24, 32))
ANE_COST_DB = 0.1
"""PSNR that the ane flavour may lose to the golden interpreter: it rounds through float16."""


def check(
    target: str,
    folder: Path,
    *,
    scale: int,
    bits: int,
    negative: bool,
    pack: Pack = Pack.PER_DEPTH,
    depths: tuple[int, ...] = (2, 3, 4),
    input_size_px: tuple[int, int] | None = None,
) -> None:
    backend = find_backend(target)
    lowered = lower_checkpoint(calibrated_network(scale=scale, bits=bits, negative=negative))
    lowered = LoweredNetwork(graphs={d: lowered[d] for d in depths})
    models = backend.convert(lowered, ConvertOptions(metadata=METADATA, pack=pack, input_size_px=input_size_px))
    for name, content in model_contents(models).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    images = [image for image in IMAGES if input_size_px in (None, image.shape[:2])]
    compared = 0
    for model in models:
        for depth in model.depths:
            runner = backend.open_model(folder / model.name, depth=depth, kernels=backend.kernel_families()[0])
            for image in images:
                expected = lowered[depth].run(image)
                np.testing.assert_array_equal(runner.run(image), expected, err_msg=f"{model.name}, depth {depth}")
                compared += 1
    assert compared == len(depths) * len(images) > 0


@pytest.mark.parametrize("pack", [Pack.PER_DEPTH, Pack.SHARED])
@pytest.mark.parametrize(
    ("scale", "bits", "negative"), [(2, 2, False), (3, 3, True), (4, 4, False), (4, 4, True), (2, 8, False)]
)
def test_litert_with_xnnpack(tmp_path: Path, scale: int, bits: int, negative: bool, pack: Pack) -> None:
    pytest.importorskip("ai_edge_litert", reason="the extra [tflite] is not installed")
    check("tflite", tmp_path, scale=scale, bits=bits, negative=negative, pack=pack)


def test_litert_at_a_fixed_size(tmp_path: Path) -> None:
    pytest.importorskip("ai_edge_litert", reason="the extra [tflite] is not installed")
    check("tflite", tmp_path, scale=4, bits=4, negative=True, input_size_px=(17, 5))


@pytest.mark.parametrize(
    ("scale", "bits", "negative", "size_px"),
    [
        (2, 3, True, (17, 5)),
        *(pytest.param(*case, None, marks=pytest.mark.slow) for case in ((2, 3, True), (3, 2, False), (4, 4, True))),
    ],
)
def test_executorch(tmp_path: Path, scale: int, bits: int, negative: bool, size_px: tuple[int, int] | None) -> None:
    pytest.importorskip("executorch", reason="the extra [executorch] is not installed")
    from qsr_edge_converters.executorch import inspect_pte

    depths = (2,) if scale == 2 else (2, 4)
    check("executorch", tmp_path, scale=scale, bits=bits, negative=negative, depths=depths, input_size_px=size_px)
    assert inspect_pte(tmp_path / "network-d2.pte").first_float is None


@pytest.mark.parametrize(
    ("scale", "bits", "negative"),
    [(4, 4, True), *(pytest.param(*case, marks=pytest.mark.slow) for case in ((3, 3, False), (2, 2, False)))],
)
def test_coreml_exact(tmp_path: Path, scale: int, bits: int, negative: bool) -> None:
    pytest.importorskip("coremltools", reason="the extra [coreml] is not installed")
    check("coreml", tmp_path, scale=scale, bits=bits, negative=negative)


@pytest.mark.slow
def test_coreml_ane_costs_little(tmp_path: Path, photo: Path) -> None:
    pytest.importorskip("coremltools", reason="the extra [coreml] is not installed")
    from qsr_edge.data.images import read_picture

    backend = find_backend("coreml")
    lowered = lower_checkpoint(calibrated_network(scale=4, bits=4))
    options = ConvertOptions(metadata=METADATA, flavor=CoremlFlavor.ANE)
    models = backend.convert(lowered, options)
    assert all(isinstance(model, ModelPackage) and not model.deployment.byte_exact for model in models)
    for name, content in model_contents(models).items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    natural = np.ascontiguousarray(read_picture(photo).rgb[:96, :128])
    for model in models:
        [depth] = model.depths
        runner = backend.open_model(tmp_path / model.name, depth=depth, kernels=backend.kernel_families()[0])
        cost_db = psnr_cost_db(runner, lowered[depth], natural, None)
        assert abs(cost_db) < ANE_COST_DB


def test_tosa_refuses_a_float_multiplier_and_names_the_node() -> None:
    pytest.importorskip("tosa_reference_model", reason="the extra [tosa] is not installed")
    lowered = lower_checkpoint(calibrated_network(scale=2, bits=4))
    with pytest.raises(BackendError, match="node centre: a float multiplier cannot be exact in TOSA"):
        find_backend("tosa").convert(lowered, ConvertOptions(metadata=METADATA, input_size_px=(8, 8)))
