"""OpenVINO, which reads QDQ form by rules of its own, gives the golden interpreter's bytes."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnx", reason="the extra [onnx] is not installed")
openvino = pytest.importorskip("openvino", reason="OpenVINO is not installed: make htp-env")

from qsr_edge.bundle.layout import Storage
from qsr_edge.conversion.backend import ConvertOptions, ModelMetadata
from qsr_edge.lowering.checkpoint import lower_checkpoint
from qsr_edge.nn.checkpoint import read_checkpoint
from qsr_edge.quant.arithmetic import Profile
from qsr_edge.zoo import ZooEntry, zoo_entries
from qsr_edge_converters.onnx import BACKEND
from tests.support.graph_builders import sample_images

pytestmark = pytest.mark.slow
METADATA = ModelMetadata(name="network", version="1", author="tests", licence="Apache-2.0", description="zoo")
IMAGES = sample_images(((7, 5), (24, 40)))
SCALED_SHARE = 0.01
"""Most bytes that may differ in the profile `scaled`: OpenVINO rounds its multipliers in its own way."""


@pytest.mark.parametrize("precision", ["the default", "f32"])
@pytest.mark.parametrize("entry", [e for e in zoo_entries() if e.bits], ids=lambda entry: entry.name)
def test_bundled_networks(tmp_path: Path, entry: ZooEntry, precision: str) -> None:
    network = lower_checkpoint(read_checkpoint(entry.path))
    settings = {"INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": precision}
    if precision == "the default":
        del settings["INFERENCE_PRECISION_HINT"]
    core = openvino.Core()
    for storage in Storage:
        first, *_ = BACKEND.convert(network, ConvertOptions(metadata=METADATA, storage=storage))
        path = tmp_path / f"{storage}.onnx"
        path.write_bytes(first.content)
        model = core.compile_model(path, "CPU", settings)
        different = compared = 0
        for image in IMAGES:
            golden = network[first.depths[0]].run(image)
            [upscaled] = model(image.transpose(2, 0, 1)[np.newaxis].copy()).values()
            got = upscaled[0].transpose(1, 2, 0)
            assert (got.shape, got.dtype) == (golden.shape, np.uint8)
            different += int(np.count_nonzero(got != golden))
            compared += golden.size
        allowed = SCALED_SHARE * compared if network.deepest.graph.profile is Profile.SCALED else 0
        assert different <= allowed, f"{storage}: {different} of {compared} bytes differ"
