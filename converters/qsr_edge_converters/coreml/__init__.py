"""Core ML: integer graphs as .mlpackage ML programs; reading, running and inspecting the packages on any machine.

Importing this package needs no SDK; writing and reading import ``coremltools`` when they are called.
"""

from qsr_edge_converters.coreml.backend import BACKEND, CoremlBackend
from qsr_edge_converters.coreml.inspection import FunctionReport, PackageReport, inspect_package

__all__ = ["BACKEND", "CoremlBackend", "FunctionReport", "PackageReport", "inspect_package"]
