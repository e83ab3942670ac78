"""Programs whose numbers would end the process: a child runs them first, and what passed is not tried again."""

import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("executorch")

from qsr_edge.conversion.backend import ModelFile
from qsr_edge.errors import BackendError
from qsr_edge_converters.executorch import trial
from qsr_edge_converters.executorch.runner import open_runner
from qsr_edge_converters.executorch.sdk import check_sdk

NOWHERE = 10_000


@pytest.fixture(scope="module", autouse=True)
def _sdk() -> None:
    check_sdk()


@pytest.fixture
def content(tiny_program: ModelFile) -> bytes:
    return tiny_program.content


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder that knows no program; it is not made yet."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("QSR_EDGE_CACHE", str(folder))
    return folder


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
    [
        (with_another_instruction, "damaged: it ends its process"),
        pytest.param(with_output_nowhere, "ExecuTorch cannot run it", marks=pytest.mark.slow),
    ],
)
def test_a_program_that_would_end_the_process_is_refused(
    damage: Callable[[bytes], bytes], told: str, content: bytes, tmp_path: Path, own_cache: Path
) -> None:
    path = tmp_path / "tiny-d1.pte"
    path.write_bytes(damage(content))
    with pytest.raises(BackendError, match=rf"tiny-d1\.pte: .*{told}"):
        trial.try_first(path, 1, path.read_bytes(), None)
    assert not own_cache.exists()


def test_what_passed_is_not_tried_again(
    content: bytes, tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "tiny-d1.pte"
    path.write_bytes(content)
    image = np.zeros((8, 8, 3), np.uint8)
    first = open_runner(path, depth=1, threads=1, kernels=None).run(image)
    (record,) = (own_cache / "programs").iterdir()
    assert record.name.endswith(f"-d1-executorch-{trial.metadata.version('executorch')}")

    def no_process(*arguments: object, **options: object) -> None:
        raise AssertionError("a second trial")

    monkeypatch.setattr(subprocess, "run", no_process)
    assert np.array_equal(open_runner(path, depth=1, threads=1, kernels=None).run(image), first)


def test_what_convert_wrote_is_trusted_at_once(content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the cache folder that it was written with."""
    monkeypatch.setattr(subprocess, "run", lambda *arguments, **options: pytest.fail("a trial"))
    (tmp_path / "tiny.pte").write_bytes(content)
    open_runner(tmp_path / "tiny.pte", depth=1, threads=1, kernels=None)


@pytest.mark.usefixtures("own_cache")
def test_a_program_that_does_not_end_is_refused(
    content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trial, "TRIAL_LIMIT_S", 0.001)
    (tmp_path / "tiny.pte").write_bytes(content)
    with pytest.raises(BackendError, match="does not come to an end"):
        open_runner(tmp_path / "tiny.pte", depth=1, threads=1, kernels=None)
