"""coremltools without torch.

It imports torch, if it is installed, to convert torch's models; that takes four times as long as the rest, and nothing
here needs it. So where the command line runs as a program of its own, torch is hidden meanwhile. In another's process
it is not: there coremltools could not convert a torch model any more.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from qsr_edge.conversion.own_process import is_claimed

_NOT_NEEDED = "torch"


@contextmanager
def torch_hidden() -> Iterator[None]:
    """Hide torch from what is imported within, in a process of the command line's own."""
    if not is_claimed() or _NOT_NEEDED in sys.modules:
        yield
        return
    hidden: dict[str, Any] = sys.modules  # its values are modules, but for None: importing that fails
    hidden[_NOT_NEEDED] = None
    try:
        yield
    finally:
        del hidden[_NOT_NEEDED]
