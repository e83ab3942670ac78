"""Models in Qualcomm's HTP back end: the Hexagon NPU of Snapdragon processors, emulated on x86-64.

The Linux wheel of ``onnxruntime-qnn`` brings Qualcomm's own library, which computes on x86-64 what it says the NPU
computes. It emulates arithmetic, not time.
"""

import json
import math
import platform
import subprocess
import sys
import tempfile
import threading
import weakref
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import IO, Any

import numpy as np

from qsr_edge.conversion.backend import Placement, counted
from qsr_edge.errors import BackendError
from qsr_edge.extras import how_to_install
from qsr_edge.quant.arithmetic import Profile
from qsr_edge_converters.onnx.encoding import OnnxFlavor
from qsr_edge_converters.onnx.images import CHANNELS, Image, as_input, from_output
from qsr_edge_converters.onnx.kernels import HTP_ARCHITECTURES, KernelFamily

EXTRA = "qnn"
_OLDEST_GLIBC = (2, 35)
_LAST_WORDS = 500


def check_emulator() -> None:
    """See that the emulator can run here.

    Raises:
        BackendError: naming what it needs.
    """
    name, version = platform.libc_ver()
    numbers = tuple(int(part) for part in version.split(".") if part.isdecimal())
    if sys.platform != "linux" or platform.machine() != "x86_64" or name != "glibc" or numbers < _OLDEST_GLIBC:
        raise BackendError(
            f"htp: Qualcomm's emulator runs on Linux x86-64 with glibc 2.35 or newer, this is {sys.platform} "
            f"{platform.machine()} with {name or 'another C library'} {version}; leave out --verify htp"
        )
    try:
        import_module("onnxruntime_qnn")
    except ImportError as error:
        raise BackendError(f"htp needs onnxruntime_qnn ({error}); {how_to_install(EXTRA)}") from error


def check_exact(family: KernelFamily, profile: Profile, flavor: OnnxFlavor) -> None:
    """See that networks of a profile are computed exactly.

    HTP has a rounding of its own for multipliers that are no powers of two, and from v73 on for biases
    (docs/npu.md tells how many bytes differ).

    Raises:
        BackendError: naming what to use instead.
    """
    if profile is Profile.SCALED:
        raise BackendError(
            "htp: a fifth or more of the bytes of the profile 'scaled' (W8A8) differ there; convert a network of the "
            "profile 'portable', such as --bits 4 --activation-bits 8, or leave out --verify htp"
        )
    if family is KernelFamily.HTP_V73 and flavor is not OnnxFlavor.NPU:
        raise BackendError(
            f"{family}: Hexagon NPUs from v73 on (Snapdragon 8 Gen 2) need two guard bits, flavour {flavor} has one; "
            f"add --flavor {OnnxFlavor.NPU}"
        )


class HtpRunner:
    """A model, compiled anew for each size of image, in a process of its own; threads wait for one another."""

    def __init__(self, path: Path, family: KernelFamily):
        """Compile nothing yet: the size is that of the first image."""
        self._path = path
        self._architecture = HTP_ARCHITECTURES[family]
        self._worker: _Worker | None = None
        self._lock = threading.Lock()

    def run(self, image: Image) -> Image:
        """Upscale one image: (H, W, 3) uint8 RGB -> (rH, rW, 3) uint8 RGB.

        Raises:
            BackendError: if the image has another shape or type, or the back end does not take a node, or fails.
        """
        pixels = as_input(image, self._path)
        size = (image.shape[0], image.shape[1])
        with self._lock:
            if self._worker is None or self._worker.size_px != size:
                if self._worker is not None:
                    self._worker.close()
                self._worker = _Worker(self._path, size, self._architecture)
            return from_output(self._worker.run(pixels))

    def placement(self) -> Placement | None:
        """What the back end took of the last size's model: everything, or it would not have run; None before a run."""
        if self._worker is None:
            return None
        return Placement(
            delegate=f"QNN HTP (Hexagon v{self._architecture}, emulated)",
            delegated_ops=sum(self._worker.operators.values()),
            fallback={},
            source=f"ONNX Runtime's assignment of nodes: {counted(self._worker.operators)}",
        )


class _Worker:
    """A process with one model at one size."""

    def __init__(self, path: Path, size_px: tuple[int, int], architecture: str):
        self.size_px = size_px
        self._path = path
        self._messages: IO[bytes] = tempfile.TemporaryFile()
        arguments = [str(path), *map(str, size_px), architecture]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "qsr_edge_converters.onnx.htp_worker", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._messages,
        )
        self.close: Callable[[], Any] = weakref.finalize(self, _end, self._process, self._messages)
        try:
            told: dict[str, Any] = json.loads(self._pipes[1].readline())
        except ValueError:
            raise self._ended() from None
        if "error" in told:
            raise BackendError(
                f"{path}: the HTP back end does not take it at {size_px[1]}x{size_px[0]}: {told['error']}"
            )
        self.operators: dict[str, int] = told["operators"]
        height, width = told["shape"]
        self._shape = (1, CHANNELS, height, width)

    @property
    def _pipes(self) -> tuple[IO[bytes], IO[bytes]]:
        stdin, stdout = self._process.stdin, self._process.stdout
        if stdin is None or stdout is None:
            raise BackendError(f"{self._path}: the emulator's process has no pipes")
        return stdin, stdout

    def run(self, pixels: Image) -> Image:
        stdin, stdout = self._pipes
        try:
            stdin.write(pixels.tobytes())
            stdin.flush()
        except BrokenPipeError:
            raise self._ended() from None
        count = math.prod(self._shape)
        content = stdout.read(count)
        if len(content) < count:
            raise self._ended()
        return np.frombuffer(content, np.uint8).reshape(self._shape)

    def _ended(self) -> BackendError:
        code = self._process.wait()
        self._messages.seek(0)
        words = " ".join(self._messages.read().decode(errors="replace").split())[-_LAST_WORDS:]
        return BackendError(f"{self._path}: the HTP emulator's process ended with code {code}; it said: {words}")


def _end(process: "subprocess.Popen[bytes]", messages: IO[bytes]) -> None:
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()
    process.kill()
    process.wait()
    messages.close()
