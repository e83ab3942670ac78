"""Running a .tflite file on this machine, with a chosen family of kernels."""

import contextlib
from collections import Counter
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qsr_edge.conversion.backend import Placement
from qsr_edge.errors import BackendError
from qsr_edge_converters.native_messages import native_messages, with_messages
from qsr_edge_converters.sharing import InstancePool, useful_instances
from qsr_edge_converters.tflite.format import INPUT_NAME, OUTPUT_NAME, signature_key
from qsr_edge_converters.tflite.reading import read_model_file, signature_input_shape

CHANNELS = 3


class KernelFamily(StrEnum):
    """Ways LiteRT can execute a model on a CPU."""

    XNNPACK = "xnnpack"
    BUILTIN = "builtin"
    REFERENCE = "reference"


class _Instance:
    """An interpreter, for one thread at a time; its buffers are planned for images of the size that it ran last."""

    def __init__(self, path: Path, interpreter: Any, signature: Any):
        """Wrap a loaded interpreter."""
        self._path = path
        self.interpreter = interpreter  # the signature's native state lives in it
        self._signature = signature
        self.planned_shape: tuple[int, ...] | None = None
        self._has_run = False

    def run(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Upscale one image; errors as :meth:`TfliteRunner.run`."""
        # LiteRT makes its delegate in the first run, and talks about it.
        messages: list[str] = []
        quiet = contextlib.nullcontext() if self._has_run else native_messages(messages)
        try:
            with quiet:
                outputs = self._signature(**{INPUT_NAME: np.ascontiguousarray(image)[np.newaxis]})
        except (RuntimeError, ValueError, MemoryError) as error:
            self.planned_shape, self._has_run = None, False
            raise BackendError(f"{self._path}: LiteRT cannot run it: {with_messages(error, messages)}") from error
        self.planned_shape, self._has_run = image.shape, True
        upscaled: NDArray[np.uint8] = outputs[OUTPUT_NAME][0]
        return upscaled


class TfliteRunner:
    """A model at one depth, loaded; any number of threads may use it, see :class:`InstancePool`."""

    def __init__(self, path: Path, instances: InstancePool[_Instance], fixed_size_px: tuple[int, int] | None):
        """Wrap interpreters of one file; made by ``open_runner``."""
        self._path = path
        self._instances = instances
        self._fixed_size_px = fixed_size_px

    def run(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Upscale one image.

        The runtime's buffers are kept as long as images have the same size. As many images are upscaled at once as
        the processors can, each by an interpreter of its own; further threads wait.

        Args:
            image: (H, W, 3) uint8 RGB.

        Returns:
            (rH, rW, 3) uint8 RGB.

        Raises:
            BackendError: if the image has another shape or type, or the runtime fails.
        """
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != CHANNELS or image.size == 0:
            raise BackendError(f"{self._path}: got {image.dtype} {image.shape}, expected uint8 (H, W, {CHANNELS})")
        if self._fixed_size_px not in (None, image.shape[:2]):
            raise BackendError(
                f"{self._path}: takes images of {self._fixed_size_px} pixels only, got {image.shape[:2]}"
            )
        with self._instances.borrow(lambda instance: instance.planned_shape == image.shape) as instance:
            return instance.run(image)

    def placement(self) -> Placement | None:
        """Which operations XNNPACK took, after at least one run; LiteRT does not say it, so it is read off the graph.

        A delegate's node reads and writes the tensors at its border; what lies between them ran inside. LiteRT's
        Python interface shows the file's first graph only, so of a file with several depths nothing is known.
        """
        with self._instances.borrow() as instance:
            if instance.interpreter.num_subgraphs() != 1:
                return None
            operators = instance.interpreter._get_ops_details()
        delegates = [operator for operator in operators if operator["op_name"] == "DELEGATE"]
        others = [operator for operator in operators if operator["op_name"] != "DELEGATE"]
        producer = {int(tensor): i for i, operator in enumerate(others) for tensor in operator["outputs"]}
        taken: set[int] = set()
        for delegate in delegates:
            border = {int(tensor) for tensor in delegate["inputs"]}
            waiting = [int(tensor) for tensor in delegate["outputs"]]
            while waiting:
                i = producer.get(waiting.pop())
                if i is not None and i not in taken:
                    taken.add(i)
                    waiting += [int(tensor) for tensor in others[i]["inputs"] if int(tensor) not in border]
        left = Counter(operator["op_name"] for i, operator in enumerate(others) if i not in taken)
        return Placement(
            delegate="XNNPACK" if delegates else "",
            delegated_ops=len(taken),
            fallback=dict(sorted(left.items())),
            source="LiteRT's graph after planning",
        )


def open_runner(path: Path, *, depth: int, threads: int, kernels: str | None) -> TfliteRunner:
    """Load a file at one depth.

    Raises:
        BackendError: if the file is missing, damaged or has no such depth, or an argument is not possible.
    """
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    try:
        family = KernelFamily.XNNPACK if kernels is None else KernelFamily(kernels)
    except ValueError:
        raise BackendError(f"no family of kernels is called {kernels!r}; expected {', '.join(KernelFamily)}") from None
    if threads < 1:
        raise BackendError(f"threads = {threads}, expected at least 1")
    model = read_model_file(path)
    shape = signature_input_shape(model, signature_key(depth))
    if shape is None:
        raise BackendError(
            f"{path}: holds no depth {depth}; its signatures are {', '.join(model.signatures) or 'none'}"
        )
    resolver = {
        KernelFamily.XNNPACK: OpResolverType.AUTO,
        KernelFamily.BUILTIN: OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        KernelFamily.REFERENCE: OpResolverType.BUILTIN_REF,
    }[family]

    def make() -> _Instance:
        messages: list[str] = []
        try:
            with native_messages(messages):
                interpreter = Interpreter(
                    model_content=model.content, experimental_op_resolver_type=resolver, num_threads=threads
                )
                signature = interpreter.get_signature_runner(signature_key(depth))
        except (RuntimeError, ValueError, MemoryError) as error:
            raise BackendError(f"{path}: LiteRT cannot load it: {with_messages(error, messages)}") from error
        return _Instance(path, interpreter, signature)

    instances = InstancePool(make, limit=useful_instances(threads))
    with instances.borrow():  # a file that cannot be loaded is told at once
        return TfliteRunner(path, instances, None if -1 in shape else (shape[1], shape[2]))
