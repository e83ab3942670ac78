"""The protocol between qsr-edge and a back end, and how back ends are found."""

from dataclasses import dataclass
from enum import StrEnum
from importlib.metadata import entry_points
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from qsr_edge.errors import BackendError
from qsr_edge.lowering.network import LoweredNetwork

ENTRY_POINT_GROUP = "qsr_edge.backends"


class Storage(StrEnum):
    """How weights lie in the file."""

    FAST = "fast"
    COMPACT = "compact"


class Pack(StrEnum):
    """How depths are spread over files: one each; one with all; one with all and one of weights."""

    PER_DEPTH = "per-depth"
    SHARED = "shared"
    EXTERNAL = "external"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelMetadata:
    """What a model file says of itself."""

    name: str
    version: str
    author: str
    licence: str
    description: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvertOptions:
    """What the user chose.

    Attributes:
        storage: layout of the weights.
        pack: one file per depth, or one with all.
        input_size_px: fixed (height, width) of the input image; None for any size.
        metadata: written into each file.
    """

    storage: Storage = Storage.FAST
    pack: Pack = Pack.PER_DEPTH
    input_size_px: tuple[int, int] | None = None
    metadata: ModelMetadata


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFile:
    """A file to ship: its name, the depths it can run (none for a file of weights alone) and its bytes."""

    name: str
    depths: tuple[int, ...]
    content: bytes


class Runner(Protocol):
    """A model at one depth, loaded."""

    def run(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Upscale: (H, W, 3) uint8 RGB -> (rH, rW, 3) uint8 RGB."""
        ...


class Backend(Protocol):
    """A runtime that graphs can be converted to."""

    @property
    def name(self) -> str:
        """The ``--target`` that selects it."""
        ...

    def check_available(self) -> None:
        """Raise ``BackendError`` naming the extra to install if the SDK is missing."""
        ...

    def runtime_version(self) -> str:
        """Name and version of the SDK, for the manifest."""
        ...

    def convert(self, network: LoweredNetwork, options: ConvertOptions) -> tuple[ModelFile, ...]:
        """Write the network; raises ``BackendError`` naming the node that cannot be expressed."""
        ...

    def kernel_families(self) -> tuple[str, ...]:
        """Ways the runtime can execute a model here, each to be verified; the first is the default."""
        ...

    def open_model(self, path: Path, *, depth: int, threads: int = 1, kernels: str | None = None) -> Runner:
        """Load a model file at one depth with one family of kernels; raises ``BackendError`` if it cannot."""
        ...


def backend_names() -> tuple[str, ...]:
    """Names of the registered back ends, whether or not their SDKs are installed; none is imported."""
    return tuple(sorted(entry.name for entry in entry_points(group=ENTRY_POINT_GROUP)))


def find_backend(name: str) -> Backend:
    """The back end registered under ``name``, its SDK present.

    Raises:
        BackendError: if none is, or its SDK is missing.
    """
    found = {entry.name: entry for entry in entry_points(group=ENTRY_POINT_GROUP)}
    if name not in found:
        raise BackendError(f"no back end is called {name!r}; installed are {', '.join(sorted(found)) or 'none'}")
    backend: Backend = found[name].load()
    backend.check_available()
    return backend
