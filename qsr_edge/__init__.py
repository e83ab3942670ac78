"""Low-bit super-resolution for phones: QuantSR networks as integer-only graphs, proven byte for byte.

``qsr_edge.load("x2_w4a4").upscale("photo.jpg")``: what a program needs is here and in docs/python.md. Importing this
package costs nothing: each name is imported when it is first used, and no back-end SDK before a model is.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qsr_edge.api import (
        Conversion,
        Evaluation,
        Network,
        Picture,
        convert,
        evaluate,
        load,
        networks,
        read_picture,
        write_picture,
    )
    from qsr_edge.errors import QsrError, QsrWarning

__version__ = "0.1.0"

__all__ = [
    "Conversion",
    "Evaluation",
    "Network",
    "Picture",
    "QsrError",
    "QsrWarning",
    "__version__",
    "convert",
    "evaluate",
    "load",
    "networks",
    "read_picture",
    "write_picture",
]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = "qsr_edge.errors" if name in ("QsrError", "QsrWarning") else "qsr_edge.api"
    value: object = getattr(import_module(module), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
