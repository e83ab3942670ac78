"""What the Core ML back end writes, refuses, and finds in damaged packages."""

import dataclasses
import importlib.util
import re
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

if importlib.util.find_spec("coremltools") is None:
    pytest.skip("the extra [coreml] is not installed", allow_module_level=True)

from qsr_edge.bundle.layout import Pack, Storage
from qsr_edge.conversion.backend import ConvertOptions, ModelMetadata
from qsr_edge.errors import BackendError, QsrWarning
from qsr_edge.extras import how_to_install
from qsr_edge.lowering.network import LoweredNetwork
from qsr_edge.quant.arithmetic import Profile
from qsr_edge_converters import installed
from qsr_edge_converters.coreml import BACKEND, inspect_package
from qsr_edge_converters.coreml.blob import INT4, UINT3, ElementType, WeightBlobs, unpack_elements
from qsr_edge_converters.coreml.flavor import CoremlFlavor
from qsr_edge_converters.coreml.package import read_package
from qsr_edge_converters.native_messages import quiet_sdk
from tests.support.graph_builders import random_network, sample_images

METADATA = ModelMetadata(name="tiny", version="1.2", author="tests", licence="CC0-1.0", description="random")
MODEL = "Data/com.apple.CoreML/model.mlmodel"
WEIGHTS = "Data/com.apple.CoreML/weights/weight.bin"
[IMAGE] = sample_images(((9, 12),))[:1]


@pytest.fixture(scope="module")
def network() -> LoweredNetwork:
    return random_network(bits=3, scale=2, channels=16, depths=(1, 2))


