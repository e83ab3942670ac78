"""Kernels that a program on a phone runs a target's models with, as the target's back end tells."""

from qsr_edge.conversion.registry import registered_backend, targets_that
from qsr_edge.errors import BenchError


def app_kernels(target: str, place: str, program: str) -> tuple[str, ...]:
    """Families of kernels, the default first.

    Args:
        target: name of the back end.
        place: as in :attr:`qsr_edge.conversion.backend.Capabilities.kernels_on`.
        program: what runs the models, for the message.

    Raises:
        BackendError: if there is no such back end.
        BenchError: if the program cannot run models of this target; it names those it can.
    """
    families = registered_backend(target).capabilities.kernels_on.get(place)
    if families is None:
        others = " or ".join(targets_that(lambda can: place in can.kernels_on))
        raise BenchError(f"{program} runs no {target} bundles; convert for {others}")
    return families
