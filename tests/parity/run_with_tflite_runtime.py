"""Run in the environment of tflite-runtime: every model of a folder, every signature, every kernel family, every image.

Usage: python run_with_tflite_runtime.py FOLDER. Reads FOLDER/*.tflite and FOLDER/images.npz, writes FOLDER/outputs.npz
with one array per ``model|signature|family|image``. Knows nothing of qsr-edge, which is not installed there.
"""

import sys
from pathlib import Path

import numpy as np
from tflite_runtime.interpreter import Interpreter, OpResolverType

FAMILIES = {
    "default": OpResolverType.AUTO,
    "builtin": OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    "reference": OpResolverType.BUILTIN_REF,
}

folder = Path(sys.argv[1])
images = dict(np.load(folder / "images.npz"))
outputs = {}
for path in sorted(folder.glob("*.tflite")):
    for family, resolver in FAMILIES.items():
        interpreter = Interpreter(model_path=str(path), experimental_op_resolver_type=resolver, num_threads=1)
        for key in interpreter.get_signature_list():
            signature = interpreter.get_signature_runner(key)
            for name, image in images.items():
                outputs["|".join((path.stem, key, family, name))] = signature(image=image[np.newaxis])["upscaled"][0]
np.savez(folder / "outputs.npz", **outputs)
