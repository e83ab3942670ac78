"""The messages of a saved model, as ``Any``; of coremltools, reading needs nothing else."""

from typing import Any

from qsr_edge_converters.coreml.torch_hidden import torch_hidden

with torch_hidden():
    from coremltools.proto import Model_pb2

model_proto: Any = Model_pb2
