"""Small ``quantsr_c`` networks from official state dicts, calibrated on noise and on a photo."""

import tempfile
from functools import cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from qsr_edge.lowering.official_quantsr_c import import_official
from qsr_edge.nn.checkpoint import Checkpoint
from qsr_edge.training.calibration import calibrate
from tests.support.official_quantsr_c import official_state


def noise(*sizes: tuple[int, int]) -> list[NDArray[np.uint8]]:
    """Random images of these heights and widths, and a saturated one of the last."""
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (*size, 3), np.uint8) for size in sizes]
    return [*images, rng.integers(0, 2, (*sizes[-1], 3), np.uint8) * np.uint8(255)]


@cache
def calibrated_network(*, scale: int, bits: int, negative: bool = False, channels: int = 8) -> Checkpoint:
    """A random network, imported and calibrated; depths 2, 3 and 4."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"network_{bits}bit.pth"
        state = official_state(scale=scale, bits=bits, negative=negative, channels=channels, seed=scale)
        torch.save({"params": state}, path)
        return calibrate(import_official(path).checkpoint, noise((20, 24)))
