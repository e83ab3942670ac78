"""What Arm's Vela compiles of our .tflite files for Ethos-U NPUs, and what it estimates.

    python -m venv .venv-vela && .venv-vela/bin/pip install ethos-u-vela==5.2.0
    python benchmarks/vela.py --vela .venv-vela/bin/vela -o docs/results/npu.md

Bundled x2 networks at every depth, for an input of 128x128, with two accelerators. Each file is compiled as it is, and
with its DEPTH_TO_SPACE, which Vela leaves to the CPU, written as a transposed convolution that copies. That this is the
same is checked by running both in LiteRT. Cycles and times are Vela's estimates; nothing is measured.
"""

import csv
import re
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
from ai_edge_litert import schema_py_generated as schema  # noqa: TID253
from ai_edge_litert.interpreter import Interpreter  # noqa: TID253
from flatbuffers import Builder

from qsr_edge.conversion.backend import ConvertOptions, ModelMetadata
from qsr_edge.conversion.registry import find_backend
from qsr_edge.lowering.checkpoint import lower_checkpoint
from qsr_edge.nn.checkpoint import read_checkpoint
from qsr_edge.zoo import find_checkpoint

SIDE_PX = 128
ACCELERATORS = ("ethos-u85-256", "ethos-u55-128")
BITS = (8, 4, 2)
_COUNT = re.compile(r"^(CPU|NPU) operators = (\d+)", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What Vela says of one file: operators by where they run, cycles, milliseconds at its clock, and bytes."""

    npu_operators: int
    cpu_operators: int
    cycles: int
    time_ms: float
    sram_kib: float
    weights_kib: float


def compiled(vela: Path, model: Path, accelerator: str) -> Estimate:
    """Compile a file with Vela's default system and memory for an accelerator."""
    with tempfile.TemporaryDirectory() as folder:
        arguments = ["--accelerator-config", accelerator, "--output-dir", folder, "--show-cpu-operations"]
        run = subprocess.run([vela, model, *arguments], capture_output=True, text=True, check=True)
        with next(Path(folder).glob("*summary*.csv")).open() as file:
            row = next(csv.DictReader(file))
    counts = {place: int(count) for place, count in _COUNT.findall(run.stdout)}
    return Estimate(
        npu_operators=counts["NPU"],
        cpu_operators=counts.get("CPU", 0),
        cycles=int(float(row["cycles_total"])),
        time_ms=1e3 * float(row["inference_time"]),
        sram_kib=float(row["sram_memory_used"]),
        weights_kib=int(row["total_npu_encoded_weights"]) / 1024,
    )


def with_transposed_convolution(content: bytes) -> bytes:
    """A file whose DEPTH_TO_SPACE became a TRANSPOSE_CONV: one weight of 1 for each output channel and place."""
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    [graph] = model.subgraphs
    kinds = [code.builtinCode for code in model.operatorCodes]
    [operator] = [op for op in graph.operators if kinds[op.opcodeIndex] == schema.BuiltinOperator.DEPTH_TO_SPACE]
    target = graph.tensors[operator.outputs[0]]
    block, channels = operator.builtinOptions.blockSize, int(target.shape[3])
    # Input channel (dy * r + dx) * C + c goes to channel c of pixel (dy, dx).
    weights = np.eye(block * block * channels, dtype=np.int8).reshape(block, block, channels, -1).transpose(2, 0, 1, 3)

    def constant(name: str, values: np.ndarray, kind: int, scale: float | None) -> int:
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(values.tobytes(), np.uint8)
        model.buffers.append(buffer)
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.type = name.encode(), list(values.shape), kind
        tensor.buffer = len(model.buffers) - 1
        if scale is not None:
            tensor.quantization = schema.QuantizationParametersT()
            tensor.quantization.scale, tensor.quantization.zeroPoint = [scale] * channels, [0] * channels
        graph.tensors.append(tensor)
        return len(graph.tensors) - 1

    shape = np.array(target.shape, np.int32)
    operator.inputs = [
        constant("upscaled_shape", shape, schema.TensorType.INT32, None),
        constant("copy", np.ascontiguousarray(weights), schema.TensorType.INT8, 1.0),
        operator.inputs[0],
    ]
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.TRANSPOSE_CONV
    code.version = 3
    model.operatorCodes.append(code)
    operator.opcodeIndex = len(model.operatorCodes) - 1
    operator.builtinOptionsType = schema.BuiltinOptions.TransposeConvOptions
    operator.builtinOptions = schema.TransposeConvOptionsT()
    operator.builtinOptions.padding = schema.Padding.VALID
    operator.builtinOptions.strideH = operator.builtinOptions.strideW = block
    builder = Builder(len(content))
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def upscaled(content: bytes, image: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 through a file in LiteRT."""
    interpreter = Interpreter(model_content=content)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image[np.newaxis])
    interpreter.invoke()
    result: np.ndarray = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])[0]
    return result


def rows(vela: Path) -> Iterator[tuple[str, ...]]:
    """The table's rows; raises ``SystemExit`` if the two forms of a file give other bytes."""
    backend = find_backend("tflite")
    metadata = ModelMetadata(name="network", version="0", author="-", licence="-", description="vela")
    options = ConvertOptions(metadata=metadata, input_size_px=(SIDE_PX, SIDE_PX))
    image = np.random.default_rng(0).integers(0, 256, (SIDE_PX, SIDE_PX, 3), np.uint8)
    for bits in BITS:
        network = lower_checkpoint(read_checkpoint(find_checkpoint(scale=2, bits=bits)))
        for file in backend.convert(network, options):
            copied = with_transposed_convolution(file.content)
            if not np.array_equal(upscaled(file.content, image), upscaled(copied, image)):
                raise SystemExit(f"{file.name}: a transposed convolution gives other bytes")
            for form, content in (("as converted", file.content), ("transposed convolution", copied)):
                with tempfile.TemporaryDirectory() as folder:
                    path = Path(folder) / file.name
                    path.write_bytes(content)
                    for accelerator in ACCELERATORS:
                        found = compiled(vela, path, accelerator)
                        total = found.npu_operators + found.cpu_operators
                        yield (
                            f"W{bits}A{bits}", str(file.depths[0]), accelerator, form,
                            f"{found.npu_operators} of {total}", f"{found.cycles / 1e6:.2f}", f"{found.time_ms:.1f}",
                            f"{found.sram_kib:,.0f}", f"{found.weights_kib:.1f}",
                        )  # fmt: skip


@click.command()
@click.option("--vela", required=True, type=click.Path(path_type=Path, exists=True, resolve_path=True))
@click.option("--output", "-o", required=True, type=click.Path(path_type=Path))
def main(vela: Path, output: Path) -> None:
    """Write the table as Markdown."""
    version = subprocess.run([vela, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    head = (
        "network", "depth", "accelerator", "depth to space", "operators on the NPU", "million cycles", "ms",
        "SRAM, KiB", "weights, KiB",
    )  # fmt: skip
    lines = [
        "# Arm's Ethos-U, as Vela compiles and estimates",
        "",
        f"Written by `python benchmarks/vela.py --vela VELA -o docs/results/npu.md` with Vela {version}, its default",
        f"system and memory for each accelerator. x2 networks, input {SIDE_PX}x{SIDE_PX}. Cycles and times are Vela's",
        "estimates at the accelerator's clock in its configuration; nothing was measured on an NPU. Weights are as",
        "Vela encodes them. What this means is told in [docs/npu.md](../npu.md).",
        "",
        f"| {' | '.join(head)} |",
        f"|{'---|' * 4}{'---:|' * (len(head) - 4)}",
    ]
    for row in rows(vela):
        lines.append(f"| {' | '.join(row)} |")
        click.echo(lines[-1])
    part = output.with_name(f"{output.name}.part")
    part.write_text("\n".join(lines) + "\n", encoding="utf-8")
    part.replace(output)


if __name__ == "__main__":
    main()
