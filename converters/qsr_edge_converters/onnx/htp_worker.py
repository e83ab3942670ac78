"""Runs a model in Qualcomm's HTP back end, in a process of its own: ``python -m`` this module, its arguments.

They are MODEL HEIGHT WIDTH ARCHITECTURE, the last a Hexagon's, such as 68. One process takes one model at one size:
the emulator leaves state behind. On standard output it first writes a line of JSON, of what the back end took and of
what it makes: ``{"operators": {"Conv": 27, ...}, "shape": [rH, rW]}``, or else ``{"error": "..."}``. Then it answers
each image's bytes on standard input, (1, 3, H, W) uint8, by the upscaled image's.
"""

import json
import os
import sys
from collections import Counter
from typing import Any, BinaryIO

import numpy as np

from qsr_edge_converters.onnx.format import HEIGHT_NAME, INPUT_NAME, OUTPUT_NAME, WIDTH_NAME


def _open(model: str, height: int, width: int, architecture: str) -> Any:
    import onnxruntime as ort
    import onnxruntime_qnn  # pyright: ignore[reportMissingImports]

    ort.register_execution_provider_library("qnn", onnxruntime_qnn.get_library_path())
    devices = [device for device in ort.get_ep_devices() if device.ep_name == "qnn"]
    options = ort.SessionOptions()
    options.log_severity_level = 3
    # Nothing may run elsewhere: a node that the back end does not take is an error.
    options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    options.add_free_dimension_override_by_name(HEIGHT_NAME, height)
    options.add_free_dimension_override_by_name(WIDTH_NAME, width)
    # The image's bytes go in and out as they are, with no conversion on the CPU.
    settings = {
        "backend_path": onnxruntime_qnn.get_qnn_htp_path(),
        "offload_graph_io_quantization": "0",
        "htp_arch": architecture,
    }
    options.add_provider_for_devices(devices[:1], settings)
    return ort.InferenceSession(model, options)


def _serve(model: str, height: int, width: int, architecture: str, out: BinaryIO) -> None:
    session = _open(model, height, width, architecture)
    taken = Counter(
        node.op_type
        for subgraph in session.get_provider_graph_assignment_info()
        if subgraph.ep_name == "qnn"
        for node in subgraph.get_nodes()
    )
    shape = session.get_outputs()[0].shape[2:]
    out.write(json.dumps({"operators": dict(sorted(taken.items())), "shape": shape}).encode() + b"\n")
    out.flush()
    size = 3 * height * width
    while len(content := sys.stdin.buffer.read(size)) == size:
        pixels = np.frombuffer(content, np.uint8).reshape(1, 3, height, width)
        (upscaled,) = session.run([OUTPUT_NAME], {INPUT_NAME: pixels})
        out.write(np.ascontiguousarray(upscaled).tobytes())
        out.flush()


def main() -> None:
    """Serve until standard input ends."""
    model, height, width, architecture = sys.argv[1:]
    # What native code prints must not mix with the answers.
    with os.fdopen(os.dup(1), "wb") as out:
        os.dup2(2, 1)
        try:
            _serve(model, int(height), int(width), architecture, out)
        except Exception as error:  # whatever it is, the other process is to tell of it
            out.write(json.dumps({"error": " ".join(str(error).split())}).encode() + b"\n")
            raise SystemExit(1) from error


if __name__ == "__main__":
    main()
