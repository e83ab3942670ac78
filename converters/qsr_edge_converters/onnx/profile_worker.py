"""Tells which kernels run a model, by ONNX Runtime's profile: ``python -m`` this module, MODEL FAMILY HEIGHT WIDTH.

It writes JSON, ``{"QLinearConv": 27, ...}``. A process of its own, because a second session in the one that is measured
would count as its memory: twice as much of it for a fixed size.
"""

import json
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from qsr_edge_converters.onnx.format import INPUT_NAME, OUTPUT_NAME
from qsr_edge_converters.onnx.images import CHANNELS
from qsr_edge_converters.onnx.kernels import KernelFamily
from qsr_edge_converters.onnx.session import session_options

ort: Any = onnxruntime


def profiled_kernels(path: Path, family: KernelFamily, size_px: tuple[int, int]) -> dict[str, int]:
    """How many kernels of each name ran for one image of a (height, width)."""
    with tempfile.TemporaryDirectory() as folder:
        options = session_options(family, 1)
        options.enable_profiling = True
        options.profile_file_prefix = str(Path(folder) / "profile")
        session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        session.run([OUTPUT_NAME], {INPUT_NAME: np.zeros((1, CHANNELS, *size_px), np.uint8)})
        events = json.loads(Path(session.end_profiling()).read_text())
    kernels = Counter(
        event["args"]["op_name"]
        for event in events
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time")
    )
    return dict(sorted(kernels.items()))


if __name__ == "__main__":
    model, name, *sides = sys.argv[1:]
    height, width = map(int, sides)
    json.dump(profiled_kernels(Path(model), KernelFamily(name), (height, width)), sys.stdout)
