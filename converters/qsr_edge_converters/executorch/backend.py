"""The ExecuTorch back end, as ``qsr_edge`` sees it."""

import warnings
from importlib.metadata import version
from pathlib import Path

from qsr_edge.bundle.layout import Storage
from qsr_edge.conversion.backend import Backend, Capabilities, ConvertOptions, InspectedModel, ModelFile, Runner
from qsr_edge.conversion.request import check_request
from qsr_edge.errors import QsrWarning
from qsr_edge.graph.integer_graph import ConvolutionalGraph, TransformerGraph
from qsr_edge.lowering.network import LoweredNetwork
from qsr_edge_converters.executorch.kernels import KernelFamily, program_kernels
from qsr_edge_converters.executorch.sdk import check_sdk
from qsr_edge_converters.identifier import has_identifier
from qsr_edge_converters.installed import sdk_version
from qsr_edge_converters.native_messages import quiet_sdk

SDK = "executorch"
IDENTIFIER = b"ET1"
"""The identifier at bytes 4 to 6 of every file; the next one is the schema's version."""
TESTED = ("1.5", "1.6")
"""First tested version, and the first that is not."""


def _is_tested(found: str) -> bool:
    numbers = tuple(int(part) for part in found.split("+")[0].split(".")[:2] if part.isdigit())
    low, high = (tuple(int(part) for part in text.split(".")) for text in TESTED)
    return low <= numbers < high


class ExecutorchBackend:
    """Implements ``qsr_edge.conversion.backend.Backend`` for ExecuTorch, with XNNPACK and without."""

    name = "executorch"
    capabilities = Capabilities(
        model_kind="ExecuTorch program",
        suffix=".pte",
        packages=("executorch",),
        lacks={Storage.COMPACT: "XNNPACK has no 4-bit kernels for convolutions, so there is no compact storage"},
        transformers=True,
        kernels_on={"android": tuple(KernelFamily), "executor_runner": tuple(KernelFamily)},
    )

    def check_available(self) -> None:
        """See that the SDK is there; warns if its version was not tested.

        Raises:
            BackendError: naming what is missing and the extra that brings it.
        """
        check_sdk()
        found = version(SDK)
        if not _is_tested(found):
            warnings.warn(
                f"executorch {found} was not tested with this release; tested are {TESTED[0]} up to, not including, "
                f"{TESTED[1]}",
                QsrWarning,
                stacklevel=2,
            )

    def runtime_version(self) -> str:
        """For example ``executorch 1.5.1``.

        Raises:
            BackendError: if it is not installed.
        """
        return sdk_version(self.name, SDK)

    def convert(self, network: LoweredNetwork, options: ConvertOptions) -> tuple[ModelFile, ...]:
        """Write a network as .pte files.

        Raises:
            BackendError: naming the node that cannot be expressed exactly, or the option that cannot be met.
        """
        check_sdk()
        check_request(self, network, options)
        with quiet_sdk():
            from qsr_edge_converters.executorch.writer import write_network, write_transformers

        match network.deepest:
            case ConvolutionalGraph():
                return write_network(network.of_kind(ConvolutionalGraph), options)
            case TransformerGraph():
                return write_transformers(network.of_kind(TransformerGraph), options)

    def kernel_families(self) -> tuple[str, ...]:
        """XNNPACK and portable kernels; each program has one of them."""
        return tuple(KernelFamily)

    def model_kernels(self, path: Path, depth: int) -> str:
        """``xnnpack`` if a depth of the file gives anything to XNNPACK, else ``portable``; needs no SDK.

        Raises:
            BackendError: if the file is damaged or has no such depth.
            OSError: if it cannot be read.
        """
        return program_kernels(path.read_bytes(), depth, str(path))

    def open_model(self, path: Path, *, depth: int, threads: int = 1, kernels: str | None = None) -> Runner:
        """Load a file at one depth.

        Args:
            path: a file that this back end wrote.
            depth: which of the file's depths.
            threads: of the runtime, for all its models in this process; warns if others were to have another number.
            kernels: the file's own family, see ``model_kernels``, or None.

        Raises:
            BackendError: if the file is damaged or has no such depth, or its kernels are others.
        """
        check_sdk()
        from qsr_edge_converters.executorch.runner import open_runner

        return open_runner(path, depth=depth, threads=threads, kernels=kernels)

    def recognises(self, path: Path) -> bool:
        """Whether a file has ExecuTorch's identifier."""
        return has_identifier(path, IDENTIFIER)

    def inspect(self, path: Path) -> InspectedModel:
        """Look into a .pte file, which may come from elsewhere.

        Raises:
            BackendError: if it is damaged, or the SDK is missing.
            OSError: if it cannot be read.
        """
        from qsr_edge_converters.executorch.inspection import inspect_pte, inspected

        return inspected(inspect_pte(path))


BACKEND: Backend = ExecutorchBackend()
