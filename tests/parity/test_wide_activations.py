"""Networks whose blocks read the residual stream's 8-bit codes: every back end gives the golden interpreter's bytes."""

from pathlib import Path

import numpy as np
import pytest

from qsr_edge.conversion.backend import ConvertOptions, ModelMetadata, model_contents, model_families
from qsr_edge.conversion.registry import backend_names, registered_backend
from qsr_edge.errors import BackendError
from qsr_edge.graph.integer_graph import ConvolutionalGraph
from qsr_edge.graph.ir import Conv2d
from qsr_edge.quant.arithmetic import Profile
from tests.support.graph_builders import random_network

SIZE_PX = (11, 14)
METADATA = ModelMetadata(name="wide", version="1", author="tests", licence="Apache-2.0", description="random")


PORTABLE, SCALED = Profile.PORTABLE, Profile.SCALED


FORMS = {"w2a8": (2, PORTABLE), "w4a8": (4, PORTABLE), "w8a8": (8, SCALED)}
SLOW = {("executorch", "w2a8"), ("executorch", "w8a8")}


@pytest.mark.parametrize(
    ("target", "bits", "profile"),
    [
        pytest.param(target, *form, id=f"{target}-{name}", marks=[pytest.mark.slow] * ((target, name) in SLOW))
        for target in backend_names()
        for name, form in FORMS.items()
    ],
)
def test_every_back_end_gives_the_golden_bytes(target: str, bits: int, profile: Profile, tmp_path: Path) -> None:
    backend = registered_backend(target)
    try:
        backend.check_available()
    except BackendError as missing:
        pytest.skip(str(missing))
    network = random_network(bits=bits, activation_bits=8, scale=2, channels=16, depths=(2,), profile=profile)
    assert not any(
        isinstance(node, Conv2d) and node.depthwise for node in network.of_kind(ConvolutionalGraph)[2].graph.nodes
    )
    options = ConvertOptions(input_size_px=SIZE_PX, metadata=METADATA)
    if (target, profile) == ("tosa", SCALED):
        with pytest.raises(BackendError, match="a float multiplier cannot be exact"):
            backend.convert(network, options)
        return
    models = backend.convert(network, options)
    for name, content in model_contents(models).items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    noise = np.random.default_rng(7).integers(0, 256, (*SIZE_PX, 3), np.uint8)
    [model] = models
    path = tmp_path / model.name
    families = model_families(backend, path, 2, backend.kernel_families())
    # In the scaled profile the default kernels round as the golden interpreter does; others need not.
    for kernels in families if profile is PORTABLE else families[:1]:
        runner = backend.open_model(path, depth=2, kernels=kernels)
        for image in (noise, np.ascontiguousarray(noise[::-1])):
            golden = network[2].run(image)
            assert golden.std() > 10
            np.testing.assert_array_equal(runner.run(image), golden, err_msg=f"{target} {kernels}")
