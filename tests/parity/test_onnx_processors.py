"""ONNX Runtime gives the golden bytes on processors that this machine is not: emulated by qemu."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnxruntime", reason="the extra [onnx] is not installed")
pytest.importorskip("onnx", reason="the extra [onnx] is not installed")

from qsr_edge.bundle.layout import Storage
from qsr_edge.conversion.backend import ConvertOptions, ModelMetadata
from qsr_edge.lowering.checkpoint import lower_checkpoint
from qsr_edge.lowering.network import LoweredNetwork
from qsr_edge.nn.checkpoint import read_checkpoint
from qsr_edge.quant.arithmetic import Profile
from qsr_edge.zoo import zoo_entries
from qsr_edge_converters.onnx import BACKEND
from tests.support.graph_builders import sample_images
from tests.support.paths import REPOSITORY

pytestmark = pytest.mark.slow
IMAGES = sample_images(((1, 1), (17, 5), (24, 40)))
EMULATION_S = 3600
"""After which it hangs: on a machine with much else to do it takes two minutes."""
SCRIPT = REPOSITORY / "tests" / "support" / "run_onnx_models.py"


def write(folder: Path) -> dict[str, tuple[LoweredNetwork, int]]:
    """Every bundled network at its least depth, both storages, and the images."""
    networks = {}
    for entry in zoo_entries():
        if not entry.bits:
            continue
        network = lower_checkpoint(read_checkpoint(entry.path))
        for storage in Storage:
            metadata = ModelMetadata(
                name=f"{entry.name}_{storage}", version="1", author="tests", licence="Apache-2.0", description="zoo"
            )
            first, *_ = BACKEND.convert(network, ConvertOptions(storage=storage, metadata=metadata))
            (folder / f"{metadata.name}.onnx").write_bytes(first.content)
            networks[metadata.name] = (network, first.depths[0])
    np.savez(folder / "images.npz", **{str(i): image for i, image in enumerate(IMAGES)})
    return networks


def differing(folder: Path, networks: dict[str, tuple[LoweredNetwork, int]]) -> dict[tuple[Profile, str], int]:
    """Bytes that differ, by profile and ONNX Runtime's option x64quantprecision."""
    counts: dict[tuple[Profile, str], int] = {}
    outputs = np.load(folder / "outputs.npz")
    assert len(outputs.files) == 2 * len(networks) * len(IMAGES)
    for key in outputs.files:
        model, precision, image = key.split("|")
        network, depth = networks[model]
        expected = network[depth].run(IMAGES[int(image)])
        assert outputs[key].shape == expected.shape
        case = (network[depth].graph.profile, precision)
        counts[case] = counts.get(case, 0) + int(np.count_nonzero(outputs[key] != expected))
    return counts


def emulate(command: list[str | Path], folder: Path, site: str) -> None:
    environment = {**os.environ, "PYTHONPATH": site}
    run = subprocess.run(
        [*command, SCRIPT, folder], capture_output=True, text=True, timeout=EMULATION_S, env=environment
    )
    assert run.returncode == 0, run.stderr[-2000:]


def test_x86_without_vnni(tmp_path: Path) -> None:
    """There pairs of products are added in int16, for which only weights of up to 6 bits are small enough."""
    if shutil.which("qemu-x86_64-static") is None:
        pytest.skip("qemu-x86_64-static is not installed: apt-get install qemu-user-static")
    networks = write(tmp_path)
    emulate(["qemu-x86_64-static", "-cpu", "Haswell", sys.executable], tmp_path, os.environ.get("PYTHONPATH", ""))
    counts = differing(tmp_path, networks)
    assert counts[Profile.PORTABLE, "0"] == counts[Profile.PORTABLE, "1"] == 0
    assert counts[Profile.SCALED, "1"] == 0
    # If this fails, ONNX Runtime has mended it: the option, and what docs/onnx.md says of it, can go.
    assert counts[Profile.SCALED, "0"] > 0


def test_aarch64(tmp_path: Path, aarch64_root: Path) -> None:
    networks = write(tmp_path)
    python = ["qemu-aarch64-static", "-cpu", "cortex-a76", "-L", aarch64_root, aarch64_root / "usr/bin/python3.11"]
    emulate(python, tmp_path, str(aarch64_root / "site"))
    assert not any(differing(tmp_path, networks).values())
