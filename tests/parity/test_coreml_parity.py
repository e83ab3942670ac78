"""Saved .mlpackage files, executed: the exact flavour gives the golden bytes, and coremltools reads the same weights.

On macOS the same tests run Core ML itself as well.
"""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

if importlib.util.find_spec("coremltools") is None:
    pytest.skip("the extra [coreml] is not installed", allow_module_level=True)

from qsr_edge.bundle.layout import Pack
from qsr_edge.conversion.backend import ConvertOptions, ModelMetadata, ModelPackage
from qsr_edge.conversion.convert import INEXACT_PSNR_COST_LIMIT_DB
from qsr_edge.conversion.parity import psnr_cost_db
from qsr_edge.data.images import read_picture
from qsr_edge.graph.ir import Conv2d, Multiplier, Shift
from qsr_edge.lowering.edge import lower_checkpoint
from qsr_edge.lowering.network import LoweredNetwork
from qsr_edge.nn.checkpoint import read_checkpoint
from qsr_edge.quant.arithmetic import Profile
from qsr_edge.zoo import ZooEntry, zoo_entries
from qsr_edge_converters.coreml import BACKEND
from qsr_edge_converters.coreml.flavor import CoremlFlavor
from qsr_edge_converters.native_messages import quiet_sdk
from tests.support.graph_builders import random_network, sample_images

METADATA = ModelMetadata(name="network", version="1", author="tests", licence="Apache-2.0", description="random")
IMAGES = sample_images(((1, 1), (1, 7), (17, 5), (32, 24)))
SCALED, PORTABLE = Profile.SCALED, Profile.PORTABLE


def write(packages: tuple[ModelPackage, ...], folder: Path) -> dict[int, Path]:
    for package in packages:
        for name, content in package.members.items():
            path = folder / package.name / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    return {depth: folder / package.name for package in packages for depth in package.depths}


def check(network: LoweredNetwork, paths: dict[int, Path], images: list[np.ndarray]) -> None:
    for depth, graph in network.items():
        for kernels in BACKEND.kernel_families():
            runner = BACKEND.open_model(paths[depth], depth=depth, kernels=kernels)
            for image in images:
                expected = graph.run(image)
                np.testing.assert_array_equal(runner.run(image), expected, err_msg=f"{paths[depth].name} {depth}")


