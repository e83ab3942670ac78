"""Running an .mlpackage: by our executor on any machine, by Core ML itself on macOS."""

import sys
import threading
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qsr_edge.conversion.backend import Runner
from qsr_edge.errors import BackendError, one_line
from qsr_edge_converters.coreml.executor import Executor
from qsr_edge_converters.coreml.package import Function, read_package
from qsr_edge_converters.native_messages import quiet_sdk


class Family(StrEnum):
    """Ways to run a package."""

    COREML = "coreml"
    COREML_CPU = "coreml-cpu"
    EXECUTOR = "executor"


_MACOS = {Family.COREML: "ALL", Family.COREML_CPU: "CPU_ONLY"}
"""Families that need macOS, and the compute units that they use."""


def runnable_families() -> tuple[Family, ...]:
    """What this machine can run, the default first."""
    return tuple(Family) if sys.platform == "darwin" else (Family.EXECUTOR,)


class ExecutorRunner:
    """A function, loaded by our executor, which keeps nothing between runs: any number of threads may use it."""

    def __init__(self, executor: Executor, source: Path):
        """Wrap an executor; made by ``open_runner``."""
        self._executor = executor
        self._source = source

    def run(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Upscale: (H, W, 3) uint8 RGB -> (rH, rW, 3) uint8 RGB.

        Raises:
            BackendError: if the image is of another kind or size, or the program fails.
        """
        _check_image(image, self._source)
        return self._executor.run(image)


class CoremlRunner:
    """A function, loaded by Core ML; macOS only. Core ML wants a model used by one thread at a time: others wait."""

    def __init__(self, model: Any, function: Function, source: Path):
        """Wrap a loaded model; made by ``open_runner``."""
        self._model = model
        self._lock = threading.Lock()
        self._function = function
        self._source = source

    def run(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Upscale: (H, W, 3) uint8 RGB -> (rH, rW, 3) uint8 RGB.

        Raises:
            BackendError: if the image is of another kind or size, or Core ML fails.
        """
        from PIL import Image

        _check_image(image, self._source)
        height, width = image.shape[:2]
        if not self._function.sizes.allow(height, width):
            sizes = f"takes images of {self._function.sizes} pixels, got {width}x{height}"
            raise BackendError(f"{self._source}: {sizes}; use smaller tiles")
        try:
            with self._lock:
                outputs = self._model.predict({self._function.input: Image.fromarray(image)})
        except (RuntimeError, ValueError) as error:
            text = one_line(error, 300)
            raise BackendError(f"{self._source}: Core ML cannot run it: {text}") from error
        return np.asarray(outputs[self._function.output].convert("RGB"), np.uint8)


def _check_image(image: NDArray[np.uint8], source: Path) -> None:
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
        raise BackendError(f"{source}: got {image.dtype} {image.shape}, expected uint8 (H, W, 3)")


def open_runner(path: Path, *, depth: int, kernels: str | None) -> Runner:
    """Load a package at one depth.

    Raises:
        BackendError: if it is missing, damaged or has no such depth, or the family is unknown or needs macOS.
    """
    try:
        family = runnable_families()[0] if kernels is None else Family(kernels)
    except ValueError:
        raise BackendError(f"no family of kernels is called {kernels!r}; expected {', '.join(Family)}") from None
    if family not in runnable_families():
        raise BackendError(
            f"the kernels {family.value!r} are Core ML's own, which only macOS has; use {Family.EXECUTOR.value!r} here"
        )
    package = read_package(path)
    name = f"d{depth}" if f"d{depth}" in package.functions else package.default_function
    stated = package.facts.get("qsr_edge.depth")
    if name != f"d{depth}" and stated != str(depth):
        offered = stated or ", ".join(package.functions)
        raise BackendError(f"{path}: holds no depth {depth}; it holds {offered}")
    function = package.functions[name]
    if family is Family.EXECUTOR:
        return ExecutorRunner(Executor(function, str(path)), path)
    from qsr_edge_converters.coreml.sdk import ct

    units = getattr(ct.ComputeUnit, _MACOS[family])
    try:
        with quiet_sdk():
            several = len(package.functions) > 1
            model = ct.models.MLModel(str(path), compute_units=units, function_name=name if several else None)
    except (RuntimeError, ValueError) as error:
        text = one_line(error, 300)
        raise BackendError(f"{path}: Core ML cannot load it: {text}") from error
    return CoremlRunner(model, function, path)
