"""Every back end, by the entry point that its package registers: the one list that names them all.

Ours are in ``pyproject.toml``, under ``[project.entry-points."qsr_edge.backends"]``; another distribution may add its
own.
"""

from collections.abc import Callable
from importlib.metadata import entry_points

from qsr_edge.conversion.backend import Backend, Capabilities
from qsr_edge.errors import BackendError

ENTRY_POINT_GROUP = "qsr_edge.backends"


def backend_names() -> tuple[str, ...]:
    """Names of the registered back ends, whether or not their SDKs are installed; none is imported."""
    return tuple(sorted(entry.name for entry in entry_points(group=ENTRY_POINT_GROUP)))


def registered_backend(name: str) -> Backend:
    """The back end registered under ``name``, whether or not its SDK is installed.

    Raises:
        BackendError: if none is.
    """
    found = {entry.name: entry for entry in entry_points(group=ENTRY_POINT_GROUP)}
    if name not in found:
        raise BackendError(f"no back end is called {name!r}; installed are {', '.join(sorted(found)) or 'none'}")
    backend: Backend = found[name].load()
    return backend


def registered_backends() -> tuple[Backend, ...]:
    """Every back end, by name, whether or not its SDK is installed."""
    return tuple(registered_backend(name) for name in backend_names())


def targets_that(can: Callable[[Capabilities], bool]) -> tuple[str, ...]:
    """Names of the back ends whose capabilities meet a condition."""
    return tuple(backend.name for backend in registered_backends() if can(backend.capabilities))


def find_backend(name: str) -> Backend:
    """The back end registered under ``name``, its SDK present.

    Raises:
        BackendError: if none is, or its SDK is missing.
    """
    backend = registered_backend(name)
    backend.check_available()
    return backend
