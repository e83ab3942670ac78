"""The LiteRT back end, as ``qsr_edge`` sees it."""

from pathlib import Path

from qsr_edge.bundle.layout import Pack, Storage
from qsr_edge.conversion.backend import Backend, Capabilities, ConvertOptions, InspectedModel, ModelFile, Runner
from qsr_edge.conversion.request import check_request
from qsr_edge.conversion.resizable import ResizableModel
from qsr_edge.errors import BackendError
from qsr_edge.graph.integer_graph import ConvolutionalGraph
from qsr_edge.lowering.network import LoweredNetwork
from qsr_edge.quant.arithmetic import Profile
from qsr_edge_converters.identifier import has_identifier
from qsr_edge_converters.installed import require, sdk_version
from qsr_edge_converters.tflite.format import IDENTIFIER

SDK = "ai-edge-litert"


class TfliteBackend:
    """Implements ``qsr_edge.conversion.backend.Backend`` for LiteRT."""

    name = "tflite"
    capabilities = Capabilities(
        model_kind="TFLite model",
        suffix=".tflite",
        packages=("ai_edge_litert", "flatbuffers"),
        lacks={Pack.EXTERNAL: "weights cannot lie in a file apart"},
        kernels_on={
            "android": ("xnnpack", "builtin"),
            "benchmark_model": ("xnnpack", "builtin"),
            "browser": ("xnnpack",),  # LiteRT.js has no switch for others
        },
    )

    def check_available(self) -> None:
        """See that what reads, writes and runs .tflite files can be imported.

        Raises:
            BackendError: naming what is missing and the extra that brings it.
        """
        require(self.name, "flatbuffers", "ai_edge_litert.schema_py_generated", "ai_edge_litert.interpreter")

    def runtime_version(self) -> str:
        """For example ``ai-edge-litert 2.3.0``.

        Raises:
            BackendError: if it is not installed.
        """
        return sdk_version(self.name, SDK)

    def convert(self, network: LoweredNetwork, options: ConvertOptions) -> tuple[ModelFile, ...]:
        """Write a network as .tflite files.

        Raises:
            BackendError: naming the node that cannot be expressed exactly, or the option that cannot be met.
        """
        self.check_available()
        check_request(self, network, options)
        graphs = network.of_kind(ConvolutionalGraph)
        for graph in graphs.values():
            if options.storage is Storage.COMPACT and graph.graph.profile is Profile.SCALED:
                raise BackendError(
                    f"graph {graph.name}: compact storage is exact for the profile 'portable' only; use --storage fast"
                )
        from qsr_edge_converters.tflite.writer import write_network

        return write_network(graphs, options)

    def kernel_families(self) -> tuple[str, ...]:
        """XNNPACK (what phones run), LiteRT's own optimized kernels, and its reference kernels."""
        from qsr_edge_converters.tflite.runner import KernelFamily

        return tuple(family.value for family in KernelFamily)

    def open_model(self, path: Path, *, depth: int, threads: int = 1, kernels: str | None = None) -> Runner:
        """Load a file at one depth.

        Args:
            path: a file that this back end wrote.
            depth: which of the file's signatures.
            threads: of the runtime.
            kernels: one of ``kernel_families()``; None for the first.

        Raises:
            BackendError: if the file is damaged or has no such depth, or the family is unknown.
        """
        self.check_available()
        from qsr_edge_converters.tflite.runner import open_runner

        return open_runner(path, depth=depth, threads=threads, kernels=kernels)

    def resizable(self, path: Path, depth: int, size_px: tuple[int, int]) -> ResizableModel:
        """One depth of a file as a file of its own whose input size can be set, as LiteRT.js needs it.

        Raises:
            BackendError: if the file is damaged or has no such depth, or LiteRT is not installed.
        """
        self.check_available()
        from qsr_edge_converters.tflite.resizing import resizable_model

        return resizable_model(path, depth, size_px)

    def recognises(self, path: Path) -> bool:
        """Whether a file has TFLite's identifier."""
        return has_identifier(path, IDENTIFIER)

    def inspect(self, path: Path) -> InspectedModel:
        """Look into a .tflite file, which may come from elsewhere.

        Raises:
            BackendError: if it is damaged.
        """
        from qsr_edge_converters.tflite.inspection import inspect_model, inspected

        return inspected(inspect_model(path), path)


BACKEND: Backend = TfliteBackend()
