"""One depth of a .tflite file, rewritten for a fixed input size that can be set in its bytes.

What was written for any size says so by a shape signature, which LiteRT.js does not take; and equal shapes are stored
once, those of constants among them, so its sizes cannot be set in place. So the file is written anew, twice, for two
sizes that no constant has: where both differ is where the size stands.

Importing this module imports LiteRT's schema, so only ``TfliteBackend.resizable`` does.
"""

from pathlib import Path
from typing import Any

import numpy as np

from qsr_edge.conversion.resizable import ResizableModel, SizePlace
from qsr_edge.errors import BackendError
from qsr_edge_converters.tflite.flatbuffer import FileBuilder, schema
from qsr_edge_converters.tflite.format import INPUT_NAME, OUTPUT_NAME, signature_key
from qsr_edge_converters.tflite.reading import read_model_file

# Primes, so that neither is a multiple of the other by a scale; no constant of a network is as large.
_FIRST_PX = (10007, 10009)
_SECOND_PX = (10037, 10039)


def resizable_model(path: Path, depth: int, size_px: tuple[int, int]) -> ResizableModel:
    """Rewrite one depth of a file that qsr-edge wrote.

    Args:
        path: the file, for any size or a fixed one, with one depth or several.
        depth: which.
        size_px: (height, width) that the result takes as it is.

    Raises:
        BackendError: if the file is damaged, was not written by qsr-edge or has no such depth.
    """
    key = signature_key(depth)
    checked = read_model_file(path)
    if key not in checked.signatures:
        raise BackendError(f"{path}: holds no depth {depth}; its signatures are {', '.join(checked.signatures)}")
    model = schema.ModelT.InitFromPackedBuf(checked.content, 0)
    subgraph = model.subgraphs[checked.signatures[key].subgraph]
    first, second = (_rewritten(model, subgraph, key, size) for size in (_FIRST_PX, _SECOND_PX))
    resizable = ResizableModel(content=first, size_px=_FIRST_PX, places=_places(first, second, str(path)))
    if resizable.sized(*_SECOND_PX) != second:
        raise BackendError(f"{path}: depth {depth}: its size stands where it was not found; please report this")
    return ResizableModel(content=resizable.sized(*size_px), size_px=size_px, places=resizable.places)


def _rewritten(model: Any, subgraph: Any, key: str, size_px: tuple[int, int]) -> bytes:
    factors = _factors(subgraph)
    file = FileBuilder(description=_text(model.description))
    target = file.subgraph(_text(subgraph.name))
    for index, tensor in enumerate(subgraph.tensors):
        shape = [int(side) for side in tensor.shape]
        if index in factors:
            shape[1:3] = (side * factors[index] for side in size_px)
        data = model.buffers[tensor.buffer].data
        quantization = tensor.quantization  # the checked reader saw that every tensor has one
        target.tensor(
            _text(tensor.name),
            shape,
            tensor.type,
            scales=np.asarray(quantization.scale, np.float32),
            zero_point=int(quantization.zeroPoint[0]),
            axis=quantization.quantizedDimension,
            content=b"" if data is None else bytes(data),
        )
    for operator in subgraph.operators:
        code = model.operatorCodes[operator.opcodeIndex]
        target.operator(
            code.builtinCode,
            code.version,
            operator.inputs,
            int(operator.outputs[0]),
            options_type=operator.builtinOptionsType,
            options=operator.builtinOptions,
        )
    target.inputs, target.outputs = [int(subgraph.inputs[0])], [int(subgraph.outputs[0])]
    file.signature(key, target, inputs={INPUT_NAME: target.inputs[0]}, outputs={OUTPUT_NAME: target.outputs[0]})
    for entry in model.metadata:
        file.metadata(_text(entry.name), bytes(model.buffers[entry.buffer].data))
    return file.to_bytes()


def _factors(subgraph: Any) -> dict[int, int]:
    """How much larger than the input each activation is, by its index."""
    factors = {int(subgraph.inputs[0]): 1}
    for operator in subgraph.operators:
        block = getattr(operator.builtinOptions, "blockSize", 1)
        factors[int(operator.outputs[0])] = factors[int(operator.inputs[0])] * block
    return factors


def _places(first: bytes, second: bytes, source: str) -> tuple[SizePlace, ...]:
    """Where two files of different sizes differ; every place is a pair of sides."""
    if len(first) != len(second) or len(first) % 4:
        raise BackendError(f"{source}: its length depends on the input size; please report this")
    words = np.frombuffer(first, "<i4"), np.frombuffer(second, "<i4")
    differing = np.flatnonzero(words[0] != words[1])
    places = []
    for height, width in zip(differing[::2], differing[1::2], strict=True):
        factor = int(words[0][height]) // _FIRST_PX[0]
        if width != height + 1 or factor < 1:
            raise BackendError(f"{source}: its input size stands in an unknown way; please report this")
        places.append(SizePlace(offset=4 * int(height), factor=factor))
    return tuple(places)


def _text(value: bytes | str | None) -> str:
    return value.decode() if isinstance(value, bytes) else value or ""
