"""Running a .pte file on this machine."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qsr_edge.conversion.backend import Placement
from qsr_edge.errors import BackendError
from qsr_edge_converters.executorch.inspection import has_own_weights, inspect_pte
from qsr_edge_converters.executorch.kernels import program_kernels
from qsr_edge_converters.native_messages import native_messages, one_line

CHANNELS = 3


class ExecutorchRunner:
    """A model at one depth, loaded; not for use by two threads at once."""

    def __init__(self, path: Path, name: str, method: Any, largest_size_px: tuple[int, int]):
        """Wrap a loaded method of this name; made by ``open_runner``."""
        self._path = path
        self._name = name
        self._method = method
        self._largest_size_px = largest_size_px

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
        if height > self._largest_size_px[0] or width > self._largest_size_px[1]:
            raise BackendError(
                f"{self._path}: takes images of up to {self._largest_size_px} pixels, got {(height, width)}; "
                "use smaller tiles"
            )
        # A view: (H, W, 3) bytes are a channels-last (1, 3, H, W) tensor. A copy where the array is read-only.
        pixels = np.ascontiguousarray(image) if image.flags.writeable else image.copy()
        tensor = torch.from_numpy(pixels)[None].permute(0, 3, 1, 2)
        messages: list[str] = []
        try:
            with native_messages(messages):
                (output,) = self._method.execute([tensor])
        except (RuntimeError, ValueError, MemoryError) as error:
            raise BackendError(f"{self._path}: ExecuTorch cannot run it: {one_line(error, messages)}") from error
        upscaled: NDArray[np.uint8] = output[0].permute(1, 2, 0).contiguous().numpy()
        return upscaled

    def placement(self) -> Placement:
        """What the file gives to XNNPACK and what to the portable kernels; a program is placed when it is written."""
        method = next(entry for entry in inspect_pte(self._path).methods if entry.name == self._name)
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
    messages: list[str] = []
    try:
        with native_messages(messages), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the bindings call themselves experimental
            from executorch.extension.pybindings.portable_lib import _unsafe_reset_threadpool
            from executorch.runtime import Runtime

            _unsafe_reset_threadpool(threads)
            program = Runtime.get().load_program(path, data_path=None if own else weights)
            name = "forward" if "forward" in program.method_names else f"d{depth}"
            method = program.load_method(name)
            if method is None:
                raise BackendError(f"{path}: the method {name} cannot be loaded; convert anew")
            shape = method.metadata.input_tensor_meta(0).sizes()
    except (RuntimeError, ValueError, MemoryError) as error:
        raise BackendError(f"{path}: ExecuTorch cannot load it: {one_line(error, messages)}") from error
    return ExecutorchRunner(path, name, method, (shape[2], shape[3]))
