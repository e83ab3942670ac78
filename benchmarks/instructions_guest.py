"""Runs in the emulated Python of benchmarks/instructions.py: each model once, between two calls of sched_yield.

Usage: python instructions_guest.py HEIGHT WIDTH MODEL... Knows nothing of qsr-edge, which is not installed there.
"""

import os
import sys

import numpy as np


def main(size_px: list[int], models: list[str]) -> None:
    """Run them."""
    from ai_edge_litert.interpreter import Interpreter

    for model in models:
        interpreter = Interpreter(model_path=model, num_threads=1)
        (image,) = interpreter.get_input_details()
        interpreter.resize_tensor_input(image["index"], (1, *size_px, 3))
        interpreter.allocate_tensors()
        levels = np.random.default_rng(0).integers(0, 128, (1, *size_px, 3))
        interpreter.set_tensor(image["index"], levels.astype(image["dtype"]))
        interpreter.invoke()  # what is done once is not counted
        os.sched_yield()
        interpreter.invoke()
        os.sched_yield()


if __name__ == "__main__":
    main([int(text) for text in sys.argv[1:3]], sys.argv[3:])
