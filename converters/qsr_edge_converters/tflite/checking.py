"""Whether a file that reads well is also one that native code can be trusted with.

The kernels check little of what they are given. So a file is run only if it consists of what qsr-edge writes: its five
operators, wired in order, with shapes, types, constants and quantization parameters that fit each other.
"""

import math

import numpy as np

from qsr_edge_converters.tflite.file_model import FileModel, FileOperator, FileSubgraph, FileTensor
from qsr_edge_converters.tflite.flatbuffer_reading import DamagedError, Table
from qsr_edge_converters.tflite.format import INPUT_NAME, OUTPUT_NAME, Operator, OptionsType, TensorType

ELEMENTS_MAX = (1 << 31) - 1
"""Kernels index tensors with int32."""
OPTIONS_OF = {
    Operator.ADD: OptionsType.ADD,
    Operator.CONV_2D: OptionsType.CONV_2D,
    Operator.DEPTHWISE_CONV_2D: OptionsType.DEPTHWISE_CONV_2D,
    Operator.DEPTH_TO_SPACE: OptionsType.DEPTH_TO_SPACE,
    Operator.QUANTIZE: OptionsType.QUANTIZE,
}
INPUT_COUNT = {
    Operator.ADD: 2,
    Operator.CONV_2D: 3,
    Operator.DEPTHWISE_CONV_2D: 3,
    Operator.DEPTH_TO_SPACE: 1,
    Operator.QUANTIZE: 1,
}
VERSION_MAX = 5
ACTIVATION_MAX = 2
"""NONE, RELU and RELU_N1_TO_1."""


def check_model(model: FileModel) -> None:
    """Check every subgraph and signature.

    Raises:
        DamagedError: saying what is wrong, without naming the file.
    """
    _require(bool(model.subgraphs), "it has no subgraph")
    for subgraph in model.subgraphs:
        _check_subgraph(subgraph)
    for key, signature in model.signatures.items():
        _require(signature.subgraph < len(model.subgraphs), f"signature {key} refers to no subgraph")
        subgraph = model.subgraphs[signature.subgraph]
        takes, gives = {INPUT_NAME: subgraph.inputs[0]}, {OUTPUT_NAME: subgraph.outputs[0]}
        _require(signature.inputs == takes, f"inputs of signature {key} are not the subgraph's")
        _require(signature.outputs == gives, f"outputs of signature {key} are not the subgraph's")


def _require(condition: bool, otherwise: str) -> None:
    if not condition:
        raise DamagedError(otherwise)


def _check_subgraph(subgraph: FileSubgraph) -> None:
    count = len(subgraph.tensors)
    for tensor in subgraph.tensors:
        _check_tensor(tensor)
    _require(
        len(subgraph.inputs) == len(subgraph.outputs) == 1,
        f"subgraph {subgraph.name}: expected one input and one output",
    )
    known = {i for i, tensor in enumerate(subgraph.tensors) if tensor.content.size}
    for index in (*subgraph.inputs, *subgraph.outputs):
        _require(
            0 <= index < count and index not in known,
            f"subgraph {subgraph.name}: input or output {index} is not possible",
        )
        _require(subgraph.tensors[index].type == TensorType.UINT8, f"subgraph {subgraph.name}: expected uint8 images")
    known.update(subgraph.inputs)
    for position, operator in enumerate(subgraph.operators):
        where = f"operator {position} of subgraph {subgraph.name}"
        _require(all(index in known for index in operator.inputs), f"{where} reads what nothing wrote before")
        _require(len(operator.outputs) == 1, f"{where} has {len(operator.outputs)} outputs")
        output = operator.outputs[0]
        _require(0 <= output < count and output not in known, f"{where} writes to tensor {output}")
        known.add(output)
        _check_operator(operator, [subgraph.tensors[i] for i in operator.inputs], subgraph.tensors[output], where)
    _require(subgraph.outputs[0] in known, f"subgraph {subgraph.name}: nothing writes its output")


def _check_tensor(tensor: FileTensor) -> None:
    shape, signature = tensor.shape, tensor.shape_signature
    _require(1 <= len(shape) <= 4 and min(shape) >= 1, f"tensor {tensor.name}: shape {shape}")
    _require(
        len(signature) == len(shape) and all(b in (a, -1) for a, b in zip(shape, signature, strict=True)),
        f"tensor {tensor.name}: shape {shape} with signature {signature}",
    )
    elements = math.prod(shape)
    _require(elements <= ELEMENTS_MAX, f"tensor {tensor.name}: shape {shape} is too large")
    item_bits = {TensorType.INT8: 8, TensorType.UINT8: 8, TensorType.INT4: 4, TensorType.INT32: 32}.get(
        TensorType(tensor.type) if tensor.type in TensorType.__members__.values() else TensorType.STRING
    )
    _require(item_bits is not None, f"tensor {tensor.name}: type {tensor.type}")
    if tensor.content.size and item_bits is not None:
        expected = (elements * item_bits + 7) // 8
        _require(
            tensor.content.size == expected, f"tensor {tensor.name}: {tensor.content.size} bytes, expected {expected}"
        )
    slices = len(tensor.scales)
    _require(
        len(tensor.zero_points) == slices
        and (slices == 1 or (0 <= tensor.axis < len(shape) and slices == shape[tensor.axis])),
        f"tensor {tensor.name}: {slices} scales, {len(tensor.zero_points)} zero points, axis {tensor.axis} of {shape}",
    )
    _require(
        bool(np.all(np.isfinite(tensor.scales) & (tensor.scales >= np.finfo(np.float32).tiny))),
        f"tensor {tensor.name}: scales must be positive",
    )
    low, high = (0, 255) if tensor.type == TensorType.UINT8 else (-128, 127)
    _require(
        bool(np.all((tensor.zero_points >= low) & (tensor.zero_points <= high))),
        f"tensor {tensor.name}: zero point out of range",
    )


