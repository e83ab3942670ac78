"""Programs whose numbers would end the process: a child runs them first, and what passed is not tried again."""

import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("executorch")

from qsr_edge.conversion.backend import ConvertOptions, ModelMetadata
from qsr_edge.errors import BackendError
from qsr_edge_converters.executorch import BACKEND, trial
from qsr_edge_converters.executorch.runner import open_runner
from qsr_edge_converters.executorch.sdk import check_sdk
from tests.support.graph_builders import random_network

METADATA = ModelMetadata(name="tiny", version="1", author="tests", licence="CC0-1.0", description="random")
NOWHERE = 10_000


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    check_sdk()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("QSR_EDGE_CACHE", str(tmp_path_factory.mktemp("other")))
        network = random_network(bits=4, scale=2, channels=8, depths=(1,))
        return BACKEND.convert(network, ConvertOptions(metadata=METADATA))[0].content


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QSR_EDGE_CACHE", str(tmp_path / "cache"))


class Flatbuffer:
    """Where fields are, by the slots of ExecuTorch's program.fbs."""

    def __init__(self, content: bytes):
        self.content = bytearray(content)

    def number(self, kind: str, position: int) -> int:
        value: int = struct.unpack_from(kind, self.content, position)[0]
        return value

    def target(self, position: int) -> int:
        return position + self.number("<I", position)

    def field(self, table: int, slot: int) -> int:
        slots = table - self.number("<i", table)
        offset = self.number("<H", slots + 4 + 2 * slot)
        assert offset, "left out"
        return table + offset

    def first(self, table: int, slot: int) -> int:
        """Of a vector."""
        return self.target(self.field(table, slot)) + 4


def _first_instruction(file: Flatbuffer) -> int:
    plan = file.target(file.first(file.target(0), 1))
    chain = file.target(file.first(plan, 5))
    return file.target(file.first(chain, 2))


def with_another_instruction(content: bytes) -> bytes:
    """What calls something is taken for a MoveCall, whose fields are none of these."""
    file = Flatbuffer(content)
    file.content[file.field(_first_instruction(file), 0)] = 3
    return bytes(file.content)


def with_output_nowhere(content: bytes) -> bytes:
    """The program's output is a value that it does not have."""
    file = Flatbuffer(content)
    plan = file.target(file.first(file.target(0), 1))
    struct.pack_into("<i", file.content, file.first(plan, 4), NOWHERE)
    return bytes(file.content)


@pytest.mark.parametrize(
    ("damage", "told"),
    [(with_another_instruction, "damaged: it ends its process"), (with_output_nowhere, "ExecuTorch cannot run it")],
)
def test_a_program_that_would_end_the_process_is_refused(
    damage: Callable[[bytes], bytes], told: str, content: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "tiny-d1.pte"
    path.write_bytes(damage(content))
    with pytest.raises(BackendError, match=rf"tiny-d1\.pte: .*{told}"):
        trial.try_first(path, 1, path.read_bytes(), None)
    assert not (tmp_path / "cache").exists()


def test_what_passed_is_not_tried_again(content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "tiny-d1.pte"
    path.write_bytes(content)
    image = np.zeros((8, 8, 3), np.uint8)
    first = open_runner(path, depth=1, threads=1, kernels=None).run(image)
    (record,) = (tmp_path / "cache" / "programs").iterdir()
    assert record.name.endswith(f"-d1-executorch-{trial.metadata.version('executorch')}")

    def no_process(*arguments: object, **options: object) -> None:
        raise AssertionError("a second trial")

    monkeypatch.setattr(subprocess, "run", no_process)
    assert np.array_equal(open_runner(path, depth=1, threads=1, kernels=None).run(image), first)


def test_what_convert_wrote_is_trusted_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = random_network(bits=4, scale=2, channels=8, depths=(1,))
    file = BACKEND.convert(network, ConvertOptions(metadata=METADATA))[0]
    monkeypatch.setattr(subprocess, "run", lambda *arguments, **options: pytest.fail("a trial"))
    (tmp_path / "tiny.pte").write_bytes(file.content)
    open_runner(tmp_path / "tiny.pte", depth=1, threads=1, kernels=None)


def test_a_program_that_does_not_end_is_refused(
    content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trial, "TRIAL_LIMIT_S", 0.001)
    (tmp_path / "tiny.pte").write_bytes(content)
    with pytest.raises(BackendError, match="does not come to an end"):
        open_runner(tmp_path / "tiny.pte", depth=1, threads=1, kernels=None)
