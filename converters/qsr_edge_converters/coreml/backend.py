"""The Core ML back end, as ``qsr_edge`` sees it."""

import platform
import warnings
from pathlib import Path

from qsr_edge.bundle.backend import Backend, ConvertOptions, ModelPackage, Pack, Runner, Storage
from qsr_edge.errors import BackendError, QsrWarning
from qsr_edge.lowering.network import LoweredNetwork
from qsr_edge_converters.installed import require, sdk_version
from qsr_edge_converters.native_messages import quiet_sdk

SDK = "coremltools"
LARGEST_ENUMERATED = 128
"""Core ML takes at most so many sizes in one model."""


class CoremlBackend:
    """Implements ``qsr_edge.bundle.backend.Backend`` for Core ML."""

    @property
    def name(self) -> str:
        """``coreml``."""
        return "coreml"

    def check_available(self) -> None:
        """See that what reads and writes .mlpackage folders can be imported.

        Raises:
            BackendError: naming what is missing and the extra that brings it.
        """
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
        if not network.depths:
            raise BackendError("the network has no graph to convert")
        if options.storage is Storage.COMPACT:
            raise BackendError("coreml: weights are always packed; use --storage fast, which is no slower here")
        if options.pack is Pack.EXTERNAL:
            raise BackendError("coreml: weights cannot lie in a file apart; use --pack per-depth or --pack shared")
        sizes = () if options.input_size_px is None else (options.input_size_px, *options.more_sizes_px)
        if len(set(sizes)) != len(sizes) or len(sizes) > LARGEST_ENUMERATED:
            raise BackendError(
                f"coreml: got {len(sizes)} input sizes, expected different ones, {LARGEST_ENUMERATED} at most"
            )
        with quiet_sdk():
            from qsr_edge_converters.coreml.writer import write_network, write_transformers

            return write_transformers(network, options) if network.transformers else write_network(network, options)

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


BACKEND: Backend = CoremlBackend()
