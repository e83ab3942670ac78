"""Runs saved Core ML packages for the stand-in of Core ML: ``python model_worker.py``; see ModelWorker.swift."""

import importlib.util
import itertools
import json
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from qsr_edge.errors import QsrError
from qsr_edge_converters.coreml.executor import Executor
from qsr_edge_converters.coreml.package import Function, read_package


def leave_out_converters() -> None:
    """Let modules of coremltools be imported without its own ``__init__``.

    That imports torch and every converter: ten seconds, of which reading a file needs nothing.
    """
    found = importlib.util.find_spec("coremltools")
    if found is None or found.submodule_search_locations is None:
        sys.exit("error: coremltools is missing; pip install 'qsr-edge[coreml]'")
    package = ModuleType("coremltools")
    package.__path__ = found.submodule_search_locations
    sys.modules["coremltools"] = package


def main() -> None:
    """Answer requests until the input ends."""
    leave_out_converters()
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what is printed must not get among the answers
    models: dict[int, tuple[Function, Executor]] = {}
    numbers = itertools.count()

    def answer(content: bytes = b"", **values: Any) -> None:
        answers.write(json.dumps(values).encode() + b"\n" + content)
        answers.flush()

    def serve(request: dict[str, Any]) -> None:
        match request["do"]:
            case "compile":
                read_package(Path(request["package"]))
                answer()
            case "load":
                package = read_package(Path(request["package"]))
                name = request.get("function", package.default_function)
                if name not in package.functions:
                    raise ValueError(f"no function {name}, only {', '.join(package.functions)}")
                function, number = package.functions[name], next(numbers)
                models[number] = function, Executor(function, request["package"])
                answer(model=number, input=function.input, output=function.output)
            case "close":
                del models[request["model"]]
                answer()
            case "run":
                height, width = request["height_px"], request["width_px"]
                content = requests.read(3 * height * width)
                function, executor = models[request["model"]]
                if not function.sizes.allow(height, width):
                    raise ValueError(f"takes images of {function.sizes} pixels, got {width}x{height}")
                output = executor.run(np.frombuffer(content, np.uint8).reshape(height, width, 3))
                answer(np.ascontiguousarray(output).tobytes(), height_px=output.shape[0], width_px=output.shape[1])

    for line in requests:
        try:
            serve(json.loads(line))
        except (QsrError, OSError, ValueError) as error:
            answer(error=" ".join(str(error).split()))


if __name__ == "__main__":
    main()
