"""Random networks of the shape that qsr-edge ships, as integer graphs: head, nested residual blocks, tail, anchor."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from qsr_edge.graph.ir import (
    Add,
    ConstantId,
    Constants,
    Conv2d,
    DepthToSpace,
    Graph,
    Multiplier,
    Node,
    QuantizeInput,
    Requantization,
    Shift,
    Tensor,
    TensorId,
)
from qsr_edge.lowering.network import LoweredNetwork, convolutional_network
from qsr_edge.nn.config import EDGE_WEIGHT_BITS, RATIO_MANTISSA
from qsr_edge.quant.arithmetic import CodeRange, Profile

INT8 = CodeRange.signed(8)


class _Store:
    """Random constants, sized so that outputs use their whole range and saturate now and then."""

    def __init__(self, rng: np.random.Generator, profile: Profile) -> None:
        self.rng = rng
        self.profile = profile
        self.arrays: dict[ConstantId, NDArray] = {}

    def conv(
        self,
        name: str,
        shape: tuple[int, int, int, int],
        *,
        weight_bits: int,
        source: CodeRange,
        target: CodeRange,
        weights: NDArray[np.int64] | None = None,
        depthwise: bool = False,
    ):
        signed = CodeRange.signed(weight_bits)
        if weights is None:
            weights = self.rng.integers(signed.q_min, signed.q_max, shape, endpoint=True)
        # Standard deviation of the accumulator for uniform codes, against that of uniform codes of the output.
        spread = (
            np.sqrt((weights.astype(float) ** 2).sum(axis=(1, 2, 3)) + 1e-9) * (source.q_max - source.q_min + 1) / 3.5
        )
        wanted = (target.q_max - target.q_min + 1) / 3.5
        exponent = np.clip(np.log2(spread / wanted) + self.rng.uniform(-1, 1, shape[0]), 1, 15)
        shifts = np.maximum(1, np.rint(exponent)).astype(np.int32)
        bias = self.rng.integers(-(wanted * 2.0**shifts).astype(int), (wanted * 2.0**shifts).astype(int), endpoint=True)
        self.arrays[ConstantId(f"{name}.weights")] = weights.astype(np.int8)
        self.arrays[ConstantId(f"{name}.bias")] = bias.astype(np.int32)
        requantization: Requantization
        if self.profile is Profile.PORTABLE:
            requantization = Shift(shifts=ConstantId(f"{name}.shifts"))
            self.arrays[requantization.shifts] = shifts
        else:
            requantization = Multiplier(multipliers=ConstantId(f"{name}.multipliers"))
            self.arrays[requantization.multipliers] = (2.0**-exponent).astype(np.float32)

        def node(source_id: TensorId, target_id: TensorId) -> Conv2d:
            return Conv2d(
                name=name,
                input=source_id,
                output=target_id,
                weights=ConstantId(f"{name}.weights"),
                bias=ConstantId(f"{name}.bias"),
                weight_bits=weight_bits,
                requantization=requantization,
                depthwise=depthwise,
            )

        return node


def random_network(
    *,
    bits: int,
    activation_bits: int | None = None,
    scale: int,
    depths: Sequence[int] = (1, 2),
    channels: int = 8,
    seed: int = 0,
    profile: Profile = Profile.PORTABLE,
    refined: bool = False,
) -> LoweredNetwork:
    """Every depth keeps the first blocks of the deepest; they share constants.

    ``activation_bits``: 8 for blocks that read the residual stream's codes as they are.
    ``refined``: a convolution and an addition follow at the size of the upscaled image.
    """
    store = _Store(np.random.default_rng(seed), profile)
    signed, unsigned = (of(activation_bits or bits) for of in (CodeRange.signed, CodeRange.unsigned))
    outputs = 3 * scale**2
    head = store.conv("head", (channels, 3, 3, 3), weight_bits=EDGE_WEIGHT_BITS, source=INT8, target=INT8)
    blocks = []
    for i in range(max(depths)):
        mantissas = store.rng.integers(RATIO_MANTISSA.q_min, RATIO_MANTISSA.q_max, (channels, 1, 1, 1), endpoint=True)
        square = (channels, 3, 3, channels)
        blocks.append(
            (
                None
                if activation_bits
                else store.conv(
                    f"b{i}.quant",
                    mantissas.shape,
                    weight_bits=6,
                    source=INT8,
                    target=signed,
                    weights=mantissas,
                    depthwise=True,
                ),
                store.conv(f"b{i}.conv1", square, weight_bits=bits, source=signed, target=unsigned),
                store.conv(f"b{i}.conv2", square, weight_bits=bits, source=unsigned, target=INT8),
            )
        )
    tail = store.conv("tail", (outputs, 3, 3, channels), weight_bits=EDGE_WEIGHT_BITS, source=INT8, target=INT8)
    copy = np.zeros((outputs, 1, 1, 3), np.int64)
    copy[np.arange(outputs), 0, 0, np.arange(outputs) % 3] = 2
    anchor = store.conv("anchor", copy.shape, weight_bits=3, source=INT8, target=INT8, weights=copy)
    if refined:
        refine = store.conv("refine", (3, 3, 3, 3), weight_bits=EDGE_WEIGHT_BITS, source=INT8, target=INT8)

    graphs = {}
    for depth in depths:
        tensors: list[Tensor] = []
        nodes: list[Node] = []

        def add(
            name: str, count: int, codes: CodeRange = INT8, upscale: int = 1, tensors: list[Tensor] = tensors
        ) -> TensorId:
            tensors.append(Tensor(id=TensorId(name), channels=count, range=codes, upscale=upscale))
            return TensorId(name)

        image = add("input", 3)
        nodes.append(QuantizeInput(name="quantize", output=image))
        stream = add("stream", channels)
        nodes.append(head(image, stream))
        for i in range(depth):
            quant, conv1, conv2 = blocks[i]
            narrow = stream
            if quant is not None:
                narrow = add(f"q{i}", channels, signed)
                nodes.append(quant(stream, narrow))
            hidden, branch = add(f"h{i}", channels, unsigned), add(f"r{i}", channels)
            nodes += [conv1(narrow, hidden), conv2(hidden, branch)]
            total = add(f"s{i}", channels)
            nodes.append(Add(name=f"b{i}.add", inputs=(stream, branch), output=total))
            stream = total
        detail, base, both = add("detail", outputs), add("base", outputs), add("sum", outputs)
        nodes += [tail(stream, detail), anchor(image, base), Add(name="add", inputs=(detail, base), output=both)]
        upscaled = add("codes", 3, upscale=scale)
        nodes.append(DepthToSpace(name="shuffle", input=both, output=upscaled, block=scale))
        if refined:
            correction, coarse = add("correction", 3, upscale=scale), upscaled
            upscaled = add("refined", 3, upscale=scale)
            nodes += [
                refine(coarse, correction),
                Add(name="refined_sum", inputs=(coarse, correction), output=upscaled),
            ]
        graphs[depth] = Graph(
            name=f"net-x{scale}-w{bits}a{bits}-d{depth}",
            scale=scale,
            depth=depth,
            bits=bits,
            profile=profile,
            tensors=tuple(tensors),
            nodes=tuple(nodes),
            output=upscaled,
        )
    return convolutional_network(graphs, Constants(store.arrays))


def sample_images(sizes: Sequence[tuple[int, int]], seed: int = 0) -> list[NDArray[np.uint8]]:
    """For each (height, width): noise over all levels, and a smooth picture with edges."""
    rng = np.random.default_rng(seed)
    images = []
    for height, width in sizes:
        images.append(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))
        y, x = np.mgrid[:height, :width]
        smooth = 128 + 90 * np.sin(x / 5 + np.arange(3)[:, None, None]) * np.cos(y / 7) + 60 * (x > y)
        images.append(
            np.clip(smooth.transpose(1, 2, 0) + rng.normal(0, 2, (height, width, 3)), 0, 255).astype(np.uint8)
        )
    return images