@pytest.fixture(scope="module")
def written(network: LoweredNetwork, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("written")
    [package, _] = BACKEND.convert(network, ConvertOptions(metadata=METADATA))
    for name, content in package.members.items():
        (folder / package.name / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / package.name / name).write_bytes(content)
    return folder / package.name


@pytest.fixture
def package(written: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(written, tmp_path / written.name))


def edit_model(package: Path, change: Callable[[Any], None]) -> None:
    BACKEND.check_available()
    with quiet_sdk():
        from coremltools.proto import Model_pb2
    model = Model_pb2.Model.FromString((package / MODEL).read_bytes())
    change(model)
    (package / MODEL).write_bytes(model.SerializeToString())


def body(model: Any) -> Any:
    return model.mlProgram.functions["main"].block_specializations["CoreML8"]


def operation(model: Any, kind: str) -> Any:
    return next(entry for entry in body(model).operations if entry.type == kind)


def test_what_is_written_says_what_it_is(written: Path) -> None:
    report = inspect_package(written)
    assert {key: report.facts[key] for key in ("author", "licence", "version", "description")} == {
        "author": "tests",
        "licence": "CC0-1.0",
        "version": "1.2",
        "description": "random",
    }
    assert report.minimum_os == "iOS 18, macOS 15"
    [function] = report.functions
    assert (function.name, function.opset, function.sizes) == ("main", "CoreML8", "1x1 to 2048x2048")
    assert function.weight_types["uint3"] == 3  # two of the body's convolutions, and the anchor
    assert function.weight_types["uint6"] == 2  # head and tail
    assert report.first_float == "main: codes (sub, fp32)"
    assert report.float_operators == function.float_operators
    assert {kind for kind in function.operators if "constexpr" not in kind} <= report.float_operators.keys()
    BACKEND.check_available()
    with quiet_sdk():
        from coremltools.models import MLModel

        spec = MLModel(str(written), skip_model_load=True).get_spec()
    [taken], [given] = spec.description.input, spec.description.output
    assert (taken.name, taken.shortDescription) == ("image", "RGB image, 8 bits a channel")
    assert (given.name, given.shortDescription) == ("upscaled", "RGB image, 2 times as wide and high")
    assert given.type.WhichOneof("Type") == "imageType"


def test_equal_networks_give_equal_bytes(network: LoweredNetwork) -> None:
    for pack in (Pack.PER_DEPTH, Pack.SHARED):
        options = ConvertOptions(metadata=METADATA, pack=pack)
        first, second = BACKEND.convert(network, options), BACKEND.convert(network, options)
        assert [package.members for package in first] == [package.members for package in second]


def test_eight_bits_need_ios_17_only() -> None:
    network = random_network(bits=8, scale=2, channels=8, depths=(1,), profile=Profile.SCALED)
    for pack, system in ((Pack.PER_DEPTH, "iOS 17, macOS 14"), (Pack.SHARED, "iOS 18, macOS 15")):
        [package] = BACKEND.convert(network, ConvertOptions(metadata=METADATA, pack=pack))
        assert package.deployment.minimum_os == system


def test_depths_share_weights(network: LoweredNetwork) -> None:
    [shared] = BACKEND.convert(network, ConvertOptions(metadata=METADATA, pack=Pack.SHARED))
    packages = BACKEND.convert(network, ConvertOptions(metadata=METADATA))
    assert shared.depths == (1, 2)
    assert len(shared.members[WEIGHTS]) <= max(len(package.members[WEIGHTS]) for package in packages)


def test_options_that_cannot_be_met_are_refused(network: LoweredNetwork) -> None:
    def convert(**changes: Any) -> None:
        BACKEND.convert(network, dataclasses.replace(ConvertOptions(metadata=METADATA), **changes))

    with pytest.raises(BackendError, match="always packed"):
        convert(storage=Storage.COMPACT)
    with pytest.raises(BackendError, match="file apart"):
        convert(pack=Pack.EXTERNAL)
    with pytest.raises(BackendError, match="expected different ones"):
        convert(input_size_px=(8, 8), more_sizes_px=((8, 8),))
    with pytest.raises(BackendError, match="no graph"):
        BACKEND.convert(LoweredNetwork(graphs={}), ConvertOptions(metadata=METADATA))


def test_wrong_use_is_named(written: Path) -> None:
    with pytest.raises(BackendError, match="no depth 2; it holds 1"):
        BACKEND.open_model(written, depth=2, kernels="executor")
    with pytest.raises(BackendError, match="expected coreml, coreml-cpu, executor"):
        BACKEND.open_model(written, depth=1, kernels="xnnpack")
    runner = BACKEND.open_model(written, depth=1, kernels="executor")
    for image in (np.zeros((3, 4), np.uint8), np.zeros((3, 4, 3), np.int8)):
        with pytest.raises(BackendError, match="expected uint8"):
            runner.run(image)
    with pytest.raises(BackendError, match=r"images of 1x1 to 2048x2048 pixels, got 2049x2"):
        runner.run(np.zeros((2, 2049, 3), np.uint8))


@pytest.mark.skipif(sys.platform == "darwin", reason="Core ML is here")
def test_what_only_macos_has_is_named(written: Path) -> None:
    with pytest.raises(BackendError, match="which only macOS has; use 'executor' here"):
        BACKEND.open_model(written, depth=1, kernels="coreml-cpu")
    with pytest.warns(QsrWarning, match="own executor runs the package"):
        BACKEND.open_model(written, depth=1)


def test_a_missing_sdk_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ImportError(f"No module named {name!r}")

    monkeypatch.setattr(installed.importlib, "import_module", missing)
    with pytest.raises(BackendError, match=re.escape(how_to_install("coreml"))):
        BACKEND.check_available()


def unknown_opset(model: Any) -> None:
    model.mlProgram.functions["main"].opset = "CoreML11"


def unknown_operator(model: Any) -> None:
    operation(model, "floor").type = "ceil"


def unknown_parameter(model: Any) -> None:
    operation(model, "floor").inputs["y"].CopyFrom(operation(model, "floor").inputs["x"])


def unknown_type(model: Any) -> None:
    operation(model, "floor").outputs[0].type.tensorType.dataType = 13  # bfloat16


def other_type(model: Any) -> None:
    operation(model, "floor").outputs[0].type.tensorType.dataType = 10  # says float16, makes float32


def nothing_makes_it(model: Any) -> None:
    operation(model, "floor").inputs["x"].arguments[0].name = "nowhere"


def strided(model: Any) -> None:
    [ones] = [entry for entry in body(model).operations if entry.outputs[0].name.startswith("shared_ones")]
    ones.attributes["val"].immediateValue.tensor.ints.values[:] = [2, 2]


def wrong_offset(model: Any) -> None:
    operation(model, "constexpr_blockwise_shift_scale").inputs["scale"].arguments[0].value.blobFileValue.offset += 64


def other_file(model: Any) -> None:
    value = operation(model, "constexpr_blockwise_shift_scale").inputs["scale"].arguments[0].value
    value.blobFileValue.fileName = "/etc/passwd"


def not_a_program(model: Any) -> None:
    model.neuralNetwork.SetInParent()


def no_image(model: Any) -> None:
    model.description.output[0].type.multiArrayType.SetInParent()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (unknown_opset, "operator set 'CoreML11', known are CoreML7, CoreML8"),
        (unknown_operator, "the operator 'ceil' of .* is not known here"),
        (unknown_parameter, "the parameter 'y' is not known here"),
        (unknown_type, "of the type 13"),
        (other_type, "makes float32"),
        (nothing_makes_it, "'nowhere', which nothing before it makes"),
        (strided, r"strides \(2, 2\)"),
        (wrong_offset, "the blob at"),
        (other_file, "lies in '/etc/passwd'"),
        (not_a_program, "expected an ML program"),
        (no_image, "no RGB image"),
    ],
)
def test_what_is_not_known_is_an_error(package: Path, change: Callable[[Any], None], message: str) -> None:
    edit_model(package, change)
    with pytest.raises(BackendError, match=message):
        BACKEND.open_model(package, depth=1, kernels="executor").run(IMAGE)


