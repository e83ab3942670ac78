"""Integer graphs -> ONNX models in QDQ form.

Importing this module imports ``onnx``, so only ``OnnxBackend.convert`` does.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto, checker, external_data_helper, helper, numpy_helper

from qsr_edge.bundle.layout import Pack, Storage
from qsr_edge.conversion.backend import ConvertOptions, ModelFile
from qsr_edge.graph.integer_graph import ConvolutionalGraph
from qsr_edge.graph.ir import Add, Constants, Conv2d, DepthToSpace, Graph, QuantizeInput, Tensor, TensorId
from qsr_edge.graph.verify import verify_graph
from qsr_edge_converters.onnx.encoding import Label, OnnxFlavor, encode_conv, label_of
from qsr_edge_converters.onnx.format import (
    HEIGHT_NAME,
    IMAGE_LAYOUT,
    INPUT_NAME,
    IR_VERSION,
    OPSET,
    OUTPUT_NAME,
    PRODUCER,
    WEIGHTS_SUFFIX,
    WIDTH_NAME,
)

_EXTERNAL_BYTES = 64
"""Constants from this size on go into the shared file."""


def write_network(graphs: Mapping[int, ConvolutionalGraph], options: ConvertOptions) -> tuple[ModelFile, ...]:
    """Write every graph, by depth, as a model of its own; with ``--pack shared`` the weights into one file for all.

    Raises:
        GraphError: if a graph is malformed.
        BackendError: naming the node that cannot be expressed exactly.
    """
    models = {depth: write_model(whole.graph, whole.constants, options) for depth, whole in sorted(graphs.items())}
    files = []
    if options.pack is Pack.SHARED:
        name = f"{options.metadata.name}{WEIGHTS_SUFFIX}"
        files.append(ModelFile(name=name, depths=(), content=_moved_out(list(models.values()), name)))
    return (
        *(
            ModelFile(
                name=f"{graphs[depth].name}.onnx",
                depths=(depth,),
                content=model.SerializeToString(deterministic=True),
            )
            for depth, model in models.items()
        ),
        *files,
    )


def write_model(graph: Graph, constants: Constants, options: ConvertOptions) -> ModelProto:
    """One graph as a model whose constants are in it.

    Raises:
        GraphError: if the graph is malformed.
        BackendError: naming the node that cannot be expressed exactly.
    """
    verify_graph(graph, constants)
    writer = _GraphWriter(graph, constants, flavor=_flavor(options), compact=options.storage is Storage.COMPACT)
    writer.write()
    size = options.input_size_px or (HEIGHT_NAME, WIDTH_NAME)
    # Not declared for any size: its dimensions are the input's times the scale, which a name cannot say.
    upscaled = tuple(side * graph.scale if isinstance(side, int) else None for side in size)
    model = helper.make_model(
        helper.make_graph(
            writer.nodes,
            graph.name,
            [_image(INPUT_NAME, size)],
            [_image(OUTPUT_NAME, upscaled)],
            list(writer.initializers.values()),
            doc_string=options.metadata.description,
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name=PRODUCER,
        producer_version=options.metadata.version,
        doc_string=options.metadata.description,
    )
    helper.set_model_props(model, _metadata(graph, options))
    checker.check_model(model, full_check=True)
    return model


def _image(name: str, size: Sequence[int | str | None]) -> ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.UINT8, [1, 3, *size])


def _flavor(options: ConvertOptions) -> OnnxFlavor:
    return OnnxFlavor(options.flavor or OnnxFlavor.QDQ)


def _metadata(graph: Graph, options: ConvertOptions) -> dict[str, str]:
    about = options.metadata
    return {
        "name": about.name,
        "version": about.version,
        "author": about.author,
        "licence": about.licence,
        "scale": str(graph.scale),
        "bits": str(graph.bits),
        "profile": graph.profile.value,
        "storage": options.storage.value,
        "flavor": _flavor(options).value,
        "depth": str(graph.depth),
        "layout": IMAGE_LAYOUT,
    }


def _moved_out(models: Sequence[ModelProto], location: str) -> bytes:
    """Move the models' constants into one file, each of them once; the file's content."""
    content = bytearray()
    offsets: dict[bytes, int] = {}
    for model in models:
        for tensor in model.graph.initializer:
            raw = bytes(tensor.raw_data)
            if len(raw) < _EXTERNAL_BYTES:
                continue
            if raw not in offsets:
                offsets[raw] = len(content)
                content += raw
            external_data_helper.set_external_data(tensor, location, offset=offsets[raw], length=len(raw))
            tensor.ClearField("raw_data")
    return bytes(content)


class _GraphWriter:
    """Collects the nodes and constants of one graph."""

    def __init__(self, graph: Graph, constants: Constants, *, flavor: OnnxFlavor, compact: bool):
        self.nodes: list[NodeProto] = []
        self.initializers: dict[str, TensorProto] = {}
        self._graph = graph
        self._constants = constants
        self._flavor = flavor
        self._compact = compact
        self._tensors: Mapping[TensorId, Tensor] = graph.tensors_by_id()
        self._names: dict[TensorId, str] = {}
        """What the stored codes of a tensor are called."""

    def write(self) -> None:
        for node in self._graph.nodes:
            match node:
                case QuantizeInput():
                    # The image's bytes are codes with zero point 128 as they are.
                    self._names[node.output] = INPUT_NAME
                case Conv2d():
                    self._write_conv(node)
                case Add():
                    operands = [self._dequantized(key, f"{node.name}.{i}") for i, key in enumerate(node.inputs)]
                    self._finish(self._node("Add", operands, node.name), node.output, node.name)
                case DepthToSpace():
                    source = self._dequantized(node.input, node.name)
                    moved = self._node("DepthToSpace", [source], node.name, blocksize=node.block, mode="DCR")
                    self._finish(moved, node.output, node.name)

    def _write_conv(self, node: Conv2d) -> None:
        source, target = self._tensors[node.input], self._tensors[node.output]
        encoded = encode_conv(
            node, self._constants, input_range=source.range, compact=self._compact, flavor=self._flavor
        )
        stored = str(node.weights)
        if encoded.int4_factor is None:
            self._constant(stored, encoded.weights)
        else:
            stored = self._unpacked(node, encoded.weights, encoded.int4_factor)
        scales = self._constant(f"{node.name}.scales", encoded.weight_scales)
        bias = self._constant(str(node.bias), encoded.bias)
        inputs = [
            self._dequantized(node.input, node.name),
            self._per_channel(stored, scales, target.channels, np.int8, f"{node.name}.weights"),
            self._per_channel(bias, scales, target.channels, np.int32, f"{node.name}.bias"),
        ]
        kernel = encoded.weights.shape[2]
        sums = self._node(
            "Conv",
            inputs,
            node.name,
            kernel_shape=[kernel, kernel],
            pads=[kernel // 2] * 4,
            group=source.channels if node.depthwise else 1,
        )
        self._finish(sums, node.output, node.name)

    def _unpacked(self, node: Conv2d, weights: NDArray[np.int8], factor: int) -> str:
        """Weights stored as INT4, as int8; a runtime that optimizes does it once, when it loads the model."""
        packed = f"{node.weights}.int4"
        if packed not in self.initializers:
            self.initializers[packed] = numpy_helper.from_array((weights // factor).astype(ml_dtypes.int4), packed)
        if factor == 1:
            return self._node("Cast", [packed], f"{node.name}.unpack", to=TensorProto.INT8)
        wide = self._node("Cast", [packed], f"{node.name}.unpack", to=TensorProto.INT32)
        constant = self._constant(f"times_{factor}", np.array(factor, np.int32))
        doubled = self._node("Mul", [wide, constant], f"{node.name}.guard_bit")
        return self._node("Cast", [doubled], f"{node.name}.narrow", to=TensorProto.INT8)

    def _finish(self, real: str, output: TensorId, name: str) -> None:
        """Round real values to stored codes of a tensor, clamped to its range."""
        codes = self._tensors[output].range
        label = label_of(codes, where=f"node {name}, output")
        if label.upper_zero_point is not None:
            upper = self._quantized(real, label.upper_zero_point, f"{name}.clamp_above")
            above = self._from_codes(upper, label.upper_zero_point, f"{name}.clamped_above")
            # An operator between the two quantizations, or ONNX Runtime would make one of them, with another scale.
            real = self._node("Mul", [above, self._unit(name)], f"{name}.clamp")
        final = OUTPUT_NAME if output == self._graph.output else str(output)
        self._names[output] = self._quantized(real, label.zero_point, f"{name}.quantize", output=final)

    def _unit(self, name: str) -> str:
        """The quantized number 1: not a constant that an optimizer would see through."""
        return self._from_codes(self._constant("unit", np.array(1, np.uint8)), 0, f"{name}.unit")

    def _dequantized(self, key: TensorId, reader: str) -> str:
        """Each reader has a DequantizeLinear of its own, as QDQ form asks for."""
        label: Label = label_of(self._tensors[key].range, where=f"node {reader}, input {key}")
        return self._from_codes(self._names[key], label.zero_point, f"{reader}.input")

    def _from_codes(self, codes: str, zero_point: int, name: str) -> str:
        return self._node("DequantizeLinear", [codes, self._one(), self._zero_point(zero_point)], name)

    def _quantized(self, real: str, zero_point: int, name: str, output: str | None = None) -> str:
        return self._node("QuantizeLinear", [real, self._one(), self._zero_point(zero_point)], name, output=output)

    def _per_channel(self, stored: str, scales: str, channels: int, dtype: type[np.integer[Any]], name: str) -> str:
        # A constant for each: ONNX Runtime's option x64quantprecision refuses a model where two share theirs.
        zeros = self._constant(f"{name}.zero_points", np.zeros(channels, dtype))
        return self._node("DequantizeLinear", [stored, scales, zeros], name, axis=0)

    def _one(self) -> str:
        return self._constant("one", np.array(1, np.float32))

    def _zero_point(self, value: int) -> str:
        return self._constant(f"zero_point_{value}", np.array(value, np.uint8))

    def _constant(self, name: str, values: NDArray[Any]) -> str:
        if name not in self.initializers:
            self.initializers[name] = numpy_helper.from_array(values, name)
        return name

    def _node(self, op: str, inputs: Sequence[str], name: str, *, output: str | None = None, **attributes: Any) -> str:
        output = output or f"{name}:{op}"
        self.nodes.append(helper.make_node(op, list(inputs), [output], name=name, **attributes))
        return output
