from typing import Any

import pytest

from qsr_edge.bundle.layout import Pack, Storage
from qsr_edge.bundle.manifest import DepthEntry, GoldenInput, Manifest, ParityEntry, QualityEntry
from qsr_edge.quant.arithmetic import Profile

PROVENANCE: dict[str, Any] = {
    "recipe": {
        "name": "x2-w4a4",
        "scale": 2,
        "bits": 4,
        "iterations": 60000,
        "batch": 8,
        "learning_rate": 2e-4,
        "seed": 3,
    },
    "data": "Flickr2K | 2,650 images",
    "epochs": 181.1,
    "start": {
        "recipe": {
            "name": "x2-float",
            "scale": 2,
            "bits": 0,
            "iterations": 500,
            "batch": 16,
            "learning_rate": 5e-4,
            "seed": 1,
        },
        "data": "DIV2K",
        "epochs": 10.0,
        "start": None,
    },
}


@pytest.fixture
def files() -> dict[str, bytes]:
    return {"models/depth-2.tflite": bytes(range(200)), "models/depth-4.tflite": b"deeper" * 40}


@pytest.fixture
def manifest() -> Manifest:
    return Manifest(
        name="qsr-edge-x2-w4a4-tflite",
        target="tflite",
        storage=Storage.FAST,
        pack=Pack.PER_DEPTH,
        profile=Profile.PORTABLE,
        bits=4,
        scale=2,
        runtime="ai-edge-litert 2.3.0",
        licence="Apache-2.0",
        depths=tuple(
            DepthEntry(
                depth=depth,
                file=f"models/depth-{depth}.tflite",
                macs_per_pixel=20_000 * depth,
                bops_per_pixel=320_000 * depth,
                peak_activation_bytes_per_pixel=99,
                halo_px=2 * depth + 2,
                golden_sha256=f"{depth:064x}",
                quality=(QualityEntry(dataset="Set5", psnr_db=36.0 + depth / 4, ssim=0.95, images=5),),
            )
            for depth in (2, 4)
        ),
        golden=GoldenInput(seed=7, height_px=24, width_px=40),
        parity=(ParityEntry(kernels="XNNPACK", depth=4, images=5, bytes_compared=123456, mismatching_bytes=0),),
        provenance=PROVENANCE,
    )