@pytest.mark.parametrize(
    ("bits", "scale", "channels", "profile"),
    [
        (2, 2, 16, PORTABLE),
        (3, 3, 19, PORTABLE),
        pytest.param(4, 4, 13, PORTABLE, marks=pytest.mark.slow),
        (4, 2, 32, SCALED),
        pytest.param(8, 2, 16, SCALED, marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("pack", [pytest.param(Pack.PER_DEPTH, marks=pytest.mark.slow), Pack.SHARED])
def test_every_profile_and_width_gives_the_golden_bytes(
    tmp_path: Path, bits: int, scale: int, channels: int, profile: Profile, pack: Pack
) -> None:
    network = random_network(bits=bits, scale=scale, channels=channels, depths=(1, 2), seed=bits, profile=profile)
    check(network, write(BACKEND.convert(network, ConvertOptions(metadata=METADATA, pack=pack)), tmp_path), IMAGES)


@pytest.mark.parametrize("more", [(), ((32, 24), (1, 7))])
def test_fixed_and_enumerated_sizes(tmp_path: Path, more: tuple[tuple[int, int], ...]) -> None:
    network = random_network(bits=4, scale=2, channels=16, depths=(1,))
    options = ConvertOptions(input_size_px=(17, 5), more_sizes_px=more, metadata=METADATA)
    paths = write(BACKEND.convert(network, options), tmp_path)
    check(network, paths, [image for image in IMAGES if image.shape[:2] in ((17, 5), *more)])


@pytest.mark.parametrize("pack", [pytest.param(Pack.PER_DEPTH, marks=pytest.mark.slow), Pack.SHARED])
@pytest.mark.parametrize("flavor", list(CoremlFlavor))
@pytest.mark.parametrize(
    ("bits", "profile"),
    [
        pytest.param(2, PORTABLE, marks=pytest.mark.slow),
        (3, PORTABLE),
        pytest.param(4, PORTABLE, marks=pytest.mark.slow),
        (8, SCALED),
    ],
)
def test_coremltools_reads_every_weight_as_the_graph_holds_it(
    tmp_path: Path, bits: int, profile: Profile, flavor: CoremlFlavor, pack: Pack
) -> None:
    """By coremltools' own loaders of the specification, the weight file and the program; none of our reading."""
    network = random_network(bits=bits, scale=2, channels=16, depths=(1, 2), profile=profile)
    options = ConvertOptions(metadata=METADATA, flavor=flavor, pack=pack)
    paths = write(BACKEND.convert(network, options), tmp_path)
    with quiet_sdk():
        from coremltools.converters.mil.frontend.milproto.load import load
        from coremltools.models import MLModel
    for depth, graph in network.items():
        model = MLModel(str(paths[depth]), skip_model_load=True)
        spec = model.get_spec()
        program = load(spec, spec.specificationVersion, model.weights_dir)
        function = program.functions["main" if pack is Pack.PER_DEPTH else f"d{depth}"]
        found = {operation.name: operation for operation in function.operations}
        convolutions = [node for node in graph.graph.nodes if isinstance(node, Conv2d) and not node.depthwise]
        assert len(convolutions) == sum(operation.op_type == "conv" for operation in function.operations)
        for node in convolutions:
            operation = found[f"{node.name.replace('.', '_')}_sum"]
            codes = graph.constants[node.weights].transpose(0, 3, 1, 2).astype(np.float64)
            match node.requantization:
                case Shift(shifts=key):
                    scales = 2.0 ** -graph.constants[key].astype(np.float64)
                case Multiplier(multipliers=key) if flavor is CoremlFlavor.ANE:
                    scales = graph.constants[key].astype(np.float16).astype(np.float64)
                case Multiplier():
                    scales = np.ones(len(codes))
            expected = codes * scales.reshape(-1, 1, 1, 1)
            if flavor is CoremlFlavor.ANE:
                expected = expected.astype(np.float16)
            np.testing.assert_array_equal(operation.weight.op.materialized_val_inference(), expected)


@pytest.mark.parametrize(
    "entry",
    [
        pytest.param(entry, id=entry.name, marks=[] if (entry.scale, entry.bits) == (2, 2) else pytest.mark.slow)
        for entry in zoo_entries()
        if entry.bits
    ],
)
@pytest.mark.parametrize("flavor", list(CoremlFlavor))
def test_weights_are_packed(entry: ZooEntry, flavor: CoremlFlavor) -> None:
    """No more than 1.1 times the weights' own bits, and 20 KB for biases, scales and records."""
    network = lower_checkpoint(read_checkpoint(entry.path))
    for package in BACKEND.convert(network, ConvertOptions(metadata=METADATA, flavor=flavor)):
        graph = network[package.depths[0]]
        convolutions = [node for node in graph.graph.nodes if isinstance(node, Conv2d)]
        ideal = sum(graph.constants[node.weights].size * node.weight_bits / 8 for node in convolutions)
        stored = len(package.members["Data/com.apple.CoreML/weights/weight.bin"])
        assert stored <= 1.1 * ideal + 20_000, package.name


def test_the_neural_engines_form_costs_little(tmp_path: Path, photo: Path) -> None:
    natural = read_picture(photo).rgb[:128, :160]
    [entry] = [entry for entry in zoo_entries() if entry.name == "x2_w4a4"]
    network = lower_checkpoint(read_checkpoint(entry.path))
    options = ConvertOptions(metadata=METADATA, flavor=CoremlFlavor.ANE)
    paths = write(BACKEND.convert(network, options), tmp_path)
    for depth, graph in network.items():
        runner = BACKEND.open_model(paths[depth], depth=depth, kernels="executor")
        assert psnr_cost_db(runner, graph, natural, None) < INEXACT_PSNR_COST_LIMIT_DB


@pytest.mark.slow
@pytest.mark.parametrize("entry", [e for e in zoo_entries() if e.bits], ids=lambda entry: entry.name)
def test_the_zoo_gives_the_golden_bytes(entry: ZooEntry, tmp_path: Path, photo: Path) -> None:
    network = lower_checkpoint(read_checkpoint(entry.path))
    images = [*IMAGES, np.ascontiguousarray(read_picture(photo).rgb[:96, :128])]
    for pack in (Pack.PER_DEPTH, Pack.SHARED):
        check(network, write(BACKEND.convert(network, ConvertOptions(pack=pack, metadata=METADATA)), tmp_path), images)
