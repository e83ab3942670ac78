"""Models in their runtimes, for benchmarks/peers.py: loaded for one size and number of threads.

What is timed is the runtime's own call, given an input of the type that the model takes. What an app must do to turn a
picture into that type, and the output into a picture, is left out: ours take and give the picture's bytes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

IMAGE_ZERO = 128
Picture = NDArray[np.uint8]


class Runtime(StrEnum):
    """What runs a model, by the file's form."""

    OURS = "ours"
    LITERT = "LiteRT"
    EXECUTORCH = "ExecuTorch"
    ONNX = "ONNX Runtime"
    OPENVINO = "OpenVINO"
    NCNN = "ncnn"


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A model for pictures of one size.

    Attributes:
        take: (H, W, 3) uint8 RGB -> the model's input.
        run: the model's input -> its output; what is timed.
        give: the model's output -> (rH, rW, 3) uint8 RGB.
    """

    take: Callable[[Picture], Any]
    run: Callable[[Any], Any]
    give: Callable[[Any], Picture]

    def upscale(self, picture: Picture) -> Picture:
        """All three."""
        return self.give(self.run(self.take(picture)))


def _levels(codes: NDArray[Any]) -> Picture:
    levels: Picture = np.clip(np.rint(codes) + IMAGE_ZERO, 0, 255).astype(np.uint8)
    return levels


def _planes(picture: Picture) -> NDArray[np.float32]:
    return np.ascontiguousarray(picture.transpose(2, 0, 1)[np.newaxis].astype(np.float32) - IMAGE_ZERO)


def _from_planes(output: NDArray[Any]) -> Picture:
    return _levels(output.reshape(output.shape[-3:]).transpose(1, 2, 0))


def _ours(path: Path, threads: int, size_px: tuple[int, int]) -> Loaded:
    from qsr_edge.conversion.registry import find_backend

    target, depth = path.parent.name.split("-")
    runner = find_backend(target).open_model(path, depth=int(depth), threads=threads)
    return Loaded(take=lambda picture: picture, run=runner.run, give=lambda picture: picture)


def _litert(path: Path, threads: int, size_px: tuple[int, int]) -> Loaded:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(path), num_threads=threads)
    (image,), (upscaled,) = interpreter.get_input_details(), interpreter.get_output_details()
    interpreter.resize_tensor_input(image["index"], (1, *size_px, 3))
    interpreter.allocate_tensors()

    def quantized(values: NDArray[np.float32], details: dict[str, Any]) -> NDArray[Any]:
        if details["dtype"] == np.float32:
            return values
        scale, zero = details["quantization"]
        limits = np.iinfo(details["dtype"])
        return np.clip(np.rint(values / scale) + zero, limits.min, limits.max).astype(details["dtype"])

    def real(values: NDArray[Any], details: dict[str, Any]) -> NDArray[Any]:
        scale, zero = details["quantization"] if details["dtype"] != np.float32 else (1.0, 0)
        return (values.astype(np.float32) - zero) * scale

    def run(codes: NDArray[Any]) -> NDArray[Any]:
        interpreter.set_tensor(image["index"], codes)
        interpreter.invoke()
        output: NDArray[Any] = interpreter.get_tensor(upscaled["index"])
        return output

    return Loaded(
        take=lambda picture: quantized(picture[np.newaxis].astype(np.float32) - IMAGE_ZERO, image),
        run=run,
        give=lambda output: _levels(real(output[0], upscaled)),
    )


def _executorch(path: Path, threads: int, size_px: tuple[int, int]) -> Loaded:
    import torch
    from executorch.extension.pybindings.portable_lib import _unsafe_reset_threadpool
    from executorch.runtime import Runtime as Executor

    _unsafe_reset_threadpool(threads)
    method = Executor.get().load_program(path).load_method("forward")
    if method is None:
        raise RuntimeError(f"{path}: holds no forward method")
    return Loaded(
        take=lambda picture: torch.from_numpy(_planes(picture)),
        run=lambda codes: method.execute([codes])[0],
        give=lambda output: _from_planes(output.numpy()),
    )


def _onnx(path: Path, threads: int, size_px: tuple[int, int]) -> Loaded:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return Loaded(take=_planes, run=lambda codes: session.run(["upscaled"], {"image": codes})[0], give=_from_planes)


def _openvino(path: Path, threads: int, size_px: tuple[int, int]) -> Loaded:
    import openvino

    core = openvino.Core()
    model = core.read_model(path)
    model.reshape([1, 3, *size_px])
    # Else whatever stayed float is computed in bfloat16 where the processor has it, at half a level's error.
    settings = {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
    request = core.compile_model(model, "CPU", settings).create_infer_request()
    return Loaded(
        take=_planes,
        run=lambda codes: request.infer([codes], share_inputs=True, share_outputs=True)[0],
        give=_from_planes,
    )


def _ncnn(path: Path, threads: int, size_px: tuple[int, int]) -> Loaded:
    import ncnn

    network = ncnn.Net()
    network.opt.num_threads = threads
    # Float means float32 here: by default ncnn would keep its values in 16 bits.
    network.opt.use_fp16_packed = network.opt.use_fp16_storage = network.opt.use_fp16_arithmetic = False
    network.opt.use_bf16_storage = False
    network.load_param(str(path))
    network.load_model(str(path.with_suffix(".bin")))

    def run(codes: Any) -> Any:
        extractor = network.create_extractor()
        extractor.input("image", codes)
        return extractor, extractor.extract("upscaled")[1]  # the output's memory is the extractor's

    def take(picture: Picture) -> Any:
        planes = _planes(picture)[0]
        return ncnn.Mat(planes).clone()  # a Mat does not own the array it was made of

    return Loaded(
        take=take,
        run=run,
        give=lambda held: _from_planes(np.array(held[1])),
    )


_LOADERS = {
    Runtime.OURS: _ours, Runtime.LITERT: _litert, Runtime.EXECUTORCH: _executorch, Runtime.ONNX: _onnx,
    Runtime.OPENVINO: _openvino, Runtime.NCNN: _ncnn,
}  # fmt: skip


def load(runtime: Runtime, path: Path, threads: int, size_px: tuple[int, int]) -> Loaded:
    """Load a model.

    Args:
        runtime: what the file is for.
        path: the file; ours lie in a folder called ``<target>-<depth>``, ncnn's weights beside it as ``.bin``.
        threads: of the runtime; ExecuTorch's are those of the process.
        size_px: (height, width) of the pictures to come.
    """
    return _LOADERS[runtime](path, threads, size_px)


def import_runtime(runtime: Runtime, path: Path) -> None:
    """Import what runs a model, so that memory can be told from the model's own."""
    import importlib

    ours = {"tflite": Runtime.LITERT, "executorch": Runtime.EXECUTORCH, "onnx": Runtime.ONNX}
    if runtime is Runtime.OURS:
        from qsr_edge.conversion.registry import find_backend

        target = path.parent.name.split("-")[0]
        find_backend(target)  # imports what the back end looks for
        runtime = ours[target]
    names = {
        Runtime.LITERT: ("ai_edge_litert.interpreter",), Runtime.EXECUTORCH: ("torch", "executorch.runtime"),
        Runtime.ONNX: ("onnxruntime",), Runtime.OPENVINO: ("openvino",), Runtime.NCNN: ("ncnn",),
    }  # fmt: skip
    for name in names[runtime]:
        importlib.import_module(name)
