"""A bundled float network as models for other runtimes: LiteRT, ExecuTorch, ONNX (also OpenVINO) and ncnn.

All hold the same graph with the same weights: convolutions, ReLU, additions, depth to space, and the nearest-neighbour
anchor as a 1x1 convolution. All take and give levels minus 128 in float32, NCHW but for LiteRT's NHWC.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from qsr_edge.nn.checkpoint import read_checkpoint
from qsr_edge.nn.config import EdgeConfig
from qsr_edge.quant.arithmetic import IMAGE_STEP

if TYPE_CHECKING:
    import torch

LARGEST_SIDE_PX = 512
"""Of an image that the ExecuTorch program takes; memory for the largest is reserved."""
Values = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Convolution:
    """``weight``: (O, I, K, K) float32; ``bias``: (O,) float32."""

    weight: Values
    bias: Values


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FoldedNetwork:
    """A float network at one depth, with every constant factor folded into weights.

    Attributes:
        head: from levels minus 128 to the stream.
        blocks: the two convolutions of each; a ReLU stands between them.
        tail: to the residual in levels, channel ``c * r^2 + place`` as ``pixel_shuffle`` takes it.
        anchor: copies the input's levels to the same places.
        scale: upscaling factor r.
    """

    head: Convolution
    blocks: tuple[tuple[Convolution, Convolution], ...]
    tail: Convolution
    anchor: Convolution
    scale: int


def folded_network(checkpoint_file: Path, depth: int | None = None) -> FoldedNetwork:
    """Read a float checkpoint of the convolutional network; the deepest if no depth is named."""
    checkpoint = read_checkpoint(checkpoint_file)
    tensors, config = checkpoint.tensors, checkpoint.config
    if not isinstance(config, EdgeConfig) or config.bits:
        raise TypeError(f"{checkpoint_file}: expected a float network of {EdgeConfig.__name__}")
    depth = depth or config.depths[-1]

    def convolution(name: str, gain: Any = 1.0) -> Convolution:
        return Convolution(weight=tensors[f"{name}.weight"] * gain, bias=tensors[f"{name}.bias"] * gain)

    blocks = tuple(
        (convolution(f"body.{i}.conv1"), convolution(f"body.{i}.conv2", tensors[f"body.{i}.importance"]))
        for i in config.kept_blocks(depth)
    )
    step, square = np.float32(IMAGE_STEP), config.scale**2
    tail_bias = tensors["tail.bias"]
    if config.depth_biases:
        tail_bias = tail_bias + tensors["tail_depth_bias"][config.depths.index(depth)]
    copies = np.repeat(np.eye(3, dtype=np.float32), square, axis=0)[:, :, np.newaxis, np.newaxis]
    return FoldedNetwork(
        head=Convolution(weight=tensors["head.weight"] * step, bias=tensors["head.bias"]),
        blocks=blocks,
        tail=Convolution(weight=tensors["tail.weight"] / step, bias=tail_bias / step),
        anchor=Convolution(weight=copies, bias=np.zeros(3 * square, np.float32)),
        scale=config.scale,
    )


def float_module(network: FoldedNetwork) -> "torch.nn.Module":
    """The network for torch: (1, 3, H, W) codes -> (1, 3, rH, rW) codes."""
    import torch

    def layer(convolution: Convolution) -> torch.nn.Conv2d:
        outputs, inputs, side, _ = convolution.weight.shape
        made = torch.nn.Conv2d(inputs, outputs, side, padding=side // 2)
        made.weight.data, made.bias.data = torch.from_numpy(convolution.weight), torch.from_numpy(convolution.bias)
        return made

    class Folded(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head, self.tail, self.anchor = layer(network.head), layer(network.tail), layer(network.anchor)
            self.first = torch.nn.ModuleList(layer(first) for first, _ in network.blocks)
            self.second = torch.nn.ModuleList(layer(second) for _, second in network.blocks)

        def forward(self, codes: torch.Tensor) -> torch.Tensor:
            stream = self.head(codes)
            for first, second in zip(self.first, self.second, strict=True):
                stream = stream + second(torch.relu(first(stream)))
            return torch.nn.functional.pixel_shuffle(self.tail(stream) + self.anchor(codes), network.scale)

    return Folded().eval()


def exported_float(module: "torch.nn.Module") -> Any:
    """A module as torch exports it for ExecuTorch, for images of any size up to a limit."""
    import torch
    from torch.export import Dim, export

    sides = {name: Dim(name, min=8, max=LARGEST_SIDE_PX) for name in ("height", "width")}
    shapes = {"codes": {2: sides["height"], 3: sides["width"]}}
    return export(module, (torch.zeros(1, 3, 24, 40),), dynamic_shapes=shapes, strict=False)


def xnnpack_program(program: Any) -> bytes:
    """An exported module as a .pte file that XNNPACK runs."""
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower

    return bytes(to_edge_transform_and_lower(program, partitioner=[XnnpackPartitioner()]).to_executorch().buffer)


def float_program(checkpoint_file: Path) -> bytes:
    """The deepest float network as a .pte file."""
    return xnnpack_program(exported_float(float_module(folded_network(checkpoint_file))))


class _TfliteModel:
    """Appends float operators to a .tflite file with one input of any size."""

    def __init__(self) -> None:
        from qsr_edge_converters.tflite.flatbuffer import FileBuilder, schema

        self.schema = schema
        self.file = FileBuilder(description="float network for benchmarks")
        self.graph = self.file.subgraph("float")
        self._tensors = 0

    def _name(self, kind: str) -> str:
        self._tensors += 1  # whoever calibrates the file tells tensors by their names
        return f"{kind}{self._tensors}"

    def activation(self, channels: int) -> int:
        return self.graph.tensor(self._name("activation"), (1, -1, -1, channels), self.schema.TensorType.FLOAT32)

    def _constant(self, values: Values) -> int:
        content = np.ascontiguousarray(values, np.float32)
        kind = self.schema.TensorType.FLOAT32
        return self.graph.tensor(self._name("constant"), content.shape, kind, content=content.tobytes())

    def _operator(self, name: str, inputs: list[int], channels: int, options: Any) -> int:
        output = self.activation(channels)
        kind = type(options).__name__.removesuffix("T")
        self.graph.operator(
            getattr(self.schema.BuiltinOperator, name), 1, inputs, output,
            options_type=getattr(self.schema.BuiltinOptions, kind), options=options,
        )  # fmt: skip
        return output

    def conv(self, source: int, convolution: Convolution, *, relu: bool = False) -> int:
        options = self.schema.Conv2DOptionsT()
        options.padding = self.schema.Padding.SAME
        options.strideH = options.strideW = options.dilationHFactor = options.dilationWFactor = 1
        kinds = self.schema.ActivationFunctionType
        options.fusedActivationFunction = kinds.RELU if relu else kinds.NONE
        constants = [convolution.weight.transpose(0, 2, 3, 1), convolution.bias]
        inputs = [source, *map(self._constant, constants)]
        return self._operator("CONV_2D", inputs, len(convolution.bias), options)

    def add(self, first: int, second: int, channels: int) -> int:
        return self._operator("ADD", [first, second], channels, self.schema.AddOptionsT())

    def depth_to_space(self, source: int, block: int) -> int:
        options = self.schema.DepthToSpaceOptionsT()
        options.blockSize = block
        return self._operator("DEPTH_TO_SPACE", [source], 3, options)


def float_tflite(checkpoint_file: Path, depth: int | None = None) -> bytes:
    """The float network as a .tflite file: signature ``float``, (1, H, W, 3) codes -> (1, rH, rW, 3) codes."""
    network = folded_network(checkpoint_file, depth)
    model = _TfliteModel()
    channels, outputs = len(network.head.bias), len(network.tail.bias)
    # LiteRT's depth to space takes channel ``place * 3 + c``.
    order = np.arange(outputs).reshape(3, -1).T.ravel()
    tail, anchor = (
        Convolution(weight=each.weight[order], bias=each.bias[order]) for each in (network.tail, network.anchor)
    )
    image = model.activation(3)
    model.graph.inputs.append(image)
    stream = model.conv(image, network.head)
    for first, second in network.blocks:
        stream = model.add(stream, model.conv(model.conv(stream, first, relu=True), second), channels)
    total = model.add(model.conv(stream, tail), model.conv(image, anchor), outputs)
    output = model.depth_to_space(total, network.scale)
    model.graph.outputs.append(output)
    model.file.signature("float", model.graph, inputs={"image": image}, outputs={"upscaled": output})
    return model.file.to_bytes()


def float_onnx(network: FoldedNetwork) -> bytes:
    """The network as an ONNX model: ``image`` (1, 3, H, W) codes -> ``upscaled`` (1, 3, rH, rW) codes, opset 17."""
    from onnx import TensorProto, checker, helper, numpy_helper

    nodes: list[Any] = []
    constants: list[Any] = []

    def node(kind: str, inputs: list[str], output: str | None = None, **attributes: Any) -> str:
        output = output or f"{kind.lower()}{len(nodes)}"
        nodes.append(helper.make_node(kind, inputs, [output], name=f"{kind}{len(nodes)}", **attributes))
        return output

    def conv(source: str, convolution: Convolution) -> str:
        names = [f"{kind}{len(nodes)}" for kind in ("weight", "bias")]
        for name, values in zip(names, (convolution.weight, convolution.bias), strict=True):
            constants.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        side = convolution.weight.shape[-1]
        return node("Conv", [source, *names], kernel_shape=[side, side], pads=[side // 2] * 4)

    stream = conv("image", network.head)
    for first, second in network.blocks:
        stream = node("Add", [stream, conv(node("Relu", [conv(stream, first)]), second)])
    total = node("Add", [conv(stream, network.tail), conv("image", network.anchor)])
    node("DepthToSpace", [total], "upscaled", blocksize=network.scale, mode="CRD")
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, "height", "width"])
    upscaled = helper.make_tensor_value_info("upscaled", TensorProto.FLOAT, [1, 3, "out_height", "out_width"])
    graph = helper.make_graph(nodes, "float", [image], [upscaled], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    checker.check_model(model)
    return bytes(model.SerializeToString())


def float_ncnn(network: FoldedNetwork) -> tuple[str, bytes]:
    """The network for ncnn, a .param text and a .bin: blobs ``image`` and ``upscaled``, (3, H, W) codes.

    The format: https://github.com/Tencent/ncnn/wiki/param-and-model-file-structure
    """
    layers: list[str] = []
    weights: list[bytes] = []
    blobs = 0

    def layer(kind: str, inputs: list[str], outputs: list[str], settings: str = "") -> None:
        nonlocal blobs
        blobs += len(outputs)
        words = [kind, f"{kind}{len(layers)}", str(len(inputs)), str(len(outputs)), *inputs, *outputs, settings]
        layers.append(" ".join(word for word in words if word))

    def split(source: str) -> tuple[str, str]:
        copies = (f"{source}_a", f"{source}_b")
        layer("Split", [source], list(copies))  # a blob has one reader
        return copies

    def conv(source: str, convolution: Convolution, *, relu: bool = False) -> str:
        outputs, _, side, _ = convolution.weight.shape
        name = f"conv{len(layers)}"
        settings = f"0={outputs} 1={side} 4={side // 2} 5=1 6={convolution.weight.size}" + " 9=1" * relu
        layer("Convolution", [source], [name], settings)
        flag = np.zeros(1, np.uint32)  # the weights that follow are float32
        weights.extend(np.ascontiguousarray(part).tobytes() for part in (flag, convolution.weight, convolution.bias))
        return name

    layer("Input", [], ["image"])
    image, anchored = split("image")
    stream = conv(image, network.head)
    for first, second in network.blocks:
        kept, read = split(stream)
        branch = conv(conv(read, first, relu=True), second)
        stream = f"sum{len(layers)}"
        layer("BinaryOp", [kept, branch], [stream], "0=0")
    branches = [conv(stream, network.tail), conv(anchored, network.anchor)]
    layer("BinaryOp", branches, ["total"], "0=0")
    layer("PixelShuffle", ["total"], ["upscaled"], f"0={network.scale}")
    return "\n".join(["7767517", f"{len(layers)} {blobs}", *layers, ""]), b"".join(weights)
