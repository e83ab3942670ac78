"""ONNX: integer graphs as models in QDQ form, for ONNX Runtime on any machine and for NPUs behind it.

Importing this package needs no SDK; writing, running and inspecting import ``onnx`` and ``onnxruntime`` when they are
called.
"""

from qsr_edge_converters.onnx.backend import BACKEND, OnnxBackend
from qsr_edge_converters.onnx.inspection import OnnxReport, inspect_onnx

__all__ = ["BACKEND", "OnnxBackend", "OnnxReport", "inspect_onnx"]
