"""Running a .pte file on this machine."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from qsr_edge.conversion.backend import Placement
from qsr_edge.errors import BackendError
from qsr_edge_converters.executorch.inspection import has_own_weights, inspect_pte
from qsr_edge_converters.executorch.kernels import program_kernels
from qsr_edge_converters.executorch.program import LoadedProgram
from qsr_edge_converters.executorch.trial import try_first

CHANNELS = 3


class ExecutorchRunner:
    """A model at one depth, loaded; any thread may use it, and runs of all models of a process follow one another."""

    def __init__(self, path: Path, program: LoadedProgram):
        """Wrap a loaded program; made by ``open_runner``."""
        self._path = path
        self._program = program
        self._planned_shape: tuple[int, ...] | None = None

    def run(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Upscale one image.

        Args:
            image: (H, W, 3) uint8 RGB.

        Returns:
            (rH, rW, 3) uint8 RGB.

        Raises:
            BackendError: if the image has another shape or type, or the runtime fails.
        """
        import torch

        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != CHANNELS or image.size == 0:
            raise BackendError(f"{self._path}: got {image.dtype} {image.shape}, expected uint8 (H, W, {CHANNELS})")
        height, width = image.shape[:2]
        largest = self._program.largest_size_px
        if height > largest[0] or width > largest[1]:
            raise BackendError(
                f"{self._path}: takes images of up to {largest} pixels, got {(height, width)}; use smaller tiles"
            )
        # A view: (H, W, 3) bytes are a channels-last (1, 3, H, W) tensor. A copy where the array is read-only.
        pixels = np.ascontiguousarray(image) if image.flags.writeable else image.copy()
        tensor = torch.from_numpy(pixels)[None].permute(0, 3, 1, 2)
        # What fails does so at a size that is new.
        upscaled = self._program.execute(tensor, listen=image.shape != self._planned_shape)
        self._planned_shape = image.shape
        return upscaled

    def placement(self) -> Placement:
        """What the file gives to XNNPACK and what to the portable kernels; a program is placed when it is written."""
        method = next(entry for entry in inspect_pte(self._path).methods if entry.name == self._program.method_name)
        return Placement(
            delegate="XNNPACK" if method.delegates else "",
            delegated_ops=sum(len(delegate.nodes) for delegate in method.delegates),
            fallback=dict(sorted(method.operators.items())),
            source="the program",
        )


def open_runner(path: Path, *, depth: int, threads: int, kernels: str | None) -> ExecutorchRunner:
    """Load a file at one depth; weights of an external file are looked for beside it, under the suffix ``.ptd``.

    Raises:
        BackendError: if the file is missing, damaged or has no such depth, or an argument is not possible.
    """
    if threads < 1:
        raise BackendError(f"threads = {threads}, expected at least 1")
    if not path.is_file():
        raise BackendError(f"{path}: there is no such file")
    content = path.read_bytes()
    own = has_own_weights(content, str(path))
    family = program_kernels(content, depth, str(path))
    if kernels not in (None, family):
        raise BackendError(f"{path}: runs in {family} kernels as it was written, got {kernels!r}; expected {family}")
    weights = path.with_suffix(".ptd")
    if not (own or weights.is_file()):
        # The runtime would crash.
        raise BackendError(f"{path}: its weights lie in {weights.name}, which is not beside it; copy it there")
    try_first(path, depth, content, None if own else weights)
    program = LoadedProgram(path, content, None if own else weights, depth=depth, threads=threads)
    return ExecutorchRunner(path, program)
