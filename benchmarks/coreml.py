"""Core ML packages of the bundled networks: sizes against the weights' own bits, CPU time, and what ``ane`` costs.

    python benchmarks/coreml.py --data DIR

DIR holds ``test/Set5`` and ``test_lr/Set5/X2``, ``X4``. PSNR on luma in dB, ``scale`` border pixels cropped, by the
executor of saved packages; "exact" is compared byte for byte with the golden interpreter on the same images.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

from qsr_edge import __version__
from qsr_edge.bundle.layout import Pack
from qsr_edge.conversion.backend import ConvertOptions, ModelMetadata, model_contents
from qsr_edge.conversion.registry import find_backend
from qsr_edge.data.images import read_picture
from qsr_edge.lowering.edge import lower_checkpoint
from qsr_edge.lowering.network import model_name
from qsr_edge.metrics import psnr_y
from qsr_edge.nn.checkpoint import read_checkpoint
from qsr_edge.zoo import zoo_entries
from qsr_edge_converters.coreml.flavor import CoremlFlavor

WEIGHTS = "weight.bin"


def image_pairs(data: Path, scale: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """(low resolution, original) of Set5, in order of their names."""
    low = sorted((data / "test_lr" / "Set5" / f"X{scale}").glob("*.png"))
    original = sorted((data / "test" / "Set5").glob("*.png"))
    pairs = []
    for small, large in zip(low, original, strict=True):
        x, y = read_picture(small).rgb, read_picture(large).rgb
        pairs.append((x, y[: x.shape[0] * scale, : x.shape[1] * scale]))
    return pairs


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    data = parser.parse_args().data
    backend = find_backend("coreml")
    print(f"{backend.runtime_version()}, qsr-edge {__version__}")
    for entry in zoo_entries():
        if not entry.bits:
            continue
        checkpoint = read_checkpoint(entry.path)
        network = lower_checkpoint(checkpoint)
        pairs = image_pairs(data, entry.scale)
        metadata = ModelMetadata(
            name=model_name(checkpoint.config), version="1", author="-", licence="-", description="-"
        )
        golden = {depth: [graph.run(low) for low, _ in pairs] for depth, graph in network.items()}
        for flavor in CoremlFlavor:
            for pack in (Pack.PER_DEPTH, Pack.SHARED):
                start = time.process_time()
                options = ConvertOptions(metadata=metadata, flavor=flavor, pack=pack)
                models = backend.convert(network, options)
                seconds = time.process_time() - start
                with tempfile.TemporaryDirectory() as folder:
                    for name, content in model_contents(models).items():
                        (Path(folder) / name).parent.mkdir(parents=True, exist_ok=True)
                        (Path(folder) / name).write_bytes(content)
                    for model in models:
                        deepest = max(model.depths)
                        ideal = network[deepest].cost().weight_bytes_ideal
                        contents = model_contents([model])
                        weights = sum(len(value) for name, value in contents.items() if name.endswith(WEIGHTS))
                        total = sum(len(value) for value in contents.values())
                        line = (
                            f"{entry.name} {flavor} {pack} depth {deepest}: package {total:,}, weights {weights:,}, "
                            f"ideal {ideal:,.0f}, limit {1.1 * ideal + 20_000:,.0f} bytes"
                        )
                        if pack is Pack.PER_DEPTH:
                            runner = backend.open_model(Path(folder) / model.name, depth=deepest, kernels="executor")
                            outputs = [runner.run(low) for low, _ in pairs]
                            differences = [
                                np.abs(got.astype(int) - want)
                                for got, want in zip(outputs, golden[deepest], strict=True)
                            ]
                            levels = np.concatenate([array.reshape(-1) for array in differences])
                            got, want = (
                                np.mean(
                                    [
                                        psnr_y(image, original, border_px=entry.scale)
                                        for image, (_, original) in zip(images, pairs, strict=True)
                                    ]
                                )
                                for images in (outputs, golden[deepest])
                            )
                            line += (
                                f"; {np.count_nonzero(levels):,} of {levels.size:,} bytes differ, max {levels.max()}, "
                                f"mean {levels.mean():.3f}; Set5 {got:.3f} dB, golden {want:.3f}, cost {want - got:.3f}"
                            )
                        print(line, flush=True)
                print(f"{entry.name} {flavor} {pack}: {seconds:.1f} s of CPU time to write", flush=True)


if __name__ == "__main__":
    main()
