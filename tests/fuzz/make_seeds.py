"""Writes ``tests/fuzz/seeds``, whole small files that fuzzing begins with: ``python -m tests.fuzz.make_seeds``."""

import shutil
import tempfile
from collections import OrderedDict
from pathlib import Path

from qsr_edge.bench.protocol.job import dump_job
from qsr_edge.bundle.writer import write_bundle
from qsr_edge.conversion.backend import ConvertOptions, ModelMetadata, model_contents
from qsr_edge.conversion.registry import find_backend
from qsr_edge.nn.checkpoint import write_checkpoint
from tests.fuzz.readers import SEEDS
from tests.support.graph_builders import random_network
from tests.support.run_folders import Plan, variants, write_run
from tests.unit.bench.protocol.test_job import JOB
from tests.unit.nn.test_checkpoint import checkpoint

METADATA = ModelMetadata(name="tiny", version="1", author="tests", licence="CC0-1.0", description="random")


def _models() -> None:
    network = random_network(bits=4, scale=2, channels=4, depths=(1,))
    for target in ("tflite", "executorch", "coreml", "onnx"):
        models = find_backend(target).convert(network, ConvertOptions(metadata=METADATA))
        for name, content in model_contents(models).items():
            first, *rest = Path(name).parts
            path = SEEDS.joinpath(f"tiny{Path(first).suffix}", *rest)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


def _torch_file() -> None:
    import torch

    from tests.support.official_quantsr_c import official_state

    torch.save({"params": OrderedDict(official_state(scale=2, bits=4, seed=1))}, SEEDS / "tiny.pth")


def _bundle() -> None:
    from tests.vectors.make import whole_manifest

    manifest = whole_manifest()
    write_bundle(SEEDS / "bundle.zip", manifest, {entry.file: b"a model" for entry in manifest.depths})


def main() -> None:
    shutil.rmtree(SEEDS, ignore_errors=True)
    SEEDS.mkdir()
    write_checkpoint(SEEDS / "tiny.safetensors", checkpoint())
    (SEEDS / "job.json").write_bytes(dump_job(JOB))
    _models()
    _torch_file()
    _bundle()
    with tempfile.TemporaryDirectory() as folder:
        run = write_run(Path(folder), Plan(variants=variants()))
        lines = (run / "results.jsonl").read_bytes().splitlines(keepends=True)
        (SEEDS / "results.jsonl").write_bytes(b"".join(_one_of_each(lines)))


def _one_of_each(lines: list[bytes]) -> list[bytes]:
    import json

    kinds = {json.loads(line)["kind"]: line for line in reversed(lines)}
    return list(kinds.values())


if __name__ == "__main__":
    main()
