"""A small network with random weights, as a checkpoint and as a bundle made by the real converter."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from qsr_edge.conversion.backend import ConvertOptions, ModelMetadata
from qsr_edge.conversion.convert import convert_checkpoint
from qsr_edge.conversion.registry import find_backend
from qsr_edge.nn.checkpoint import Checkpoint, expected_shapes, read_checkpoint, write_checkpoint
from qsr_edge.nn.config import EdgeConfig

CONFIG = EdgeConfig(scale=2, channels=4, blocks=2, depths=(1, 2), order=(1, 0), bits=4)
PROVENANCE: dict[str, object] = {
    "recipe": {"name": "tiny", "iterations": 7, "batch": 2, "seed": 3},
    "training_images": 5,
    "data": "noise",
    "start": {"recipe": {"name": "tiny_float", "iterations": 9}},
}
# Powers of two that keep codes within their ranges for the weights below.
EXPONENTS = {"head": 5, "conv1": 4, "conv2": 3, "tail": 4}
STEPS = {"stream_step": 0.02, "quant1": 0.1, "quant2": 0.1}


def random_tensor(name: str, shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.float32]:
    parts = name.split(".")
    if name.endswith(".exponent"):
        return np.full(shape, EXPONENTS[parts[-2]], np.float32)
    if name.endswith("step"):
        return np.full(shape, next(value for key, value in STEPS.items() if key in name), np.float32)
    if name.endswith(".importance"):
        return np.ones(shape, np.float32)
    return rng.normal(0, 0.2, shape).astype(np.float32)


@pytest.fixture(scope="session")
def tiny_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """x2, W4A4, 4 channels, depths 1 and 2."""
    rng = np.random.default_rng(0)
    tensors = {name: random_tensor(name, shape, rng) for name, shape in expected_shapes(CONFIG).items()}
    path = tmp_path_factory.mktemp("checkpoint") / "tiny.safetensors"
    write_checkpoint(path, Checkpoint(config=CONFIG, tensors=tensors, provenance=PROVENANCE))
    return path


def write_photo_checkpoint(given: Path, path: Path) -> Path:
    """A network of the same shape with weights of its own, and a recipe that says ``photo``."""
    clean = read_checkpoint(given)
    tensors = {name: -array if name.endswith("tail.weight") else array for name, array in clean.tensors.items()}
    provenance = {**clean.provenance, "recipe": {"name": "photo_tiny", "degradation": "photo"}}
    write_checkpoint(path, replace(clean, tensors=tensors, provenance=provenance))
    return path


def convert(checkpoint: Path, output: Path, input_size_px: tuple[int, int] | None) -> Path:
    backend = find_backend("tflite")
    metadata = ModelMetadata(name="tiny", version="1", author="tests", licence="CC0-1.0", description="random")
    options = ConvertOptions(metadata=metadata, input_size_px=input_size_px)
    convert_checkpoint(read_checkpoint(checkpoint), backend, options, output, natural=None)
    return output


@pytest.fixture(scope="session")
def tiny_bundle(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkpoint converted to TFLite, for images of any size."""
    return convert(tiny_checkpoint, tmp_path_factory.mktemp("bundle") / "tiny", None)


@pytest.fixture(scope="session")
def tiny_fixed_bundle(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same for images of 40x24 only, zipped."""
    return convert(tiny_checkpoint, tmp_path_factory.mktemp("bundle") / "tiny.zip", (24, 40))
