"""Runs models for a program without Python: ``python runtime_worker.py TARGET``; see ProcessBackend.kt."""

import itertools
import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

from qsr_edge.conversion.backend import Runner
from qsr_edge.conversion.registry import find_backend
from qsr_edge.errors import QsrError


def main() -> None:
    """Answer requests until the input ends."""
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a runtime prints must not get among the answers
    backend = find_backend(sys.argv[1])
    models: dict[int, Runner] = {}
    numbers = itertools.count()

    def answer(content: bytes = b"", **values: Any) -> None:
        answers.write(json.dumps(values).encode() + b"\n" + content)
        answers.flush()

    def serve(request: dict[str, Any]) -> None:
        match request["do"]:
            case "load":
                number = next(numbers)
                models[number] = backend.open_model(
                    Path(request["file"]),
                    depth=request["depth"],
                    threads=request["threads"],
                    kernels=request["kernels"],
                )
                answer(model=number)
            case "close":
                del models[request["model"]]
                answer()
            case "run":
                size = request["height_px"], request["width_px"], 3
                pixels = np.frombuffer(requests.read(size[0] * size[1] * 3), np.uint8).reshape(size)
                answer(np.ascontiguousarray(models[request["model"]].run(pixels)).tobytes())

    answer(runtime=backend.runtime_version(), kernels=backend.kernel_families(), pid=os.getpid())
    for line in requests:
        try:
            serve(json.loads(line))
        except (QsrError, OSError) as error:
            answer(error=" ".join(str(error).split()))


if __name__ == "__main__":
    main()
