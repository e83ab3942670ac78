"""Low-bit super-resolution for phones: QuantSR networks as integer-only graphs, proven byte for byte.

Importing this package costs nothing: every part is imported by its own name, and no back-end SDK before it is used.
"""

__version__ = "0.1.0"

__all__ = ["__version__"]
