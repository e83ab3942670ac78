"""What is used of coremltools, as ``Any``: it publishes no types, and those inferred from its code are partly wrong.

coremltools imports torch, if it is installed, to convert torch's models; that takes four times as long as the rest, and
nothing here needs it. So where the command line runs as a program of its own, torch is hidden meanwhile. In another's
process it is not: there coremltools could not convert a torch model any more.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from qsr_edge.conversion.own_process import is_claimed

_NOT_NEEDED = "torch"


@contextmanager
def _hidden() -> Iterator[None]:
    if not is_claimed() or _NOT_NEEDED in sys.modules:
        yield
        return
    hidden: dict[str, Any] = sys.modules  # its values are modules, but for None: importing that fails
    hidden[_NOT_NEEDED] = None
    try:
        yield
    finally:
        del hidden[_NOT_NEEDED]


with _hidden():
    import coremltools
    from coremltools.converters.mil import Builder
    from coremltools.converters.mil import mil as _mil
    from coremltools.proto import Model_pb2

ct: Any = coremltools
mb: Any = Builder
mil: Any = _mil
model_proto: Any = Model_pb2
