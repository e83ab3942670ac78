"""What benchmarks/peers.py compares, and the models: peers' from the bundled float network, ours from bundled ones."""

import hashlib
import importlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
from float_models import (
    exported_float,
    float_module,
    float_ncnn,
    float_onnx,
    float_tflite,
    folded_network,
    xnnpack_program,
)
from peer_quantizers import Codes, executorch_int8, litert_int8, onnx_int8, openvino_int8
from peer_runtimes import Runtime, load

from qsr_edge.bundle.layout import Storage
from qsr_edge.conversion.backend import ConvertOptions, ModelFile, ModelMetadata
from qsr_edge.conversion.registry import find_backend, registered_backend
from qsr_edge.data.bicubic import resize_bicubic
from qsr_edge.data.dataset import load_dataset
from qsr_edge.data.images import read_picture
from qsr_edge.files import atomic_write
from qsr_edge.lowering.checkpoint import lower_checkpoint
from qsr_edge.lowering.network import LoweredNetwork
from qsr_edge.metrics import psnr_y
from qsr_edge.nn.checkpoint import read_checkpoint
from qsr_edge.zoo import zoo_entry

FLOAT_NETWORK = "x2_fp32"
SCALE = 2
CALIBRATION_PICTURES = 16
CALIBRATION_SIDE_PX = 96
"""Of a low-resolution picture."""
PACKAGES = (
    "ai-edge-litert",
    "ai-edge-quantizer",
    "executorch",
    "torch",
    "torchao",
    "onnxruntime",
    "openvino",
    "nncf",
    "ncnn",
)
"""What quantizes, writes or runs; their versions are on the page."""
_FACTS = "prepared.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """A network in a runtime.

    Attributes:
        label: in the tables.
        runtime: what runs it.
        suffix: of a peer's file.
        quantized: a peer's, by its own quantizer.
        network: one of our bundled networks; empty for a peer.
        target: what ours is converted for.
        compact: ours with packed 4-bit weights.
        careful: LiteRT's with ranges that hold all calibration pictures.
    """

    label: str
    runtime: Runtime
    suffix: str = ""
    quantized: bool = False
    network: str = ""
    target: str = ""
    compact: bool = False
    careful: bool = False

    @property
    def key(self) -> str:
        """A folder's name."""
        return self.label.lower().replace(", ", "-").replace(" ", "-")

    def file(self, folder: Path, depth: int) -> Path:
        """Where its model is, or is to be written."""
        if self.network:
            suffix = registered_backend(self.target).capabilities.suffix
            return folder / self.key / f"{self.target}-{depth}" / f"model{suffix}"
        return folder / self.key / f"d{depth}{self.suffix}"


def _ours(network: str, target: str, runtime: str, *, compact: bool = False) -> Contender:
    bits = network.split("_")[1].upper()
    label = f"ours {bits}, {runtime}" + (", compact" if compact else "")
    return Contender(label=label, runtime=Runtime.OURS, network=network, target=target, compact=compact)


REFERENCE = _ours("x2_w4a8", "tflite", "LiteRT")
CONTENDERS = (
    REFERENCE,
    _ours("x2_w8a8", "tflite", "LiteRT"),
    _ours("x2_w4a4", "tflite", "LiteRT"),
    _ours("x2_w4a8", "tflite", "LiteRT", compact=True),
    _ours("x2_w4a4", "tflite", "LiteRT", compact=True),
    *(_ours(network, "executorch", "ExecuTorch") for network in ("x2_w4a8", "x2_w8a8", "x2_w4a4")),
    *(_ours(network, "onnx", "ONNX Runtime") for network in ("x2_w4a8", "x2_w8a8", "x2_w4a4")),
    Contender(label="LiteRT, int8", runtime=Runtime.LITERT, suffix=".tflite", quantized=True),
    Contender(label="LiteRT, int8, careful", runtime=Runtime.LITERT, suffix=".tflite", quantized=True, careful=True),
    Contender(label="ExecuTorch, int8", runtime=Runtime.EXECUTORCH, suffix=".pte", quantized=True),
    Contender(label="ONNX Runtime, int8", runtime=Runtime.ONNX, suffix=".onnx", quantized=True),
    Contender(label="OpenVINO, int8", runtime=Runtime.OPENVINO, suffix=".xml", quantized=True),
    Contender(label="LiteRT, float", runtime=Runtime.LITERT, suffix=".tflite"),
    Contender(label="ExecuTorch, float", runtime=Runtime.EXECUTORCH, suffix=".pte"),
    Contender(label="ONNX Runtime, float", runtime=Runtime.ONNX, suffix=".onnx"),
    Contender(label="OpenVINO, float", runtime=Runtime.OPENVINO, suffix=".onnx"),
    Contender(label="ncnn, float", runtime=Runtime.NCNN, suffix=".param"),
)


