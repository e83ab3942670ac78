"""Models in onnx's reference evaluator: the specification in Python, operator by operator, slow."""

from pathlib import Path
from typing import Any

import onnx
from onnx.reference import ReferenceEvaluator

from qsr_edge_converters.onnx.format import INPUT_NAME, OUTPUT_NAME
from qsr_edge_converters.onnx.images import Image, as_input, from_output


class ReferenceRunner:
    """A model, loaded into the evaluator."""

    def __init__(self, path: Path, evaluator: Any):
        """Wrap an evaluator; made by ``open_reference``."""
        self._path = path
        self._evaluator = evaluator

    def run(self, image: Image) -> Image:
        """Upscale one image: (H, W, 3) uint8 RGB -> (rH, rW, 3) uint8 RGB.

        Raises:
            BackendError: if the image has another shape or type.
        """
        (upscaled,) = self._evaluator.run([OUTPUT_NAME], {INPUT_NAME: as_input(image, self._path)})
        return from_output(upscaled)


def open_reference(path: Path) -> ReferenceRunner:
    """Load a model that is known to be sound."""
    return ReferenceRunner(path, ReferenceEvaluator(onnx.load(path)))
