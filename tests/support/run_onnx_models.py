"""Run with an emulated processor: every model of a folder and image in ONNX Runtime.

Usage: python run_onnx_models.py FOLDER. Reads FOLDER/*.onnx and FOLDER/images.npz, writes FOLDER/outputs.npz with one
array per ``model|option|image``. Knows nothing of qsr-edge, which is not installed there.
"""

import sys
from pathlib import Path

import numpy as np
import onnxruntime as ort

folder = Path(sys.argv[1])
images = dict(np.load(folder / "images.npz"))
outputs = {}
for path in sorted(folder.glob("*.onnx")):
    for precision in ("0", "1"):
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.add_session_config_entry("session.x64quantprecision", precision)
        session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        for name, image in images.items():
            pixels = np.ascontiguousarray(image.transpose(2, 0, 1)[np.newaxis])
            (upscaled,) = session.run(None, {"image": pixels})
            outputs["|".join((path.stem, precision, name))] = upscaled[0].transpose(1, 2, 0)
np.savez(folder / "outputs.npz", **outputs)
