"""The TOSA back end, as ``qsr_edge`` sees it."""

from pathlib import Path

from qsr_edge.bundle.layout import Pack, Storage
from qsr_edge.conversion.backend import Backend, Capabilities, ConvertOptions, ModelFile, Runner
from qsr_edge.conversion.request import check_request, fixed_size_px
from qsr_edge.graph.integer_graph import ConvolutionalGraph, IntegerGraph, TransformerGraph
from qsr_edge.lowering.network import LoweredNetwork
from qsr_edge_converters.installed import require, sdk_version

SDK = "tosa-tools"


class TosaBackend:
    """Implements ``qsr_edge.conversion.backend.Backend`` for TOSA-INT."""

    name = "tosa"
    capabilities = Capabilities(
        model_kind="TOSA graph",
        suffix=".tosa",
        packages=("tosa_serializer", "tosa_reference_model"),
        lacks={
            Storage.COMPACT: "weights are stored as int8",
            Pack.SHARED: "a file holds one graph",
            Pack.EXTERNAL: "a file holds one graph",
        },
        any_size=False,
        transformers=True,
    )

    def check_available(self) -> None:
        """See that what writes and runs .tosa files can be imported.

        Raises:
            BackendError: naming what is missing and the extra that brings it.
        """
        require(self.name, "tosa_serializer", "tosa_reference_model")

    def runtime_version(self) -> str:
        """For example ``tosa-tools 2026.8.0``.

        Raises:
            BackendError: if it is not installed.
        """
        return sdk_version(self.name, SDK)

    def convert(self, network: LoweredNetwork, options: ConvertOptions) -> tuple[ModelFile, ...]:
        """Write one .tosa file per depth.

        Raises:
            BackendError: naming the node that cannot be expressed exactly, or the option that cannot be met.
        """
        self.check_available()
        check_request(self, network, options)
        size_px = fixed_size_px(self.name, options)
        return tuple(
            ModelFile(name=f"{options.metadata.name}-d{depth}.tosa", depths=(depth,), content=_written(graph, size_px))
            for depth, graph in network.items()
        )

    def kernel_families(self) -> tuple[str, ...]:
        """The reference model, the only one."""
        from qsr_edge_converters.tosa.runner import KERNELS

        return (KERNELS,)

    def open_model(self, path: Path, *, depth: int, threads: int = 1, kernels: str | None = None) -> Runner:
        """Load a file; the reference model has one thread.

        Raises:
            BackendError: if the file is missing, or the family is unknown.
        """
        self.check_available()
        from qsr_edge_converters.tosa.runner import open_runner

        return open_runner(path, kernels=kernels)


def _written(graph: IntegerGraph, size_px: tuple[int, int]) -> bytes:
    from qsr_edge_converters.tosa.swin import write_swin
    from qsr_edge_converters.tosa.writer import write_graph

    match graph:
        case ConvolutionalGraph():
            return write_graph(graph.graph, graph.constants, size_px)
        case TransformerGraph():
            return write_swin(graph.swin, size_px)


BACKEND: Backend = TosaBackend()
