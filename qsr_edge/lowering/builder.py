"""What every lowering pass uses: rounding as in training, and a builder of nodes and their tensors."""

import numpy as np
from numpy.typing import NDArray

from qsr_edge.graph.ir import (
    Add,
    ConstantId,
    Constants,
    Conv2d,
    DepthToSpace,
    Graph,
    Node,
    QuantizeInput,
    Requantization,
    Tensor,
    TensorId,
)
from qsr_edge.graph.verify import verify_graph
from qsr_edge.nn.config import NetworkConfig
from qsr_edge.quant.arithmetic import STREAM_RANGE, CodeRange

Float = NDArray[np.float32] | np.float32


def rounded(u: Float, code_range: CodeRange | None = None) -> NDArray[np.float32]:
    """Halves up, then clipped: as in training."""
    rounded = np.floor(np.asarray(u, np.float32) + np.float32(0.5))
    if code_range is not None:
        rounded = np.clip(rounded, code_range.q_min, code_range.q_max)
    return np.asarray(rounded, np.float32)


class GraphBuilder:
    """Appends nodes and their output tensors."""

    def __init__(self) -> None:
        self.tensors: list[Tensor] = []
        self.nodes: list[Node] = []

    def tensor(self, name: str, channels: int, code_range: CodeRange, upscale: int = 1) -> TensorId:
        """Declare a tensor that a node will write."""
        self.tensors.append(Tensor(id=TensorId(name), channels=channels, range=code_range, upscale=upscale))
        return TensorId(name)

    def quantize_input(self) -> TensorId:
        """The first node: the image's levels as codes."""
        output = self.tensor("image", 3, STREAM_RANGE)
        self.nodes.append(QuantizeInput(name="quantize_input", output=output))
        return output

    def conv2d(
        self,
        name: str,
        source: TensorId,
        constants: tuple[ConstantId, ConstantId, Requantization],
        channels: int,
        code_range: CodeRange,
        weight_bits: int,
        *,
        depthwise: bool = False,
        upscale: int = 1,
    ) -> TensorId:
        """A convolution; ``upscale``: height and width of its input in units of the image's."""
        output = self.tensor(name, channels, code_range, upscale)
        weights, bias, requantization = constants
        node = Conv2d(
            name=name,
            input=source,
            output=output,
            weights=weights,
            bias=bias,
            weight_bits=weight_bits,
            requantization=requantization,
            depthwise=depthwise,
        )
        self.nodes.append(node)
        return output

    def add(self, name: str, a: TensorId, b: TensorId, channels: int) -> TensorId:
        """The saturating sum of two tensors of int8 codes on one grid, at the image's size."""
        output = self.tensor(name, channels, STREAM_RANGE)
        self.nodes.append(Add(name=name, inputs=(a, b), output=output))
        return output

    def graph(
        self, name: str, config: NetworkConfig, depth: int, bits: int, output: TensorId, constants: Constants
    ) -> Graph:
        """What was built, as the verified graph of a network at one depth.

        Raises:
            GraphError: if a back end could not run it exactly.
        """
        graph = Graph(
            name=f"{name}-d{depth}",
            scale=config.scale,
            depth=depth,
            bits=bits,
            profile=config.profile,
            tensors=tuple(self.tensors),
            nodes=tuple(self.nodes),
            output=output,
        )
        verify_graph(graph, constants)
        return graph

    def depth_to_space(
        self,
        source: TensorId,
        block: int,
        *,
        name: str = "depth_to_space",
        output_name: str = "upscaled",
        channels: int = 3,
        code_range: CodeRange = STREAM_RANGE,
        upscale: int | None = None,
    ) -> TensorId:
        """Channels to pixels; ``upscale``: of the output, ``block`` unless the input was upscaled before."""
        output = self.tensor(output_name, channels, code_range, upscale or block)
        self.nodes.append(DepthToSpace(name=name, input=source, output=output, block=block))
        return output
