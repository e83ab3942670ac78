"""The ways in which a model can be run here."""

from enum import StrEnum

from qsr_edge.errors import BackendError


class KernelFamily(StrEnum):
    """ONNX Runtime's CPU provider at its four levels of optimization, onnx's own evaluator, and an NPU's emulator.

    The upper two levels fuse QDQ form into integer kernels; the lower two compute it in float32 as it stands.
    """

    CPU = "cpu"
    CPU_EXTENDED = "cpu-extended"
    CPU_BASIC = "cpu-basic"
    CPU_UNOPTIMIZED = "cpu-unoptimized"
    REFERENCE = "reference"
    HTP = "htp"


OPTIONAL = (KernelFamily.HTP,)
"""Run only when they are asked for: they need an extra, and time."""
VERIFIED = tuple(family for family in KernelFamily if family not in OPTIONAL)
"""Run at each conversion."""
REFERENCE_PIXELS = 64
"""Largest image for onnx's evaluator, which takes about a millisecond a pixel."""


def family_of(kernels: str | None) -> KernelFamily:
    """The family of a name; the default one for None.

    Raises:
        BackendError: if none is called so.
    """
    if kernels is None:
        return KernelFamily.CPU
    try:
        return KernelFamily(kernels)
    except ValueError:
        raise BackendError(
            f"no family of kernels is called {kernels!r}; expected one of {', '.join(KernelFamily)}"
        ) from None
