"""Is a back end's SDK installed, and which version."""

import importlib
from importlib.metadata import PackageNotFoundError, version

from qsr_edge.errors import BackendError
from qsr_edge.extras import how_to_install
from qsr_edge_converters.native_messages import quiet_sdk


def require(target: str, *modules: str) -> None:
    """See that the modules of a target's SDK can be imported.

    Raises:
        BackendError: naming what is missing and the extra that brings it.
    """
    for module in modules:
        try:
            with quiet_sdk():
                importlib.import_module(module)
        except ImportError as error:
            package = module.partition(".")[0]
            raise BackendError(f"the target {target} needs {package} ({error}); {how_to_install(target)}") from error


def sdk_version(target: str, distribution: str) -> str:
    """Name and version of a target's SDK, such as ``executorch 1.5.1``.

    Raises:
        BackendError: if it is not installed.
    """
    try:
        return f"{distribution} {version(distribution)}"
    except PackageNotFoundError as error:
        raise BackendError(f"{distribution} is not installed; {how_to_install(target)}") from error
