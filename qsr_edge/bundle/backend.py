"""The protocol between qsr-edge and a back end, and how back ends are found."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from importlib.metadata import entry_points
from pathlib import Path
from typing import Protocol, runtime_checkable

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


class CoremlFlavor(StrEnum):
    """Arithmetic of a Core ML model: integers held in float32, or int8 products in float16 for the Neural Engine."""

    EXACT = "exact"
    ANE = "ane"


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """Where a model runs as it was meant to.

    Attributes:
        flavor: which of the target's forms.
        compute_units: what it is made for.
        minimum_os: the oldest system that can load it.
        byte_exact: whether it computes the golden interpreter's bytes; if not, a golden output cannot be expected.
    """

    flavor: str
    compute_units: str
    minimum_os: str
    byte_exact: bool


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
        more_sizes_px: further sizes that the model takes beside the fixed one.
        coreml_flavor: arithmetic of a Core ML model; other targets have one only.
        metadata: written into each file.
    """

    storage: Storage = Storage.FAST
    pack: Pack = Pack.PER_DEPTH
    input_size_px: tuple[int, int] | None = None
    more_sizes_px: tuple[tuple[int, int], ...] = ()
    coreml_flavor: CoremlFlavor = CoremlFlavor.EXACT
    metadata: ModelMetadata


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFile:
    """A file to ship: its name, the depths it can run (none for a file of weights alone) and its bytes."""

    name: str
    depths: tuple[int, ...]
    content: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelPackage:
    """A folder to ship as one model: its name, the depths it can run, and its files by path within it."""

    name: str
    depths: tuple[int, ...]
    members: Mapping[str, bytes]
    deployment: Deployment


Model = ModelFile | ModelPackage


def model_contents(models: Iterable[Model]) -> dict[str, bytes]:
    """Every file of the models, by path."""
    contents: dict[str, bytes] = {}
    for model in models:
        match model:
            case ModelFile():
                contents[model.name] = model.content
            case ModelPackage():
                contents.update({f"{model.name}/{path}": content for path, content in model.members.items()})
    return contents


class Runner(Protocol):
    """A model at one depth, loaded."""

    def run(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Upscale: (H, W, 3) uint8 RGB -> (rH, rW, 3) uint8 RGB."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Where the operations of a loaded model run.

    Attributes:
        delegate: name of the delegate; empty for none.
        delegated_ops: operations that it took.
        fallback: operations that it left to other kernels: name and count.
        source: who tells this.
    """

    delegate: str
    delegated_ops: int
    fallback: dict[str, int]
    source: str


@runtime_checkable
class TellsPlacement(Protocol):
    """A runner whose runtime tells where operations run."""

    def placement(self) -> Placement | None:
        """After at least one run; None if it is not known of this model."""
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

    def convert(self, network: LoweredNetwork, options: ConvertOptions) -> tuple[Model, ...]:
        """Write the network; raises ``BackendError`` naming the node that cannot be expressed."""
        ...

    def kernel_families(self) -> tuple[str, ...]:
        """Ways the runtime can execute models here, each to be verified; the first that a model has is its default."""
        ...

    def open_model(self, path: Path, *, depth: int, threads: int = 1, kernels: str | None = None) -> Runner:
        """Load a model file at one depth with one family of kernels; raises ``BackendError`` if it cannot."""
        ...


@runtime_checkable
class FixesKernels(Protocol):
    """A back end whose models have one family of kernels each: conversion chose it, running cannot."""

    def model_kernels(self, path: Path, depth: int) -> str:
        """The family of a depth, as the file says; needs no SDK; raises ``BackendError`` if the file is damaged."""
        ...


def model_families(backend: Backend, path: Path, depth: int, offered: tuple[str, ...]) -> tuple[str, ...]:
    """Families of kernels that a model can be run with, its default first.

    Args:
        backend: that wrote the model; its SDK need not be present.
        path: the model.
        depth: which of its depths.
        offered: families that the runtime has where the model is to run, the default first.

    Raises:
        BackendError: if the file is damaged, or its kernels are none of those offered.
    """
    if not isinstance(backend, FixesKernels):
        return offered
    own = backend.model_kernels(path, depth)
    if own not in offered:
        raise BackendError(f"{path}: depth {depth} runs in {own} kernels, expected one of {', '.join(offered)}")
    return (own,)


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


def find_backend(name: str) -> Backend:
    """The back end registered under ``name``, its SDK present.

    Raises:
        BackendError: if none is, or its SDK is missing.
    """
    backend = registered_backend(name)
    backend.check_available()
    return backend
