"""Which kernels a program asks for, read from its file without the SDK."""

import contextlib
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("flatbuffers", reason="the extra [tflite] is not installed")

from qsr_edge.conversion.backend import model_families
from qsr_edge.conversion.registry import registered_backend
from qsr_edge.errors import BackendError
from qsr_edge_converters.executorch.kernels import KernelFamily, program_kernels
from tests.support.pte_files import pte

XNNPACK = "XnnpackBackend"
WHOLE = pte({"forward": [XNNPACK, XNNPACK]})


@pytest.mark.parametrize(
    ("methods", "depth", "expected"),
    [
        ({"forward": [XNNPACK]}, 4, "xnnpack"),
        ({"forward": [XNNPACK, XNNPACK]}, 4, "xnnpack"),
        ({"forward": []}, 4, "portable"),
        ({"d2": [XNNPACK], "d4": []}, 2, "xnnpack"),
        ({"d2": [XNNPACK], "d4": []}, 4, "portable"),
    ],
)
def test_a_method_without_a_delegate_is_portable(methods: dict[str, list[str]], depth: int, expected: str) -> None:
    assert program_kernels(pte(methods), depth, "a.pte") == expected


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (pte({"d2": [], "d4": []}), "a.pte: holds no depth 3; its methods are d2, d4"),
        (pte({}), "a.pte: holds no depth 3; its methods are none"),
        (pte({"forward": ["CoreMLBackend"]}), "a.pte: a delegate for CoreMLBackend, expected XnnpackBackend"),
        (b"", "a.pte: this ExecuTorch program is damaged"),
        (WHOLE[:40], "a.pte: this ExecuTorch program is damaged"),
    ],
)
def test_what_cannot_be_told_is_refused(content: bytes, message: str) -> None:
    with pytest.raises(BackendError, match=message):
        program_kernels(content, 3, "a.pte")


@given(cut=st.integers(0, len(WHOLE)), at=st.integers(0, len(WHOLE) - 1), bits=st.integers(0, 255))
def test_damage_is_refused_or_harmless(cut: int, at: int, bits: int) -> None:
    damaged = bytearray(WHOLE)
    damaged[at] ^= bits
    for content in (bytes(damaged), WHOLE[:cut]):
        with contextlib.suppress(BackendError):
            assert program_kernels(content, 1, "a.pte") in KernelFamily


def test_a_model_has_its_own_family_of_those_that_a_runtime_offers(tmp_path: Path) -> None:
    path = tmp_path / "a.pte"
    backend = registered_backend("executorch")
    for methods, expected in (({"forward": [XNNPACK]}, "xnnpack"), ({"forward": []}, "portable")):
        path.write_bytes(pte(methods))
        assert model_families(backend, path, 1, backend.kernel_families()) == (expected,)
        with pytest.raises(BackendError, match=f"a.pte: depth 1 runs in {expected} kernels, expected one of other"):
            model_families(backend, path, 1, ("other",))
    # What LiteRT runs a file with is an option.
    assert model_families(registered_backend("tflite"), path, 1, ("xnnpack", "builtin")) == ("xnnpack", "builtin")


def test_no_sdk_is_imported(tmp_path: Path) -> None:
    path = tmp_path / "a.pte"
    path.write_bytes(WHOLE)
    code = (
        "import sys, pathlib; from qsr_edge.conversion.registry import registered_backend as found; "
        "assert found('executorch').model_kernels(pathlib.Path(sys.argv[1]), 1) == 'xnnpack'; "
        "assert not {'torch', 'executorch', 'flatbuffers'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code, str(path)], check=True)
