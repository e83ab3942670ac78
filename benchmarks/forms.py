"""Bundled networks of several bit widths in turns: CPU time of the same picture, as ratios to the first.

    python benchmarks/forms.py x2_w4a4 x2_w4a8 --target tflite --target onnx

Fixed input, the deepest depth, one thread. Ratios are of one round each, and their median is printed: what disturbs a
round disturbs all networks in it.
"""

import statistics
import tempfile
import time
from pathlib import Path

import click
import numpy as np

from qsr_edge.conversion.backend import ConvertOptions, ModelMetadata, Runner, model_contents
from qsr_edge.conversion.registry import find_backend
from qsr_edge.lowering.checkpoint import lower_checkpoint
from qsr_edge.nn.checkpoint import read_checkpoint
from qsr_edge.zoo import zoo_entry


def deepest(name: str, target: str, size_px: tuple[int, int], folder: Path) -> tuple[Runner, int]:
    """The network's deepest model, loaded, and its size in bytes."""
    backend, network = find_backend(target), lower_checkpoint(read_checkpoint(zoo_entry(name).path))
    metadata = ModelMetadata(name=name, version="1", author="-", licence="-", description="-")
    depth = network.depths[-1]
    models = backend.convert(network, ConvertOptions(input_size_px=size_px, metadata=metadata))
    [model] = [model for model in models if depth in model.depths]
    contents = model_contents([model])
    for path, content in contents.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    return backend.open_model(folder / model.name, depth=depth), sum(map(len, contents.values()))


@click.command()
@click.argument("names", nargs=-1, required=True)
@click.option("--target", "targets", multiple=True, default=["tflite"], show_default=True)
@click.option("--rounds", type=click.IntRange(min=3), default=15, show_default=True)
@click.option("--width", type=click.IntRange(min=1), default=320, show_default=True)
@click.option("--height", type=click.IntRange(min=1), default=180, show_default=True)
def main(names: tuple[str, ...], targets: tuple[str, ...], rounds: int, width: int, height: int) -> None:
    """Measure NAMES of the bundled networks."""
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    click.echo(
        f"| target | network | bytes | CPU ms, median of {rounds} | ratio to {names[0]} |\n|---|---|---|---|---|"
    )
    for target in targets:
        with tempfile.TemporaryDirectory() as folder:
            loaded = {}
            for name in names:
                (Path(folder) / name).mkdir()
                loaded[name] = deepest(name, target, (height, width), Path(folder) / name)
            seconds: dict[str, list[float]] = {name: [] for name in names}
            for _ in range(rounds + 1):
                for name, (runner, _) in loaded.items():
                    began = time.process_time()
                    runner.run(image)
                    seconds[name].append(time.process_time() - began)
            for name, (_, size_bytes) in loaded.items():
                # The first round warms up.
                mine, first = seconds[name][1:], seconds[names[0]][1:]
                ratio = statistics.median(a / b for a, b in zip(mine, first, strict=True))
                median_ms = 1000 * statistics.median(mine)
                click.echo(f"| {target} | {name} | {size_bytes:,} | {median_ms:.1f} | {ratio:.3f} |")


if __name__ == "__main__":
    main()
