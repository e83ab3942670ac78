"""What must be installed before anything here can be imported."""

from qsr_edge_converters.installed import require


def check_sdk() -> None:
    """See that what reads, writes and runs .pte files can be imported.

    Raises:
        BackendError: naming what is missing and the extra that brings it.
    """
    require("executorch", "torch", "torchao", "executorch.exir")
