"""The protocol between qsr-edge and a back end: what it says of itself, what it writes, runs and looks into."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from qsr_edge.bundle.layout import Deployment, Pack, Storage
from qsr_edge.errors import BackendError
from qsr_edge.graph.cost import GraphCost
from qsr_edge.lowering.network import LoweredNetwork
from qsr_edge.quant.arithmetic import Profile


@dataclass(frozen=True, slots=True, kw_only=True)
class Flavor:
    """A form of a target's arithmetic.

    Attributes:
        name: what ``--flavor`` takes.
        arithmetic: how numbers are held, for a model's description: ``integers held in float32``.
        purpose: what it is for, for the help: ``the integer graph's bytes, on CPU and GPU``.
    """

    name: str
    arithmetic: str
    purpose: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What a back end can write, and where its models run: all that is known of a target outside its own package.

    Attributes:
        model_kind: what one model is, for people: ``TFLite model``.
        suffix: of a model's file or folder: ``.tflite``.
        packages: Python packages that the extra of the target's name brings.
        lacks: storages and packs that it has not, each with the reason.
        flavors: forms of its arithmetic, the default first; empty if there is one only, on integers throughout.
        any_size: whether a model can take images of any size.
        most_sizes: how many fixed sizes one model can take.
        transformers: whether networks with windows of attention can be written, with one fixed size of input.
        integer_only: whether nothing in its models is floating-point.
        kernels_on: families of kernels, the default first, by where models run beside this machine: a kind of device
            whose app of ours runs them (``android``), or a program of the runtime's own (``benchmark_model``).
        most_verified_pixels: of an image that a slow family of kernels is verified with, by family.
    """

    model_kind: str
    suffix: str
    packages: tuple[str, ...]
    lacks: Mapping[Storage | Pack, str] = field(default_factory=dict)
    flavors: tuple[Flavor, ...] = ()
    any_size: bool = True
    most_sizes: int = 1
    transformers: bool = False
    integer_only: bool = True
    kernels_on: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    most_verified_pixels: Mapping[str, int] = field(default_factory=dict)

    def flavor(self, name: str | None) -> Flavor | None:
        """The flavour of this name, or the default one; None if the target has no flavours or none of this name."""
        return next((flavor for flavor in self.flavors if name in (None, flavor.name)), None)


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
        flavor: form of the arithmetic, where the target has several; None for its default.
        metadata: written into each file.
    """

    storage: Storage = Storage.FAST
    pack: Pack = Pack.PER_DEPTH
    input_size_px: tuple[int, int] | None = None
    more_sizes_px: tuple[tuple[int, int], ...] = ()
    flavor: str | None = None
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
        """The ``--target`` that selects it, and the extra that brings its SDK."""
        ...

    @property
    def capabilities(self) -> Capabilities:
        """What it can do; to be told without the SDK."""
        ...

    def check_available(self) -> None:
        """Raise ``BackendError`` naming the extra to install if the SDK is missing."""
        ...

    def runtime_version(self) -> str:
        """Name and version of the SDK, for the manifest."""
        ...

    def convert(self, network: LoweredNetwork, options: ConvertOptions) -> tuple[Model, ...]:
        """Write the network.

        Raises:
            BackendError: for options that it cannot meet, which :func:`qsr_edge.conversion.request.check_request` tells
                by the capabilities; and naming the node that cannot be expressed.
        """
        ...

    def kernel_families(self) -> tuple[str, ...]:
        """Ways the runtime can execute models here, each to be verified; the first that a model has is its default."""
        ...

    def open_model(self, path: Path, *, depth: int, threads: int = 1, kernels: str | None = None) -> Runner:
        """Load a model file at one depth with one family of kernels; raises ``BackendError`` if it cannot."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class InspectedModel:
    """What a model holds, by looking into it; it may come from elsewhere.

    Attributes:
        size_bytes: of the file, or of all files of the folder.
        facts: by their names, in the order to print them.
        first_float: the first thing in it that is not an integer; None if there is none.
        costs: of each depth, ascending; empty if the model does not tell them. Bit operations and ideal weight bytes
            are not taken from it: files do not tell how many bits of a weight are used.
    """

    size_bytes: int
    facts: Mapping[str, str | int]
    first_float: str | None
    costs: Mapping[int, GraphCost] = field(default_factory=dict)


def counted(counts: Mapping[str, int]) -> str:
    """How often each thing occurs, as a fact: ``17 CONV_2D, 8 ADD``."""
    return ", ".join(f"{count} {name}" for name, count in counts.items())


@runtime_checkable
class InspectsModels(Protocol):
    """A back end that can look into models of its kind."""

    def recognises(self, path: Path) -> bool:
        """Whether a file or folder is such a model, by its content and not by its name; needs no SDK.

        Raises:
            OSError: if it cannot be read.
        """
        ...

    def inspect(self, path: Path) -> InspectedModel:
        """Look into a model.

        Raises:
            BackendError: if it is damaged, or what reads it is not installed.
            OSError: if it cannot be read.
        """
        ...


@runtime_checkable
class FixesKernels(Protocol):
    """A back end whose models have one family of kernels each: conversion chose it, running cannot."""

    def model_kernels(self, path: Path, depth: int) -> str:
        """The family of a depth, as the file says; needs no SDK; raises ``BackendError`` if the file is damaged."""
        ...


@runtime_checkable
class HasOptionalKernels(Protocol):
    """A back end with further families of kernels, which need more than its SDK; verified when asked for by name."""

    def optional_kernels(self) -> tuple[str, ...]:
        """Their names."""
        ...

    def check_kernels(self, kernels: str, profile: Profile, flavor: str | None) -> None:
        """See that one of them can run here, and computes the bytes of a profile in a flavour (None: the default one).

        Raises:
            BackendError: naming what is missing, or what to use instead.
        """
        ...


def optional_families(backend: Backend) -> tuple[str, ...]:
    """The further families of a back end; none for most."""
    return backend.optional_kernels() if isinstance(backend, HasOptionalKernels) else ()


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
