"""What benchmarks/peers.py compares, and the models: peers' from the bundled float network, ours from bundled ones."""

from collections.abc import Sequence
from dataclasses import dataclass
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
from peer_runtimes import Runtime

from qsr_edge.bundle.layout import Storage
from qsr_edge.conversion.backend import ConvertOptions, ModelFile, ModelMetadata
from qsr_edge.conversion.registry import find_backend
from qsr_edge.data.bicubic import resize_bicubic
from qsr_edge.data.images import read_picture
from qsr_edge.lowering.checkpoint import lower_checkpoint
from qsr_edge.lowering.network import LoweredNetwork
from qsr_edge.nn.checkpoint import read_checkpoint
from qsr_edge.zoo import zoo_entry

FLOAT_NETWORK = "x2_fp32"
SCALE = 2
CALIBRATION_PICTURES = 16
CALIBRATION_SIDE_PX = 96
"""Of a low-resolution picture."""


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
            suffix = find_backend(self.target).capabilities.suffix
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


def calibration_pictures(data: Path) -> tuple[Codes, ...]:
    """Low-resolution corners of so many training pictures, spread evenly over the folder ``train``."""
    files = sorted((data / "train").glob("*.jpg"))
    files = files[:: max(1, len(files) // CALIBRATION_PICTURES)][:CALIBRATION_PICTURES]
    side = CALIBRATION_SIDE_PX * SCALE
    reduced = (resize_bicubic(read_picture(file).rgb[:side, :side], 1 / SCALE) for file in files)
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


def write_models(contender: Contender, folder: Path, depths: Sequence[int], pictures: Sequence[Codes]) -> None:
    """Write a contender's models unless they are there."""
    files = {depth: contender.file(folder, depth) for depth in depths}
    if all(file.exists() for file in files.values()):
        return
    for file in files.values():
        file.parent.mkdir(parents=True, exist_ok=True)
    if contender.network:
        for depth, content in _converted(contender, depths).items():
            files[depth].write_bytes(content)
    else:
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