def _calibration_files(data: Path) -> tuple[Path, ...]:
    """So many training pictures, spread evenly over the folder ``train``."""
    files = sorted((data / "train").glob("*.jpg"))
    return tuple(files[:: max(1, len(files) // CALIBRATION_PICTURES)][:CALIBRATION_PICTURES])


def _calibration_pictures(data: Path) -> tuple[Codes, ...]:
    """Low-resolution corners of them."""
    side = CALIBRATION_SIDE_PX * SCALE
    reduced = (resize_bicubic(read_picture(file).rgb[:side, :side], 1 / SCALE) for file in _calibration_files(data))
    return tuple(np.ascontiguousarray(lr.transpose(2, 0, 1)[np.newaxis].astype(np.float32) - 128) for lr in reduced)


def network_macs(depth: int) -> int:
    """Multiply-accumulates of the network for one input pixel."""
    network = folded_network(zoo_entry(FLOAT_NETWORK).path, depth)
    body = [convolution for block in network.blocks for convolution in block]
    return sum(each.weight.size for each in (network.head, *body, network.tail, network.anchor))


def size_bytes(contender: Contender, folder: Path, depth: int) -> int:
    """Of the model's file, and of its weights where they lie apart."""
    file = contender.file(folder, depth)
    weights = file.with_suffix(".bin")
    return file.stat().st_size + (weights.stat().st_size if weights.exists() else 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """What is known of a contender's models without any timing.

    Attributes:
        source: digest of all that the models were made from, and by.
        psnr_db: on Set5, by depth, of what the runtime gives.
        file_bytes: by depth.
    """

    source: str
    psnr_db: dict[str, float]
    file_bytes: dict[str, int]


def prepare(contender: Contender, folder: Path, depths: Sequence[int], data: Path) -> Prepared:
    """Write a contender's models and measure their quality, unless both are there and nothing has changed since.

    Args:
        contender: a network in a runtime.
        folder: where all contenders' models are kept.
        depths: to write.
        data: folder with ``train``, ``test/Set5`` and ``test_lr/Set5/X2``.
    """
    source, facts = _source(contender, depths, data), folder / contender.key / _FACTS
    if facts.exists():
        kept = Prepared(**json.loads(facts.read_text(encoding="utf-8")))
        if kept.source == source:
            return kept
        facts.unlink()
    _write_models(contender, folder, depths, data)
    made = Prepared(
        source=source,
        psnr_db={str(depth): _set5_psnr_db(contender, folder, depth, data) for depth in depths},
        file_bytes={str(depth): size_bytes(contender, folder, depth) for depth in depths},
    )
    atomic_write(facts, json.dumps(asdict(made)).encode() + b"\n")
    return made


def _source(contender: Contender, depths: Sequence[int], data: Path) -> str:
    """Digest of the weights, the calibration pictures' names and sizes, the packages' versions and our own code."""
    here = Path(__file__).parent
    code = [here / "peer_quantizers.py", here / "float_models.py"]
    if contender.network:
        package = importlib.import_module(type(registered_backend(contender.target)).__module__.rpartition(".")[0])
        code = sorted(Path(package.__path__[0]).glob("*.py"))
    pictures = [(CALIBRATION_SIDE_PX, file.name, file.stat().st_size) for file in _calibration_files(data)]
    versions = {name: version(name) for name in PACKAGES}
    digest = hashlib.sha256(repr((asdict(contender), tuple(depths), pictures, versions)).encode())
    for file in (zoo_entry(contender.network or FLOAT_NETWORK).path, *code):
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def _set5_psnr_db(contender: Contender, folder: Path, depth: int, data: Path) -> float:
    found = []
    for sample in load_dataset(data / "test" / "Set5", SCALE, lr_folder=data / "test_lr" / "Set5" / f"X{SCALE}"):
        model = load(contender.runtime, contender.file(folder, depth), 1, sample.lr.shape[:2])
        found.append(psnr_y(model.upscale(sample.lr), sample.hr, border_px=SCALE))
    return float(np.mean(found))


def _write_models(contender: Contender, folder: Path, depths: Sequence[int], data: Path) -> None:
    files = {depth: contender.file(folder, depth) for depth in depths}
    for file in files.values():
        file.parent.mkdir(parents=True, exist_ok=True)
    if contender.network:
        for depth, content in _converted(contender, depths).items():
            files[depth].write_bytes(content)
        return
    pictures = _calibration_pictures(data) if contender.quantized else ()
    for depth, file in files.items():
        _write_peer(contender, file, depth, pictures)


def _converted(contender: Contender, depths: Sequence[int]) -> dict[int, bytes]:
    whole = lower_checkpoint(read_checkpoint(zoo_entry(contender.network).path))
    network = LoweredNetwork(graphs={depth: whole[depth] for depth in depths})
    metadata = ModelMetadata(name=contender.network, version="1", author="-", licence="-", description="-")
    storage = Storage.COMPACT if contender.compact else Storage.FAST
    models = find_backend(contender.target).convert(network, ConvertOptions(storage=storage, metadata=metadata))
    return {
        model.depths[0]: model.content for model in models if isinstance(model, ModelFile) and model.depths[0] in depths
    }


def _write_peer(contender: Contender, file: Path, depth: int, pictures: Sequence[Codes]) -> None:
    checkpoint = zoo_entry(FLOAT_NETWORK).path
    network = folded_network(checkpoint, depth)
    source = file.with_name(f"float-d{depth}")
    match contender.runtime, contender.quantized:
        case Runtime.LITERT, False:
            file.write_bytes(float_tflite(checkpoint, depth))
        case Runtime.LITERT, True:
            source.write_bytes(float_tflite(checkpoint, depth))
            file.write_bytes(litert_int8(source, pictures, careful=contender.careful))
        case Runtime.EXECUTORCH, False:
            file.write_bytes(xnnpack_program(exported_float(float_module(network))))
        case Runtime.EXECUTORCH, True:
            file.write_bytes(executorch_int8(network, pictures))
        case ((Runtime.ONNX | Runtime.OPENVINO), False):
            file.write_bytes(float_onnx(network))
        case ((Runtime.ONNX | Runtime.OPENVINO), True):
            source.with_suffix(".onnx").write_bytes(float_onnx(network))
            quantize = onnx_int8 if contender.runtime is Runtime.ONNX else openvino_int8
            quantize(source.with_suffix(".onnx"), pictures, file)
        case Runtime.NCNN, False:
            text, weights = float_ncnn(network)
            file.with_suffix(".bin").write_bytes(weights)
            file.write_text(text)
        case _:
            raise TypeError(f"nothing writes {contender.label}")