def test_cut_packages_are_refused(package: Path) -> None:
    for name in ("Manifest.json", MODEL, WEIGHTS):
        content = (package / name).read_bytes()
        for cut in (0, 5, 70, len(content) // 2, len(content) - 3):
            (package / name).write_bytes(content[:cut])
            with pytest.raises(BackendError):
                BACKEND.open_model(package, depth=1, kernels="executor")
        (package / name).unlink()
        with pytest.raises(BackendError, match=r"no Manifest\.json|cannot be read|is not here"):
            read_package(package)
        (package / name).write_bytes(content)
    BACKEND.open_model(package, depth=1, kernels="executor")


def test_paths_may_not_leave_the_package(package: Path) -> None:
    text = (package / "Manifest.json").read_text()
    for path in ("../../model.mlmodel", "/etc/passwd"):
        (package / "Manifest.json").write_text(text.replace("com.apple.CoreML/model.mlmodel", path))
        with pytest.raises(BackendError, match="leaves the package"):
            read_package(package)


@pytest.mark.parametrize(
    ("field", "value"),
    [(0, 0xDEADBEEE), (1, 3), (2, 1 << 40), (2, 1), (3, 1 << 40), (3, 65), (3, 0), (4, 3)],
)
def test_wrong_blob_records_are_refused(written: Path, field: int, value: int) -> None:
    content = bytearray((written / WEIGHTS).read_bytes())
    record = list(struct.unpack_from("<IIQQQ", content, 64))
    assert record[0] == 0xDEADBEEF
    kind = next(kind for kind in (UINT3, INT4) if kind.code == record[1]) if record[1] in (8, 12) else None
    record[field] = value
    struct.pack_into("<IIQQQ", content, 64, *record)
    found = kind or ElementType(name="any", bits=8, dtype=np.uint8, code=record[1])
    with pytest.raises(BackendError, match="the blob at 64"):
        WeightBlobs(bytes(content), "weight.bin").read(64, found, 9)


def test_damage_anywhere_gives_an_error_or_an_image(network: LoweredNetwork, package: Path) -> None:
    """Bytes flipped at random, in every file: never another exception, never an image of another shape."""
    rng = np.random.default_rng(5)
    expected = network[1].run(IMAGE)
    refused = 0
    for name, count in (("Manifest.json", 60), (MODEL, 400), (WEIGHTS, 150)):
        whole = (package / name).read_bytes()
        for _ in range(count):
            damaged = bytearray(whole)
            for position in rng.integers(0, len(whole), rng.integers(1, 4)):
                damaged[position] ^= 1 << rng.integers(0, 8)
            (package / name).write_bytes(bytes(damaged))
            try:
                image = BACKEND.open_model(package, depth=1, kernels="executor").run(IMAGE)
            except BackendError:
                refused += 1
            else:
                assert (image.shape, image.dtype) == (expected.shape, np.uint8)
        (package / name).write_bytes(whole)
    assert refused > 200
    np.testing.assert_array_equal(BACKEND.open_model(package, depth=1, kernels="executor").run(IMAGE), expected)


@pytest.mark.parametrize(("kind", "values"), [(INT4, [-8, 7, -1, 0, 3]), (UINT3, [0, 7, 1, 6, 2, 5, 4, 3, 7])])
def test_elements_follow_each_other_bit_by_bit(kind: ElementType, values: list[int]) -> None:
    packed = sum((value & ((1 << kind.bits) - 1)) << (i * kind.bits) for i, value in enumerate(values))
    content = packed.to_bytes(-(-len(values) * kind.bits // 8), "little")
    np.testing.assert_array_equal(unpack_elements(content, kind, len(values)), values)


def test_float16_is_rounded_where_the_program_says_so(network: LoweredNetwork, tmp_path: Path) -> None:
    """The Neural Engine's form differs from the exact one, by little."""
    options = ConvertOptions(metadata=METADATA, flavor=CoremlFlavor.ANE)
    [package, _] = BACKEND.convert(network, options)
    assert not package.deployment.byte_exact
    for name, content in package.members.items():
        (tmp_path / package.name / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / package.name / name).write_bytes(content)
    report = inspect_package(tmp_path / package.name)
    assert report.functions[0].operators["quantize"] == len(network[1].graph.nodes)
    got = BACKEND.open_model(tmp_path / package.name, depth=1, kernels="executor").run(IMAGE)
    difference = np.abs(got.astype(int) - network[1].run(IMAGE))
    assert 0 < difference.max() <= 8  # levels; random networks spread an early code's error more than trained ones


def test_the_command_line_imports_coremltools_without_torch() -> None:
    code = (
        "import sys; from qsr_edge.conversion import own_process; own_process.claim(); "
        "from qsr_edge.conversion.registry import find_backend; find_backend('coreml'); "
        "assert 'coremltools' in sys.modules and 'torch' not in sys.modules, sorted(sys.modules)"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True)
