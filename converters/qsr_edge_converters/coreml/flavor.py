"""The two forms of a Core ML model's arithmetic."""

from enum import StrEnum

from qsr_edge.conversion.backend import ConvertOptions, Flavor


class CoremlFlavor(StrEnum):
    """Arithmetic of a Core ML model: integers held in float32, or int8 products in float16 for the Neural Engine."""

    EXACT = "exact"
    ANE = "ane"


FLAVORS = (
    Flavor(
        name=CoremlFlavor.EXACT,
        arithmetic="integers held in float32",
        purpose="the integer graph's bytes, on CPU and GPU",
    ),
    Flavor(
        name=CoremlFlavor.ANE,
        arithmetic="int8 between float16 operations",
        purpose="int8 and float16 for the Neural Engine, close to them",
    ),
)


def chosen_flavor(options: ConvertOptions) -> CoremlFlavor:
    """The flavour that was asked for, or the default one."""
    return CoremlFlavor(options.flavor or CoremlFlavor.EXACT)