def _check_operator(operator: FileOperator, inputs: list[FileTensor], output: FileTensor, where: str) -> None:
    _require(
        operator.code in Operator.__members__.values(), f"{where} has code {operator.code}, which qsr-edge never writes"
    )
    code = Operator(operator.code)
    _require(1 <= operator.version <= VERSION_MAX, f"{where} has version {operator.version}")
    _require(len(inputs) == INPUT_COUNT[code], f"{where} has {len(inputs)} inputs, expected {INPUT_COUNT[code]}")
    _require(operator.options_type == OPTIONS_OF[code], f"{where} has options of type {operator.options_type}")
    options = operator.options
    if options is None:
        raise DamagedError(f"{where} has no options")
    for tensor in (inputs[0], output):
        _require(
            len(tensor.shape) == 4
            and not tensor.content.size
            and len(tensor.scales) == 1
            and tensor.shape[0] == 1
            and tensor.shape_signature[1:3] in (tensor.shape[1:3], (-1, -1))
            and tensor.shape_signature[::3] == tensor.shape[::3],
            f"{where}: tensor {tensor.name} is not an image of codes",
        )
    block = 1
    match code:
        case Operator.CONV_2D | Operator.DEPTHWISE_CONV_2D:
            _check_conv(options, inputs, output, where, depthwise=code is Operator.DEPTHWISE_CONV_2D)
        case Operator.ADD:
            _check_add(options, inputs, output, where)
        case Operator.DEPTH_TO_SPACE:
            block = options.scalar(0, "i")
            _require(
                1 <= block <= 16 and inputs[0].shape[3] == output.shape[3] * block**2,
                f"{where}: block size {block} does not fit",
            )
            _require(_labels(inputs[0]) == _labels(output), f"{where} changes the quantization")
        case Operator.QUANTIZE:
            _require(inputs[0].shape[3] == output.shape[3], f"{where} changes the number of channels")
    image_types = (TensorType.INT8, TensorType.UINT8) if code is Operator.QUANTIZE else (TensorType.INT8,)
    _require(inputs[0].type in image_types and output.type in image_types, f"{where} works on other types than int8")
    if -1 in inputs[0].shape_signature or -1 in output.shape_signature:
        same = inputs[0].shape_signature[1:3] == output.shape_signature[1:3] == (-1, -1)
    else:
        same = output.shape[1:3] == tuple(size * block for size in inputs[0].shape[1:3])
    _require(same, f"{where}: {inputs[0].shape_signature} -> {output.shape_signature}")


def _labels(tensor: FileTensor) -> tuple[int, list[float], list[int]]:
    return tensor.type, tensor.scales.tolist(), tensor.zero_points.tolist()


def _check_conv(options: Table, inputs: list[FileTensor], output: FileTensor, where: str, *, depthwise: bool) -> None:
    source, weights, bias = inputs
    channels = output.shape[3]
    per_input = (1, channels) if depthwise else (channels, source.shape[3])
    _require(
        len(weights.shape) == 4
        and weights.shape[::3] == per_input
        and weights.shape[1] == weights.shape[2]
        and weights.content.size > 0
        and weights.type in (TensorType.INT8, TensorType.INT4)
        and not weights.zero_points.any()
        and len(weights.scales) == channels
        and weights.axis == (3 if depthwise else 0),
        f"{where}: weights {weights.shape} do not fit",
    )
    _require(
        bias.shape == (channels,)
        and bias.content.size > 0
        and bias.type == TensorType.INT32
        and not bias.zero_points.any()
        and len(bias.scales) == channels,
        f"{where}: bias {bias.shape} does not fit",
    )
    _require(not depthwise or source.shape[3] == channels, f"{where}: {source.shape[3]} -> {channels} channels")
    # padding, stride_w, stride_h, [depth_multiplier,] activation, dilation_w, dilation_h; 8-bit fields are `b`
    activation = 4 if depthwise else 3
    ones = (1, 2, 3) if depthwise else (1, 2)
    _require(
        options.scalar(0, "b") == 0
        and all(options.scalar(slot, "i") == 1 for slot in ones)
        and all(options.scalar(activation + i, "i", 1) == 1 for i in (1, 2))
        and 0 <= options.scalar(activation, "b") <= ACTIVATION_MAX
        and max(options.slots(), default=0) <= activation + 2,
        f"{where}: strides, padding or activation are not ours",
    )
    ratios = source.scales.astype(np.float64) * weights.scales / output.scales
    _require(bool(np.all((ratios >= 2.0**-32) & (ratios < 256))), f"{where}: requantization out of range")


def _check_add(options: Table, inputs: list[FileTensor], output: FileTensor, where: str) -> None:
    second = inputs[1]
    fits = second.shape == ((output.shape[3],) if second.content.size else output.shape)
    _require(fits and inputs[0].shape == output.shape, f"{where} adds {inputs[0].shape} and {second.shape}")
    _require(second.type == TensorType.INT8 and len(second.scales) == 1, f"{where} adds other types than int8")
    _require(
        inputs[0].scales[0] == second.scales[0] == output.scales[0]
        and options.scalar(0, "b") == 0
        and options.slots() <= {0, 1},
        f"{where} has scales or an activation that are not ours",
    )
