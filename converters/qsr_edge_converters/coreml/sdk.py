"""What is used of coremltools, as ``Any``: it publishes no types, and those inferred from its code are partly wrong."""

from typing import Any

from qsr_edge_converters.coreml.torch_hidden import torch_hidden

with torch_hidden():
    import coremltools
    from coremltools.converters.mil import Builder
    from coremltools.converters.mil import mil as _mil

ct: Any = coremltools
mb: Any = Builder
mil: Any = _mil
