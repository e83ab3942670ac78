"""The Core ML back end, as ``qsr_edge`` sees it."""

import platform
import warnings
from pathlib import Path

from qsr_edge.bundle.layout import Pack, Storage
from qsr_edge.conversion.backend import Backend, Capabilities, ConvertOptions, InspectedModel, ModelPackage, Runner
from qsr_edge.conversion.request import check_request
from qsr_edge.errors import QsrWarning
from qsr_edge.graph.integer_graph import ConvolutionalGraph, TransformerGraph
from qsr_edge.lowering.network import LoweredNetwork
from qsr_edge_converters.coreml.flavor import FLAVORS
from qsr_edge_converters.coreml.torch_hidden import torch_hidden
from qsr_edge_converters.installed import require, sdk_version
from qsr_edge_converters.native_messages import quiet_sdk

SDK = "coremltools"
PACKAGE_MANIFEST_NAME = "Manifest.json"
"""A file of every package; spelt as no bundle's is."""
LARGEST_ENUMERATED = 128
"""Core ML takes at most so many sizes in one model."""


class CoremlBackend:
    """Implements ``qsr_edge.conversion.backend.Backend`` for Core ML."""

    name = "coreml"
    capabilities = Capabilities(
        model_kind="Core ML package",
        suffix=".mlpackage",
        packages=("coremltools",),
        lacks={
            Storage.COMPACT: "weights are always packed, which is no slower here",
            Pack.EXTERNAL: "weights cannot lie in a file apart",
        },
        flavors=FLAVORS,
        most_sizes=LARGEST_ENUMERATED,
        transformers=True,
        integer_only=False,  # Core ML has no arithmetic on integers throughout
        kernels_on={"ios": ("coreml", "coreml-cpu")},
    )

    def check_available(self) -> None:
        """See that what reads and writes .mlpackage folders can be imported.

        Raises:
            BackendError: naming what is missing and the extra that brings it.
        """
        with torch_hidden():
            require(self.name, SDK)

    def runtime_version(self) -> str:
        """For example ``coremltools 9.0``, on macOS with the system's version.

        Raises:
            BackendError: if it is not installed.
        """
        sdk = sdk_version(self.name, SDK)
        system = platform.mac_ver()[0]
        return f"{sdk}, macOS {system}" if system else sdk

    def convert(self, network: LoweredNetwork, options: ConvertOptions) -> tuple[ModelPackage, ...]:
        """Write a network as .mlpackage folders.

        Raises:
            BackendError: naming the node that cannot be expressed, or the option that cannot be met.
        """
        self.check_available()
        check_request(self, network, options)
        with quiet_sdk():
            from qsr_edge_converters.coreml.writer import write_network, write_transformers

            match network.deepest:
                case ConvolutionalGraph():
                    return write_network(network.of_kind(ConvolutionalGraph), options)
                case TransformerGraph():
                    return write_transformers(network.of_kind(TransformerGraph), options)

    def kernel_families(self) -> tuple[str, ...]:
        """Our executor of saved packages; on macOS Core ML itself before it."""
        from qsr_edge_converters.coreml.runner import runnable_families

        return tuple(family.value for family in runnable_families())

    def open_model(self, path: Path, *, depth: int, threads: int = 1, kernels: str | None = None) -> Runner:
        """Load a package at one depth.

        Args:
            path: an .mlpackage folder that this back end wrote.
            depth: which of the package's depths.
            threads: not settable here: Core ML and numpy's BLAS choose for themselves.
            kernels: one of ``kernel_families()``; None for the first.

        Raises:
            BackendError: if the package is damaged or has no such depth, or the family is unknown or needs macOS.
        """
        self.check_available()
        from qsr_edge_converters.coreml.runner import Family, open_runner

        if kernels is None and self.kernel_families()[0] == Family.EXECUTOR:
            warnings.warn(
                "Core ML runs on Apple's systems only; here qsr-edge's own executor runs the package: slow",
                QsrWarning,
                stacklevel=2,
            )
        return open_runner(path, depth=depth, kernels=kernels)

    def recognises(self, path: Path) -> bool:
        """Whether a folder has a package's manifest."""
        # Compared as spelt: on some file systems the one name also finds the other.
        return path.is_dir() and PACKAGE_MANIFEST_NAME in {entry.name for entry in path.iterdir()}

    def inspect(self, path: Path) -> InspectedModel:
        """Look into an .mlpackage folder, which may come from elsewhere.

        Raises:
            BackendError: if it is damaged, or the SDK is missing.
        """
        from qsr_edge_converters.coreml.inspection import inspect_package, inspected

        return inspected(inspect_package(path))


BACKEND: Backend = CoremlBackend()
