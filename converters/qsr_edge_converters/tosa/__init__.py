"""TOSA: integer graphs as files of the TOSA-INT profile, for compilers of NPUs; run in Arm's reference model.

Importing this package needs no SDK; writing and running import ``tosa_serializer`` and ``tosa_reference_model``.
"""

from qsr_edge_converters.tosa.backend import BACKEND, TosaBackend

__all__ = ["BACKEND", "TosaBackend"]
