"""ExecuTorch: integer graphs as .pte programs that XNNPACK runs in int8; running and inspecting them.

Importing this package needs no SDK; writing, running and inspecting import ``executorch`` when they are called.
"""

from qsr_edge_converters.executorch.backend import BACKEND, ExecutorchBackend
from qsr_edge_converters.executorch.inspection import DelegateReport, MethodReport, PteReport, inspect_pte

__all__ = ["BACKEND", "DelegateReport", "ExecutorchBackend", "MethodReport", "PteReport", "inspect_pte"]
