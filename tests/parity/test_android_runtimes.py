"""What the Kotlin back ends rely on, by the very runtimes that lie beneath their Java interfaces."""

import warnings
from pathlib import Path

import numpy as np
import pytest

from qsr_edge.bundle.layout import Pack
from qsr_edge.bundle.reader import read_bundle
from qsr_edge.conversion.backend import ConvertOptions, ModelMetadata
from qsr_edge.conversion.registry import find_backend
from tests.support.graph_builders import random_network, sample_images

METADATA = ModelMetadata(name="network", version="1", author="tests", licence="CC0-1.0", description="random")
SIZES = ((17, 5), (32, 24), (3, 40))


@pytest.mark.slow
def test_executorch_takes_rows_of_rgb_whatever_the_label(tmp_path: Path) -> None:
    # A Java tensor has no layout but its shape's: (1, 3, H, W) over bytes that are rows of RGB.
    pytest.importorskip("executorch", reason="the extra [executorch] is not installed")
    network = random_network(bits=4, scale=2)
    files = find_backend("executorch").convert(network, ConvertOptions(metadata=METADATA))
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the bindings call themselves experimental
        from executorch.runtime import Runtime

        Runtime.get()

    for file in files:
        (tmp_path / file.name).write_bytes(file.content)
        [depth] = file.depths
        method = Runtime.get().load_program(tmp_path / file.name).load_method("forward")
        for image in sample_images(SIZES):
            labelled = torch.from_numpy(image.copy()).reshape(1, 3, *image.shape[:2])
            [output] = method.execute([labelled])
            expected = network[depth].run(image)
            # Java hands over what lies in memory.
            assert output.stride()[1] == 1
            np.testing.assert_array_equal(output[0].permute(1, 2, 0).numpy(), expected)


@pytest.mark.parametrize("pack", [Pack.PER_DEPTH, Pack.SHARED])
def test_litert_resizes_its_first_input_or_a_signatures(tmp_path: Path, pack: Pack) -> None:
    interpreter_module = pytest.importorskip("ai_edge_litert.interpreter", reason="[tflite] is not installed")
    network = random_network(bits=4, scale=2)
    for file in find_backend("tflite").convert(network, ConvertOptions(metadata=METADATA, pack=pack)):
        (tmp_path / file.name).write_bytes(file.content)
        interpreter = interpreter_module.Interpreter(model_path=str(tmp_path / file.name), num_threads=1)
        for depth in file.depths:
            for image in sample_images(SIZES):
                expected = network[depth].run(image)
                if pack is Pack.PER_DEPTH:
                    [given], [made] = interpreter.get_input_details(), interpreter.get_output_details()
                    interpreter.resize_tensor_input(given["index"], [1, *image.shape])
                    interpreter.allocate_tensors()
                    interpreter.set_tensor(given["index"], image[np.newaxis])
                    interpreter.invoke()
                    found = interpreter.get_tensor(made["index"])
                else:
                    found = interpreter.get_signature_runner(f"d{depth}")(image=image[np.newaxis])["upscaled"]
                np.testing.assert_array_equal(found[0], expected)


def test_manifests_name_a_signature_only_where_depths_share_a_file(tiny_bundle: Path) -> None:
    assert {entry.signature for entry in read_bundle(tiny_bundle).manifest.depths} == {None}
