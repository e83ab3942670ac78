"""What a model that takes and gives int8 would save: the bundled network's LiteRT file with and without its two ends.

    python benchmarks/int8_ends.py [--network x2_w4a8] [--rounds 60]

Our files take and give the picture's bytes: a node at each end turns levels into codes (level minus 128) and back. An
app that flips the top bit of every byte itself needs neither. Here both nodes are cut out of a file; the outputs are
compared, and the files run in turns: as converted, cut, and cut with numpy flipping the bits. Ratios of CPU time are of
one round each, with an interval that holds the true median with a confidence of 95 %.
"""

import time
from collections.abc import Callable
from statistics import median
from typing import Any

import click
import flatbuffers
import numpy as np
from numpy.typing import NDArray
from peer_page import median_ratio

from qsr_edge.conversion.backend import ConvertOptions, ModelFile, ModelMetadata
from qsr_edge.conversion.registry import find_backend
from qsr_edge.lowering.checkpoint import lower_checkpoint
from qsr_edge.nn.checkpoint import read_checkpoint
from qsr_edge.zoo import zoo_entry

LEAST_S = 0.1
"""A turn repeats its picture for at least so long."""
TOP_BIT = 128


def converted(name: str) -> bytes:
    """The deepest model of a bundled network."""
    network = lower_checkpoint(read_checkpoint(zoo_entry(name).path))
    metadata = ModelMetadata(name=name, version="1", author="-", licence="-", description="-")
    models = find_backend("tflite").convert(network, ConvertOptions(metadata=metadata))
    [content] = [each.content for each in models if isinstance(each, ModelFile) and network.depths[-1] in each.depths]
    return content


def without_ends(content: bytes) -> bytes:
    """A file without the nodes that turn levels into codes and codes into levels."""
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(content, 0))
    [graph], [signature] = model.subgraphs, model.signatureDefs
    first, *kept, last = graph.operators
    for node in (first, last):
        code = model.operatorCodes[node.opcodeIndex].builtinCode
        if code != schema.BuiltinOperator.QUANTIZE:
            raise click.ClickException(f"operator {code} stands at an end, expected QUANTIZE")
    graph.operators = kept
    graph.inputs, graph.outputs = list(first.outputs), list(last.inputs)
    signature.inputs[0].tensorIndex, signature.outputs[0].tensorIndex = graph.inputs[0], graph.outputs[0]
    builder = flatbuffers.Builder(len(content))
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def loaded(content: bytes, picture: NDArray[Any]) -> Callable[[NDArray[Any]], NDArray[Any]]:
    """Runs a file in one thread on pictures of this one's size."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=content, num_threads=1)
    image, upscaled = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]
    interpreter.resize_tensor_input(image, picture.shape)
    interpreter.allocate_tensors()

    def run(values: NDArray[Any]) -> NDArray[Any]:
        interpreter.set_tensor(image, values)
        interpreter.invoke()
        output: NDArray[Any] = interpreter.get_tensor(upscaled)
        return output

    return run


@click.command()
@click.option("--network", default="x2_w4a8", show_default=True)
@click.option("--rounds", type=click.IntRange(min=6), default=60, show_default=True)
@click.option("--width", type=click.IntRange(min=1), default=320, show_default=True)
@click.option("--height", type=click.IntRange(min=1), default=180, show_default=True)
def main(network: str, rounds: int, width: int, height: int) -> None:
    """Measure."""
    picture = np.random.default_rng(0).integers(0, 256, (1, height, width, 3), np.uint8)
    content = converted(network)
    whole, cut = loaded(content, picture), loaded(without_ends(content), picture)

    def flipped(levels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return np.bitwise_xor(cut(np.bitwise_xor(levels, TOP_BIT).view(np.int8)).view(np.uint8), TOP_BIT)

    codes = np.bitwise_xor(picture, TOP_BIT).view(np.int8)
    runs: dict[str, Callable[[], NDArray[Any]]] = {
        "uint8, as converted": lambda: whole(picture),
        "int8": lambda: cut(codes),
        "int8, the bits flipped by numpy": lambda: flipped(picture),
    }
    differ = np.count_nonzero(whole(picture) != flipped(picture))
    click.echo(f"{network}, {width}x{height}: {differ} bytes differ")
    cpu_ms: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            run()  # caches are warm
            repeats, began = 0, time.process_time()
            while time.process_time() - began < LEAST_S:
                run()
                repeats += 1
            cpu_ms[name].append(1000 * (time.process_time() - began) / repeats)
    click.echo(f"| | CPU ms, median of {rounds} | ratio |\n|---|--:|--:|")
    first = next(iter(cpu_ms.values()))
    for name, mine in cpu_ms.items():
        ratio = median_ratio([a / b for a, b in zip(mine, first, strict=True)])
        click.echo(f"| {name} | {median(mine):.2f} | {ratio.middle:.3f} ({ratio.low:.3f}-{ratio.high:.3f}) |")


if __name__ == "__main__":
    main()
