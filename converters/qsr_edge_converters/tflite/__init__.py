"""LiteRT (TensorFlow Lite): integer graphs as .tflite files of int8 and INT4 operators; running and inspecting them.

Importing this package needs no SDK; writing, running and inspecting import ``ai_edge_litert`` when they are called.
"""

from qsr_edge_converters.tflite.backend import BACKEND, TfliteBackend
from qsr_edge_converters.tflite.inspection import ModelReport, SubgraphReport, inspect_model

__all__ = ["BACKEND", "ModelReport", "SubgraphReport", "TfliteBackend", "inspect_model"]
