"""Models in ONNX Runtime's CPU provider."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import onnxruntime

from qsr_edge.conversion.backend import Placement
from qsr_edge.errors import BackendError
from qsr_edge_converters.native_messages import with_messages
from qsr_edge_converters.onnx.format import INPUT_NAME, OUTPUT_NAME
from qsr_edge_converters.onnx.images import Image, as_input, from_output
from qsr_edge_converters.onnx.kernels import KernelFamily
from qsr_edge_converters.sharing import OneInstance

ort: Any = onnxruntime
_FATAL = 4
"""ONNX Runtime's severity of messages: what it raises it need not print, too."""
_LEVELS = {
    KernelFamily.CPU: ort.GraphOptimizationLevel.ORT_ENABLE_ALL,
    KernelFamily.CPU_EXTENDED: ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
    KernelFamily.CPU_BASIC: ort.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    KernelFamily.CPU_UNOPTIMIZED: ort.GraphOptimizationLevel.ORT_DISABLE_ALL,
}
_PROFILED_SIDE_PX = 16
"""The side of the image that a model for any size is profiled with; where a node runs does not depend on it."""
_LAST_WORDS = 500
RUNTIME_ERRORS: tuple[type[Exception], ...] = (
    RuntimeError,
    ValueError,
    MemoryError,
    *(
        kind
        for kind in vars(ort.capi.onnxruntime_pybind11_state).values()
        if isinstance(kind, type) and issubclass(kind, Exception)
    ),
)
"""What ONNX Runtime raises: a class of its own for each kind, with none in common but Exception."""


def session_options(family: KernelFamily, threads: int) -> Any:
    """Of ONNX Runtime, for one of the CPU provider's families."""
    options = ort.SessionOptions()
    options.graph_optimization_level = _LEVELS[family]
    options.intra_op_num_threads = threads
    options.log_severity_level = _FATAL
    # Weights of 8 bits would saturate int16 on x86 processors without VNNI; ours of up to 6 bits do not.
    options.add_session_config_entry("session.x64quantprecision", "1")
    return options


class SessionRunner:
    """A model, loaded into ONNX Runtime, whose sessions any number of threads may use at once."""

    def __init__(self, path: Path, session: OneInstance[Any], family: KernelFamily):
        """Wrap a session; made by ``open_session``."""
        self._path = path
        self._shared = session
        self._family = family
        with session.use() as opened:
            height, width = opened.get_inputs()[0].shape[2:]
            told = opened.get_modelmeta().custom_metadata_map.get("depth", "")
        self._depth = int(told) if told.isdecimal() else 0
        self._fixed_size_px = (height, width) if isinstance(height, int) and isinstance(width, int) else None

    @property
    def depth(self) -> int:
        """The network's depth, as the file says; 0 if it does not."""
        return self._depth

    def run(self, image: Image) -> Image:
        """Upscale one image: (H, W, 3) uint8 RGB -> (rH, rW, 3) uint8 RGB.

        Raises:
            BackendError: if the image has another shape or type, or the runtime fails.
        """
        pixels = as_input(image, self._path)
        if self._fixed_size_px not in (None, image.shape[:2]):
            raise BackendError(
                f"{self._path}: takes images of {self._fixed_size_px} pixels only, got {image.shape[:2]}"
            )
        try:
            with self._shared.use() as session:
                (upscaled,) = session.run([OUTPUT_NAME], {INPUT_NAME: pixels})
        except RUNTIME_ERRORS as error:
            raise BackendError(f"{self._path}: ONNX Runtime cannot run it: {with_messages(error, [])}") from error
        return from_output(upscaled)

    def placement(self) -> Placement:
        """Kernels that run, as ONNX Runtime's profile in another process names them.

        All are the CPU provider's; QDQ form fused into integers shows as ``QLinear...``.

        Raises:
            BackendError: if that process fails.
        """
        height, width = self._fixed_size_px or (_PROFILED_SIDE_PX, _PROFILED_SIDE_PX)
        arguments = [str(self._path), self._family.value, str(height), str(width)]
        # In a process of its own: what it takes is not to count as this one's memory.
        run = subprocess.run(
            [sys.executable, "-m", "qsr_edge_converters.onnx.profile_worker", *arguments],
            capture_output=True,
            text=True,
        )
        if run.returncode != 0:
            words = " ".join(run.stderr.split())[-_LAST_WORDS:]
            raise BackendError(f"{self._path}: ONNX Runtime's profile cannot be taken; its process said: {words}")
        return Placement(delegate="", delegated_ops=0, fallback=json.loads(run.stdout), source="ONNX Runtime's profile")


def open_session(path: Path, family: KernelFamily, threads: int) -> SessionRunner:
    """Load a model; weights of a shared file are looked for beside it.

    Raises:
        BackendError: if it is missing, damaged or no model of ours.
    """
    if not path.is_file():
        raise BackendError(f"{path}: there is no such file; convert anew")

    def make() -> Any:
        try:
            return ort.InferenceSession(path, session_options(family, threads), providers=["CPUExecutionProvider"])
        except RUNTIME_ERRORS as error:
            raise BackendError(f"{path}: ONNX Runtime cannot load it: {with_messages(error, [])}") from error

    session = OneInstance(make)
    with session.use() as opened:
        inputs, outputs = opened.get_inputs(), opened.get_outputs()
    takes = [(value.name, value.type, len(value.shape)) for value in (*inputs, *outputs)]
    if takes != [(name, "tensor(uint8)", 4) for name in (INPUT_NAME, OUTPUT_NAME)]:
        raise BackendError(
            f"{path}: its inputs and outputs are {takes}, expected a uint8 {INPUT_NAME} and a uint8 {OUTPUT_NAME}"
        )
    return SessionRunner(path, session, family)
