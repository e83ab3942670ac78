"""The bytes of a phone's processor family: LiteRT under qemu's emulation of AArch64, against the golden interpreter."""

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("ai_edge_litert", reason="the extra [tflite] is not installed")

from qsr_edge.bundle.layout import Pack
from qsr_edge.conversion.backend import ConvertOptions, ModelMetadata
from qsr_edge.lowering.edge import lower_checkpoint
from qsr_edge.nn.checkpoint import read_checkpoint
from qsr_edge.zoo import zoo_entries
from qsr_edge_converters.tflite import BACKEND
from tests.support.graph_builders import sample_images
from tests.support.paths import RUN_MODELS

pytestmark = pytest.mark.slow
METADATA = ModelMetadata(name="zoo", version="1", author="tests", licence="Apache-2.0", description="zoo")
IMAGES = sample_images(((1, 1), (17, 5), (24, 40)))
CPUS = ("cortex-a76", "neoverse-n1", "max,sme=off")
"""Dot products; the same for servers; with SVE and the int8 matrix instructions. See docs/numerics.md about SME."""
EMULATION_S = 3600
"""After which it hangs: on a machine with much else to do it takes four minutes."""


@pytest.mark.parametrize("cpu", CPUS)
def test_every_depth_and_width_gives_the_golden_bytes(tmp_path: Path, aarch64_root: Path, cpu: str) -> None:
    networks = {}
    for entry in zoo_entries():
        if not entry.bits:
            continue
        networks[entry.name] = lower_checkpoint(read_checkpoint(entry.path))
        [file] = BACKEND.convert(networks[entry.name], ConvertOptions(pack=Pack.SHARED, metadata=METADATA))
        (tmp_path / f"{entry.name}.tflite").write_bytes(file.content)
    np.savez(tmp_path / "images.npz", **{str(i): image for i, image in enumerate(IMAGES)})
    command = ["qemu-aarch64-static", "-cpu", cpu, "-L", aarch64_root, aarch64_root / "usr/bin/python3.11", RUN_MODELS]
    environment = {**os.environ, "PYTHONPATH": str(aarch64_root / "site")}
    run = subprocess.run([*command, tmp_path], capture_output=True, text=True, timeout=EMULATION_S, env=environment)
    assert run.returncode == 0, run.stderr[-2000:]
    outputs = np.load(tmp_path / "outputs.npz")
    compared = 0
    for key in outputs.files:
        model, signature, family, image = key.split("|")
        if model.endswith("w8a8") and family != "default":
            continue  # the scaled profile is XNNPACK's arithmetic
        expected = networks[model][int(signature.removeprefix("d"))].run(IMAGES[int(image)])
        np.testing.assert_array_equal(outputs[key], expected, err_msg=key)
        compared += 1
    portable = sum(not name.endswith("w8a8") for name in networks)
    assert compared == (3 * portable + len(networks) - portable) * 3 * len(IMAGES)
