"""Compile bundled networks for one Snapdragon's NPU ahead of time, and compare the compiled file with the golden bytes.

    python benchmarks/qnn_context.py x2_w4a8 --soc 69 [--soc 43] [-o FOLDER]

Needs the extra [qnn]. ``--soc`` is Qualcomm's number of a chip, as the QNN provider's ``soc_model`` takes it
(Qualcomm's table of supported Snapdragon devices has it). The file is an ONNX model whose one node holds Qualcomm's
context binary: a phone with that chip need not compile. Here it is run in the emulator, which tells nothing of time.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import click
import numpy as np

from qsr_edge.conversion.backend import ConvertOptions, ModelMetadata
from qsr_edge.conversion.registry import find_backend
from qsr_edge.lowering.checkpoint import lower_checkpoint
from qsr_edge.nn.checkpoint import read_checkpoint
from qsr_edge.zoo import zoo_entry

# In a process of its own, as the emulator leaves state behind: MODEL SETTINGS OUTPUT, or MODEL SETTINGS IMAGE UPSCALED.
_SESSION = """
import sys
import numpy as np, onnxruntime as ort, onnxruntime_qnn
model, soc, *rest = sys.argv[1:]
ort.register_execution_provider_library("qnn", onnxruntime_qnn.get_library_path())
options = ort.SessionOptions()
options.log_severity_level = 3
options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
settings = {"backend_path": onnxruntime_qnn.get_qnn_htp_path(), "offload_graph_io_quantization": "0"}
if len(rest) == 1:
    settings["soc_model"] = soc
    for key, value in (("enable", "1"), ("embed_mode", "1"), ("file_path", rest[0])):
        options.add_session_config_entry(f"ep.context_{key}", value)
devices = [device for device in ort.get_ep_devices() if device.ep_name == "qnn"]
options.add_provider_for_devices(devices[:1], settings)
session = ort.InferenceSession(model, options)
if len(rest) == 2:
    np.save(rest[1], session.run(None, {"image": np.load(rest[0])})[0])
"""


def session(*arguments: object) -> None:
    """Run the program above."""
    run = subprocess.run([sys.executable, "-c", _SESSION, *map(str, arguments)], capture_output=True, text=True)
    if run.returncode:
        raise click.ClickException(f"the QNN provider refused {arguments[1]}: {' '.join(run.stderr.split())[-300:]}")


@click.command()
@click.argument("names", nargs=-1, required=True)
@click.option("--soc", "chips", multiple=True, required=True, help="Qualcomm's number of a chip, such as 69.")
@click.option("--width", type=click.IntRange(min=1), default=128, show_default=True)
@click.option("--height", type=click.IntRange(min=1), default=128, show_default=True)
@click.option("--output", "-o", type=click.Path(path_type=Path), help="Folder for the files.  [they are not kept]")
def main(names: tuple[str, ...], chips: tuple[str, ...], width: int, height: int, output: Path | None) -> None:
    """Compile every depth of NAMES for every chip."""
    backend = find_backend("onnx")
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    click.echo(
        "| network | depth | chip | model, bytes | compiled, bytes | bytes different |\n|---|---|---|---|---|---|"
    )
    with tempfile.TemporaryDirectory() as scratch:
        folder = output or Path(scratch)
        folder.mkdir(exist_ok=True)
        given, upscaled = Path(scratch) / "image.npy", Path(scratch) / "upscaled.npy"
        np.save(given, image.transpose(2, 0, 1)[np.newaxis])
        for name in names:
            network = lower_checkpoint(read_checkpoint(zoo_entry(name).path))
            metadata = ModelMetadata(name=name, version="1", author="-", licence="-", description="-")
            for model in backend.convert(
                network, ConvertOptions(input_size_px=(height, width), flavor="npu", metadata=metadata)
            ):
                [depth] = model.depths
                path = Path(scratch) / model.name
                path.write_bytes(model.content)
                golden = network[depth].run(image)
                for chip in chips:
                    compiled = folder / f"{path.stem}-soc{chip}.onnx"
                    session(path, chip, compiled)
                    session(compiled, chip, given, upscaled)
                    different = np.count_nonzero(np.load(upscaled)[0].transpose(1, 2, 0) != golden)
                    sizes = f"{len(model.content):,} | {compiled.stat().st_size:,}"
                    click.echo(f"| {name} | {depth} | {chip} | {sizes} | {different:,} of {golden.size:,} |")


if __name__ == "__main__":
    main()
