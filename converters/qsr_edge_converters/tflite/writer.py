"""Integer graphs -> .tflite files.

Importing this module imports LiteRT's schema, so only ``TfliteBackend.convert`` does.
"""

import json
from collections.abc import Mapping, Sequence

import numpy as np

from qsr_edge.bundle.layout import Pack, Storage
from qsr_edge.conversion.backend import ConvertOptions, ModelFile
from qsr_edge.errors import BackendError
from qsr_edge.graph.integer_graph import ConvolutionalGraph
from qsr_edge.graph.ir import Add, Constants, Conv2d, DepthToSpace, Graph, QuantizeInput, Tensor, TensorId
from qsr_edge.quant.arithmetic import IMAGE_ZERO
from qsr_edge_converters.tflite.encoding import (
    INT8_CODES,
    OFFSET,
    OFFSET_ZERO_POINT,
    PLAIN,
    EncodedConv,
    Label,
    WeightType,
    encode_conv,
    label_of,
    pack_int4,
)
from qsr_edge_converters.tflite.flatbuffer import FileBuilder, SubgraphBuilder, schema
from qsr_edge_converters.tflite.format import (
    INPUT_NAME,
    METADATA_NAME,
    MIN_RUNTIME_METADATA_NAME,
    MIN_RUNTIME_VERSION,
    OUTPUT_NAME,
    signature_key,
)

OPERATOR = schema.BuiltinOperator
OPTIONS = schema.BuiltinOptions
TYPE = schema.TensorType
CONV_VERSION = 5
"""Version of CONV_2D and DEPTHWISE_CONV_2D: the first with INT4 filters; also right for int8."""
ADD_VERSION = 2
QUANTIZE_VERSION = 2
DEPTH_TO_SPACE_VERSION = 1


def write_network(graphs: Mapping[int, ConvolutionalGraph], options: ConvertOptions) -> tuple[ModelFile, ...]:
    """Write graphs by depth, one file each or all in one.

    Raises:
        GraphError: if a graph is malformed.
        BackendError: naming the node that cannot be expressed exactly.
    """
    depths = tuple(sorted(graphs))
    if options.pack is Pack.SHARED:
        groups = {f"{options.metadata.name}.tflite": depths}
    else:
        groups = {f"{graphs[depth].name}.tflite": (depth,) for depth in depths}
    return tuple(
        ModelFile(
            name=name,
            depths=group,
            content=_write_file([graphs[depth] for depth in group], options),
        )
        for name, group in groups.items()
    )


def _write_file(graphs: Sequence[ConvolutionalGraph], options: ConvertOptions) -> bytes:
    file = FileBuilder(description=options.metadata.description)
    for whole in graphs:
        whole.verify()
        graph = whole.graph
        subgraph = file.subgraph(signature_key(graph.depth))
        _GraphWriter(graph, whole.constants, options, subgraph).write()
        file.signature(
            signature_key(graph.depth),
            subgraph,
            inputs={INPUT_NAME: subgraph.inputs[0]},
            outputs={OUTPUT_NAME: subgraph.outputs[0]},
        )
    file.metadata(METADATA_NAME, _metadata_json([whole.graph for whole in graphs], options).encode())
    file.metadata(MIN_RUNTIME_METADATA_NAME, MIN_RUNTIME_VERSION.encode().ljust(16, b"\0"))
    return file.to_bytes()


def _metadata_json(graphs: Sequence[Graph], options: ConvertOptions) -> str:
    about = options.metadata
    return json.dumps(
        {
            "name": about.name,
            "version": about.version,
            "author": about.author,
            "licence": about.licence,
            "description": about.description,
            "scale": graphs[0].scale,
            "bits": graphs[0].bits,
            "profile": graphs[0].profile.value,
            "storage": options.storage.value,
            "depths": [graph.depth for graph in graphs],
        },
        separators=(",", ":"),
    )


