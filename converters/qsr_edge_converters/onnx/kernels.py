"""The ways in which a model can be run here."""

from enum import StrEnum

from qsr_edge.errors import BackendError


class KernelFamily(StrEnum):
    """ONNX Runtime's CPU provider at its four levels of optimization, onnx's own evaluator, and an NPU's emulator.

    Hexagon v68 and v69 are in Snapdragons up to 8 Gen 1, v73 and later ones in those since.

    The upper two levels fuse QDQ form into integer kernels; the lower two compute it in float32 as it stands.
    """

    CPU = "cpu"
    CPU_EXTENDED = "cpu-extended"
    CPU_BASIC = "cpu-basic"
    CPU_UNOPTIMIZED = "cpu-unoptimized"
    REFERENCE = "reference"
    HTP = "htp"
    HTP_V73 = "htp-v73"


HTP_ARCHITECTURES = {KernelFamily.HTP: "68", KernelFamily.HTP_V73: "73"}
"""Of the Hexagon that is emulated. v69 computes as v68 does; v75, v79 and v81 as v73."""
OPTIONAL = tuple(HTP_ARCHITECTURES)
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
