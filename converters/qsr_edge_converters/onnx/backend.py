"""The ONNX back end, as ``qsr_edge`` sees it."""

from pathlib import Path

from qsr_edge.bundle.layout import Pack
from qsr_edge.conversion.backend import (
    Backend,
    Capabilities,
    ConvertOptions,
    Flavor,
    InspectedModel,
    ModelFile,
    Runner,
    counted,
)
from qsr_edge.conversion.request import check_request
from qsr_edge.graph.integer_graph import ConvolutionalGraph
from qsr_edge.lowering.network import LoweredNetwork
from qsr_edge.quant.arithmetic import Profile
from qsr_edge_converters.installed import require, sdk_version
from qsr_edge_converters.onnx.encoding import OnnxFlavor
from qsr_edge_converters.onnx.inspection import inspect_onnx, is_onnx
from qsr_edge_converters.onnx.kernels import (
    HTP_ARCHITECTURES,
    OPTIONAL,
    REFERENCE_PIXELS,
    VERIFIED,
    KernelFamily,
    family_of,
)

SDK = "onnxruntime"


class OnnxBackend:
    """Implements ``qsr_edge.conversion.backend.Backend`` for ONNX Runtime."""

    name = "onnx"
    capabilities = Capabilities(
        model_kind="ONNX model",
        suffix=".onnx",
        packages=("onnx", "onnxruntime", "ml_dtypes"),
        lacks={Pack.EXTERNAL: "a file holds one depth, so the weights of all lie apart with --pack shared already"},
        flavors=(
            Flavor(
                name=OnnxFlavor.QDQ,
                arithmetic="integers in QDQ form",
                purpose="the integer graph's bytes, whether a runtime fuses it into integer kernels or not",
            ),
            Flavor(
                name=OnnxFlavor.NPU,
                arithmetic="integers in QDQ form, for NPUs",
                purpose="the same bytes on newer Hexagon NPUs too",
            ),
        ),
        integer_only=False,
        kernels_on={"android": ("cpu", "htp")},  # what OnnxRuntimeBackend.kt calls them
        most_verified_pixels={KernelFamily.REFERENCE: REFERENCE_PIXELS},
    )

    def check_available(self) -> None:
        """See that what writes and runs ONNX models can be imported.

        Raises:
            BackendError: naming what is missing and the extra that brings it.
        """
        require(self.name, "onnx", "ml_dtypes", "onnxruntime")

    def runtime_version(self) -> str:
        """For example ``onnxruntime 1.32.0``.

        Raises:
            BackendError: if it is not installed.
        """
        return sdk_version(self.name, SDK)

    def convert(self, network: LoweredNetwork, options: ConvertOptions) -> tuple[ModelFile, ...]:
        """Write a network as one model per depth.

        Raises:
            BackendError: naming the node that cannot be expressed exactly, or the option that cannot be met.
        """
        self.check_available()
        check_request(self, network, options)
        from qsr_edge_converters.onnx.writer import write_network

        return write_network(network.of_kind(ConvolutionalGraph), options)

    def kernel_families(self) -> tuple[str, ...]:
        """ONNX Runtime's CPU provider at four levels of optimization, and onnx's reference evaluator."""
        return tuple(VERIFIED)

    def optional_kernels(self) -> tuple[str, ...]:
        """``htp`` and ``htp-v73``: Qualcomm's NPU, older and newer, emulated."""
        return tuple(OPTIONAL)

    def check_kernels(self, kernels: str, profile: Profile, flavor: str | None) -> None:
        """See that a family can run here, and computes the bytes of such networks.

        Raises:
            BackendError: naming what it needs, or what to use instead.
        """
        if (family := family_of(kernels)) in HTP_ARCHITECTURES:
            from qsr_edge_converters.onnx.htp import check_emulator, check_exact

            check_exact(family, profile, OnnxFlavor(flavor or OnnxFlavor.QDQ))
            check_emulator()

    def open_model(self, path: Path, *, depth: int, threads: int = 1, kernels: str | None = None) -> Runner:
        """Load a model.

        Args:
            path: a model that this back end wrote.
            depth: the model's.
            threads: of the runtime.
            kernels: one of ``kernel_families()`` or ``optional_kernels()``; None for the first.

        Raises:
            BackendError: if the file is damaged or of another depth, or the family is unknown or cannot run here.
        """
        self.check_available()
        from qsr_edge_converters.onnx.runner import open_runner

        return open_runner(path, depth=depth, threads=threads, kernels=kernels)

    def recognises(self, path: Path) -> bool:
        """Whether a file begins as an ONNX model does."""
        return is_onnx(path)

    def inspect(self, path: Path) -> InspectedModel:
        """Look into a model.

        Raises:
            BackendError: if it is damaged, or ``onnx`` is not installed.
        """
        require(self.name, "onnx")
        found = inspect_onnx(path)
        facts: dict[str, str | int] = {key: value for key, value in found.metadata.items() if value}
        facts |= {
            "written by": found.producer or "unknown",
            "opset": found.opset,
            "IR version": found.ir_version,
            "input": found.input_shape,
            "output": found.output_shape,
            "operators": counted(found.operators),
            "constants": counted(found.constant_types),
        }
        if found.external_files:
            facts["weights in"] = ", ".join(found.external_files)
        return InspectedModel(
            size_bytes=found.size_bytes, facts=facts, first_float=found.first_float, costs=found.costs
        )


BACKEND: Backend = OnnxBackend()