class _GraphWriter:
    """Writes one graph into one subgraph."""

    def __init__(self, graph: Graph, constants: Constants, options: ConvertOptions, subgraph: SubgraphBuilder):
        self._graph = graph
        self._constants = constants
        self._compact = options.storage is Storage.COMPACT
        self._input_size_px = options.input_size_px
        self._subgraph = subgraph
        self._tensors = graph.tensors_by_id()
        self._indices: dict[TensorId, int] = {}
        self._relabel_constants: dict[int, int] = {}

    def write(self) -> None:
        for node in self._graph.nodes:
            match node:
                case QuantizeInput():
                    self._write_input(node)
                case Conv2d():
                    self._write_conv(node)
                case Add():
                    self._write_add(node)
                case DepthToSpace():
                    self._write_depth_to_space(node)
        self._write_output()

    def _write_input(self, node: QuantizeInput) -> None:
        codes = self._plain_tensor(node.output, f"node {node.name}, output")
        image = self._activation(INPUT_NAME, codes, Label(zero_point=IMAGE_ZERO), type_=TYPE.UINT8)
        self._subgraph.inputs.append(image)
        self._quantize(image, self._declare(codes, PLAIN))

    def _write_output(self) -> None:
        codes = self._plain_tensor(self._graph.output, f"output of graph {self._graph.name}")
        image = self._activation(OUTPUT_NAME, codes, Label(zero_point=IMAGE_ZERO), type_=TYPE.UINT8)
        self._subgraph.outputs.append(image)
        self._quantize(self._indices[codes.id], image)

    def _quantize(self, source: int, target: int) -> None:
        self._subgraph.operator(
            OPERATOR.QUANTIZE,
            QUANTIZE_VERSION,
            [source],
            target,
            options_type=OPTIONS.QuantizeOptions,
            options=schema.QuantizeOptionsT(),
        )

    def _write_conv(self, node: Conv2d) -> None:
        source, target = self._tensors[node.input], self._tensors[node.output]
        encoded = encode_conv(
            node, self._constants, input_range=source.range, output_range=target.range, compact=self._compact
        )
        weights, bias = self._conv_constants(node, encoded)
        if encoded.output == OFFSET:
            output = self._activation(f"{target.id}/offset", target, OFFSET)
        else:
            output = self._declare(target, encoded.output)
        options = schema.DepthwiseConv2DOptionsT() if node.depthwise else schema.Conv2DOptionsT()
        options.padding = schema.Padding.SAME
        options.strideH = options.strideW = options.dilationHFactor = options.dilationWFactor = 1
        options.fusedActivationFunction = getattr(schema.ActivationFunctionType, encoded.output.activation)
        if node.depthwise:
            options.depthMultiplier = 1
        self._subgraph.operator(
            OPERATOR.DEPTHWISE_CONV_2D if node.depthwise else OPERATOR.CONV_2D,
            CONV_VERSION,
            [self._indices[source.id], weights, bias],
            output,
            options_type=OPTIONS.DepthwiseConv2DOptions if node.depthwise else OPTIONS.Conv2DOptions,
            options=options,
        )
        if encoded.output == OFFSET:
            self._relabel(output, target)

    def _conv_constants(self, node: Conv2d, encoded: EncodedConv) -> tuple[int, int]:
        packed = encoded.weight_type is WeightType.INT4
        weights = self._subgraph.tensor(
            f"{node.name}/weights",
            encoded.weights.shape,
            TYPE.INT4 if packed else TYPE.INT8,
            scales=encoded.weight_scales,
            axis=3 if node.depthwise else 0,
            content=pack_int4(encoded.weights) if packed else encoded.weights.tobytes(),
        )
        bias = self._subgraph.tensor(
            f"{node.name}/bias",
            encoded.bias.shape,
            TYPE.INT32,
            scales=encoded.bias_scales,
            content=encoded.bias.astype("<i4").tobytes(),
        )
        return weights, bias

    def _relabel(self, source: int, target: Tensor) -> None:
        """Declare codes with zero point -128 as the same codes with zero point 0.

        An addition of real -128, the one operator that does so exactly in every kernel family.
        """
        if target.channels not in self._relabel_constants:
            self._relabel_constants[target.channels] = self._subgraph.tensor(
                f"offset_{target.channels}",
                (target.channels,),
                TYPE.INT8,
                scales=np.ones(1, np.float32),
                content=np.full(target.channels, OFFSET_ZERO_POINT, np.int8).tobytes(),
            )
        self._add([source, self._relabel_constants[target.channels]], self._declare(target, PLAIN))

    def _write_add(self, node: Add) -> None:
        first, second = (self._plain_tensor(key, f"node {node.name}, input {key}") for key in node.inputs)
        target = self._plain_tensor(node.output, f"node {node.name}, output")
        self._add([self._indices[first.id], self._indices[second.id]], self._declare(target, PLAIN))

    def _add(self, inputs: Sequence[int], output: int) -> None:
        options = schema.AddOptionsT()
        self._subgraph.operator(
            OPERATOR.ADD, ADD_VERSION, inputs, output, options_type=OPTIONS.AddOptions, options=options
        )

    def _write_depth_to_space(self, node: DepthToSpace) -> None:
        source, target = self._tensors[node.input], self._tensors[node.output]
        if source.range != target.range:
            raise BackendError(
                f"node {node.name}: its input and output must have one range, got {source.range} and {target.range}"
            )
        options = schema.DepthToSpaceOptionsT()
        options.blockSize = node.block
        self._subgraph.operator(
            OPERATOR.DEPTH_TO_SPACE,
            DEPTH_TO_SPACE_VERSION,
            [self._indices[source.id]],
            self._declare(target, label_of(target.range, where=f"node {node.name}, output")),
            options_type=OPTIONS.DepthToSpaceOptions,
            options=options,
        )

    def _plain_tensor(self, key: TensorId, where: str) -> Tensor:
        tensor = self._tensors[key]
        if tensor.range != INT8_CODES:
            raise BackendError(f"{where}: got {tensor.range}, expected {INT8_CODES}")
        return tensor

    def _declare(self, tensor: Tensor, label: Label) -> int:
        index = self._activation(tensor.id, tensor, label)
        self._indices[tensor.id] = index
        return index

    def _activation(self, name: str, tensor: Tensor, label: Label, *, type_: int = TYPE.INT8) -> int:
        height, width = (-1, -1) if self._input_size_px is None else self._input_size_px
        if self._input_size_px is not None:
            height, width = height * tensor.upscale, width * tensor.upscale
        return self._subgraph.tensor(
            name,
            (1, height, width, tensor.channels),
            type_,
            scales=np.array([label.scale], np.float32),
            zero_point=label.zero_point,
        )
