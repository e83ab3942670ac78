"""Run with another interpreter than the tests': every model of a folder, signature, kernel family and image.

Usage: python run_models.py FOLDER, where either tflite-runtime or LiteRT is installed. Reads FOLDER/*.tflite and
FOLDER/images.npz, writes FOLDER/outputs.npz with one array per ``model|signature|family|image``. Knows nothing of
qsr-edge, which is not installed there.
"""

import sys
from pathlib import Path

import numpy as np

try:
    from tflite_runtime.interpreter import Interpreter, OpResolverType
except ImportError:
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

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
