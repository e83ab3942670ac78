"""What once made a reader fail does so no more, and every reader reads what fuzzing begins with."""

import pytest

from tests.fuzz.readers import CORPUS, READERS

NEEDS = {"pth": "torch", "tflite": "ai_edge_litert", "pte": "executorch", "mlpackage": "coremltools", "onnx": "onnx"}


# Their packages take seconds to import.
SLOW = ("pth", "pte", "mlpackage")


@pytest.mark.parametrize("name", [pytest.param(n, marks=[pytest.mark.slow] if n in SLOW else []) for n in READERS])
def test_seeds_and_former_failures_are_read_or_refused(name: str) -> None:
    if name in NEEDS:
        pytest.importorskip(NEEDS[name])
    reader = READERS[name]
    seeds = reader.seeds()
    assert seeds
    for content in (*seeds, *(path.read_bytes() for path in sorted((CORPUS / name).glob("*")))):
        reader.read(content)


def test_what_is_kept_is_of_a_reader() -> None:
    assert {path.name for path in CORPUS.iterdir() if path.is_dir()} <= READERS.keys()
