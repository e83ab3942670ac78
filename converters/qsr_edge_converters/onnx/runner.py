"""Opening a model with one family of kernels."""

from pathlib import Path

from qsr_edge.conversion.backend import Runner
from qsr_edge.errors import BackendError
from qsr_edge_converters.onnx.kernels import OPTIONAL, KernelFamily, family_of
from qsr_edge_converters.onnx.session import open_session

_ELSEWHERE = frozenset({KernelFamily.REFERENCE, *OPTIONAL})
"""Families that ONNX Runtime's CPU provider does not run."""


def open_runner(path: Path, *, depth: int, threads: int, kernels: str | None) -> Runner:
    """Load a model.

    Raises:
        BackendError: if the file is missing, damaged or of another depth, or an argument is not possible.
    """
    family = family_of(kernels)
    if threads < 1:
        raise BackendError(f"threads = {threads}, expected at least 1")
    # Whoever runs it, ONNX Runtime sees first to it that the file is sound.
    checked = open_session(path, KernelFamily.CPU_UNOPTIMIZED if family in _ELSEWHERE else family, threads)
    if checked.depth != depth:
        raise BackendError(f"{path}: holds depth {checked.depth or 'unknown'}, not {depth}")
    match family:
        case KernelFamily.REFERENCE:
            from qsr_edge_converters.onnx.reference import open_reference

            return open_reference(path)
        case KernelFamily.HTP | KernelFamily.HTP_V73:
            from qsr_edge_converters.onnx.htp import HtpRunner, check_emulator

            check_emulator()
            return HtpRunner(path, family)
        case _:
            return checked
