"""What is used of coremltools, as ``Any``: it publishes no types, and those inferred from its code are partly wrong."""

from typing import Any

import coremltools
from coremltools.converters.mil import Builder
from coremltools.converters.mil import mil as _mil
from coremltools.proto import Model_pb2

ct: Any = coremltools
mb: Any = Builder
mil: Any = _mil
model_proto: Any = Model_pb2
