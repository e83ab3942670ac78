"""The TOSA back end, as ``qsr_edge`` sees it."""

from pathlib import Path

from qsr_edge.bundle.backend import Backend, ConvertOptions, ModelFile, Pack, Runner, Storage
from qsr_edge.errors import BackendError
from qsr_edge.lowering.network import LoweredNetwork
from qsr_edge_converters.installed import require, sdk_version

SDK = "tosa-tools"


class TosaBackend:
    """Implements ``qsr_edge.bundle.backend.Backend`` for TOSA-INT."""

    @property
    def name(self) -> str:
        """``tosa``."""
        return "tosa"

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
        if not network.depths:
            raise BackendError("the network has no graph to convert")
        if options.input_size_px is None:
            raise BackendError("tosa: graphs have a fixed input size; give one, such as --input-size 128x128")
        if options.storage is Storage.COMPACT:
            raise BackendError("tosa: weights are stored as int8; use --storage fast")
        if options.pack is not Pack.PER_DEPTH:
            raise BackendError("tosa: a file holds one graph; use --pack per-depth")
        if network.transformers:
            from qsr_edge_converters.tosa.swin import write_swin

            return tuple(
                ModelFile(
                    name=f"{options.metadata.name}-d{depth}.tosa",
                    depths=(depth,),
                    content=write_swin(swin, options.input_size_px),
                )
                for depth, swin in sorted(network.transformers.items())
            )
        from qsr_edge_converters.tosa.writer import write_graph

        return tuple(
            ModelFile(
                name=f"{options.metadata.name}-d{depth}.tosa",
                depths=(depth,),
                content=write_graph(graph, network.constants, options.input_size_px),
            )
            for depth, graph in sorted(network.graphs.items())
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


BACKEND: Backend = TosaBackend()
