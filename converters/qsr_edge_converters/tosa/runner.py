"""Running a .tosa file in Arm's reference model: slow and independent of everything else here."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from qsr_edge.errors import BackendError
from qsr_edge_converters.native_messages import native_messages, with_messages, without_native_prints

KERNELS = "reference model"
IDENTIFIER = b"TOSA"
"""The identifier at bytes 4 to 7 of every file."""


class TosaRunner:
    """A file, read; any thread may use it, and runs of all files follow one another."""

    def __init__(self, path: Path, content: bytes):
        """Wrap a file's content; made by ``open_runner``."""
        self._path = path
        self._content = content

    def run(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Upscale one image of the size that the file was written for: (H, W, 3) uint8 -> (rH, rW, 3) uint8.

        Raises:
            BackendError: if the image is of another size or type, or the model refuses the graph.
        """
        import tosa_reference_model

        if image.dtype != np.uint8 or image.ndim != 3:
            raise BackendError(f"{self._path}: got {image.dtype} {image.shape}, expected uint8 (H, W, 3)")
        pixels = np.ascontiguousarray(image)[np.newaxis].view(np.int8)
        messages: list[str] = []
        try:
            # It prints at each run that it reads the file's version as well as its own. Its settings are global, so
            # one thread at a time runs it, which the reading of its messages sees to.
            with native_messages(messages), without_native_prints():
                outputs, status = tosa_reference_model.run(self._content, [pixels])
        except (ValueError, RuntimeError) as error:
            text = with_messages(error, messages)
            raise BackendError(f"{self._path}: the TOSA reference model cannot run it: {text}") from error
        if status != tosa_reference_model.GraphStatus.TOSA_VALID:
            raise BackendError(f"{self._path}: the TOSA reference model calls it {status.name}")
        upscaled: NDArray[np.uint8] = outputs[0].view(np.uint8)[0]
        return upscaled


def open_runner(path: Path, *, kernels: str | None) -> TosaRunner:
    """Read a file.

    Raises:
        BackendError: if it is missing or no .tosa file, or the family of kernels is unknown.
    """
    if kernels not in (None, KERNELS):
        raise BackendError(f"no family of kernels is called {kernels!r}; expected {KERNELS!r}")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BackendError(f"{path}: cannot be read ({error.strerror}); convert anew") from error
    if content[4:8] != IDENTIFIER:
        raise BackendError(f"{path}: no TOSA file, its identifier is {content[4:8]!r}; convert anew")
    return TosaRunner(path, content)
