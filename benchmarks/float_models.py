"""The float network as models for both runtimes, to time the integer ones against; both take and give float32."""

from pathlib import Path
from typing import Any

import numpy as np

from qsr_edge.nn.checkpoint import Checkpoint, read_checkpoint
from qsr_edge.quant.arithmetic import IMAGE_STEP


def float_program(checkpoint_file: Path) -> bytes:
    """The deepest float network as a .pte file with XNNPACK: (1, 3, H, W) codes -> (1, 3, rH, rW) codes."""
    import torch
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower
    from torch.export import Dim, export

    from qsr_edge.training.state import network_from_checkpoint

    network = network_from_checkpoint(read_checkpoint(checkpoint_file))

    class Deepest(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, codes: torch.Tensor) -> torch.Tensor:
            image: torch.Tensor = self.network(codes, network.config.blocks)
            return image

    shapes = {"codes": {2: Dim("height", min=8, max=512), 3: Dim("width", min=8, max=512)}}
    program = export(Deepest().eval(), (torch.zeros(1, 3, 24, 40),), dynamic_shapes=shapes, strict=False)
    return bytes(to_edge_transform_and_lower(program, partitioner=[XnnpackPartitioner()]).to_executorch().buffer)


class _FloatModel:
    """Appends float operators to a .tflite file with one input of any size."""

    def __init__(self) -> None:
        from qsr_edge_converters.tflite.flatbuffer import FileBuilder, schema

        self.schema = schema
        self.file = FileBuilder(description="float network for benchmarks")
        self.graph = self.file.subgraph("float")

    def activation(self, channels: int) -> int:
        return self.graph.tensor("activation", (1, -1, -1, channels), self.schema.TensorType.FLOAT32)

    def _constant(self, values: np.ndarray) -> int:
        content = np.ascontiguousarray(values, np.float32)
        return self.graph.tensor("constant", content.shape, self.schema.TensorType.FLOAT32, content=content.tobytes())

    def _operator(self, name: str, inputs: list[int], channels: int, options: Any) -> int:
        output = self.activation(channels)
        kind = type(options).__name__.removesuffix("T")
        self.graph.operator(
            getattr(self.schema.BuiltinOperator, name), 1, inputs, output,
            options_type=getattr(self.schema.BuiltinOptions, kind), options=options,
        )  # fmt: skip
        return output

    def conv(self, source: int, weight: np.ndarray, bias: np.ndarray, *, relu: bool = False) -> int:
        """``weight``: OIHW."""
        options = self.schema.Conv2DOptionsT()
        options.padding = self.schema.Padding.SAME
        options.strideH = options.strideW = options.dilationHFactor = options.dilationWFactor = 1
        kinds = self.schema.ActivationFunctionType
        options.fusedActivationFunction = kinds.RELU if relu else kinds.NONE
        inputs = [source, self._constant(weight.transpose(0, 2, 3, 1)), self._constant(bias)]
        return self._operator("CONV_2D", inputs, len(weight), options)

    def add(self, first: int, second: int, channels: int) -> int:
        return self._operator("ADD", [first, second], channels, self.schema.AddOptionsT())

    def depth_to_space(self, source: int, block: int) -> int:
        options = self.schema.DepthToSpaceOptionsT()
        options.blockSize = block
        return self._operator("DEPTH_TO_SPACE", [source], 3, options)


def float_tflite(checkpoint_file: Path) -> bytes:
    """The deepest float network as a .tflite file: signature ``float``, (1, H, W, 3) codes -> (1, rH, rW, 3) codes."""
    checkpoint: Checkpoint = read_checkpoint(checkpoint_file)
    tensors, config = checkpoint.tensors, checkpoint.config
    model = _FloatModel()
    image = model.activation(3)
    model.graph.inputs.append(image)
    stream = model.conv(image, tensors["head.weight"] * np.float32(IMAGE_STEP), tensors["head.bias"])
    for i in range(config.blocks):
        gain = tensors[f"body.{i}.importance"]
        inner = model.conv(stream, tensors[f"body.{i}.conv1.weight"], tensors[f"body.{i}.conv1.bias"], relu=True)
        weight, bias = (tensors[f"body.{i}.conv2.{part}"] * gain for part in ("weight", "bias"))
        stream = model.add(stream, model.conv(inner, weight, bias), config.channels)
    square = config.scale**2
    order = np.arange(3 * square).reshape(3, square).T.ravel()
    weight, bias = (tensors[f"tail.{part}"][order] / np.float32(IMAGE_STEP) for part in ("weight", "bias"))
    anchor = np.zeros((3 * square, 3, 1, 1), np.float32)
    anchor[np.arange(3 * square), np.arange(3 * square) % 3] = 1
    nearest = model.conv(image, anchor, np.zeros(3 * square, np.float32))
    total = model.add(model.conv(stream, weight, bias), nearest, 3 * square)
    output = model.depth_to_space(total, config.scale)
    model.graph.outputs.append(output)
    model.file.signature("float", model.graph, inputs={"image": image}, outputs={"upscaled": output})
    return model.file.to_bytes()
